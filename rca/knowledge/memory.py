"""A store in memory: dictionaries of rows, and networkx to look at them. For tests, notebooks and short lives."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rca.knowledge.claims import Claims, ComponentClaim, DependencyClaim, merge_claims
from rca.knowledge.protocol import Rows, check_reach
from rca.knowledge.recollection import ANSWERS
from rca.knowledge.rows import FORGOTTEN, LONGEST_SHORT_KEY, RENEWED, TABLES, Batch, Row, check_key

if TYPE_CHECKING:
    import networkx as nx

Tables = dict[str, dict[tuple[Any, ...], Row]]


class MemoryStore:
    """Rows in dictionaries; gone with the process."""

    def __init__(self, tenant: str = "default", *, _shared: dict[str, Tables] | None = None) -> None:
        self._tenant = check_key(tenant, "the tenant", LONGEST_SHORT_KEY)
        self._all = {} if _shared is None else _shared
        self._tables = self._all.setdefault(self._tenant, {name: {} for name in TABLES})
        self._lock = threading.RLock()

    @property
    def tenant(self) -> str:
        """See ``GraphStore``."""
        return self._tenant

    def for_tenant(self, tenant: str) -> MemoryStore:
        """See ``GraphStore``."""
        return MemoryStore(tenant, _shared=self._all)

    def write(self, batch: Batch) -> None:
        """See ``GraphStore``."""
        with self._lock:
            for names, incidents in ((RENEWED, set(batch.renewed)), (FORGOTTEN, set(batch.forgotten))):
                for table in [self._tables[name] for name in names] if incidents else ():
                    for key in [key for key in table if key[0] in incidents]:
                        del table[key]
            for name, rows in batch.tables():
                table, key_of = self._tables[name], TABLES[name].key_of
                for row in rows:
                    if name in RENEWED:
                        table.setdefault(key_of(row), dict(row))
                    else:
                        table[key_of(row)] = dict(row)

    def claims(self, at: int, *, source: str | None = None, later: bool = False) -> Claims:
        """See ``GraphStore``."""

        def kept(row: Row) -> bool:
            begun = later or row["valid_from"] <= at
            return begun and row["valid_to"] > at and source in (None, row["source"])

        return Claims(
            components=[ComponentClaim(**row) for row in self._rows("components") if kept(row)],
            dependencies=[DependencyClaim(**row) for row in self._rows("dependencies") if kept(row)],
        )

    def claims_near(self, names: Sequence[str], at: int, *, hops: int, callers: int) -> Claims:
        """See ``GraphStore``."""
        check_reach(hops, callers)
        return claims_near(self.claims(at), names, at, hops=hops, callers=callers)

    def known(self, names: Sequence[str], at: int) -> Rows:
        """See ``GraphStore``."""
        return known_of(self.claims(at), names)

    def incident_ids(self, since: int, until: int) -> Rows:
        """See ``GraphStore``."""
        rows = [row for row in self._rows("incidents") if since <= row["start"] < until]
        return Rows(rows=[{"id": row["id"], "start": row["start"]} for row in rows])

    def rows(self, table: str, keys: Sequence[str]) -> Rows:
        """See ``GraphStore``."""
        wanted, column = set(keys), TABLES[table].key[0]
        return Rows(rows=[dict(row) for row in self._rows(table) if row[column] in wanted])

    def ask(self, question: str, parameters: Mapping[str, Any]) -> Rows:
        """See ``GraphStore``."""
        with self._lock:
            return Rows(rows=ANSWERS[question](self._tables, parameters))

    def concern(self) -> str:
        """See ``GraphStore``."""
        return ""

    def close(self) -> None:
        """Nothing is open."""

    def to_networkx(self, at: int) -> nx.DiGraph[str]:
        """The topology as of a time as a networkx graph, confidence and sources on its edges."""
        known = merge_claims(self.claims(at), at)
        graph = known.topology.to_networkx()
        for pair, confidence in known.confidence.items():
            graph.edges[pair].update(confidence=confidence, sources=known.sources[pair])
        return graph

    def _rows(self, table: str) -> list[Row]:
        with self._lock:
            return list(self._tables[table].values())


def known_of(claims: Claims, names: Sequence[str]) -> Rows:
    """Which of some components claims speak of; see ``GraphStore.known``."""
    return Rows(rows=[{"name": name} for name in {claim.name for claim in claims.components} & set(names)])


def claims_near(claims: Claims, names: Sequence[str], at: int, *, hops: int, callers: int) -> Claims:
    """Of many claims those about what lies near some components; see ``GraphStore.claims_near``."""
    valid = [claim for claim in claims.dependencies if claim.valid_from <= at < claim.valid_to]
    below: dict[str, set[str]] = {}
    above: dict[str, set[str]] = {}
    for claim in valid:
        below.setdefault(claim.caller, set()).add(claim.callee)
        above.setdefault(claim.callee, set()).add(claim.caller)
    near = _reach(names, below, hops) | _reach(names, above, callers)
    return Claims(
        components=[
            each
            for each in claims.components
            if (each.name in near or each.replica_of in near) and each.valid_from <= at < each.valid_to
        ],
        dependencies=[claim for claim in valid if claim.caller in near and claim.callee in near],
        degraded=claims.degraded,
    )


def _reach(names: Sequence[str], neighbours: Mapping[str, set[str]], hops: int) -> set[str]:
    reached = frontier = set(names)
    for _ in range(hops):
        frontier = {other for name in frontier for other in neighbours.get(name, ())} - reached
        reached = reached | frontier
    return reached
