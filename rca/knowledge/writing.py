"""A report, the changes around it, feedback and resolutions as rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rca.knowledge.records import NO_CHANGE, Feedback, Resolution
from rca.knowledge.rows import LONGEST_SHORT_KEY, LONGEST_TEXT, Batch, Row, check_key, storable
from rca.knowledge.surroundings import SURROUNDINGS, surroundings_of
from rca.report.document import to_document
from rca.types import Change, Event, Report

if TYPE_CHECKING:
    from rca.causality import CausalityGraph
    from rca.topology import Topology


def batch_of(report: Report, *, changes: Sequence[Change] = (), topology: Topology | None = None) -> Batch:
    """Everything that is kept of a report, and all changes that were seen, suspected or not.

    ``topology`` tells which team owns what; a change may name its team itself.

    Raises:
        InputError: the id of the incident or of a change, or a component's name is empty or too long.
    """
    incident = check_key(report.incident.id, "the incident")
    named = {change.id: change for change in (*changes, *(suspect.change for suspect in report.suspects))}
    rows: dict[str, list[Row]] = {
        "incidents": [_incident(report, topology)],
        "events": [_event(incident, number, event) for number, event in enumerate(report.graph.events)],
        "links": _links(incident, report.graph),
        "causes": _causes(incident, report),
        "touched": _touched(incident, report),
        "changes": [change_row(change, topology) for _, change in sorted(named.items())],
        "suspects": [
            {
                "incident": incident,
                "change": check_key(suspect.change.id, "a change"),
                "probability": float(suspect.probability),
                "sentence": storable(suspect.sentence),
            }
            for suspect in report.suspects
        ],
    }
    return Batch(rows=rows, renewed=(incident,))


def change_row(change: Change, topology: Topology | None = None) -> Row:
    """A change; its team is what it says itself, else the owner of its component."""
    attributes = change.attributes
    team = attributes.get("team", "") or _team_of(change.component, topology)
    return {
        "id": check_key(change.id, "a change"),
        "component": check_key(change.component, "the component of a change"),
        "kind": storable(change.kind),
        "name": storable(change.name),
        "time": int(change.time),
        "team": storable(team),
        "attributes": _json(attributes) or "{}",
    }


def feedback_row(feedback: Feedback) -> Row:
    """A word of feedback."""
    return {
        "incident": check_key(feedback.incident, "the incident"),
        "by": check_key(feedback.by, "the author", LONGEST_SHORT_KEY),
        "at": int(feedback.at),
        "verdict": feedback.verdict,
        "component": storable(feedback.component),
        "kind": storable(feedback.kind),
        "change": storable(feedback.change),
        "note": storable(feedback.note),
    }


def resolution_row(resolution: Resolution) -> Row:
    """What ended an incident."""
    return {
        "incident": check_key(resolution.incident, "the incident"),
        "by": check_key(resolution.by, "the author", LONGEST_SHORT_KEY),
        "at": int(resolution.at),
        "text": storable(resolution.text),
    }


def _team_of(component: str, topology: Topology | None) -> str:
    if topology is None:
        return ""
    for name in (component, topology.service(component)):
        facts = topology.attributes.get(name, {})
        if team := facts.get("team") or facts.get("owner"):
            return team
    return ""


def _incident(report: Report, topology: Topology | None) -> Row:
    incident, first = report.incident, report.root_causes[0] if report.root_causes else None
    return {
        "id": check_key(incident.id, "the incident"),
        "title": storable(incident.title),
        "start": int(incident.window.start),
        "end": int(incident.window.end),
        "detected_at": _maybe(incident.detected_at),
        "onset": _maybe(report.onset),
        "verdict": report.verdict,
        "component": "" if first is None else storable(first.component),
        "kind": "" if first is None or first.event is None else storable(first.event.kind),
        "change": "" if report.culprit == NO_CHANGE else storable(report.culprit),
        "missing": [storable(each) for each in report.missing],
        "report": _document(report, topology),
    }


def _document(report: Report, topology: Topology | None) -> str:
    """The report's document with its surroundings; without them, or none, where it is longer than a text may be."""
    document = to_document(report)
    return _json({**document, SURROUNDINGS: surroundings_of(report, topology)}) or _json(document)


def _event(incident: str, number: int, event: Event) -> Row:
    evidence: dict[str, Any] | None = None
    if event.evidence is not None:
        evidence = {name: getattr(event.evidence, name) for name in type(event.evidence).__dataclass_fields__}
    return {
        "incident": incident,
        "number": number,
        "id": storable(event.id),
        "component": check_key(event.component, "the component of an event"),
        "kind": storable(event.kind),
        "name": storable(event.name),
        "start": int(event.start),
        "end": int(event.end),
        "severity": float(event.severity),
        "direction": event.direction,
        "evidence": "" if evidence is None else _json(evidence),
        "attributes": _json(event.attributes) or "{}",
    }


def _links(incident: str, graph: CausalityGraph) -> list[Row]:
    columns = zip(graph.cause.tolist(), graph.effect.tolist(), graph.lag.tolist(), graph.weight.tolist(), strict=True)
    return [
        {
            "incident": incident,
            "cause": cause,
            "effect": effect,
            "rule": storable(graph.rules[graph.rule[edge]].name),
            "also": [storable(name) for name in graph.also(edge)],
            "lag": lag,
            "weight": weight,
        }
        for edge, (cause, effect, lag, weight) in enumerate(columns)
    ]


def _causes(incident: str, report: Report) -> list[Row]:
    return [
        {
            "incident": incident,
            "rank": rank,
            "component": check_key(cause.component, "a root cause"),
            "kind": "" if cause.event is None else storable(cause.event.kind),
            "score": float(cause.score),
            "confidence": float(cause.confidence),
            "sentence": storable(cause.sentence),
        }
        for rank, cause in enumerate(report.root_causes, 1)
    ]


def _touched(incident: str, report: Report) -> list[Row]:
    roles = {
        "symptom": [symptom.component for symptom in report.incident.symptoms],
        "impact": report.impact,
        "blast": report.blast_radius,
    }
    return [
        {"incident": incident, "component": check_key(name, f"a component of the {role}"), "role": role}
        for role, names in roles.items()
        for name in sorted(set(names))
    ]


def _maybe(time: int | None) -> int | None:
    return None if time is None else int(time)


def _json(values: Mapping[str, Any]) -> str:
    """JSON; empty where it is longer than a text may be, as half of it could not be read."""
    text = json.dumps(dict(sorted(values.items())), ensure_ascii=False, default=_plain)
    return storable(text) if len(text) <= LONGEST_TEXT else ""


def _plain(value: Any) -> Any:
    """A number or truth value of numpy, which JSON does not know, as Python's own."""
    return value.item()
