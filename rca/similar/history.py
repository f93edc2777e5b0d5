"""Precedents out of the history: its confirmed incidents, as the analysis of each was kept."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, get_args

import numpy as np

from rca.causality import CausalityGraph
from rca.knowledge import Knowledge, PastEvent, PastIncident
from rca.knowledge.surroundings import read_surroundings
from rca.rules import LONGEST_LAG, Rule, load_rules
from rca.similar.portrait import Portrait, portray
from rca.similar.precedents import Precedent, Precedents
from rca.types import Direction, Event, Evidence

# The latest that are compared with; a thousand take some twenty seconds to read and learn from.
MOST_READ = 1_000


def read_precedents(knowledge: Knowledge, *, but: Collection[str] = ()) -> Precedents:
    """The latest confirmed incidents of a history, with weights of kinds where they suffice to learn from.

    ``but`` are ids that are left out: whoever asks about an incident leaves it out, so that what was confirmed of it
    teaches nothing about it.

    Raises:
        StoreError: the history cannot be read.
    """
    latest: deque[PastIncident] = deque(maxlen=MOST_READ)
    latest.extend(one for one in knowledge.incidents(confirmed=True, reports=True) if one.id not in but)
    return Precedents.learn(precedent_of(past) for past in latest)


def precedent_of(past: PastIncident) -> Precedent:
    """A confirmed incident of the history."""
    settled = past.settled
    words = [word for word in past.feedback if word.verdict == "confirmed"]
    return Precedent(
        portrait=portrait_of(past),
        components=(settled.component,),
        kind=settled.kind.strip(),
        change=settled.change,
        resolutions=tuple(each.text for each in past.resolutions),
        title=past.title,
        start=past.start,
        who=words[-1].by if words else "",
    )


def portrait_of(past: PastIncident) -> Portrait:
    """What a past incident looked like; one kept without its report has no scores and no surroundings."""
    document: Mapping[str, Any] = json.loads(past.report) if past.report else {}
    return portray(_graph(past), read_scores(document), read_surroundings(document), incident=past.id)


def read_scores(document: Mapping[str, Any]) -> dict[str, float]:
    """Score of each ranked component in the untrained answer, from a report's document."""
    rows = document.get("untrained", document.get("ranking", ()))
    return {row["component"]: float(row["score"]) for row in rows}


def _graph(past: PastIncident) -> CausalityGraph:
    place = {event.number: i for i, event in enumerate(past.events)}
    links = sorted(past.links, key=lambda link: (place[link.cause], place[link.effect]))
    names = sorted({link.rule for link in links})
    code = {name: i for i, name in enumerate(names)}
    return CausalityGraph(
        events=tuple(_event(event) for event in past.events),
        rules=tuple(map(rule_named, names)),
        cause=np.array([place[link.cause] for link in links], np.int32),
        effect=np.array([place[link.effect] for link in links], np.int32),
        rule=np.array([code[link.rule] for link in links], np.int32),
        lag=np.array([link.lag for link in links], np.int64),
        weight=np.array([link.weight for link in links], np.float64),
    )


@lru_cache(maxsize=1_024)
def rule_named(name: str) -> Rule:
    """The rule of a name; where it is no longer there, one that stands for it."""
    known = next((rule for rule in load_rules() if rule.name == name), None)
    if known is not None:
        return known
    gone = "a rule that linked a past incident and is no longer there"
    return Rule(name=name, cause=("",), effect=("",), relation="any", max_lag=LONGEST_LAG, weight=1.0, why=gone)


def _event(past: PastEvent) -> Event:
    return Event(
        id=past.id,
        component=past.component,
        kind=past.kind,
        name=past.name,
        start=past.start,
        end=past.end,
        severity=past.severity,
        direction=read_direction(past.direction),
        evidence=None if past.evidence is None else Evidence(**past.evidence),
        attributes=past.attributes,
    )


def read_direction(text: str) -> Direction:
    """A direction that was kept; none where it is unknown."""
    return next((known for known in get_args(Direction) if known == text), "none")
