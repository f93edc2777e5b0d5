"""Curves and lanes as geometry: evidence over time, and every event on one axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rca.quantities import clock, duration, number
from rca.report.evidence_series import EvidenceSeries
from rca.report.wording import event_sentence
from rca.types import SECOND, Event, Report, Window

WIDTH, HEIGHT = 372, 118
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 6, 8, 20
BAR_ROW, LANE_WIDTH, LANE_LEFT = 16, 1180, 185
_LANE_GAP, _LANE_RIGHT, _KIND_WIDTH = 6, 30, 150
_MOST_POINTS = 180
# Steps between labels on the time axis, in seconds.
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A position on an axis with its text."""

    at: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """One curve: paths in pixels, the healthy band, onset and alert, and all of it in words."""

    title: str
    component: str
    kind: str
    path: str
    dots: tuple[tuple[float, float], ...]
    band: tuple[float, float] | None
    onset: float | None
    alert: float | None
    x_marks: tuple[Mark, ...]
    y_marks: tuple[Mark, ...]
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One event on its lane."""

    x: float
    y: float
    width: float
    severity: float
    kind: str
    title: str
    text_x: float
    anchor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The events of one component over time."""

    component: str
    y: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """All lanes, on one axis."""

    height: float
    lanes: tuple[Lane, ...]
    marks: tuple[Mark, ...]
    onset: float | None
    alert: float | None


def plot(series: EvidenceSeries, report: Report) -> Plot:
    """The geometry of one curve."""
    extent = Window(start=int(series.times[0]), end=max(int(series.times[-1]), int(series.times[0]) + 1))
    bounds = _bounds(series)
    step = max(1, math.ceil(len(series.times) / _MOST_POINTS))
    points = [
        (_x(int(time), extent), _y(float(value), bounds)) if not math.isnan(value) else None
        for time, value in _thinned(series, step)
    ]
    path, dots = _trace(points)
    return Plot(
        title=f"{series.title}, {series.unit}" if series.unit else series.title,
        component=series.event.component,
        kind=series.event.kind,
        path=path,
        dots=dots,
        band=None if series.band is None else (_y(series.band[1], bounds), _y(series.band[0], bounds)),
        onset=_within(report.onset, extent),
        alert=_within(report.incident.detected_at, extent),
        x_marks=tuple(
            Mark(at=_x(time, extent), text=clock(time)[:5])
            for time in _ticks(extent, 4)
            if _x(time, extent) < WIDTH - 16
        ),
        y_marks=tuple(Mark(at=_y(value, bounds), text=number(value)) for value in _y_ticks(bounds)),
        words=_words(series),
    )


def timeline(events: Sequence[Event], order: Sequence[str], report: Report) -> Timeline:
    """Lanes in the given order of components, each with its events as bars."""
    window = report.incident.window
    marks = [time for time in (report.onset, report.incident.detected_at) if time is not None]
    earliest = min([event.start for event in events] + marks, default=window.start)
    latest = max([event.end for event in events] + marks, default=window.end)
    margin = max((min(latest, window.end) - max(earliest, window.start)) // 20, SECOND)
    extent = Window(
        start=max(earliest - margin, min(window.start, earliest)),
        end=max(min(latest + margin, window.end), earliest + 1),
    )
    lanes: list[Lane] = []
    y = 0
    for component in order:
        own = sorted((event for event in events if event.component == component), key=lambda e: (e.start, e.id))
        if own:
            bars = tuple(_bar(event, extent, y + BAR_ROW * at) for at, event in enumerate(own))
            lanes.append(Lane(component=component, y=y, bars=bars))
            y += BAR_ROW * len(own) + _LANE_GAP
    return Timeline(
        height=y,
        lanes=tuple(lanes),
        marks=tuple(Mark(at=_lane_x(time, extent), text=clock(time)) for time in _ticks(extent, 8)),
        onset=None if report.onset is None else _lane_x(report.onset, extent),
        alert=None if report.incident.detected_at is None else _lane_x(report.incident.detected_at, extent),
    )


def _bar(event: Event, extent: Window, y: float) -> Bar:
    start, end = _lane_x(event.start, extent), _lane_x(event.end, extent)
    fits = start < LANE_WIDTH - _KIND_WIDTH
    return Bar(
        x=start,
        y=y,
        text_x=start + 7 if fits else start - 4,
        anchor="start" if fits else "end",
        width=max(round(end - start, 1), 5.0),
        severity=event.severity,
        kind=event.kind,
        title=f"{clock(event.start)} to {clock(event.end)} {event.kind} {event.name}: {event_sentence(event)}",
    )


def _lane_x(time: int, extent: Window) -> float:
    share = (min(max(time, extent.start), extent.end) - extent.start) / (extent.end - extent.start)
    return round(LANE_LEFT + share * (LANE_WIDTH - LANE_LEFT - _LANE_RIGHT), 1)


def _thinned(series: EvidenceSeries, step: int) -> list[tuple[int, float]]:
    """Of every ``step`` points the one farthest from health, so that a short peak stays."""
    if step == 1:
        return [(int(t), float(v)) for t, v in zip(series.times, series.values, strict=True)]
    middle = float(np.nanmedian(series.values)) if series.band is None else sum(series.band) / 2
    far = np.where(np.isnan(series.values), -1.0, np.abs(series.values - middle))
    starts = range(0, len(far), step)
    chosen = [start + int(np.argmax(far[start : start + step])) for start in starts]
    return [(int(series.times[at]), float(series.values[at])) for at in chosen]


def _trace(points: Sequence[tuple[float, float] | None]) -> tuple[str, tuple[tuple[float, float], ...]]:
    """A path with gaps where samples are missing; points between two gaps as dots."""
    path: list[str] = []
    dots: list[tuple[float, float]] = []
    for at, point in enumerate(points):
        before = points[at - 1] if at else None
        after = points[at + 1] if at + 1 < len(points) else None
        if point is None:
            continue
        if before is None and after is None:
            dots.append(point)
        else:
            path.append(f"{'M' if before is None else 'L'}{point[0]:g},{point[1]:g}")
    return "".join(path), tuple(dots)


def _bounds(series: EvidenceSeries) -> tuple[float, float]:
    low, high = float(np.nanmin(series.values)), float(np.nanmax(series.values))
    if series.band is not None:
        low, high = min(low, series.band[0]), max(high, series.band[1])
    if 0 <= low < 0.6 * high:  # near zero: show zero, so that heights compare
        low = 0.0
    if low == high == 0:
        high = 1.0
    if high - low <= 1e-9 * max(abs(high), 1.0):
        pad = abs(high) / 10 or 1.0
        low, high = low - pad, high + pad
    return low, high


def _x(time: int, extent: Window) -> float:
    return round(_LEFT + (WIDTH - _LEFT - _RIGHT) * (time - extent.start) / (extent.end - extent.start), 1)


def _y(value: float, bounds: tuple[float, float]) -> float:
    low, high = bounds
    return round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * (value - low) / (high - low), 1)


def _within(time: int | None, extent: Window) -> float | None:
    return _x(time, extent) if time is not None and extent.start <= time <= extent.end else None


def _ticks(extent: Window, most: int) -> list[int]:
    length = (extent.end - extent.start) / SECOND
    step = next((step for step in _STEPS if length / step <= most), None)
    step = (math.ceil(length / most / 86_400) * 86_400 if step is None else step) * SECOND
    return list(range(-(-extent.start // step) * step, extent.end + 1, step))


def _y_ticks(bounds: tuple[float, float]) -> list[float]:
    """Two or three round values."""
    low, high = bounds
    raw = (high - low) / 2
    size = 10.0 ** math.floor(math.log10(raw))
    step = max((factor * size for factor in (1, 2, 5) if factor * size <= raw), default=size)
    return [round(k * step, 12) for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _words(series: EvidenceSeries) -> str:
    """What the curve shows, for those who do not see it."""
    unit = f" {series.unit}" if series.unit else ""
    middle = float(np.nanmedian(series.values)) if series.band is None else sum(series.band) / 2
    at = int(np.nanargmax(np.abs(series.values - middle)))
    health = "health is not known"
    if series.band is not None:
        health = f"healthy between {number(series.band[0])} and {number(series.band[1])}{unit}"
    length = duration(int(series.times[-1] - series.times[0]))
    return (
        f"{series.title} of {series.event.component} over {length}: {health}, "
        f"farthest from it at {clock(int(series.times[at]))} with {number(float(series.values[at]))}{unit}."
    )
