"""Components whose metrics no longer belong together as in their history: what a trained detector adds.

What a single series shows already (it rose beyond its own limit), and what callees may bring about
(latency, errors, work that waits), is taken out before the trained detector is asked: the rest are a
component's own resources and the requests that it serves. Requests are among the inputs, so that
demand explains nothing here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from rca.detectors.onset import LIMIT, walk_back
from rca.detectors.short_long import ALARM, anomaly_likelihood, trailing_mean
from rca.extract.context import Context
from rca.extract.meaning import classify
from rca.kinds import load_kinds
from rca.likelihood import saturate
from rca.quantities import percent, quantity
from rca.telemetry import NO_PEER, MetricFrame
from rca.types import Direction, Event, Evidence

Array = npt.NDArray[Any]

KIND = "metrics.unusual"
# One half of full blame at twice the healthy limit.
SCALE = 1.0
# What a slow or failing callee, or more requests, bring about as well.
HANDED_ON = ("latency", "errors", "availability", "threads", "connections", "queue", "kpi")
DEMAND = ("traffic",)
# A relation has at least two ends besides the demand on them.
FEWEST_SERIES = 3
# Samples whose mean counts: one sample may be anything.
SMOOTHING = 3
# A series that reaches twice its own healthy limit speaks for itself.
RISEN = 4.0
# Series worth naming in the sentence.
NAMED = 2


@runtime_checkable
class Expecting(Protocol):
    """A detector that says what it expected."""

    def expected(self, window: MetricFrame) -> Array:
        """Each sample as the component's samples together make it likely, in its own unit; NaN where unknown."""
        ...


def extract_unusual(context: Context) -> list[Event]:
    """Events ``metrics.unusual`` of the components that a trained detector knows; none without one."""
    detector, frame = context.detector, context.case.telemetry.metrics
    if detector is None or not frame.values.size:
        return []
    inside = np.flatnonzero(_inside(context, frame))
    known = _known_resources(context, frame)
    if not len(inside) or not known.any():
        return []
    asked = replace(frame, values=np.where(known[:, None], frame.values, np.float32(np.nan)))
    blamed = known & ~_of_family(frame, DEMAND)
    scores = trailing_mean(detector.score(asked), SMOOTHING)
    peaks = np.where(blamed, np.nan_to_num(scores[:, inside], nan=0.0).max(axis=1), 0.0)
    found = _Found(frame=frame, scores=scores, deviations=_known(detector.deviations(asked)), blamed=blamed)
    expected = detector.expected(asked) if isinstance(detector, Expecting) else np.full(scores.shape, np.nan)
    events = []
    for row in _strongest_series(frame, peaks):
        if peaks[row] > LIMIT:
            at = int(inside[np.nan_to_num(scores[row, inside], nan=0.0).argmax()])
            events.append(_event(found, expected, row, at))
    return events


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Series of a frame: smoothed ``scores`` in [0, 1], ``deviations`` in healthy limits (0 where unknown).

    Both have shape (series, time); ``blamed`` (series,) says which may speak against their component.
    """

    frame: MetricFrame
    scores: Array
    deviations: Array
    blamed: Array


def _inside(context: Context, frame: MetricFrame) -> npt.NDArray[np.bool_]:
    """Samples that describe the time from the earliest candidate onset to the end of the window."""
    end = context.case.incident.window.end
    inside: npt.NDArray[np.bool_] = (frame.times > context.span.start + frame.step // 3) & (
        frame.times <= end + frame.step // 2
    )
    return inside


def _of_family(frame: MetricFrame, families: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    of_metric = np.array([classify(metric).family in families for metric in frame.metrics] or [False], bool)
    return np.asarray(of_metric[frame.metric])


def _known_resources(context: Context, frame: MetricFrame) -> npt.NDArray[np.bool_]:
    """Series to ask about, shape (series,): a component's own, less what is handed on and what rose by itself.

    None of a component with too few of them.
    """
    known = (frame.peer == NO_PEER) & ~_of_family(frame, HANDED_ON) & ~_risen(context, frame)
    count = np.bincount(frame.component[known], minlength=len(frame.components))
    return np.asarray(known & (count >= FEWEST_SERIES)[frame.component])


def _risen(context: Context, frame: MetricFrame) -> npt.NDArray[np.bool_]:
    """Series that the robust detector finds beyond their upper limit, which is evidence of its own."""
    health = context.health.metrics
    if health is None or health.detector is None:
        return np.zeros(len(frame.values), bool)
    inside = _inside(context, frame)
    return np.asarray((_known(health.detector.deviations(frame))[:, inside] > RISEN).any(axis=1))


def _known(values: Array) -> Array:
    return np.asarray(np.nan_to_num(values, nan=0.0))


def _strongest_series(frame: MetricFrame, peaks: Array) -> list[int]:
    """The row of each component's highest peak, by component; the first of equal ones."""
    order = np.lexsort((np.arange(len(peaks)), -peaks, frame.component))
    _, firsts = np.unique(frame.component[order], return_index=True)
    return [int(order[first]) for first in firsts]


def _event(found: _Found, expected: Array, row: int, at: int) -> Event:
    """The event of a component whose series ``row`` deviates the most, at sample ``at``."""
    frame = found.frame
    name, metric = frame.components[frame.component[row]], frame.metrics[frame.metric[row]]
    score = float(found.scores[row, at])
    limits = score / max(1.0 - score, 1e-6)
    start = walk_back(found.scores[row], at)
    sudden = float(anomaly_likelihood(np.abs(found.deviations[row]))[start : at + 1].max())
    upwards = float(found.deviations[row, at]) > 0
    direction: Direction = "up" if upwards else "down"
    kind = load_kinds()[KIND]
    blame = float(saturate(np.array(limits - 1.0), SCALE)) * kind.prior
    return Event(
        id=f"{KIND}:{name}:{metric}",
        component=name,
        kind=KIND,
        name=metric,
        start=int(frame.times[start]),
        end=int(frame.times[at]),
        severity=score,
        direction=direction,
        evidence=Evidence(
            sentence=_sentence(found, expected, row, at, limits),
            group="relation",
            blame=blame,
            likelihood=min(limits, 300.0),
            explainable=kind.explainable,
        ),
        attributes={"began": "suddenly" if sudden > ALARM else "slowly"},
    )


def attribute(found: _Found, row: int, at: int) -> list[tuple[int, float]]:
    """Rows of the component of ``row`` with their shares of its deviation at a sample, largest first.

    A share is the series' squared deviation in healthy limits over the sum of the component's.
    """
    rows = np.flatnonzero(found.frame.component == found.frame.component[row])
    size = np.square(found.deviations[rows, at].astype(np.float64))
    total = float(size.sum())
    order = np.lexsort((rows, -size))
    return [(int(rows[i]), float(size[i]) / total if total > 0 else 0.0) for i in order]


def _sentence(found: _Found, expected: Array, row: int, at: int, limits: float) -> str:
    frame = found.frame
    name = frame.components[frame.component[row]]
    parts = []
    for each, share in attribute(found, row, at)[:NAMED]:
        if share < 0.05:
            break
        metric = frame.metrics[frame.metric[each]]
        seen, wanted = float(frame.values[each, at]), float(expected[each, at])
        told = f" at {quantity(metric, seen)}" if np.isfinite(seen) else ""
        told += f", {quantity(metric, wanted)} expected from the others" if np.isfinite(wanted) else ""
        parts.append(f"{percent(share)} of the deviation is {metric}{told}")
    return (
        f"the metrics of {name} no longer belong together as in its history ({limits:.1f} times the healthy limit): "
        + "; ".join(parts)
    )
