"""What worker processes do: read windows, put them together from ingested telemetry, analyse, read what is pushed."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from rca.cases.description import case_from_description
from rca.causality.export import to_graphml
from rca.errors import InputError
from rca.report.document import to_json
from rca.report.page import render_page
from rca.service.entries import alert_entry, change_entry
from rca.service.frames import Answer
from rca.service.judging import report_with_experience
from rca.service.normal import merge_profiles, profile_hour, with_normal
from rca.service.reading import Reference, describe_reference, read_window
from rca.service.recalling import compare
from rca.service.surrounding import history_of, look_near, situated, supplement
from rca.service.teaching import learn
from rca.settings import Settings
from rca.sources.bodies import Limits
from rca.sources.naming import Naming, is_bare_address
from rca.sources.received import AlertNotice, Received
from rca.sources.registry import PUSH_SOURCES
from rca.stores.records import Entry
from rca.stores.snapshots import pack_case, unpack_case
from rca.stores.tables import components_of, pack, unpack_all
from rca.telemetry import Telemetry
from rca.topology import Topology
from rca.topology_files import topology_from_json, topology_to_json
from rca.topology_spans import topology_from_spans
from rca.types import Case, Change, Window

Progress = Callable[[str], None]


class Pushed(msgspec.Struct):
    """What one push held beside its files: everything that is small."""

    changes: list[Entry]
    alerts: list[Entry]
    topology: bytes
    components: list[str]
    rejected: int
    problem: str
    ignored: int
    accepted: int


def read(parameters: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    """A posted window: its snapshot, or the reference that it is."""
    found = read_window(
        blobs[0],
        parameters["media"],
        parameters["encoding"],
        parameters["query"],
        max_json=parameters["max_json"],
        max_bytes=parameters["max_bytes"],
    )
    if isinstance(found, Reference):
        bare = case_from_description(describe_reference(found), Telemetry(), None, name="incident", where="body")
        return Answer(
            "result",
            {
                "reference": True,
                "description": msgspec.json.encode(found).decode(),
                "labels": found.labels,
                "components": found.components,
                "given_end": bytes(found.window) != b"" and b'"end"' in bytes(found.window),
                **_facts(bare),
            },
        )
    return Answer("result", _facts(found), [pack_case(_named(found, parameters["id"]))])


def assemble(parameters: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    """A case of ingested telemetry."""
    reference = msgspec.json.decode(parameters["description"].encode(), type=Reference)
    window = Window(start=parameters["start"], end=parameters["end"])
    span = Window(start=min(parameters["from"], window.start), end=window.end)
    received = Received.merge(
        [
            unpack_all(list(zip(parameters["signals"], blobs, strict=True))),
            Received(
                changes=tuple(msgspec.json.decode(parameters["changes"].encode(), type=list[Change])),
                alerts=tuple(msgspec.json.decode(parameters["alerts"].encode(), type=list[AlertNotice])),
            ),
        ]
    )
    telemetry = received.telemetry(window=span)
    topology = topology_from_json(parameters["topology"].encode(), where="topology")
    if content := parameters.get("known", b""):
        topology = supplement(topology, topology_from_json(content, where="graph"))
    telemetry, notes = look_near(telemetry, topology, reference.components, parameters.get("far", ()))
    known = {*telemetry.components, *topology.components}
    if not known:
        raise InputError(
            "nothing was ingested about this time", where="window", remedy="Check the times, or send the window itself"
        )
    described = describe_reference(reference, window=window, known=known)
    case = case_from_description(described, telemetry, topology, name="incident", where="body")
    return Answer("result", {**_facts(case), "notes": list(notes)}, [pack_case(_named(case, parameters["id"]))])


def analyse(parameters: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    """The report of a snapshot: document, page and graph; and what was seen before anything learnt had its say."""
    case, notes = situated(unpack_case(blobs[0], where="snapshot"), parameters)
    case, unused = with_normal(case, parameters)
    progress("analysing")
    report, seen = report_with_experience(case, Settings(top_k=parameters["top_k"]), parameters)
    if missed := (*parameters.get("warnings", ()), *unused):  # what could not be had before the analysis began
        report = replace(report, warnings=(*report.warnings, *missed), degraded=(*report.degraded, *missed))
    report = replace(report, warnings=(*report.warnings, *parameters.get("notes", ()), *notes))
    progress("writing the report")
    first = report.root_causes[0] if report.root_causes else None
    parts = [
        to_json(report, case=case),
        render_page(report, case),
        msgspec.json.encode(report.graph.to_json()).decode(),
        to_graphml(report.graph, None),
    ]
    values = {
        "verdict": report.verdict,
        "cause": "" if first is None or report.verdict == "healthy" else first.component,
        "confidence": 0.0 if first is None else float(first.confidence),
        "timings": {name: float(seconds) for name, seconds in report.timings.items()},
    }
    # mtime=0: the same report is the same bytes.
    content = [gzip.compress(part.encode("utf-8", "replace"), 6, mtime=0) for part in parts]
    kept = history_of(report, case, parameters["incident"]) if parameters.get("history") else b""
    return Answer("result", values, [*content, seen, kept])


def push(parameters: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    """What a sender pushed: files of telemetry, and the rest."""
    received = read_push(
        parameters["source"],
        blobs[0],
        parameters["headers"],
        secrets=[secret.encode() for secret in parameters["secrets"]],
        naming=msgspec.convert(parameters["naming"], Naming),
        max_bytes=parameters["max_bytes"],
    )
    packed = pack(received)
    values = {
        "files": [[one.signal, one.rows, one.start, one.end] for one in packed],
        "pushed": msgspec.msgpack.encode(pushed_of(received, parameters["source"])),
    }
    return Answer("result", values, [one.content for one in packed])


def read_push(
    source: str, body: bytes, headers: dict[str, str], *, secrets: Sequence[bytes], naming: Naming, max_bytes: int
) -> Received:
    """What a push of a source holds, and what its spans say of the topology.

    Raises:
        SourceError: malformed.
    """
    received = PUSH_SOURCES[source].read(
        body, headers, secrets=secrets, naming=naming, limits=Limits(inflated=max_bytes)
    )
    return with_topology(received)


def with_topology(received: Received) -> Received:
    """The same, with what its spans and its clients' metrics say of the topology."""
    called = {(key.component, key.peer) for key in received.samples.keys if key.peer and not is_bare_address(key.peer)}
    topology = received.topology
    if called:
        topology = topology.merge(Topology.from_edges(called))
    if len(received.spans):
        topology = topology.merge(topology_from_spans(received.spans))
    return received if topology is received.topology else replace(received, topology=topology)


def pushed_of(received: Received, source: str) -> Pushed:
    """What is small of something received."""
    return Pushed(
        changes=[change_entry(change, source) for change in received.changes],
        alerts=[alert_entry(notice, source) for notice in received.alerts],
        topology=topology_to_json(received.topology) if received.topology.components else b"",
        components=sorted(components_of(received)),
        rejected=received.rejected,
        problem=received.problem,
        ignored=received.ignored,
        accepted=received.accepted,
    )


OPERATIONS: dict[str, Callable[[dict[str, Any], list[bytes], Progress], Answer]] = {
    "read": read,
    "assemble": assemble,
    "analyse": analyse,
    "compare": compare,
    "learn": learn,
    "push": push,
    "profile_hour": profile_hour,
    "merge_profiles": merge_profiles,
}


def _facts(case: Case) -> dict[str, Any]:
    incident = case.incident
    return {
        "title": incident.title,
        "given_id": incident.id,
        "start": incident.window.start,
        "end": incident.window.end,
        "baseline_start": None if incident.baseline is None else incident.baseline.start,
        "detected": incident.detected_at,
    }


def _named(case: Case, name: str) -> Case:
    """The case under the incident's name, where its sender gave it none."""
    incident = case.incident
    return case if incident.id != "incident" else replace(case, incident=replace(incident, id=name))
