"""What surrounds an incident's symptoms: the graph's word added to a window's own topology, and what lies too far away.

The service asks the graph (``rca.service.graph``), worker processes do the rest.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rca.cases.description import case_from_description, decode_description
from rca.knowledge.window import leave_out
from rca.telemetry import Telemetry
from rca.topology import Topology
from rca.topology_files import topology_from_json, topology_to_json
from rca.types import Case, Report

if TYPE_CHECKING:
    from rca.knowledge import Knowledge

# Windows of more components than this are narrowed to those around the symptoms.
MANY = 300
HOPS = 3  # a cause further away than three calls is rare (fewer than 1 in 50 in the public sets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Where and when (ns) an incident was felt, and what its window says of the topology itself."""

    symptoms: tuple[str, ...] = ()
    at: int = 0
    own: Topology | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the graph says of an incident.

    Attributes:
        topology: what lies around its symptoms as of its time, in the form of topology.json; empty: nothing.
        far: components that are known to lie further away.
        degraded: why any of it may be out of date, or missing.
    """

    topology: bytes = b""
    far: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()

    def parameters(self) -> dict[str, Any]:
        """For a worker process."""
        return {"known": self.topology, "far": list(self.far)}


def scene_of(snapshot: bytes) -> Scene:
    """The scene of a snapshot, without its tables."""
    where = "snapshot"
    try:
        with zipfile.ZipFile(io.BytesIO(snapshot)) as archive:
            described = decode_description(archive.read("case.json"), where=where)
            content = archive.read("topology.json") if "topology.json" in archive.namelist() else b""
    except (zipfile.BadZipFile, KeyError):  # whoever analyses it says so
        return Scene()
    symptoms, described.symptoms = described.symptoms, []  # without telemetry none of them is known
    bare = case_from_description(described, Telemetry(), None, name="incident", where=where)
    return Scene(
        symptoms=tuple(sorted({symptom.component for symptom in symptoms})),
        at=bare.incident.alert_time,
        own=topology_from_json(content, where=where) if content else None,
    )


def look_around(knowledge: Knowledge, scene: Scene, seen: Sequence[str] = ()) -> Surroundings:
    """What is known around a scene; of ``seen``, where these are many, those that are known to lie further away.

    Begins at the symptoms and, one dependency far, at what the window's own topology has near them and the graph does
    not connect to them.

    Raises:
        StoreError: the store cannot be used.
    """
    found = knowledge.topology_near(scene.symptoms, scene.at)
    known, degraded = found.topology, found.degraded
    beside = [] if scene.own is None else _beside(scene.own, scene.symptoms)
    if beside := [name for name in beside if name not in known.index]:
        more = knowledge.topology_near(beside, scene.at, hops=1, callers=0)
        known, degraded = supplement(known, more.topology), degraded or more.degraded
    far: set[str] = set()
    if len(seen) > MANY:
        asked = sorted(set(seen) - set(known.components))
        far = {row["name"] for row in knowledge.store.known(asked, scene.at).rows}
    said = [f"degraded: the topology is the last one known here ({degraded})"] if degraded else []
    said += [concern] if (concern := knowledge.store.concern()) else []
    return Surroundings(
        topology=topology_to_json(known) if known.components else b"", far=tuple(sorted(far)), degraded=tuple(said)
    )


def situated(case: Case, parameters: Mapping[str, Any]) -> tuple[Case, tuple[str, ...]]:
    """The case with what ``Surroundings.parameters`` say, narrowed where it has many components; what is said of that.

    What the case itself says of its topology wins over what the graph knows.
    """
    topology = case.topology
    if content := parameters.get("known", b""):
        topology = supplement(topology, topology_from_json(content, where="graph"))
    symptoms = sorted({symptom.component for symptom in case.incident.symptoms})
    if topology is None:
        return case, ()
    telemetry, notes = look_near(case.telemetry, topology, symptoms, parameters.get("far", ()))
    return replace(case, telemetry=telemetry, topology=topology), notes


def history_of(report: Report, case: Case, incident: str) -> bytes:
    """What the history keeps of a report, under the service's own name for the incident."""
    from rca.knowledge.writing import batch_of

    named = replace(report, incident=replace(report.incident, id=incident))
    return batch_of(named, changes=case.telemetry.changes, topology=case.topology).to_json()


def supplement(own: Topology | None, known: Topology) -> Topology:
    """A topology with what another one knows besides; its own facts and numbers of calls stay.

    Saying the same again changes nothing.
    """
    if own is None:
        return known
    edges = {**_edges(known), **_edges(own)}
    attributes = {name: {**known.attributes.get(name, {}), **facts} for name, facts in own.attributes.items()}
    return Topology.from_edges(
        [(caller, callee, weight) for (caller, callee), weight in edges.items()],
        components={*own.components, *known.components},
        kinds={**known.kinds, **own.kinds},
        hosts={**known.hosts, **own.hosts},
        replica_of={**known.replica_of, **own.replica_of},
        attributes={**known.attributes, **attributes},
    )


def look_near(
    telemetry: Telemetry, topology: Topology, symptoms: Collection[str], far: Iterable[str] = ()
) -> tuple[Telemetry, tuple[str, ...]]:
    """Of many components those at most some calls away from the symptoms, in either direction; what is said of that.

    Left out is only what is known to lie further away: by the topology, or because the graph says so (``far``).
    """
    present = set(telemetry.components)
    if len(present) <= MANY or not any(name in topology.index for name in symptoms):
        return telemetry, ()
    near = _near(topology, symptoms)
    left_out = present & {*topology.components, *topology.hosts.values(), *far} - near
    if not left_out:
        return telemetry, ()
    where = f"more than {HOPS} calls from the symptoms"
    return leave_out(telemetry, left_out), (f"{len(left_out)} components lie {where} and were not looked at",)


def _beside(own: Topology, symptoms: Collection[str]) -> list[str]:
    """Components of a topology near the symptoms (without symptoms: all), the nearest first, and not too many."""
    if not symptoms:
        return list(own.components[:MANY])
    distance: dict[str, int] = {}
    for towards in ("callees", "callers"):
        for name, hops in own.distances(symptoms, towards=towards).items():
            distance[name] = min(hops, distance.get(name, hops))
    near = sorted((hops, name) for name, hops in distance.items() if 0 < hops <= HOPS)
    return [name for _, name in near[:MANY]]


def _near(topology: Topology, symptoms: Collection[str]) -> set[str]:
    """What is reached from the symptoms, with the replicas, services and hosts of it."""
    near = set(symptoms)
    for towards in ("callees", "callers"):
        reached = topology.distances(symptoms, towards=towards)
        near |= {name for name, distance in reached.items() if distance <= HOPS}
    services = near | {topology.service(name) for name in near}
    near = services | {name for name, service in topology.replica_of.items() if service in services}
    return near | {host for name, host in topology.hosts.items() if name in near}


def _edges(topology: Topology) -> dict[tuple[str, str], float]:
    names = topology.components
    columns = zip(topology.caller.tolist(), topology.callee.tolist(), topology.weight.tolist(), strict=True)
    return {(names[caller], names[callee]): weight for caller, callee, weight in columns}
