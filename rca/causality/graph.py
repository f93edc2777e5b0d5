"""CausalityGraph: edge arrays over events; an edge a -> b says "a may have caused b"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from rca.errors import InputError
from rca.rules import Rule
from rca.types import Event

if TYPE_CHECKING:
    import networkx as nx

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
NO_LONGS: Longs = np.zeros(0, np.int64)
NO_INTS: Ints = np.zeros(0, np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One edge with what it joins: ``lag`` in ns (0 or more), ``weight`` in (0, 1].

    ``rule`` is the strongest rule that joins the two, ``also`` the names of the others.
    """

    cause: Event
    effect: Event
    rule: Rule
    lag: int
    weight: float
    also: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CausalityGraph:
    """Events and the edges between them, sorted by cause, then effect; no pair twice.

    Where several rules join the same two events, the edge has the largest weight; of equal ones
    the rule whose name comes first; ``also`` tells the others.

    Attributes:
        events: as they were given; those that dynamic rules created at the end.
        rules: what ``rule`` points into, sorted by name.
        cause, effect: int32 codes into ``events``, shape (edges,).
        rule: int32 codes into ``rules``, shape (edges,).
        lag: int64 ns from the start of the cause to that of the effect, 0 where the effect was
            seen first (within the slack of the clocks), shape (edges,).
        weight: float64 in (0, 1], shape (edges,).
        also_rule: int32 codes of the further rules of all edges, one after the other.
        also_start: int64, shape (edges + 1,): where in ``also_rule`` those of each edge begin;
            empty where no edge has any.
        created: components that dynamic rules made -> their kind.
        trimmed: rules that joined too many events; only the most severe causes of these were kept.
    """

    events: tuple[Event, ...]
    rules: tuple[Rule, ...] = ()
    cause: Ints = field(default_factory=lambda: NO_INTS)
    effect: Ints = field(default_factory=lambda: NO_INTS)
    rule: Ints = field(default_factory=lambda: NO_INTS)
    lag: Longs = field(default_factory=lambda: NO_LONGS)
    weight: Floats = field(default_factory=lambda: np.zeros(0, np.float64))
    also_rule: Ints = field(default_factory=lambda: NO_INTS)
    also_start: Longs = field(default_factory=lambda: NO_LONGS)
    created: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    trimmed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        arrays = (self.cause, self.effect, self.rule, self.lag, self.weight)
        if any(array.shape != self.cause.shape or array.ndim != 1 for array in arrays):
            raise InputError("the edge arrays differ in length", where="causality graph")
        for codes, size in ((self.cause, len(self.events)), (self.effect, len(self.events)), (self.rule, self._rules)):
            if codes.size and (int(codes.min()) < 0 or int(codes.max()) >= size):
                raise InputError("an edge points at an event or a rule that is not there", where="causality graph")
        key = self.cause.astype(np.int64) * len(self.events) + self.effect
        if np.any(key[1:] <= key[:-1]):
            raise InputError("edges are not sorted by cause and effect, or stand twice", where="causality graph")
        if not np.all((self.weight > 0) & (self.weight <= 1)):
            raise InputError("the weight of an edge lies outside (0, 1]", where="causality graph")
        if self.also_start.size not in (0, self.cause.size + 1):
            raise InputError("also_start does not fit the edges", where="causality graph")

    @property
    def _rules(self) -> int:
        return len(self.rules)

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Id of an event -> its code.

        Raises:
            InputError: two events share an id.
        """
        index = {event.id: code for code, event in enumerate(self.events)}
        if len(index) != len(self.events):
            raise InputError("two events share an id", where="causality graph", remedy="Give each event its own id")
        return index

    @cached_property
    def indptr(self) -> Longs:
        """Where the edges of each cause begin: int64, shape (events + 1,)."""
        counts = np.bincount(self.cause, minlength=len(self.events))
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])

    @cached_property
    def _by_effect(self) -> tuple[Longs, Longs]:
        """Edges in the order of their effects, and where those of each effect begin."""
        order = np.argsort(self.effect, kind="stable")
        return order, np.searchsorted(self.effect[order], np.arange(len(self.events) + 1))

    def csr(self) -> sparse.csr_array:
        """Weights by cause (row) and effect (column), float64, shape (events, events)."""
        shape = (len(self.events), len(self.events))
        return sparse.csr_array((self.weight, self.effect, self.indptr), shape=shape)

    def code(self, event: Event | str) -> int:
        """The position of an event, given by itself or by its id.

        Raises:
            InputError: the graph holds no such event.
        """
        name = event if isinstance(event, str) else event.id
        if name not in self.index:
            raise InputError(f"there is no event {name!r}", where="causality graph", remedy="Give an id of .events")
        return self.index[name]

    def also(self, edge: int) -> tuple[str, ...]:
        """Names of the further rules that an edge stands for, sorted."""
        if not self.also_start.size:
            return ()
        return tuple(self.rules[i].name for i in self.also_rule[self.also_start[edge] : self.also_start[edge + 1]])

    def link(self, edge: int) -> Link:
        """One edge by its position, with the events it joins."""
        return Link(
            cause=self.events[self.cause[edge]],
            effect=self.events[self.effect[edge]],
            rule=self.rules[self.rule[edge]],
            lag=int(self.lag[edge]),
            weight=float(self.weight[edge]),
            also=self.also(edge),
        )

    def causes_of(self, event: Event | str) -> tuple[Link, ...]:
        """What may have caused an event, strongest first."""
        order, start = self._by_effect
        code = self.code(event)
        return self._strongest_first(order[start[code] : start[code + 1]])

    def effects_of(self, event: Event | str) -> tuple[Link, ...]:
        """What an event may have caused, strongest first."""
        code = self.code(event)
        return self._strongest_first(np.arange(self.indptr[code], self.indptr[code + 1]))

    def _strongest_first(self, edges: Longs) -> tuple[Link, ...]:
        links = [self.link(int(edge)) for edge in edges]
        return tuple(sorted(links, key=lambda link: (-link.weight, link.cause.id, link.effect.id)))

    def subgraph(self, events: Iterable[Event | str]) -> CausalityGraph:
        """The given events, in this graph's order, and the edges among them.

        Raises:
            InputError: the graph holds no such event.
        """
        kept = np.zeros(len(self.events), np.bool_)
        kept[[self.code(event) for event in events]] = True
        position = np.cumsum(kept) - 1
        edges = np.flatnonzero(kept[self.cause] & kept[self.effect])
        start, further = self.also_start, self.also_rule
        if start.size:
            counts = np.diff(start)
            further = further[np.repeat(kept[self.cause] & kept[self.effect], counts)]
            start = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts[edges])])
        chosen = tuple(self.events[i] for i in np.flatnonzero(kept))
        components = {event.component for event in chosen}
        return CausalityGraph(
            events=chosen,
            rules=self.rules,
            cause=position[self.cause[edges]].astype(np.int32),
            effect=position[self.effect[edges]].astype(np.int32),
            rule=self.rule[edges],
            lag=self.lag[edges],
            weight=self.weight[edges],
            also_rule=further,
            also_start=start,
            created={name: kind for name, kind in self.created.items() if name in components},
            trimmed=self.trimmed,
        )

    def to_networkx(self) -> nx.DiGraph[str]:
        """A networkx view: nodes are ids of events; edges carry rule, also, lag_seconds and weight."""
        from rca.causality.export import to_networkx

        return to_networkx(self)

    def to_json(self) -> dict[str, Any]:
        """Events and edges as plain values, the same for the same graph."""
        from rca.causality.export import to_json

        return to_json(self)

    def to_graphml(self, path: str | Path | None = None) -> str:
        """GraphML, which graph viewers read; also written to ``path`` where one is given."""
        from rca.causality.export import to_graphml

        return to_graphml(self, path)
