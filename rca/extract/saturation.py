"""Resources that run out: processor, memory, disk and the like against what health reaches.

Two samples in a row count, so that a single spike raises nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.detectors.quantiles import sorted_quantiles
from rca.detectors.robust import RobustDetector
from rca.extract.context import Context
from rca.extract.meaning import SATURATIONS, classify, kind_of
from rca.kinds import Kind, load_kinds
from rca.likelihood import saturate
from rca.quantities import number, quantity
from rca.telemetry import MetricFrame
from rca.tracing import RequestTable
from rca.types import Event, Evidence

Array = npt.NDArray[Any]

# One half of full blame at three times the healthy limit.
SCALE = 2.0
# A component that no request touched is less likely to explain what users feel.
OFF_PATH = 0.5
FEWEST_REQUESTS = 50
SAMPLES_BEFORE = 5
# Less blame than this is what one healthy series in a hundred shows: no event.
LEAST = 0.05
# What is half as high again as before the incident still grows, as a leak does.
STILL_GROWS = 1.5
# What grows with the requests of a component says something per request only.
PROPORTIONAL = ("cpu", "network", "disk", "threads", "connections")


def extract_saturation(context: Context, requests: RequestTable) -> list[Event]:
    """Events ``saturation.*`` and ``gc.overhead`` of resources beyond their healthy limit.

    Args:
        context: the analysis; without healthy metrics there is no limit to pass.
        requests: the window's requests, to tell who takes part in them.
    """
    frame = context.case.telemetry.metrics
    health = context.health.metrics
    if health is None or health.detector is None or not frame.values.size:
        return []
    rows = _resources(context, frame)
    if not len(rows):
        return []
    series = frame.select(rows)
    demand = per_demand(series, demand_factor(frame, health.detector))
    excess = health.detector.deviations(demand)
    peaks = _news(context, frame, excess)
    touched = _touched(context, requests)
    on_path = np.array([touched is None or name in touched for name in frame.components])[series.component]
    beyond = np.where(on_path, 1.0, OFF_PATH)[:, None] * np.maximum(peaks - 1.0, 0.0)
    at = health.detector.find(series)
    found = _Resources(
        series=series,
        peaks=peaks,
        blame=saturate(beyond, SCALE).mean(axis=1),
        usual=health.detector.median[at],
        on_path=on_path,
    )
    kinds = {code: load_kinds()[kind_of(frame.metrics[code], "up")] for code in np.unique(series.metric).tolist()}
    chosen = np.flatnonzero((peaks.max(axis=1, initial=0.0) > 1.0) & (found.blame >= LEAST))
    candidate = peaks[chosen].argmax(axis=1)
    window = context.onsets[candidate], context.ends[candidate]
    starts, levels = _begin(series.select(chosen), excess[chosen], window)
    columns = (array.tolist() for array in (chosen, candidate, starts, window[1], levels))
    return [
        _event(found, row, which, kinds[int(series.metric[row])], (start, end, level))
        for row, which, start, end, level in zip(*columns, strict=True)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Resources:
    """Resource series: ``peaks`` (series, candidates) in healthy limits.

    ``blame``, ``usual`` (the healthy median) and ``on_path`` (whether requests touch the component)
    have shape (series,).
    """

    series: MetricFrame
    peaks: Array
    blame: Array
    usual: Array
    on_path: Array


def _news(context: Context, frame: MetricFrame, excess: Array) -> Array:
    """The peak of each series per candidate onset, less what it reached before: shape (series, candidates)."""
    step = frame.step
    known = np.nan_to_num(excess, nan=0.0)
    peaks = np.stack(
        [
            _peak(known, (frame.times > a + step // 3) & (frame.times <= b + step // 2))
            for a, b in zip(context.onsets, context.ends, strict=True)
        ],
        axis=1,
    )
    # What was as high before the incident is no news: a leak of last week, a level of today.
    usual = _usual_before(excess, frame.times <= int(context.onsets.min()) + step // 3)[:, None]
    return np.where(peaks < STILL_GROWS * usual, peaks - usual, peaks)


def _event(found: _Resources, row: int, candidate: int, kind: Kind, shown: tuple[int, int, float]) -> Event:
    """``shown``: when the resource passed its limit, until when it was looked at (ns), and its highest value."""
    frame = found.series
    name, metric = frame.components[frame.component[row]], frame.metrics[frame.metric[row]]
    start, end, level = shown
    peak = float(found.peaks[row, candidate])
    blame = min(max(float(found.blame[row]) * kind.prior, 0.0), 1.0)
    return Event(
        id=f"{kind.name}:{name}:{metric}",
        component=name,
        kind=kind.name,
        name=metric,
        start=start,
        end=end,
        severity=blame,
        direction="up",
        evidence=Evidence(
            sentence=f"{metric} of {name} rose to {quantity(metric, level)} (usually "
            f"{quantity(metric, float(found.usual[row]))}), {number(round(peak, 1))} times its largest rise in health"
            + ("" if found.on_path[row] else "; it reports no requests of its own"),
            group="saturation",
            blame=blame,
            weak=kind.explainable,
            explainable=kind.explainable,
            likelihood=min(peak, 300.0),
        ),
    )


def _resources(context: Context, frame: MetricFrame) -> npt.NDArray[np.int64]:
    """Rows of resource metrics; those of the machine below count for hosts only."""
    hosts = {name for name, kind in context.topology.kinds.items() if kind == "host"}
    meanings = [classify(metric) for metric in frame.metrics]
    fits = np.array([m.family in (*SATURATIONS, "gc") for m in meanings] or [], bool)
    of_host = np.array([m.scope == "host" for m in meanings] or [], bool)
    is_host = np.array([name in hosts for name in frame.components] or [], bool)
    chosen = (frame.peer < 0) & fits[frame.metric] & (~of_host[frame.metric] | is_host[frame.component])
    return np.flatnonzero(chosen)


def demand_factor(frame: MetricFrame, detector: RobustDetector) -> Array:
    """By how much each component is asked for more than in health, at least 1: shape (components, time)."""
    factor = np.ones((len(frame.components), len(frame.times)), np.float32)
    meanings = [classify(metric) for metric in frame.metrics]
    demand = np.array([m.family == "traffic" and m.side == "server" and m.scope == "component" for m in meanings], bool)
    rows = np.flatnonzero((frame.peer < 0) & demand[frame.metric]) if len(demand) else np.zeros(0, np.int64)
    if not len(rows):
        return factor
    at = detector.find(frame.select(rows))
    usual = np.where(at >= 0, detector.median[at], np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = frame.values[rows] / usual[:, None]
    ratio = np.where(np.isfinite(ratio) & (ratio > 1.0), ratio, 1.0).astype(np.float32)
    order = np.argsort(frame.component[rows], kind="stable")
    components, begins = np.unique(frame.component[rows][order], return_index=True)
    factor[components] = np.maximum.reduceat(ratio[order], begins, axis=0)
    return factor


def per_demand(part: MetricFrame, factor: Array) -> MetricFrame:
    """Resource metrics that grow with demand, divided by how much demand grew."""
    families = np.array([classify(metric).family in PROPORTIONAL for metric in part.metrics] or [False], bool)
    asked_more = np.logical_or.reduce(factor > 1.0, axis=1)
    rows = np.flatnonzero(families[part.metric] & asked_more[part.component])
    values = part.values.copy()
    values[rows] /= factor[part.component[rows]]
    return replace(part, values=values)


def _peak(known: Array, inside: Array) -> Array:
    columns = np.flatnonzero(inside)  # one stretch of time: a view of it costs nothing
    part = known[:, columns[0] : columns[-1] + 1] if len(columns) else known[:, :0]
    return np.asarray(part.max(axis=1, initial=0.0))


def _usual_before(excess: Array, before: Array) -> Array:
    """The excess that every one of the last samples before the earliest onset reached, at least 0."""
    part = excess[:, np.flatnonzero(before)[-SAMPLES_BEFORE:]]
    lowest = sorted_quantiles(part, (0.0,))[0]
    usual: Array = np.maximum(np.nan_to_num(lowest, nan=0.0), 0.0)
    return usual


def _begin(
    series: MetricFrame, excess: Array, window: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
) -> tuple[npt.NDArray[np.int64], Array]:
    """When the run beyond the limit began, ns, and its highest value: shape (series,) each.

    ``window`` holds where the evidence of each series begins and ends, ns; without a sample beyond the
    limit in it, it is its begin and the highest value at all.
    """
    columns = np.arange(len(series.times))
    begins, ends = (np.searchsorted(series.times, edge, side="right").reshape(-1, 1) for edge in window)
    over: Array = excess > 1.0
    inside = np.logical_and(over, np.logical_and(columns >= begins, columns < ends))
    some = np.logical_or.reduce(inside, axis=1)
    first = inside.argmax(axis=1)
    quiet = np.maximum.accumulate(np.where(over, -1, columns), axis=1)  # the last sample within the limit
    # Two samples in a row count: the run began with the one before.
    start = series.times[np.maximum(quiet[np.arange(len(first)), first], 0)]
    shown = np.where(inside | ~some[:, None], series.values, np.nan)
    highest = np.fmax.reduce(shown, axis=1, initial=-np.inf)
    return np.where(some, start, window[0]), np.where(np.isfinite(highest), highest, 0.0)


def _touched(context: Context, requests: RequestTable) -> set[str] | None:
    """Components that took part in requests; None where there are too few to tell."""
    span = context.span
    inside = (requests.start >= span.start) & (requests.start < span.end)
    if int(inside.sum()) < FEWEST_REQUESTS:
        return None
    return {requests.components[code] for code in np.unique(requests.component[inside])}
