"""Surroundings: who was whose replica and who called whom among the components of an incident, kept with its report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rca.topology import Topology
    from rca.types import Report

SURROUNDINGS = "surroundings"  # beside the keys of the report's document, in the history only


def surroundings_of(report: Report, topology: Topology | None) -> dict[str, Any]:
    """The part of a topology that lies between components that raised events or are ranked; empty without one."""
    if topology is None:
        return {}
    names = {*report.ranking, *(event.component for event in report.graph.events)}
    services = {topology.service(name) for name in names}
    named = topology.components
    calls = zip(topology.caller.tolist(), topology.callee.tolist(), strict=True)
    return {
        "replica_of": {name: topology.service(name) for name in sorted(names) if topology.service(name) != name},
        "calls": sorted(
            [named[a], named[b]]
            for a, b in calls
            if {topology.service(named[a]), topology.service(named[b])} <= services
        ),
    }


def read_surroundings(document: Mapping[str, Any]) -> Topology:
    """The topology that was kept with a report's document; empty where none was."""
    from rca.topology import Topology

    kept = document.get(SURROUNDINGS) or {}
    calls = [(str(caller), str(callee)) for caller, callee in kept.get("calls", ())]
    return Topology.from_edges(calls, replica_of={str(a): str(b) for a, b in kept.get("replica_of", {}).items()})
