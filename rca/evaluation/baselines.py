"""Published and simple methods to compare with, by their published formulas. They see the case, never the answer.

The published ones are given the time at which healthy and abnormal samples part: the onset where it
is known, else the alert. Time series that are constant before or after are left out, as RCAEval does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rca.errors import EvaluationError
from rca.telemetry import MetricFrame
from rca.types import SECOND, Case, Change

Scores = dict[str, float]
Samples = npt.NDArray[np.float64]

# The alert count calls a series alerting beyond three standard deviations.
ALERTING = 3.0
FEWEST_SAMPLES = 2
DEPLOYMENT = "change.deployment"


def components_of(case: Case) -> tuple[str, ...]:
    """Every component that could be named, sorted."""
    topology = case.topology.components if case.topology is not None else ()
    return tuple(sorted({*case.telemetry.components, *topology}))


def split_time(case: Case) -> int:
    """The time from which samples count as abnormal, in ns.

    The onset, else the alert; where nothing is measured after the alert, the start of the window.
    """
    incident, times = case.incident, case.telemetry.metrics.times
    if incident.onset is not None:
        return incident.onset
    if times.size and int(times[-1]) >= incident.alert_time:
        return incident.alert_time
    return incident.window.start


@dataclass(frozen=True, kw_only=True)
class Split:
    """Healthy and abnormal samples of the same series.

    Attributes:
        component: name of each series' component.
        normal: float64, shape (series, time), NaN is missing.
        abnormal: float64, shape (series, later time).
    """

    component: tuple[str, ...]
    normal: Samples
    abnormal: Samples

    @classmethod
    def of(cls, case: Case) -> Split:
        """All healthy samples that the case holds, and those from the split on.

        Healthy are the health profile's sample and the case's own samples before the split: the
        methods compared get the healthy time that the engine gets.

        Raises:
            EvaluationError: there are no healthy or no abnormal samples to compare.
        """
        frame, split = case.telemetry.metrics, split_time(case)
        window = case.incident.window
        before = _until(frame, split).values.astype(np.float64)
        after = frame.slice(replace(window, start=min(split, window.end))).values.astype(np.float64)
        health = case.health.metrics if case.health is not None else None
        if health is not None:
            before = np.hstack([_rows_of(health.sample, frame), before])
        if before.shape[1] < FEWEST_SAMPLES or not after.size:
            raise EvaluationError(
                "there are no healthy and abnormal samples to compare", where=f"incident {case.incident.id}"
            )
        kept = _varies(before) & _varies(after)
        names = [frame.components[code] for code in frame.component[kept]]
        return cls(component=tuple(names), normal=before[kept], abnormal=after[kept])

    def by_component(self, scores: Samples, reduce: Callable[[float, float], float]) -> Scores:
        """One score per component out of one per series."""
        found: Scores = {}
        for name, score in zip(self.component, scores.tolist(), strict=True):
            found[name] = reduce(found[name], score) if name in found else score
        return found


def _until(frame: MetricFrame, time: int) -> MetricFrame:
    column = int(np.searchsorted(frame.times, time))
    return replace(frame, times=frame.times[:column], values=frame.values[:, :column])


def _rows_of(sample: MetricFrame, frame: MetricFrame) -> Samples:
    """The sample's values in the order of the frame's series, NaN where it lacks one; shape (series, time)."""
    place = {key: i for i, key in enumerate(_keys(sample))}
    found = np.array([place.get(key, -1) for key in _keys(frame)], np.int64)
    values = np.full((len(found), sample.times.size), np.nan)
    values[found >= 0] = sample.values[found[found >= 0]]
    return values


def _keys(frame: MetricFrame) -> list[tuple[str, str, str]]:
    return [
        (frame.components[c], frame.metrics[m], frame.components[p] if p >= 0 else "")
        for c, m, p in zip(frame.component.tolist(), frame.metric.tolist(), frame.peer.tolist(), strict=True)
    ]


def _varies(values: Samples) -> npt.NDArray[np.bool_]:
    """Series with at least one sample that are not constant; a single sample is no evidence of constancy."""
    there = np.isfinite(values)
    high = np.where(there, values, -np.inf).max(axis=1)
    low = np.where(there, values, np.inf).min(axis=1)
    return np.asarray(there.any(axis=1) & ((high > low) | (there.sum(axis=1) == 1)))


def _standardised(split: Split) -> Samples:
    """Abnormal samples in standard deviations of the normal ones from their mean; 0 where missing."""
    count = np.maximum(np.isfinite(split.normal).sum(axis=1, keepdims=True), 1)
    mean = np.nansum(split.normal, axis=1, keepdims=True) / count
    spread = np.sqrt(np.nansum((split.normal - mean) ** 2, axis=1, keepdims=True) / count)
    return np.asarray(np.nan_to_num((split.abnormal - mean) / np.where(spread > 0, spread, 1.0)))


def nsigma(case: Case) -> Scores:
    """N-Sigma: the highest z-score of any metric after the split (Lin et al., ICSOC 2018, as RCAEval runs it)."""
    split = Split.of(case)
    return split.by_component(_standardised(split).max(axis=1), max)


def max_z(case: Case) -> Scores:
    """The same two-sided: the largest |z| of any metric."""
    split = Split.of(case)
    return split.by_component(np.abs(_standardised(split)).max(axis=1), max)


def baro(case: Case) -> Scores:
    """BARO's robust scorer: the highest (value - median) / IQR after the split (Pham et al., FSE 2024)."""
    split = Split.of(case)
    rows = np.sort(split.normal, axis=1)  # NaN last
    count = np.isfinite(rows).sum(axis=1)
    low, middle, high = (_quantile(rows, count, q) for q in (0.25, 0.5, 0.75))
    spread = np.where(high > low, high - low, 1.0)
    scores = np.nan_to_num((split.abnormal - middle[:, None]) / spread[:, None])
    return split.by_component(scores.max(axis=1), max)


def _quantile(rows: Samples, count: npt.NDArray[np.int64], q: float) -> Samples:
    """Linear interpolation between sorted samples, as numpy and scikit-learn have it; shape (series,)."""
    position = q * np.maximum(count - 1, 0)
    below = np.floor(position).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(count - 1, 0))
    series = np.arange(len(rows))
    return np.asarray(rows[series, below] + (position - below) * (rows[series, above] - rows[series, below]))


def alert_count(case: Case) -> Scores:
    """How many alerts a component has; where there are none, how many of its metrics exceed three sigma."""
    counts: Scores = {}
    for alert in case.telemetry.alerts:
        if alert.component:
            counts[alert.component] = counts.get(alert.component, 0.0) + 1.0
    if counts:
        return counts
    split = Split.of(case)
    alerting = (np.abs(_standardised(split)).max(axis=1) > ALERTING).astype(np.float64)
    return split.by_component(alerting, lambda a, b: a + b)


def latest_change(case: Case) -> Scores:
    """Blame the last change before the alert: each component by the time of its latest change, 0 = at the alert.

    Raises:
        EvaluationError: nothing was changed before the alert.
    """
    found: Scores = {}
    for change in _in_effect(case):
        score = -(case.incident.alert_time - change.time) / SECOND
        found[change.component] = max(found.get(change.component, score), score)
    if not found:
        raise EvaluationError("nothing was changed before the alert", where=f"incident {case.incident.id}")
    return found


def latest_change_id(case: Case) -> str:
    """The commit that the last deployment before the alert shipped, else the id of the last change, else "none"."""
    changes = _in_effect(case)
    deployments = [change for change in changes if change.kind == DEPLOYMENT]
    last = max(deployments or changes, key=lambda change: (change.time, change.id), default=None)
    return "none" if last is None else last.attributes.get("commit") or last.id


def _in_effect(case: Case) -> list[Change]:
    """Changes of a component before the alert; a commit that nobody shipped has none."""
    return [c for c in case.telemetry.changes if c.component and c.time <= case.incident.alert_time]


BASELINES: Mapping[str, Callable[[Case], Scores]] = {
    "alert-count": alert_count,
    "max-z": max_z,
    "nsigma": nsigma,
    "baro": baro,
    "latest-change": latest_change,
}
