"""Resources that run out: processor, memory, disk and the like against what health reaches.

Two samples in a row count, so that a single spike raises nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.detectors.quantiles import sorted_quantiles
from rca.detectors.robust import RobustDetector
from rca.extract.context import Context
from rca.extract.meaning import SATURATIONS, classify, kind_of
from rca.kinds import load_kinds
from rca.likelihood import saturate
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
    part = per_demand(frame.select(rows), demand_factor(frame, health.detector))
    excess = health.detector.deviations(part)  # (series, time)
    step = frame.step
    peaks = np.stack(
        [
            _peak(excess, (frame.times > a + step // 3) & (frame.times <= b + step // 2))
            for a, b in zip(context.onsets, context.ends, strict=True)
        ],
        axis=1,
    )  # (series, candidates)
    # What was as high before the incident is no news: a leak of last week, a level of today.
    usual = _usual_before(excess, frame.times <= int(context.onsets.min()) + step // 3)[:, None]
    peaks = np.where(peaks < STILL_GROWS * usual, peaks - usual, peaks)
    beyond = np.maximum(peaks - 1.0, 0.0)
    touched = _touched(context, requests)
    names = np.array(frame.components, dtype=object)[part.component]
    on_path = np.array([touched is None or name in touched for name in names])
    beyond = np.where(on_path[:, None], beyond, OFF_PATH * beyond)
    blame = saturate(beyond, SCALE).mean(axis=1)
    kinds = load_kinds()
    events = []
    for row in np.flatnonzero(peaks.max(axis=1, initial=0.0) > 1.0):
        metric = frame.metrics[part.metric[row]]
        kind = kind_of(metric, "up")
        candidate = int(np.argmax(peaks[row]))
        value = float(np.clip(blame[row] * kinds[kind].prior, 0.0, 1.0))
        start, level = _begin(frame.values[rows[row]], excess[row], frame.times, context, candidate)
        at = health.detector.find(part.select(np.array([row])))[0]
        events.append(
            Event(
                id=f"{kind}:{names[row]}:{metric}",
                component=str(names[row]),
                kind=kind,
                name=metric,
                start=start,
                end=int(context.ends[candidate]),
                severity=value,
                direction="up",
                evidence=Evidence(
                    sentence=f"{metric} of {names[row]} at {level:.4g}, {peaks[row, candidate]:.1f} times beyond what it "
                    f"reaches in health (usually {float(health.detector.median[at]):.4g})"
                    + ("" if on_path[row] else "; no request touched it"),
                    group="saturation",
                    blame=value,
                    weak=kinds[kind].explainable,
                    explainable=kinds[kind].explainable,
                    likelihood=float(min(peaks[row, candidate], 300.0)),
                ),
            )
        )
    return events


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
    np.maximum.at(factor, frame.component[rows], ratio)
    return factor


def per_demand(part: MetricFrame, factor: Array) -> MetricFrame:
    """Resource metrics that grow with demand, divided by how much demand grew."""
    families = np.array([classify(metric).family in PROPORTIONAL for metric in part.metrics] or [False], bool)
    share = np.where(families[part.metric][:, None], factor[part.component], 1.0)
    return replace(part, values=(part.values / share).astype(np.float32))


def _peak(excess: Array, inside: Array) -> Array:
    part = np.where(np.isnan(excess[:, inside]), 0.0, excess[:, inside])
    return part.max(axis=1, initial=0.0)


def _usual_before(excess: Array, before: Array) -> Array:
    """The excess that every one of the last samples before the earliest onset reached, at least 0."""
    part = excess[:, np.flatnonzero(before)[-SAMPLES_BEFORE:]]
    lowest = sorted_quantiles(part, (0.0,))[0]
    return np.maximum(np.nan_to_num(lowest, nan=0.0), 0.0)


def _begin(values: Array, excess: Array, times: Array, context: Context, candidate: int) -> tuple[int, float]:
    """When the run beyond the limit began, and its highest value."""
    inside = (times > context.onsets[candidate]) & (times <= context.ends[candidate] + np.int64(0))
    over = np.flatnonzero(inside & (np.nan_to_num(excess) > 1.0))
    if not over.size:
        return int(context.onsets[candidate]), float(np.nanmax(values)) if np.isfinite(values).any() else 0.0
    first = int(over[0])
    while first > 0 and np.nan_to_num(excess[first - 1]) > 1.0:
        first -= 1
    # Two samples in a row count: the run began with the one before.
    return int(times[max(first - 1, 0)]), float(np.nanmax(values[over]))


def _touched(context: Context, requests: RequestTable) -> set[str] | None:
    """Components that took part in requests; None where there are too few to tell."""
    span = context.span
    inside = (requests.start >= span.start) & (requests.start < span.end)
    if int(inside.sum()) < FEWEST_REQUESTS:
        return None
    return {requests.components[code] for code in np.unique(requests.component[inside])}
