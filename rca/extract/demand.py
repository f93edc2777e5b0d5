"""Demand: more requests than in health, at a component that nobody known calls.

Where a caller is known its own demand, or its retries, account for what a component is asked.
"""

from __future__ import annotations

import numpy as np

from rca.extract.context import Context
from rca.extract.failing import is_demand
from rca.extract.meaning import classify
from rca.likelihood import saturate
from rca.types import Event, Evidence

# One half of full blame at three times the healthy limit.
SCALE = 2.0
# Less than a quarter more hurts nobody who has the usual headroom.
LEAST_FACTOR = 1.25


def extract_demand(context: Context) -> list[Event]:
    """Events ``traffic.up`` of entries whose demand passes the healthy limit."""
    frame, health = context.case.telemetry.metrics, context.health.metrics
    if health is None or health.detector is None or not frame.values.size or not len(context.topology.caller):
        return []
    topology = context.topology
    called = {topology.components[code] for code in np.unique(topology.callee)}
    # Who takes messages from a queue is asked by those who put them there.
    called |= {
        name for name in topology.components if any(topology.kinds.get(c) == "queue" for c in topology.callees(name))
    }
    demand = np.array([is_demand(metric) and classify(metric).scope == "component" for metric in frame.metrics], bool)
    entry = np.array([name in context.topology.index and name not in called for name in frame.components], bool)
    rows = np.flatnonzero((frame.peer < 0) & demand[frame.metric] & entry[frame.component])
    if not len(rows):
        return []
    part = frame.select(rows)
    excess = np.nan_to_num(health.detector.deviations(part), nan=0.0)
    at = health.detector.find(part)
    events = []
    for row in range(len(rows)):
        usual = float(health.detector.median[at[row]]) if at[row] >= 0 else 0.0
        peaks, factors = [], []
        for a, b in zip(context.onsets, context.ends, strict=True):
            inside = (frame.times > a + frame.step // 3) & (frame.times <= b + frame.step // 2)
            values = part.values[row, inside]
            known = values[np.isfinite(values)]
            factors.append(float(np.median(known)) / usual if known.size and usual > 0 else 0.0)
            peaks.append(float(excess[row, inside].max(initial=0.0)))
        beyond = np.where(np.array(factors) >= LEAST_FACTOR, np.maximum(np.array(peaks) - 1.0, 0.0), 0.0)
        if not beyond.any():
            continue
        blame = float(saturate(beyond, SCALE).mean())
        candidate = int(np.argmax(beyond))
        name, metric = frame.components[part.component[row]], frame.metrics[part.metric[row]]
        events.append(
            Event(
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
                    f"calls it: {peaks[candidate]:.1f} times beyond the healthy limit",
                    group="demand",
                    blame=blame,
                    likelihood=min(peaks[candidate], 300.0),
                ),
            )
        )
    return events
