"""Blame: evidence on the component itself, less what other components explain.

Within a group only the strongest event of a component counts, groups add up. Weak evidence (an
ordinary degradation and its order in time) speaks only as far as strong evidence is silent.
Explainable evidence loses to what explains it: the share w / (w + s), where w is the blame of the
strongest component that a rule or a call names as its cause and s the component's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.causality import CausalityGraph
from rca.ranking.explanations import UNUSUAL, explain_rows, service_codes
from rca.topology import Topology
from rca.types import Event

Array = npt.NDArray[Any]

# Strong evidence of this size silences weak evidence: a quarter of one full piece, what a clear
# deviation in a third of the candidate onsets gives.
ENOUGH = 0.25
# What a host or the network does to others counts by half against it.
MOVED = 0.5
# A resource that is busy while its component's work shows less than this counts by half.
SUFFERS, IDLE = 0.05, 0.5


@dataclass(frozen=True, kw_only=True)
class Blame:
    """Blame of every component, and the events that it adds up from.

    Attributes:
        components: names, sorted.
        total: float64 >= 0, shape (components,): after excuses and explanations.
        raw: the same before explanations.
        rows: events that count, as indices into the graph's events: one per component and group.
        share: what each of ``rows`` adds to its component, after explanations.
        gain: what each of ``rows`` adds to the component that explains it.
        explainer: component code that explains each of ``rows`` best, -1 where none does.
        strong: the part of ``raw`` that is not weak.
    """

    components: tuple[str, ...]
    total: npt.NDArray[np.float64]
    raw: npt.NDArray[np.float64]
    strong: npt.NDArray[np.float64]
    rows: npt.NDArray[np.int64]
    owner: npt.NDArray[np.int64]
    share: npt.NDArray[np.float64]
    gain: npt.NDArray[np.float64]
    explainer: npt.NDArray[np.int64]

    def because(self, component: int) -> npt.NDArray[np.int64]:
        """The events (indices into the graph's) behind a component's blame, largest share first.

        Those of others among them are what this component does to them.
        """
        return self.rows[self._by_share(component)[0]]

    def shares(self, component: int) -> npt.NDArray[np.float64]:
        """What each of the events of ``because`` adds to the component; negative where it excuses it."""
        return self._by_share(component)[1]

    def _by_share(self, component: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        size = np.where(self.owner == component, self.share, 0.0)
        size = np.where((self.explainer == component) & (self.gain > 0), self.gain, size)
        mine = np.flatnonzero((self.owner == component) | ((self.explainer == component) & (self.gain > 0)))
        order = mine[np.lexsort((self.rows[mine], -size[mine]))]
        return order, size[order]


def assign_blame(graph: CausalityGraph, topology: Topology, components: Sequence[str]) -> Blame:
    """Blame of ``components`` (sorted names) from the events of a causality graph."""
    names = tuple(components)
    place = {name: i for i, name in enumerate(names)}
    events = graph.events
    owner = np.array([place[event.component] for event in events] or [], np.int64)
    rows = _representatives(events, owner)
    value, weak, explainable = _columns(events, rows)
    of_row = owner[rows]
    strong = _sum(np.where(weak, 0.0, value), of_row, len(names))
    residual = max(0.0, 1.0 - float(strong.max(initial=0.0)) / ENOUGH)
    value = np.where(weak, residual * value, value)
    raw = np.maximum(_sum(value, of_row, len(names)), 0.0)
    service = service_codes(names, topology)
    raw = raw + _of_service(raw, service)
    found = explain_rows(graph, topology, names, owner, rows, raw)
    lost = np.where(explainable & (value > 0), value * found.part, 0.0)
    share = value - lost
    gain = _gains(found.by, np.where(found.moved, MOVED * lost, 0.0), len(names))
    gained = _sum(gain, np.maximum(found.by, 0), len(names))
    idle = _idle(graph, topology, names, rows, of_row, share, gained)
    share = np.where(idle, IDLE * share, share)
    own = np.maximum(_sum(share, of_row, len(names)) + gained, 0.0)
    return Blame(
        components=names,
        total=own + _of_service(own, service),
        raw=raw,
        strong=strong,
        rows=rows,
        owner=of_row,
        share=share,
        gain=gain,
        explainer=np.where(explainable & (found.part > 0), found.by, -1),
    )


def _gains(explainer: Array, moved: Array, size: int) -> npt.NDArray[np.float64]:
    """What each row adds to its explainer: of the rows that one component explains the largest counts."""
    gain = np.zeros(len(moved))
    rows = np.flatnonzero(moved > 0)
    if len(rows):
        order = rows[np.lexsort((rows, -moved[rows], explainer[rows]))]
        best = order[np.flatnonzero(np.diff(explainer[order], prepend=-1) != 0)]
        gain[best] = moved[best]
    return gain


def _idle(
    graph: CausalityGraph,
    topology: Topology,
    names: tuple[str, ...],
    rows: Array,
    of_row: Array,
    share: Array,
    gained: Array,
) -> npt.NDArray[np.bool_]:
    """Rows that show a busy resource of a component whose work does not suffer: it hurts nobody.

    Resources that are used in another way than in health may hurt callers alone, which then lose blame to it.
    """
    of_resource = np.array([_group(graph.events[i]) == "saturation" for i in rows] or [], bool)
    if not len(rows):
        return of_resource
    suffers = _sum(np.where(of_resource, 0.0, np.maximum(share, 0.0)), of_row, len(names)) >= SUFFERS
    of_host = np.array([topology.kinds.get(name) == "host" for name in names], bool)
    hurts = np.array([graph.events[i].kind == UNUSUAL for i in rows], bool) & (gained >= SUFFERS)[of_row]
    idle: npt.NDArray[np.bool_] = of_resource & ~((suffers | of_host)[of_row] | hurts)
    return idle


def _group(event: Event) -> str:
    return "" if event.evidence is None else event.evidence.group


def _representatives(events: Sequence[Event], owner: Array) -> npt.NDArray[np.int64]:
    """The strongest event of each component and group; an excuse is a group of its own."""
    best: dict[tuple[int, str, bool], int] = {}
    for i, event in enumerate(events):
        evidence = event.evidence
        if evidence is None or evidence.blame == 0.0:
            continue
        key = (int(owner[i]), evidence.group, evidence.blame < 0)
        other = best.get(key)
        if other is None or _before(event, events[other]):
            best[key] = i
    return np.array(sorted(best.values()), np.int64)


def _before(event: Event, other: Event) -> bool:
    size = (abs(event.evidence.blame) if event.evidence else 0.0, abs(other.evidence.blame) if other.evidence else 0.0)
    return size[0] > size[1] or (size[0] == size[1] and event.id < other.id)


def _columns(events: Sequence[Event], rows: Array) -> tuple[Array, Array, Array]:
    evidence = [events[i].evidence for i in rows]
    value = np.array([e.blame for e in evidence if e is not None] or [], np.float64)
    weak = np.array([e.weak for e in evidence if e is not None] or [], bool)
    explainable = np.array([e.explainable for e in evidence if e is not None] or [], bool)
    return value, weak, explainable


def _of_service(own: Array, service: Array) -> npt.NDArray[np.float64]:
    """What is said against a service counts for each of its replicas that anything speaks against."""
    return np.where((service >= 0) & (own > 0), np.append(own, 0.0)[service], 0.0)


def _sum(values: Array, group: Array, size: int) -> npt.NDArray[np.float64]:
    return np.bincount(group, values, size).astype(np.float64) if len(values) else np.zeros(size)
