"""Which components are related: each relation gives components keys, and two with a shared key are related."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse

from rca.rules import Relation
from rca.topology import Topology

Longs = npt.NDArray[np.int64]

# What data is made of on its way to a service: a dependency on one of these is lineage.
LINEAGE_KINDS = frozenset(
    {"dataset", "table", "stream", "topic", "pipeline", "job", "feature", "feature_group", "feature_store", "model"}
)
LINEAGE_STEPS = 6  # source, table, feature, feature store, model, service


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys of each component, as a sparse table: those of c are ``keys[start[c] : start[c + 1]]``."""

    start: Longs
    keys: Longs
    size: int

    @classmethod
    def from_pairs(cls, components: Longs, keys: Longs, count: int, size: int) -> Keys:
        """Of (component, key) pairs in any order; repeats count once."""
        size = max(size, 1)
        pairs = np.unique(components * size + keys)
        start = np.searchsorted(pairs // size, np.arange(count + 1))
        return cls(start=start.astype(np.int64), keys=pairs % size, size=size)

    @classmethod
    def identity(cls, count: int) -> Keys:
        """Each component is its own key."""
        return cls(start=np.arange(count + 1, dtype=np.int64), keys=np.arange(count, dtype=np.int64), size=count)

    def expand(self, components: Longs) -> tuple[Longs, Longs]:
        """For components, shape (n,): rows into them and the key of each row, shape (pairs,)."""
        first = self.start[components]
        rows, places = ranges(first, self.start[components + 1] - first)
        return rows, self.keys[places]


def ranges(first: Longs, counts: Longs) -> tuple[Longs, Longs]:
    """The ranges first[i], first[i] + 1, … of ``counts[i]`` each, in a row: (the i of each, the values)."""
    if not counts.size or int(counts.max()) <= 1:
        rows = np.flatnonzero(counts)
        return rows, first[rows]
    rows = np.repeat(np.arange(counts.size, dtype=np.int64), counts)
    offset = np.repeat(first - (np.cumsum(counts) - counts), counts)
    offset += np.arange(rows.size, dtype=np.int64)
    return rows, offset


@dataclass(frozen=True, slots=True)
class Sides:
    """A relation: cause and effect are related where their components share a key.

    ``own``: whether an event is related to others of its own component: "yes"; "no", although they
    share keys; or "never", as the keys rule it out.
    """

    cause: Keys
    effect: Keys
    own: Literal["yes", "no", "never"]


class Places:
    """Every component that topology or events know, and how they are related.

    A relation of a service holds for its replicas, and what happens to a replica reaches the
    callers of its service; replicas of one service are not related by it to each other.
    """

    def __init__(self, topology: Topology, components: Iterable[str], edges: Iterable[tuple[str, str]] = ()) -> None:
        """``edges`` are further dependencies (caller, callee) that the topology does not hold."""
        self.topology = topology
        self.further = sorted(set(edges))
        known = topology.index
        named = {*components, *topology.replica_of, *topology.replica_of.values(), *topology.hosts.values()}
        named |= {name for edge in self.further for name in edge} | set(topology.hosts)
        self.names: tuple[str, ...] = (*topology.components, *sorted(named.difference(known)))
        self.index = {name: code for code, name in enumerate(self.names)}
        self.count = len(self.names)
        self._sides: dict[Relation, Sides] = {}

    def sides(self, relation: Relation) -> Sides:
        """The two tables of a relation."""
        if relation not in self._sides:
            self._sides[relation] = self._build(relation)
        return self._sides[relation]

    def _build(self, relation: Relation) -> Sides:
        same = Keys.identity(self.count)
        match relation:
            case "self":
                return Sides(cause=self._table(self._family), effect=same, own="yes")
            case "dependency":
                return Sides(cause=self._table(sparse.csr_array(self._calls.T)), effect=same, own="never")
            case "caller":
                return Sides(cause=self._table(self._calls), effect=same, own="never")
            case "lineage":
                return Sides(cause=self._table(sparse.csr_array(self._lineage.T)), effect=same, own="never")
            case "same_host":
                return self._grouped(self._hosts, own="no")
            case "same_zone":
                return self._grouped(self._zones, own="no")
            case "same_model":
                return self._grouped(self._models, own="yes")
            case "any":
                everywhere = Keys(np.arange(self.count + 1, dtype=np.int64), np.zeros(self.count, np.int64), 1)
                return Sides(cause=everywhere, effect=everywhere, own="yes")

    def _table(self, matrix: sparse.csr_array) -> Keys:
        matrix.sort_indices()
        return Keys(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), self.count)

    def _matrix(self, rows: Longs, columns: Longs) -> sparse.csr_array:
        shape = (self.count, self.count)
        return sparse.csr_array((np.ones(rows.size, np.float64), (rows, columns)), shape=shape)

    def _codes(self, pairs: Iterable[tuple[str, str]]) -> tuple[Longs, Longs]:
        table = np.array([(self.index[a], self.index[b]) for a, b in pairs], np.int64).reshape(-1, 2)
        return table[:, 0], table[:, 1]

    @cached_property
    def _family(self) -> sparse.csr_array:
        """Each component with itself; a replica with its service, both ways."""
        replica, service = self._codes((r, s) for r, s in sorted(self.topology.replica_of.items()) if r != s)
        every = np.arange(self.count, dtype=np.int64)
        return self._matrix(np.concatenate([every, replica, service]), np.concatenate([every, service, replica]))

    def _with_replicas(self, matrix: sparse.csr_array) -> sparse.csr_array:
        """The relation of services carried over to their replicas and back; nothing is related to itself."""
        spread = sparse.csr_array((self._family @ matrix) @ self._family) if self.topology.replica_of else matrix
        pairs = spread.tocoo()
        others = pairs.row != pairs.col
        return self._matrix(pairs.row[others].astype(np.int64), pairs.col[others].astype(np.int64))

    @cached_property
    def _direct(self) -> tuple[Longs, Longs]:
        caller, callee = self._codes(self.further)
        return (
            np.concatenate([self.topology.caller.astype(np.int64), caller]),
            np.concatenate([self.topology.callee.astype(np.int64), callee]),
        )

    @cached_property
    def _calls(self) -> sparse.csr_array:
        """Caller (row) and callee (column)."""
        return self._with_replicas(self._matrix(*self._direct))

    @cached_property
    def _lineage(self) -> sparse.csr_array:
        """What is made (row) and what it is made from (column), over several steps."""
        caller, callee = self._direct
        made = np.array([self.topology.kinds.get(name, "") in LINEAGE_KINDS for name in self.names], np.bool_)
        step = self._matrix(caller[made[callee]], callee[made[callee]])
        reached = step
        for _ in range(LINEAGE_STEPS - 1 if step.nnz else 0):
            longer = sparse.csr_array(reached + reached @ step)
            longer.data[:] = 1.0
            if longer.nnz == reached.nnz:
                break
            reached = longer
        return self._with_replicas(reached)

    def _grouped(self, members: list[tuple[str, str]], *, own: Literal["yes", "no"]) -> Sides:
        groups = {name: code for code, name in enumerate(sorted({group for _, group in members}))}
        table = np.array([(self.index[c], groups[g]) for c, g in members], np.int64).reshape(-1, 2)
        keys = Keys.from_pairs(table[:, 0], table[:, 1], self.count, len(groups))
        return Sides(cause=keys, effect=keys, own=own)

    @cached_property
    def _hosts(self) -> list[tuple[str, str]]:
        """Components with the hosts they run on; a host with itself, a service with its replicas' hosts."""
        hosts = self.topology.hosts
        members = {(name, host) for name, host in hosts.items()} | {(host, host) for host in hosts.values()}
        members |= {(s, hosts[r]) for r, s in self.topology.replica_of.items() if r in hosts}
        return sorted(members)

    @cached_property
    def _zones(self) -> list[tuple[str, str]]:
        """Components with their zone and region, or their host's; a zone that is a component with itself."""
        facts = self.topology.attributes
        members = set()
        for name in self.names:
            for holder in (name, self.topology.hosts.get(name, name), self.topology.service(name)):
                found = (facts.get(holder, {}).get(key) for key in ("zone", "region"))
                members |= {(name, place) for place in found if place}
        return sorted(members | {(place, place) for _, place in members if place in self.index})

    @cached_property
    def _models(self) -> list[tuple[str, str]]:
        """Components with themselves, and with the model that they or their service serve or feed."""
        facts = self.topology.attributes
        members = {(name, name) for name in self.names}
        for name in self.names:
            for holder in (name, self.topology.service(name)):
                model = facts.get(holder, {}).get("model")
                members |= {(name, model)} if model else set()
        return sorted(members)
