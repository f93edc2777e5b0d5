"""The measurements behind an event, over time, with the band in which they lie in health."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rca.telemetry import SPAN_CLIENT, SPAN_PRODUCER, MetricFrame, SpanBatch
from rca.types import SECOND, Case, Event, Report, Window

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

_BINS = 90  # a point every four pixels: finer is not seen
_BAND = (5.0, 95.0)  # percentiles of health: one sample in ten lies outside
# Kinds of events that durations, failures or counts of spans can show.
_SEEN_IN_SPANS = ("latency.", "self_time.", "network.", "errors.", "error.", "traffic.", "calls.", "request.")
_FEWEST = 8  # healthy samples below which a band would be made up


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceSeries:
    """One curve: ``times`` ns and ``values`` of shape (points,), NaN where nothing was measured.

    ``band`` are the 5th and 95th percentile in health, None where too little health is known.
    """

    event: Event
    title: str
    unit: str
    times: Times
    values: Floats
    band: tuple[float, float] | None


def find_series(report: Report, case: Case, most: int = 6) -> tuple[EvidenceSeries, ...]:
    """The curves behind the answer: the reasons of the candidates in turn, then the chain; no curve twice."""
    first, others = report.root_causes[:1], report.root_causes[1:3]
    events = [event for cause in first for event in (*cause.because, *cause.chain)]
    events += [event for cause in others for event in cause.because[:1]]
    events += report.critical
    found: dict[tuple[str, str], EvidenceSeries] = {}
    for event in events:
        series = series_of(event, report, case)
        if series is not None:
            found.setdefault((event.component, series.title), series)
        if len(found) == most:
            break
    return tuple(found.values())


def series_of(event: Event, report: Report, case: Case) -> EvidenceSeries | None:
    """The metric that raised the event; else the spans or log lines of its component, counted; else None."""
    healthy = _healthy_window(report, case)
    return (
        _from_metrics(event, case, healthy)
        or _from_spans(event, case, _extent(case), healthy)
        or _from_logs(event, case, _extent(case), healthy)
    )


def _healthy_window(report: Report, case: Case) -> Window:
    baseline = case.incident.baseline
    if baseline is not None:
        return baseline
    start = _extent(case).start
    onset = case.incident.window.start if report.onset is None else report.onset
    return Window(start=start, end=max(start, onset))


def _extent(case: Case) -> Window:
    """The window and as much before it, where there is a baseline."""
    window = case.incident.window
    before = window.start if case.incident.baseline is None else case.incident.baseline.start
    return Window(start=max(before, window.start - (window.end - window.start)), end=window.end)


def _from_metrics(event: Event, case: Case, healthy: Window) -> EvidenceSeries | None:
    frame = case.telemetry.metrics
    row = _find(frame, event)
    if row is None:
        return None
    shown = frame.slice(_extent(case))
    values = shown.values[row].astype(np.float64)
    if np.isnan(values).all():
        return None
    well = frame.slice(healthy).values[row]
    if case.health is not None and case.health.metrics is not None and not case.health.small:
        known = _find(case.health.metrics.sample, event)
        well = well if known is None else case.health.metrics.sample.values[known]
    return EvidenceSeries(
        event=event,
        title=event.name,
        unit="",  # names of metrics say it: duration_ms
        times=shown.times,
        values=values,
        band=_band(well),
    )


def _find(frame: MetricFrame, event: Event) -> int | None:
    """The row of the event's component and metric; towards its peer where it names one."""
    if event.component not in frame.components or event.name not in frame.metrics:
        return None
    rows = np.flatnonzero(
        (frame.component == frame.components.index(event.component)) & (frame.metric == frame.metrics.index(event.name))
    )
    peer = event.attributes.get("peer", "")
    if peer in frame.components:
        towards = rows[frame.peer[rows] == frame.components.index(peer)]
        rows = towards if len(towards) else rows
    return int(rows[0]) if len(rows) else None


def _from_spans(event: Event, case: Case, extent: Window, healthy: Window) -> EvidenceSeries | None:
    spans = case.telemetry.spans
    if not event.kind.startswith(_SEEN_IN_SPANS) or event.component not in spans.components:
        return None
    own = spans.component == spans.components.index(event.component)
    served = own & (spans.kind != SPAN_CLIENT) & (spans.kind != SPAN_PRODUCER)
    batch = spans.take(served if served.any() else own)
    if len(batch) < _FEWEST:
        return None
    if event.kind.startswith(("errors", "error.")):
        return _binned(event, "failed spans", "%", batch.start, 100.0 * (batch.status == 2), extent, healthy)
    if event.kind.startswith(("traffic", "calls")):
        return _counted(event, "spans", batch.start, extent, healthy)
    return _binned(event, "median duration of spans", "ms", batch.start, _milliseconds(batch), extent, healthy)


def _milliseconds(batch: SpanBatch) -> Floats:
    return batch.duration.astype(np.float64) / 1e6


def _from_logs(event: Event, case: Case, extent: Window, healthy: Window) -> EvidenceSeries | None:
    logs = case.telemetry.logs
    if not event.kind.startswith("log.") or event.component not in logs.components:
        return None
    own = logs.component == logs.components.index(event.component)
    return _counted(event, "log lines", logs.times[own], extent, healthy) if own.any() else None


def _counted(event: Event, what: str, times: Times, extent: Window, healthy: Window) -> EvidenceSeries | None:
    edges = _edges(extent, _BINS * _FEWEST)
    counts = np.histogram(times, edges)[0].astype(np.float64) * (60 * SECOND / (edges[1] - edges[0]))
    return _series(event, what, "per min", edges, counts, healthy)


def _binned(
    event: Event, what: str, unit: str, times: Times, values: Floats, extent: Window, healthy: Window
) -> EvidenceSeries | None:
    """The median of the values in each bin (the mean of shares)."""
    edges = _edges(extent, len(times))
    at = np.searchsorted(edges, times, side="right") - 1
    order = np.argsort(at, kind="stable")
    starts = np.searchsorted(at[order], np.arange(len(edges)))
    centre = np.mean if unit == "%" else np.median
    middles = np.full(len(edges) - 1, np.nan)
    for i in range(len(edges) - 1):
        if starts[i + 1] > starts[i]:
            middles[i] = centre(values[order[starts[i] : starts[i + 1]]])
    return None if np.isnan(middles).all() else _series(event, what, unit, edges, middles, healthy)


def _edges(extent: Window, measured: int) -> Times:
    """Bins of at least ten seconds and, on average, of a handful of measurements."""
    longest = (extent.end - extent.start) // (10 * SECOND)
    bins = int(max(2, min(_BINS, longest, measured // _FEWEST)))
    return np.linspace(extent.start, extent.end, bins + 1).astype(np.int64)


def _series(event: Event, what: str, unit: str, edges: Times, values: Floats, healthy: Window) -> EvidenceSeries:
    middle = edges[:-1] + np.diff(edges) // 2
    well = values[(middle >= healthy.start) & (middle < healthy.end)]
    return EvidenceSeries(event=event, title=what, unit=unit, times=middle, values=values, band=_band(well))


def _band(values: npt.NDArray[np.floating] | Sequence[float]) -> tuple[float, float] | None:
    known = np.sort(np.asarray(values, np.float64))
    known = known[~np.isnan(known)]
    if len(known) < _FEWEST:
        return None
    low, high = np.percentile(known, _BAND)
    return float(low), float(high)
