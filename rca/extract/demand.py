"""Demand: more requests than in health, at a component that nobody known calls.

Where a caller is known its own demand, or its retries, account for what a component is asked.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rca.extract.context import Context
from rca.extract.failing import is_demand
from rca.extract.meaning import classify
from rca.likelihood import saturate
from rca.telemetry import MetricFrame
from rca.types import Event, Evidence

Array = npt.NDArray[Any]

# One half of full blame at three times the healthy limit.
SCALE = 2.0
# Less than a quarter more hurts nobody who has the usual headroom.
LEAST_FACTOR = 1.25


def extract_demand(context: Context) -> list[Event]:
    """Events ``traffic.up`` of entries whose demand passes the healthy limit."""
    frame, health = context.case.telemetry.metrics, context.health.metrics
    if health is None or health.detector is None or not frame.values.size or not len(context.topology.caller):
        return []
    rows = _demand_of_entries(context, frame)
    if not len(rows):
        return []
    part = frame.select(rows)
    excess = np.nan_to_num(health.detector.deviations(part), nan=0.0)
    at = health.detector.find(part)
    usual = np.where(at >= 0, health.detector.median[at], 0.0)
    events = []
    for row in range(len(rows)):
        peaks, factors = _rise(context, frame, part.values[row], excess[row], float(usual[row]))
        beyond = np.where(factors >= LEAST_FACTOR, np.maximum(peaks - 1.0, 0.0), 0.0)
        if beyond.any():
            name, metric = frame.components[part.component[row]], frame.metrics[part.metric[row]]
            events.append(_event(context, name, metric, beyond, peaks, factors))
    return events


def _demand_of_entries(context: Context, frame: MetricFrame) -> Array:
    """Rows of the metrics that count what components are asked that nobody known calls."""
    topology = context.topology
    queue = np.array([topology.kinds.get(name) == "queue" for name in topology.components] or [False], bool)
    # Who takes messages from a queue is asked by those who put them there.
    codes = np.unique(np.concatenate([topology.callee, topology.caller[queue[topology.callee]]]))
    called = {topology.components[code] for code in codes.tolist()}
    demand = np.array([is_demand(metric) and classify(metric).scope == "component" for metric in frame.metrics], bool)
    entry = np.array([name in topology.index and name not in called for name in frame.components], bool)
    return np.flatnonzero((frame.peer < 0) & demand[frame.metric] & entry[frame.component])


def _rise(context: Context, frame: MetricFrame, values: Array, excess: Array, usual: float) -> tuple[Array, Array]:
    """Highest excess in healthy limits, and median demand as a multiple of health: shape (candidates,) each."""
    peaks, factors = np.zeros(len(context.onsets)), np.zeros(len(context.onsets))
    for candidate, (a, b) in enumerate(zip(context.onsets, context.ends, strict=True)):
        inside = (frame.times > a + frame.step // 3) & (frame.times <= b + frame.step // 2)
        known = values[inside & np.isfinite(values)]
        if known.size and usual > 0:
            factors[candidate] = np.median(known) / usual
        peaks[candidate] = excess[inside].max(initial=0.0)
    return peaks, factors


def _event(context: Context, name: str, metric: str, beyond: Array, peaks: Array, factors: Array) -> Event:
    blame = float(saturate(beyond, SCALE).mean())
    candidate = int(np.argmax(beyond))
    peak = float(peaks[candidate])
    return Event(
        id=f"traffic.up:{name}:{metric}:demand",
        component=name,
        kind="traffic.up",
        name=metric,
        start=int(context.onsets[candidate]),
        end=int(context.ends[candidate]),
        severity=blame,
        direction="up",
        evidence=Evidence(
            sentence=f"{name} is asked {factors[candidate]:.1f} times as much as in health and nobody known "
            f"calls it: {peak:.1f} times beyond the healthy limit",
            group="demand",
            blame=blame,
            likelihood=min(peak, 300.0),
        ),
    )
