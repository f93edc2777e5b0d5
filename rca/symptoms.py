"""Is the symptom real? How far the metric that paged somebody lies from its health around the alert."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.extract.context import Context
from rca.types import Symptom

Array = npt.NDArray[Any]

# Healthy windows of five samples stay within 1.6 standard deviations of the mean, faults that page
# somebody begin at 4.9 (simulated shops); three lie between.
CONFIRMED = 3.0
# Samples to either side of the alert.
AROUND = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SymptomCheck:
    """A symptom and its deviation in healthy standard deviations; None where it is not measured."""

    symptom: Symptom
    deviation: float | None

    @property
    def confirmed(self) -> bool:
        """Whether the symptom deviates, or cannot be checked."""
        return self.deviation is None or self.deviation >= CONFIRMED


def check_symptoms(context: Context) -> tuple[SymptomCheck, ...]:
    """Each symptom of the incident against the health of its metric (or of its replicas' metrics)."""
    return tuple(
        SymptomCheck(symptom=symptom, deviation=_deviation(context, symptom))
        for symptom in context.case.incident.symptoms
    )


def _deviation(context: Context, symptom: Symptom) -> float | None:
    frame, health = context.case.telemetry.metrics, context.health.metrics
    if health is None or health.detector is None or symptom.metric not in frame.metrics:
        return None
    topology, metric = context.topology, frame.metrics.index(symptom.metric)
    fits = [
        name == symptom.component or topology.replica_of.get(name) == symptom.component for name in frame.components
    ]
    rows = np.flatnonzero((frame.metric == metric) & (frame.peer < 0) & np.array(fits or [False])[frame.component])
    part = frame.select(rows)
    at = health.detector.find(part)
    found = [_of_series(context, part.values[i], health.sample.values[at[i]]) for i in range(len(rows)) if at[i] >= 0]
    known = [value for value in found if value is not None]
    return max(known) if known else None


def _of_series(context: Context, values: Array, healthy: Array) -> float | None:
    frame, alert = context.case.telemetry.metrics, context.case.incident.alert_time
    onset = context.case.incident.onset
    reach = int(AROUND * max(frame.step, 1))
    begin, end = (alert - reach, alert + reach) if onset is None else (onset, int(context.ends.max()) + frame.step // 2)
    around = values[(frame.times > begin) & (frame.times <= end)]
    around, healthy = (x[np.isfinite(x)].astype(np.float64) for x in (around, healthy))
    if not around.size or healthy.size < 2:
        return None
    sd = float(healthy.std())
    distance = abs(float(around.mean()) - float(healthy.mean()))
    return distance / sd if sd > 0 else (0.0 if distance == 0 else float("inf"))
