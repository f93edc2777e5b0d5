"""Log evidence put into events, and the blame of error lines passed on to whom they name."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.extract.log_sentences import Wording
from rca.likelihood import saturate
from rca.logs.masks import LEVEL_NAMES
from rca.telemetry import ERROR
from rca.types import Direction, Event, Evidence

Floats = npt.NDArray[np.float64]

GROUP = "logs"
# The likelihood (powers of ten) at which evidence has half its weight, as for patterns of requests.
SCALE = 10.0
# Whom an error line names is said in words: one line is nearly as good as ten.
NAMED, NAMED_SCALE = 0.5, 1.0
MOST_EVENTS = 5
ONCE_NEW = ("log.new_template", "error.exception")


def make_event(
    kind: str, wording: Wording, likelihood: Floats, cap: float, direction: Direction, severity: float
) -> Event:
    """An event of one kind of line.

    Args:
        likelihood: of each candidate onset, >= 0; blame is ``cap`` times the mean of x / (x + 10).
    """
    start = wording.first if kind in ONCE_NEW and wording.first is not None else wording.onset
    attributes = {"level": LEVEL_NAMES[wording.level], "lines": f"{wording.lines:.0f}", "example": wording.quote}
    return Event(
        id=f"{kind}:{wording.component}:{wording.short_name}",
        component=wording.component,
        kind=kind,
        name=wording.name,
        start=start,
        end=max(start, wording.end),
        severity=severity,
        direction=direction,
        evidence=_evidence(wording, wording.sentence(kind), cap * _mean(likelihood, SCALE), likelihood),
        attributes={name: value for name, value in attributes.items() if value},
    )


def with_complaints(event: Event, wording: Wording, likelihood: Floats, named: tuple[str, ...] | None) -> list[Event]:
    """The event alone; or excused where its line speaks of others, with an event for each that it names.

    Args:
        named: whom the line names; empty where it only says that the failure lies elsewhere, None
            where it speaks of nobody.
    """
    if named is None:
        return [event]
    whom = " and ".join(named) if named else "something else"
    sentence = f"{wording.sentence(event.kind)}; it speaks of {whom}, so {event.component} is not blamed for it"
    excused = replace(event, evidence=_evidence(wording, sentence, 0.0, likelihood))
    blame = NAMED * _mean(likelihood, NAMED_SCALE)
    return [excused, *(_complaint(event, wording, name, blame, likelihood) for name in named)]


def keep_strongest(events: list[Event]) -> list[Event]:
    """At most five events per component, each id once, in order of component, time and id."""
    best: dict[str, Event] = {}
    for event in sorted(events, key=_weight):
        best.setdefault(event.id, event)
    kept: dict[str, list[Event]] = defaultdict(list)
    for event in best.values():
        if len(kept[event.component]) < MOST_EVENTS:
            kept[event.component].append(event)
    return sorted((e for group in kept.values() for e in group), key=lambda e: (e.component, e.start, e.id))


def _complaint(event: Event, wording: Wording, named: str, blame: float, likelihood: Floats) -> Event:
    evidence = Evidence(
        sentence=f"{event.component} complains of {named}: {wording.quote!r}, {wording.how_often}",
        group=f"complaint of {event.component}",
        blame=blame,
        likelihood=float(likelihood.mean()),
        weak=True,
        explainable=True,
    )
    return Event(
        id=f"dependency.blamed:{named}:{event.component}",
        component=named,
        kind="dependency.blamed",
        name=event.component,
        start=event.start,
        end=event.end,
        severity=event.severity,
        evidence=evidence,
        attributes={"by": event.component, "example": wording.quote},
    )


def _evidence(wording: Wording, sentence: str, blame: float, likelihood: Floats) -> Evidence:
    return Evidence(
        sentence=sentence,
        group=GROUP,
        blame=blame,
        likelihood=float(likelihood.mean()),
        weak=True,
        explainable=wording.level >= ERROR,
    )


def _mean(likelihood: Floats, scale: float) -> float:
    share: Any = saturate(likelihood, scale).mean()
    return float(share)


def _weight(event: Event) -> tuple[float, float, str]:
    blame = 0.0 if event.evidence is None else event.evidence.blame
    return -blame, -event.severity, event.id
