"""The causality graph as a drawing: a card per component, a row per event, a curve per link.

Only geometry: the template turns it into SVG, and escapes every text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from textwrap import wrap

from rca.causality import Link
from rca.quantities import clock, duration
from rca.report.layers import Bend, Layers, arrange
from rca.report.selection import Selection
from rca.report.wording import event_sentence
from rca.types import Event, Report

# Pixels at 100 %.
CARD, GAP, HEAD, ROW, FOOT = 244, 146, 27, 19, 5
_BETWEEN, _BEND, _MARGIN = 20, 12, 20
_LABEL_LINE, _LABEL_WIDTH, _LABEL_LINES = 12, 20, 3  # height of a line; characters that fit into the gap
_NAME_WIDTH = 23  # characters that fit into a row beside the time


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One event of a card."""

    event: Event
    y: float
    text: str
    detail: str
    time: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One component; ``role`` is root, candidate, symptom or other."""

    component: str
    role: str
    tag: str
    x: float
    y: float
    height: float
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One link as an SVG path."""

    path: str
    width: float
    chain: bool
    backward: bool
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """The rule between two components, in one to three lines, centred on x."""

    x: float
    y: float
    lines: tuple[str, ...]
    chain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """All shapes, and the size that they need in pixels."""

    width: float
    height: float
    cards: tuple[Card, ...]
    curves: tuple[Curve, ...]
    labels: tuple[Label, ...]


def draw(report: Report, selection: Selection) -> Drawing:
    """Lays the selected events out, causes to the left."""
    events: dict[str, list[Event]] = {}
    for event in sorted(selection.events, key=lambda event: (event.start, -event.severity, event.id)):
        events.setdefault(event.component, []).append(event)
    order = _by_importance(report, events)
    layers = arrange(order, [(link.cause.component, link.effect.component) for link in selection.links])
    heights: dict[str, float] = {name: HEAD + ROW * len(rows) + FOOT for name, rows in events.items()}
    tops, height = _stack(layers, heights)
    roles = _roles(report)
    cards = {
        name: _card(name, rows, roles, layers.column_of[name] * (CARD + GAP) + _MARGIN, tops[name])
        for name, rows in events.items()
    }
    heads = {row.event.id: (card, row.y) for card in cards.values() for row in card.rows}
    labels = _labels(selection, heads, layers)
    lowest = max((label.y + _LABEL_LINE * len(label.lines) for label in labels), default=0.0)
    curves = tuple(_curve(link, heads, layers, tops, selection) for link in selection.links)
    return Drawing(
        width=len(layers.columns) * (CARD + GAP) - GAP + 2 * _MARGIN if layers.columns else 0,
        height=max(height, lowest + _MARGIN),
        cards=tuple(cards[name] for name in order),
        curves=tuple(sorted(curves, key=lambda curve: curve.chain)),
        labels=labels,
    )


def _by_importance(report: Report, events: dict[str, list[Event]]) -> list[str]:
    first = [cause.component for cause in report.root_causes if cause.component in events]
    rest = sorted(events, key=lambda name: (events[name][0].start, name))
    return list(dict.fromkeys([*first[:1], *rest]))


def _roles(report: Report) -> dict[str, tuple[str, str]]:
    roles: dict[str, tuple[str, str]] = {
        symptom.component: ("symptom", "symptom") for symptom in report.incident.symptoms if symptom.component
    }
    for rank, cause in reversed(list(enumerate(report.root_causes[:3], 1))):
        believed = rank == 1 and report.verdict == "cause"
        roles[cause.component] = ("root", "root cause") if believed else ("candidate", f"candidate {rank}")
    return roles


def _stack(layers: Layers, heights: dict[str, float]) -> tuple[dict[str | Bend, float], float]:
    """The top of every card and bend, columns centred on each other; the height of all."""
    sizes = [[_BEND if isinstance(place, Bend) else heights[place] for place in column] for column in layers.columns]
    totals = [sum(column) + _BETWEEN * (len(column) - 1) for column in sizes]
    tallest = max(totals, default=0.0)
    tops: dict[str | Bend, float] = {}
    for column, column_sizes, total in zip(layers.columns, sizes, totals, strict=True):
        y = _MARGIN + (tallest - total) / 2
        for place, size in zip(column, column_sizes, strict=True):
            tops[place] = round(y, 1)
            y += size + _BETWEEN
    return tops, round(tallest + 2 * _MARGIN, 1)


def _card(name: str, events: Sequence[Event], roles: dict[str, tuple[str, str]], x: float, y: float) -> Card:
    role, tag = roles.get(name, ("other", ""))
    rows = tuple(
        Row(
            event=event,
            y=y + HEAD + ROW * (at + 0.5),
            text=event.kind,
            detail=_ending(event.name, _NAME_WIDTH - len(event.kind)) if event.name != event.kind else "",
            time=clock(event.start),
            title=f"{event.kind} {event.name}: {event_sentence(event)}",
        )
        for at, event in enumerate(events)
    )
    return Card(component=name, role=role, tag=tag, x=x, y=y, height=HEAD + ROW * len(rows) + FOOT, rows=rows)


def _ending(text: str, most: int) -> str:
    """The end of a long name: metrics of one exporter begin alike and end in what they measure."""
    if most < 4:
        return ""
    return text if len(text) <= most else "…" + text[len(text) - most + 1 :].lstrip()


def _curve(
    link: Link,
    heads: dict[str, tuple[Card, float]],
    layers: Layers,
    tops: dict[str | Bend, float],
    selection: Selection,
) -> Curve:
    (source, y0), (target, y1) = heads[link.cause.id], heads[link.effect.id]
    gap = layers.column_of[target.component] - layers.column_of[source.component]
    if gap > 0:
        bends = layers.bends.get((source.component, target.component), ())
        stops = [(source.x + CARD, y0)]
        for bend in bends:
            x, y = bend.column * (CARD + GAP) + _MARGIN, tops[bend] + _BEND / 2
            stops += [(x, y), (x + CARD, y)]
        path = _through([*stops, (target.x - 5, y1)])
    elif source is target:
        side = source.x
        path = f"M{side:g},{y0:g} C{side - 15:g},{y0:g} {side - 15:g},{y1:g} {side - 4:g},{y1:g}"
    elif gap == 0:
        bulge = 46
        side = source.x + CARD
        path = f"M{side:g},{y0:g} C{side + bulge:g},{y0:g} {side + bulge:g},{y1:g} {side + 5:g},{y1:g}"
    else:
        side, end = source.x, target.x + CARD + 5
        path = f"M{side:g},{y0:g} C{side - 50:g},{y0:g} {end + 50:g},{y1:g} {end:g},{y1:g}"
    return Curve(
        path=path,
        width=round(1 + 1.5 * link.weight, 2),
        chain=(link.cause.id, link.effect.id) in selection.chain,
        backward=gap < 0,
        title=f"{link.cause.component} {link.cause.kind} → {link.effect.component} {link.effect.kind}: "
        f"{link.rule.name} (weight {link.weight:.2f}, {duration(link.lag)} later)",
    )


def _through(stops: Sequence[tuple[float, float]]) -> str:
    path = [f"M{stops[0][0]:g},{stops[0][1]:g}"]
    for (x0, y0), (x1, y1) in pairwise(stops):
        middle = (x0 + x1) / 2
        path.append(f"C{middle:g},{y0:g} {middle:g},{y1:g} {x1:g},{y1:g}")
    return " ".join(path)


def _labels(selection: Selection, heads: dict[str, tuple[Card, float]], layers: Layers) -> tuple[Label, ...]:
    """One label per pair of components, pushed apart where they would overlap."""
    pairs: dict[tuple[str, str], list[Link]] = {}
    for link in selection.links:
        pairs.setdefault((link.cause.component, link.effect.component), []).append(link)
    wanted: dict[int, list[tuple[float, tuple[str, ...], bool]]] = {}
    for (a, b), links in pairs.items():
        if layers.column_of[b] <= layers.column_of[a]:
            continue  # the curve's title and the table below the drawing name the rule
        on_chain = [link for link in links if (link.cause.id, link.effect.id) in selection.chain]
        shown = (on_chain or links)[0]
        others = len({link.rule.name for link in links} - {shown.rule.name})
        start, end = heads[shown.cause.id][1], heads[shown.effect.id][1]
        near = (start + end) / 2 if not layers.bends.get((a, b)) else start
        lines = _wrap(shown.rule.name + (f" +{others}" if others else ""))
        wanted.setdefault(layers.column_of[a], []).append((near, lines, bool(on_chain)))
    found = []
    for column, labels in sorted(wanted.items()):
        x = column * (CARD + GAP) + _MARGIN + CARD + GAP / 2
        free = 0.0
        for y, lines, chain in sorted(labels):
            top = max(y - _LABEL_LINE * len(lines) / 2, free)
            free = top + _LABEL_LINE * len(lines) + 5
            found.append(Label(x=x, y=round(top, 1), lines=lines, chain=chain))
    return tuple(found)


def _wrap(text: str) -> tuple[str, ...]:
    """At most three lines that fit between two cards."""
    return tuple(wrap(text, _LABEL_WIDTH, max_lines=_LABEL_LINES, placeholder=" …"))
