"""Requests, mean latency and failures per component and row out of spans, where metrics do not tell them.

A component's requests are its entry spans: those whose parent lies in another component, or
nowhere. A peer that sends no spans itself (a database, a provider) has the calls into it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rca.extract.amount_series import (
    FEWEST_HEALTHY_ROWS,
    ROWS_BEFORE,
    AmountBlock,
    AmountSeries,
    Array,
    read_series,
)
from rca.extract.context import Context
from rca.spans import LinkedSpans
from rca.telemetry import NO_PEER
from rca.types import SECOND

ROWS_PER_WINDOW = 30
SHORTEST_ROW, LONGEST_ROW = 10 * SECOND, 60 * SECOND
"""Rows of spans: about 30 to a window, long enough to hold several requests."""

LATENCY_NAME, FAILURE_NAME = "span duration", "span status"
FAILED = 2
# A component that is seen in fewer requests has no amount worth the name.
FEWEST_REQUESTS = 20


def amount_inputs(context: Context) -> AmountSeries | None:
    """Rows of every component with traffic and latency or failures: metrics where there are any, else spans."""
    metrics = read_series(context)
    if not len(context.case.telemetry.spans):
        return metrics
    spans = _read_spans(context, metrics)
    if spans is None or metrics is None:
        return spans if metrics is None else metrics
    return _merge(metrics, spans)


@dataclass(frozen=True, kw_only=True)
class _Requests:
    """Entry spans and calls into silent peers as columns of shape (requests,)."""

    component: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    seconds: Array
    failed: npt.NDArray[np.bool_]


def _read_spans(context: Context, metrics: AmountSeries | None) -> AmountSeries | None:
    spans = context.linked.spans
    requests = _requests(context.linked)
    service = context.topology.service
    covered = set() if metrics is None else {service(name) for name in metrics.components}
    seen = np.flatnonzero(np.bincount(requests.component, minlength=1) >= FEWEST_REQUESTS)
    codes = np.array([code for code in seen if service(spans.components[code]) not in covered], np.int64)
    if not codes.size:
        return None
    starts, row = _window_rows(context, metrics, requests)
    if starts.size < 3:
        return None
    window = _count(requests, codes, len(spans.components), starts, row)
    names = tuple(spans.components[code] for code in codes)
    order = sorted(range(len(names)), key=names.__getitem__)
    healthy = _healthy_rows(context, starts, row, requests)
    health = _count(requests, codes, len(spans.components), healthy, row)
    series = AmountSeries(
        components=names,
        window=window,
        health=health,
        latency_names=(LATENCY_NAME,) * len(names),
        failure_names=(FAILURE_NAME,) * len(names),
        row=row,
    )
    return _reorder(series, order)


def _requests(linked: LinkedSpans) -> _Requests:
    spans, parent = linked.spans, linked.parent
    foreign = (parent < 0) | (spans.component[parent] != spans.component)
    children = np.flatnonzero((parent >= 0) & foreign)
    answered = np.zeros(len(spans), bool)
    answered[parent[children]] = True
    instrumented = np.zeros(len(spans.components), bool)
    instrumented[spans.component] = True
    outward = (spans.peer != NO_PEER) & ~answered & ~instrumented[np.maximum(spans.peer, 0)]
    rows = np.concatenate([np.flatnonzero(foreign), np.flatnonzero(outward)])
    component = np.concatenate([spans.component[foreign], spans.peer[outward]]).astype(np.int64)
    return _Requests(
        component=component,
        start=spans.start[rows],
        seconds=spans.duration[rows] / SECOND,
        failed=spans.status[rows] == FAILED,
    )


def _window_rows(
    context: Context, metrics: AmountSeries | None, requests: _Requests
) -> tuple[npt.NDArray[np.int64], int]:
    """Where the rows begin and their length: those of the metrics, else equal parts of the window and before it."""
    if metrics is not None:
        return metrics.window.times - metrics.row, metrics.row  # a sample describes the step before it
    window = context.case.incident.window
    row = int(min(max((window.end - window.start) // ROWS_PER_WINDOW, SHORTEST_ROW), LONGEST_ROW))
    after = np.arange(window.start, window.end, row, dtype=np.int64)
    known = int(np.sum((requests.start >= window.start - ROWS_BEFORE * row) & (requests.start < window.start)))
    before = window.start - row * np.arange(ROWS_BEFORE if known else 0, 0, -1, dtype=np.int64)
    return np.concatenate([before, after]), row


def _healthy_rows(
    context: Context, starts: npt.NDArray[np.int64], row: int, requests: _Requests
) -> npt.NDArray[np.int64]:
    """Rows of the baseline, else those of the telemetry before every candidate onset, else the first third."""
    incident = context.case.incident
    if incident.baseline is not None:
        baseline = np.arange(incident.baseline.start, incident.baseline.end - row + 1, row, dtype=np.int64)
        if baseline.size >= FEWEST_HEALTHY_ROWS:
            return baseline
    earliest = int(context.onsets.min()) if context.onsets.size else incident.window.start
    first = int(requests.start.min())
    rows = earliest - row * np.arange((earliest - first) // row, 0, -1, dtype=np.int64)
    if rows.size >= FEWEST_HEALTHY_ROWS:
        return rows
    return starts[: max(starts.size // 3, min(FEWEST_HEALTHY_ROWS, starts.size))]


def _count(
    requests: _Requests, codes: npt.NDArray[np.int64], size: int, starts: npt.NDArray[np.int64], row: int
) -> AmountBlock:
    """Requests, mean seconds and failed shares in rows [start, start + row); rows without any span are unknown."""
    place = np.full(size, -1, np.int64)
    place[codes] = np.arange(codes.size)
    column = np.searchsorted(starts, requests.start, side="right") - 1
    inside = (column >= 0) & (requests.start < starts[column] + row)
    silent = np.bincount(column[inside], minlength=starts.size) == 0
    kept = inside & (place[requests.component] >= 0)
    cell = place[requests.component[kept]] * starts.size + column[kept]
    shape = (codes.size, starts.size)

    def add(weights: Array | None) -> Array:
        return np.bincount(cell, weights, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)

    traffic = add(None)
    some = traffic > 0
    latency = np.divide(add(requests.seconds[kept]), traffic, out=np.full(shape, np.nan), where=some)
    failures = np.divide(add(requests.failed[kept].astype(np.float64)), traffic, out=np.full(shape, np.nan), where=some)
    traffic[:, silent] = np.nan
    return AmountBlock(times=starts, traffic=traffic, latency=latency, failures=failures)


def _reorder(series: AmountSeries, order: list[int]) -> AmountSeries:
    rows = np.array(order, np.intp)
    return replace(
        series,
        components=tuple(series.components[i] for i in order),
        window=series.window.members(rows),
        health=series.health.members(rows),
        latency_names=tuple(series.latency_names[i] for i in order),
        failure_names=tuple(series.failure_names[i] for i in order),
    )


def _merge(metrics: AmountSeries, spans: AmountSeries) -> AmountSeries:
    """Both sets of components on the metrics' rows; the spans' healthy rows are repeated to the same number."""
    samples = metrics.merged  # the metrics' traffic is that of one sample, not of the row
    length = metrics.health.times.size
    repeat = np.resize(np.arange(spans.health.times.size), length)
    health = spans.health.columns(repeat)

    def join(own: AmountBlock, other: AmountBlock) -> AmountBlock:
        return AmountBlock(
            times=own.times,
            traffic=np.vstack([own.traffic, other.traffic / samples]),
            latency=np.vstack([own.latency, other.latency]),
            failures=np.vstack([own.failures, other.failures]),
        )

    both = replace(
        metrics,
        components=metrics.components + spans.components,
        window=join(metrics.window, spans.window),
        health=join(metrics.health, health),
        latency_names=metrics.latency_names + spans.latency_names,
        failure_names=metrics.failure_names + spans.failure_names,
    )
    return _reorder(both, sorted(range(len(both.components)), key=both.components.__getitem__))
