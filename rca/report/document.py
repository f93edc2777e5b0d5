"""The report as a document: plain values, the same bytes for the same report.

The document is described in docs/report.md; ``schema`` names its version. A new key does not
change the version, a key that goes or changes its meaning does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from rca.report.advice import contact_of, first_steps
from rca.report.wording import headline, reason_sentence
from rca.types import Case, Change, Event, Incident, Report, RootCause, SimilarIncident, Suspect, Window, to_text

SCHEMA = "rca.report/1"
_DIGITS = 6  # enough to tell scores apart, too few for the last bits of different processors to show


def to_document(report: Report, *, case: Case | None = None, timings: bool = False) -> dict[str, Any]:
    """The report as dictionaries, lists, texts and numbers.

    ``case`` adds owners and runbooks where its topology or its alerts name them. ``events`` holds each event that the
    document mentions once, by id; ``edges`` the links among them. ``timings`` adds the seconds of each stage, which
    differ from run to run.
    """
    events = mentioned_events(report)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "incident": _incident(report.incident),
        "verdict": report.verdict,
        "headline": headline(report),
        "first_steps": list(first_steps(report, case)),
        "contacts": _contacts(report, case),
        "onset": _time(report.onset),
        "root_causes": [_cause(rank, cause) for rank, cause in enumerate(report.root_causes, 1)],
        "ranking": _ranking(zip(report.ranking, report.scores, strict=True)),
        "critical": _ids(report.critical),
        "impact": list(report.impact),
        "blast_radius": list(report.blast_radius),
        "suspects": [_suspect(suspect) for suspect in report.suspects],
        "culprit": report.culprit,
        "operational": _ids(report.operational),
        "missing": list(report.missing),
        "warnings": list(report.warnings),
        "degraded": list(report.degraded),
        "events": {event.id: _event(event) for event in events},
        "edges": _edges(report, events),
    }
    if report.untrained:
        document["untrained"] = _ranking(report.untrained.items())
    if report.similar:
        document["similar"] = [similar_document(past) for past in report.similar]
    if timings:
        document["timings"] = {name: _number(seconds) for name, seconds in report.timings.items()}
    return document


def _ranking(scores: Iterable[tuple[str, float]]) -> list[dict[str, Any]]:
    return [{"component": name, "score": _number(score)} for name, score in scores]


def to_json(report: Report, *, case: Case | None = None, timings: bool = False) -> str:
    """The document as JSON with two spaces of indent and a newline at the end."""
    raw = msgspec.json.encode(to_document(report, case=case, timings=timings))
    return msgspec.json.format(raw, indent=2).decode() + "\n"


def mentioned_events(report: Report) -> tuple[Event, ...]:
    """Every event that a cause, a chain, the critical failures or the operational causes name, by time and id."""
    found: dict[str, Event] = {}
    for cause in report.root_causes:
        own = () if cause.event is None else (cause.event,)
        for event in (*own, *cause.because, *cause.chain, *cause.beside):
            found.setdefault(event.id, event)
        for part in cause.learned:
            for id in part.events:
                found.setdefault(id, report.graph.events[report.graph.code(id)])
    for event in (*report.critical, *report.operational):
        found.setdefault(event.id, event)
    return tuple(sorted(found.values(), key=lambda event: (event.start, event.id)))


def _contacts(report: Report, case: Case | None) -> list[dict[str, str]]:
    """Owner and runbook of each candidate that has one."""
    known = [contact_of(cause.component, case) for cause in report.root_causes]
    return [
        {"component": each.component, "owner": each.owner, "runbook": each.runbook}
        for each in known
        if each.owner or each.runbook
    ]


def _incident(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "title": incident.title,
        "window": _window(incident.window),
        "baseline": None if incident.baseline is None else _window(incident.baseline),
        "detected_at": _time(incident.detected_at),
        "onset": _time(incident.onset),
        "symptoms": [
            {"component": symptom.component, "metric": symptom.metric, "direction": symptom.direction}
            for symptom in incident.symptoms
        ],
    }


def _cause(rank: int, cause: RootCause) -> dict[str, Any]:
    return {
        "rank": rank,
        "component": cause.component,
        "score": _number(cause.score),
        "confidence": _number(cause.confidence),
        "sentence": cause.sentence,
        "event": None if cause.event is None else cause.event.id,
        "because": _ids(cause.because),
        "beside": _ids(cause.beside),
        "chain": _ids(cause.chain),
        "change": None if cause.change is None else cause.change.change.id,
        "against": cause.against,
        **_taken_over(cause),
        **_learned(cause),
        **({"precedent": _number(cause.precedent)} if cause.precedent else {}),
    }


def _taken_over(cause: RootCause) -> dict[str, Any]:
    """Sentences of the reasons that other components showed; nothing where there are none."""
    others = {event.id: reason_sentence(event, cause) for event in cause.because if event.component != cause.component}
    return {"taken_over": others} if others else {}


def _learned(cause: RootCause) -> dict[str, Any]:
    """What the log odds of a score that learned weights gave add up from; nothing where they did not rank."""
    parts = [{"what": p.what, "events": list(p.events), "value": _number(p.value)} for p in cause.learned]
    return {"learned": parts} if parts else {}


def similar_document(past: SimilarIncident) -> dict[str, Any]:
    """A similar past incident as plain values."""
    return {
        "incident": past.incident,
        "title": past.title,
        "start": to_text(past.start),
        "similarity": _number(past.similarity),
        "belief": None if past.belief is None else _number(past.belief),
        "resemblance": _number(past.resemblance),
        "component": past.component,
        "kind": past.kind,
        "change": past.change,
        "resolutions": list(past.resolutions),
        "shared": list(past.shared),
    }


def _event(event: Event) -> dict[str, Any]:
    evidence = event.evidence
    return {
        "component": event.component,
        "kind": event.kind,
        "name": event.name,
        "start": to_text(event.start),
        "end": to_text(event.end),
        "severity": _number(event.severity),
        "direction": event.direction,
        "attributes": {name: event.attributes[name] for name in sorted(event.attributes)},
        "evidence": None
        if evidence is None
        else {
            "sentence": evidence.sentence,
            "group": evidence.group,
            "blame": _number(evidence.blame),
            "likelihood": _number(evidence.likelihood),
            "amount": None if evidence.amount is None else _number(evidence.amount),
            "noise": None if evidence.noise is None else _number(evidence.noise),
            "unit": evidence.unit,
        },
    }


def _suspect(suspect: Suspect) -> dict[str, Any]:
    return {
        "change": _change(suspect.change),
        "probability": _number(suspect.probability),
        "factors": {name: _number(suspect.factors[name]) for name in sorted(suspect.factors)},
        "sentence": suspect.sentence,
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "id": change.id,
        "component": change.component,
        "kind": change.kind,
        "name": change.name,
        "time": to_text(change.time),
        "files": list(change.files),
        "attributes": {name: change.attributes[name] for name in sorted(change.attributes)},
    }


def _edges(report: Report, events: Iterable[Event]) -> list[dict[str, Any]]:
    known = [event.id for event in events if event.id in report.graph.index]
    kept = {"cause", "effect", "rule", "also", "lag_seconds", "weight"}
    return [
        {key: value for key, value in edge.items() if key in kept}
        for edge in report.graph.subgraph(known).to_json()["edges"]
    ]


def _window(window: Window) -> dict[str, str]:
    return {"start": to_text(window.start), "end": to_text(window.end)}


def _time(time: int | None) -> str | None:
    return None if time is None else to_text(time)


def _ids(events: Iterable[Event]) -> list[str]:
    return [event.id for event in events]


def _number(value: float) -> float:
    return round(float(value), _DIGITS)
