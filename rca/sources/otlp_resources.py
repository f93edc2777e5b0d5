"""Resources of OTLP: named once each, and what they tell about replicas and hosts."""

from __future__ import annotations

import hashlib
from typing import Any

from rca.sources.naming import Naming, Origin
from rca.sources.otlp_attributes import attributes_of
from rca.topology import Topology


class Resources:
    """Names resources and remembers which replicas and hosts they spoke of."""

    def __init__(self, naming: Naming) -> None:
        self._naming = naming
        self._seen: dict[bytes, tuple[Origin, str]] = {}
        self._facts: dict[str, dict[str, str]] = {}

    def origin(self, resource: Any) -> tuple[Origin, str]:
        """Who a resource is, and a text that tells it from other processes of the same component."""
        key = resource.SerializeToString(deterministic=True)
        found = self._seen.get(key)
        if found is None:
            facts = attributes_of(resource.attributes)
            origin = self._naming.origin(facts)
            found = self._seen[key] = origin, origin.replica or hashlib.blake2b(key, digest_size=8).hexdigest()
            told = {"version": facts.get("service.version", ""), "zone": facts.get("cloud.availability_zone", "")}
            self._facts.setdefault(origin.component, {}).update({name: text for name, text in told.items() if text})
        return found

    def component(self, resource: Any) -> str:
        """The component of a resource."""
        return self.origin(resource)[0].component

    def topology(self) -> Topology:
        """Components with their replicas, hosts and facts; no edges: spans tell those."""
        return topology_of([origin for origin, _ in self._seen.values()], facts=self._facts)


def topology_of(
    origins: list[Origin],
    *,
    edges: list[tuple[str, str, float]] | None = None,
    facts: dict[str, dict[str, str]] | None = None,
) -> Topology:
    """Who is a replica of whom and runs where; a component on several hosts has none of its own."""
    replica_of = {o.replica: o.component for o in origins if o.replica and o.replica != o.component}
    replica_of |= {o.component: o.service for o in origins if o.service and o.service != o.component}
    hosts: dict[str, set[str]] = {}
    for origin in origins:
        if origin.host:
            hosts.setdefault(origin.replica or origin.component, set()).add(origin.host)
    return Topology.from_edges(
        edges or [],
        components=[o.component for o in origins],
        hosts={name: next(iter(found)) for name, found in sorted(hosts.items()) if len(found) == 1},
        replica_of=dict(sorted(replica_of.items())),
        attributes={name: dict(told) for name, told in sorted((facts or {}).items()) if told},
    )
