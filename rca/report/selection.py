"""Which events and links of a causality graph a person is shown.

An incident's graph may hold hundreds of events; the page shows the ones that the answer rests on
and those on the way from the causes to the symptoms.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from rca.causality import CausalityGraph, Link
from rca.types import Event, Report

MOST_EVENTS = 36  # what fits on one screen and can still be read
_ROOM = 20  # up to here the drawing is filled with neighbours
_CANDIDATES = 3
_REASONS = 3
_CAUSES_PER_EFFECT = 2  # further links repeat what the strongest ones say


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is drawn: events in the graph's order, links strongest first, the links of the first chain."""

    events: tuple[Event, ...]
    links: tuple[Link, ...]
    chain: frozenset[tuple[str, str]]
    omitted: int


def select(report: Report, most: int = MOST_EVENTS) -> Selection:
    """The events that the answer names, then those between causes and symptoms, most severe first."""
    graph = report.graph
    chosen: dict[str, None] = {}
    for event in _named(report):
        if event.id in graph.index and len(chosen) < most:
            chosen.setdefault(event.id)
    ends = [event for cause in report.root_causes[:_CANDIDATES] for event in cause.chain[-1:]]
    on_the_way = _between(graph, _codes(graph, _roots(report)), _codes(graph, [*ends, *report.critical]))
    for code in sorted(np.flatnonzero(on_the_way), key=lambda code: (-graph.events[code].severity, code)):
        if len(chosen) >= most:
            break
        chosen.setdefault(graph.events[code].id)
    _fill(chosen, graph)
    part = graph.subgraph(chosen)
    chain = frozenset((a.id, b.id) for cause in report.root_causes[:1] for a, b in pairwise(cause.chain))
    return Selection(
        events=part.events,
        links=_strongest(part, chain),
        chain=chain,
        omitted=len(graph.events) - len(part.events),
    )


def _fill(chosen: dict[str, None], graph: CausalityGraph) -> None:
    """Where there is room, the most severe events that are linked to a chosen one."""
    beside = {link.cause.id: link.cause for name in list(chosen) for link in graph.causes_of(name)}
    beside |= {link.effect.id: link.effect for name in list(chosen) for link in graph.effects_of(name)}
    for event in sorted(beside.values(), key=lambda event: (-event.severity, event.id)):
        if len(chosen) >= _ROOM:
            return
        chosen.setdefault(event.id)


def _named(report: Report) -> Iterable[Event]:
    for cause in report.root_causes[:_CANDIDATES]:
        if cause.event is not None:
            yield cause.event
        yield from cause.chain
    yield from report.critical
    for cause in report.root_causes[:_CANDIDATES]:
        yield from cause.because[:_REASONS]


def _roots(report: Report) -> list[Event]:
    return [cause.event for cause in report.root_causes[:_CANDIDATES] if cause.event is not None]


def _codes(graph: CausalityGraph, events: Iterable[Event]) -> list[int]:
    return [graph.index[event.id] for event in events if event.id in graph.index]


def _between(graph: CausalityGraph, sources: list[int], targets: list[int]) -> npt.NDArray[np.bool_]:
    """Mask of the events that lie on a path from a source to a target."""
    forth = _reached(graph.cause, graph.effect, sources, len(graph.events))
    back = _reached(graph.effect, graph.cause, targets, len(graph.events))
    return forth & back


def _reached(
    start: npt.NDArray[np.int32], end: npt.NDArray[np.int32], sources: list[int], size: int
) -> npt.NDArray[np.bool_]:
    reached = np.zeros(size, np.bool_)
    reached[sources] = True
    frontier = reached.copy()
    while frontier.any():
        step = np.zeros(size, np.bool_)
        step[end[frontier[start]]] = True
        frontier = step & ~reached
        reached |= frontier
    return reached


def _strongest(graph: CausalityGraph, chain: frozenset[tuple[str, str]]) -> tuple[Link, ...]:
    kept: dict[tuple[str, str], Link] = {}
    for event in graph.events:
        links = graph.causes_of(event)
        strong = [link for link in links if link.cause.component != event.component][:_CAUSES_PER_EFFECT]
        within = [link for link in links if link.cause.component == event.component][:1]
        along = [link for link in links if (link.cause.id, link.effect.id) in chain]
        for link in (*strong, *within, *along):
            kept[link.cause.id, link.effect.id] = link
    return tuple(sorted(kept.values(), key=lambda link: (-link.weight, link.cause.id, link.effect.id)))
