"""Similar incidents of the service: confirmed ones whose causality graphs resemble that of another."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from rca.causality import CausalityGraph
from rca.errors import NotFoundError
from rca.report.document import similar_document
from rca.similar.advice import similar_incident
from rca.similar.history import read_direction, read_scores, rule_named
from rca.similar.portrait import Portrait, portray
from rca.similar.precedents import Precedent, Precedents
from rca.topology import Topology
from rca.types import SECOND, Event, to_nanoseconds

if TYPE_CHECKING:
    from rca.stores.protocol import Store
    from rca.stores.records import Feedback

# Confirmed incidents that are compared with, and portraits that are kept in memory (some 50 kB each).
MOST_READ = 500
_NO_CHANGE = "none"


def similar_incidents(store: Store, incident: str, most: int) -> list[dict[str, Any]]:
    """The nearest confirmed incidents, nearest first; feedback names no kinds, so the graphs alone are compared.

    Raises:
        NotFoundError: there is no such incident, or it has no report yet.
    """
    store.incident(incident)
    portrait, _ = _look(store, incident)
    told = sorted(store.confirmed(), key=lambda word: (-word.time, word.incident))
    latest = [word for word in told if word.incident != incident][:MOST_READ]
    precedents = [found for word in latest if (found := _precedent(store, word)) is not None]
    return [similar_document(similar_incident(one)) for one in Precedents(precedents).nearest(portrait, most)]


def _precedent(store: Store, word: Feedback) -> Precedent | None:
    """A confirmed incident; None where its report is no longer there."""
    try:
        record = store.incident(word.incident)
        portrait, document = _look(store, word.incident)
    except NotFoundError:
        return None
    culprit = document.get("culprit", _NO_CHANGE)
    return Precedent(
        portrait=portrait,
        components=(word.component,),
        change="" if culprit == _NO_CHANGE or record.cause != word.component else culprit,
        resolutions=(word.note,) if word.note.strip() else (),
        title=record.title,
        start=record.start,
        who=word.who,
    )


def _look(store: Store, incident: str) -> tuple[Portrait, Mapping[str, Any]]:
    job, graph = store.report(incident, "graph")
    _, document = store.report(incident, "document")
    return _portrait(incident, job, graph, document)


@lru_cache(maxsize=MOST_READ)
def _portrait(incident: str, job: str, graph: bytes, document: bytes) -> tuple[Portrait, Mapping[str, Any]]:
    """What the last analysis saw, and its document; ``job`` tells apart analyses of the same incident."""
    report = msgspec.json.decode(gzip.decompress(document))
    scores = read_scores(report)
    linked = _graph(msgspec.json.decode(gzip.decompress(graph)))
    nobody_knows = Topology.from_edges(())
    kept = {"culprit": report.get("culprit", _NO_CHANGE)}
    return portray(linked, scores, nobody_knows, incident=incident), kept


def _graph(document: Mapping[str, Any]) -> CausalityGraph:
    """The causality graph of its JSON form, which tells everything but the numbers of the evidence."""
    events = document["events"]
    place = {event["id"]: i for i, event in enumerate(events)}
    edges = sorted(document["edges"], key=lambda edge: (place[edge["cause"]], place[edge["effect"]]))
    names = sorted({edge["rule"] for edge in edges})
    code = {name: i for i, name in enumerate(names)}
    return CausalityGraph(
        events=tuple(
            Event(
                id=event["id"],
                component=event["component"],
                kind=event["kind"],
                name=event["name"],
                start=to_nanoseconds(event["start"]),
                end=to_nanoseconds(event["end"]),
                severity=event["severity"],
                direction=read_direction(event["direction"]),
                attributes=event["attributes"],
            )
            for event in events
        ),
        rules=tuple(map(rule_named, names)),
        cause=np.array([place[edge["cause"]] for edge in edges], np.int32),
        effect=np.array([place[edge["effect"]] for edge in edges], np.int32),
        rule=np.array([code[edge["rule"]] for edge in edges], np.int32),
        lag=np.array([round(edge["lag_seconds"] * SECOND) for edge in edges], np.int64),
        weight=np.array([max(edge["weight"], 1e-6) for edge in edges], np.float64),
    )
