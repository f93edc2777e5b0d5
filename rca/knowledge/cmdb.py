"""A CMDB that stands in Neo4j, in somebody else's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from rca.errors import InputError
from rca.knowledge.cypher import foreign_name
from rca.topology import Topology

_PLAIN = ("kind", "host", "replica_of")


@dataclass(frozen=True, slots=True, kw_only=True)
class CmdbMapping:
    """How a CMDB calls things: labels, relationships and properties of plain letters, digits and underscores.

    ``facts`` is our fact (kind, host, replica_of, team, owner, zone …) -> their property.

    Raises:
        InputError: a name has other characters.
    """

    label: str
    name: str = "name"
    depends_on: str = "DEPENDS_ON"
    facts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        for name in (self.label, self.name, self.depends_on, *self.facts, *self.facts.values()):
            foreign_name(name)


def read_cmdb(uri: str, mapping: CmdbMapping) -> Topology:
    """The topology that a CMDB states now; user, password and database come from the environment.

    Raises:
        StoreError: the server does not answer, or refuses.
        InputError: nothing has the label, so that it is likely a slip.
    """
    from rca.knowledge.opening import open_server

    label, name = foreign_name(mapping.label), foreign_name(mapping.name)
    pairs = sorted(mapping.facts.items())
    columns = ", ".join(f"toString(c.{foreign_name(theirs)})" for _, theirs in pairs) or "null"
    nodes = f"MATCH (c:{label}) WHERE c.{name} IS NOT NULL RETURN collect([toString(c.{name}), {columns}]) AS rows"
    edges = (
        f"MATCH (a:{label})-[:{foreign_name(mapping.depends_on)}]->(b:{label}) "
        f"WHERE a.{name} IS NOT NULL AND b.{name} IS NOT NULL "
        f"RETURN collect(DISTINCT [toString(a.{name}), toString(b.{name})]) AS rows"
    )
    server = open_server(uri)
    try:
        rows = server.look(nodes)[0]["rows"]
        found = server.look(edges)[0]["rows"]
    finally:
        server.close()
    if not rows:
        raise InputError(f"no node has the label {mapping.label}", where=uri, remedy="Check --label and --name")
    stated = {row[0]: {ours: row[place] for place, (ours, _) in enumerate(pairs, 1) if row[place]} for row in rows}
    column = {fact: {name: each[fact] for name, each in stated.items() if fact in each} for fact in _PLAIN}
    return Topology.from_edges(
        [(caller, callee) for caller, callee in found],
        components=stated,
        kinds=column["kind"],
        hosts=column["host"],
        replica_of=column["replica_of"],
        attributes={name: {k: v for k, v in each.items() if k not in _PLAIN} for name, each in stated.items()},
    )
