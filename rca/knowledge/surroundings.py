"""Surroundings: who was whose replica and who called whom among the components of an incident, kept with its report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rca.topology import Topology
    from rca.types import Report

SURROUNDINGS = "surroundings"  # beside the keys of the report's document, in the history only


def surroundings_of(report: Report, topology: Topology | None) -> dict[str, Any]:
    """Who is whose replica among components that raised events or are ranked, and calls between their services.

    Empty without a topology.
    """
    if topology is None:
        return {}
    names = {*report.ranking, *(event.component for event in report.graph.events)}
    service_of = {name: topology.service(name) for name in sorted(names)}
    services = set(service_of.values())
    named = topology.components
    ends = zip(topology.caller.tolist(), topology.callee.tolist(), strict=True)
    calls = {(topology.service(named[a]), topology.service(named[b])) for a, b in ends}
    return {
        "replica_of": {name: service for name, service in service_of.items() if service != name},
        "calls": sorted([a, b] for a, b in calls if a != b and a in services and b in services),
    }


def read_surroundings(document: Mapping[str, Any]) -> Topology:
    """The topology that was kept with a report's document; empty where none was."""
    from rca.topology import Topology

    kept = document.get(SURROUNDINGS) or {}
    calls = [(str(caller), str(callee)) for caller, callee in kept.get("calls", ())]
    return Topology.from_edges(calls, replica_of={str(a): str(b) for a, b in kept.get("replica_of", {}).items()})
