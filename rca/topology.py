"""Topology: which component depends on which. An edge a -> b says "a depends on b" (a calls b).

The causality graph points the other way: there a -> b says "a may have caused b".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import sparse

from rca.errors import TopologyError

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True, kw_only=True)
class Topology:
    """Components and the dependencies between them.

    Attributes:
        components: names, sorted.
        caller, callee: int32 codes into ``components``, shape (edges,); unique pairs, sorted.
        weight: float64, shape (edges,): calls seen over the edge, 1 where nobody counted.
        kinds: component -> service, pod, host, database, queue, cache, model, external ….
        hosts: component -> host or node it runs on.
        replica_of: component -> the service that it is one instance of.
        attributes: component -> further facts (zone, team, owner, runbook).
    """

    components: tuple[str, ...]
    caller: npt.NDArray[np.int32]
    callee: npt.NDArray[np.int32]
    weight: npt.NDArray[np.float64]
    kinds: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    hosts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    replica_of: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    attributes: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if not self.caller.shape == self.callee.shape == self.weight.shape:
            raise TopologyError("caller, callee and weight differ in length", where="topology")
        size = len(self.components)
        for codes in (self.caller, self.callee):
            if codes.size and (int(codes.min()) < 0 or int(codes.max()) >= size):
                raise TopologyError("an edge names a component that is not listed", where="topology")

    @classmethod
    def from_edges(
        cls,
        edges: Iterable[tuple[str, str] | tuple[str, str, float]],
        *,
        components: Iterable[str] = (),
        kinds: Mapping[str, str] | None = None,
        hosts: Mapping[str, str] | None = None,
        replica_of: Mapping[str, str] | None = None,
        attributes: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Topology:
        """From (caller, callee) or (caller, callee, calls); self-calls are dropped, repeats add up."""
        weights: dict[tuple[str, str], float] = {}
        for edge in edges:
            caller, callee = edge[0], edge[1]
            if caller != callee:
                weights[caller, callee] = weights.get((caller, callee), 0.0) + (
                    float(edge[2]) if len(edge) > 2 else 1.0
                )
        names = sorted({name for pair in weights for name in pair} | set(components))
        index = {name: i for i, name in enumerate(names)}
        pairs = sorted(weights)
        return cls(
            components=tuple(names),
            caller=np.array([index[a] for a, _ in pairs], np.int32),
            callee=np.array([index[b] for _, b in pairs], np.int32),
            weight=np.array([weights[pair] for pair in pairs], np.float64),
            kinds=dict(kinds or {}),
            hosts=dict(hosts or {}),
            replica_of=dict(replica_of or {}),
            attributes=dict(attributes or {}),
        )

    @cached_property
    def index(self) -> dict[str, int]:
        """Component name -> code."""
        return {name: i for i, name in enumerate(self.components)}

    def adjacency(self, components: tuple[str, ...] | None = None) -> sparse.csr_array:
        """Calls by caller (row) and callee (column): shape (n, n), over ``components`` (default: its own)."""
        names = self.components if components is None else components
        position = {name: i for i, name in enumerate(names)}
        code = np.array([position.get(name, -1) for name in self.components] or [0], np.int64)
        rows, columns = code[self.caller], code[self.callee]
        kept = (rows >= 0) & (columns >= 0)
        shape = (len(names), len(names))
        return sparse.coo_array((self.weight[kept], (rows[kept], columns[kept])), shape=shape).tocsr()

    def callees(self, component: str) -> tuple[str, ...]:
        """What a component depends on directly."""
        return self._neighbours(component, *self._by_caller)

    def callers(self, component: str) -> tuple[str, ...]:
        """What depends on a component directly."""
        return self._neighbours(component, *self._by_callee)

    @cached_property
    def _by_caller(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        return _grouped(self.caller, self.callee, len(self.components))

    @cached_property
    def _by_callee(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        return _grouped(self.callee, self.caller, len(self.components))

    def _neighbours(
        self, component: str, begins: npt.NDArray[np.int64], others: npt.NDArray[np.int32]
    ) -> tuple[str, ...]:
        code = self.index.get(component)
        if code is None:
            return ()
        return tuple(self.components[i] for i in others[begins[code] : begins[code + 1]].tolist())

    def distances(self, sources: Iterable[str], *, towards: str = "callees") -> dict[str, int]:
        """Calls from the nearest source to each component that is reached, following the edges.

        ``towards`` "callees" follows dependencies, "callers" goes against them.
        """
        begins, others = self._by_caller if towards == "callees" else self._by_callee
        frontier = np.array(sorted({self.index[source] for source in sources if source in self.index}), np.int64)
        distance = np.full(len(self.components), -1, np.int64)
        found: dict[str, int] = {}
        depth = 0
        while frontier.size:
            distance[frontier] = depth
            found.update(dict.fromkeys([self.components[i] for i in frontier.tolist()], depth))
            edges = [others[a:b] for a, b in zip(begins[frontier], begins[frontier + 1], strict=True)]
            reached = np.unique(np.concatenate(edges)).astype(np.int64)
            frontier = reached[distance[reached] < 0]
            depth += 1
        return found

    def service(self, component: str) -> str:
        """The service that a component is a replica of; itself where it is none."""
        return self.replica_of.get(component, component)

    def merge(self, other: Topology | None) -> Topology:
        """Both together; weights of shared edges add up, facts of ``self`` win."""
        if other is None or not other.components:
            return self
        edges = [
            (top.components[a], top.components[b], float(w))
            for top in (self, other)
            for a, b, w in zip(top.caller, top.callee, top.weight, strict=True)
        ]
        return Topology.from_edges(
            edges,
            components={*self.components, *other.components},
            kinds={**other.kinds, **self.kinds},
            hosts={**other.hosts, **self.hosts},
            replica_of={**other.replica_of, **self.replica_of},
            attributes={**other.attributes, **self.attributes},
        )

    def to_networkx(self) -> nx.DiGraph[str]:
        """A networkx view: a -> b where a depends on b, ``weight`` the calls."""
        import networkx as nx

        graph: nx.DiGraph[str] = nx.DiGraph()
        for name in self.components:
            graph.add_node(name)
            graph.nodes[name].update({**self.attributes.get(name, {}), "kind": self.kinds.get(name, "service")})
        for a, b, w in zip(self.caller, self.callee, self.weight, strict=True):
            graph.add_edge(self.components[a], self.components[b], weight=float(w))
        return graph


def _grouped(
    by: npt.NDArray[np.int32], what: npt.NDArray[np.int32], size: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Where the edges of each code begin, shape (size + 1,), and what is at their other ends, by code."""
    order = np.argsort(by, kind="stable")
    return np.searchsorted(by[order], np.arange(size + 1)), what[order]
