"""Components whose metrics no longer belong together as in their history: what a trained detector adds.

What a single series shows already (it rose beyond its own limit), and what callees may bring about
(latency, errors, work that waits), is taken out before the trained detector is asked: the rest are a
component's own resources and the requests that it serves. Requests are among the inputs, so that
demand explains nothing here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from rca.detectors.onset import LIMIT, walk_back
from rca.detectors.protocol import Detector
from rca.detectors.short_long import ALARM, anomaly_likelihood, trailing_mean
from rca.detectors.windows import WINDOW
from rca.errors import DetectorError
from rca.extract.context import Context
from rca.extract.meaning import classify
from rca.kinds import load_kinds
from rca.likelihood import LN10, saturate
from rca.quantities import percent, quantity
from rca.telemetry import NO_PEER, MetricFrame
from rca.types import Event, Evidence

Array = npt.NDArray[Any]

KIND = "metrics.unusual"
# One half of full blame at three times the healthy limit, as of a single resource.
SCALE = 2.0
# What a slow or failing callee, or more requests, bring about as well.
HANDED_ON = ("latency", "errors", "availability", "threads", "connections", "queue", "kpi")
DEMAND = ("traffic",)
# A relation has at least two ends besides the demand on them.
FEWEST_SERIES = 3
# Healthy residuals reach the limit about as seldom as three of their standard deviations; further out they are no
# normal distribution, which caps the log10 likelihood ratio.
LIMIT_SD, CERTAIN = 3.0, 6.0
# Samples whose mean counts: one sample may be anything.
SMOOTHING = 3
# A series that reaches four times its own healthy limit speaks for itself.
RISEN = 4.0
RETRAIN = "Train the model again, or go back with `rca models rollback`"
# The share of the deviation from which one metric deviates alone.
LONE = 0.75
# Samples on both sides of the start of an anomaly in which a jump is looked for.
AROUND = 12
# Series worth naming in the sentence, and the share of the deviation that makes them so.
NAMED, LEAST_SHARE = 2, 0.05


@runtime_checkable
class Relating(Protocol):
    """A detector that foretells each sample from the component's others."""

    def drifts(self, window: MetricFrame) -> Array:
        """Signed mean of the residuals over the last samples, in healthy limits; NaN where unknown."""
        ...

    def expected(self, window: MetricFrame) -> Array:
        """What each sample is expected to be, in its own unit; NaN where unknown."""
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
    drifts, expected = _ask_about(detector, frame, known, _usual(context, frame))
    blamed = known & ~_of_family(frame, DEMAND)
    size = np.abs(drifts)
    scores = trailing_mean(size / (1.0 + size), SMOOTHING)
    found = _Found(frame=frame, known=known, scores=scores, drifts=drifts, expected=expected)
    peaks = np.where(blamed, scores[:, inside].max(axis=1), 0.0)
    rows = [row for row in _strongest_series(frame, peaks) if peaks[row] > LIMIT]
    places = [(row, int(inside[scores[row, inside].argmax()])) for row in rows]
    return [_event(found, row, at) for row, at in places if not _is_lone_jump(found, row, at)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the detector says of the series of a frame.

    Attributes:
        known: whether it was asked about the series, shape (series,).
        scores: smoothed, in [0, 1]; ``drifts`` in healthy limits (0 where unknown); ``expected`` values (NaN where
            unknown); each of shape (series, time).
    """

    frame: MetricFrame
    known: npt.NDArray[np.bool_]
    scores: Array
    drifts: Array
    expected: Array


def _ask_about(
    detector: Detector, frame: MetricFrame, known: npt.NDArray[np.bool_], usual: Array
) -> tuple[Array, Array]:
    """Drifts (0 where unknown) and expected values (NaN where unknown) of the ``known`` series: (series, time) each.

    Most detectors cannot leave a series out: the others are set to their usual level, then to what was expected.

    Raises:
        DetectorError: the detector fails, or answers in another shape or with infinite numbers.
    """
    asked = replace(frame, values=np.where(known[:, None], frame.values, usual[:, None]))
    if not isinstance(detector, Relating):
        return _known(_answer(detector.deviations, asked)), np.full(frame.values.shape, np.nan)
    likely = _answer(detector.expected, asked)
    asked = replace(asked, values=np.where(known[:, None] | ~np.isfinite(likely), asked.values, likely))
    return _known(_answer(detector.drifts, asked)), _answer(detector.expected, asked)


def _answer(ask: Callable[[MetricFrame], Array], asked: MetricFrame) -> Array:
    """What a detector answers, shape (series, time), once it is known to be one; NaN where it knows nothing."""
    try:
        answer = ask(asked)
    except (ArithmeticError, IndexError, KeyError, TypeError, ValueError) as error:
        problem = f"the detector fails on this window ({type(error).__name__}: {error})"
        raise DetectorError(problem, remedy=RETRAIN) from error
    if answer.shape != asked.values.shape or bool(np.isinf(answer).any()):
        raise DetectorError("the detector's answer does not fit the window", remedy=RETRAIN)
    if not np.isfinite(answer).any():
        problem = "it knows none of the incident's series, or the window is too short for it"
        raise DetectorError(problem, remedy="Give the model of this system, and at least a dozen samples")
    return answer


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
    own, risen = (frame.peer == NO_PEER) & ~_of_family(frame, HANDED_ON), _risen(context, frame)
    known = own & ~risen
    size = len(frame.components)
    enough = np.bincount(frame.component[known], minlength=size) >= FEWEST_SERIES
    # What happens under a demand that history never saw, history cannot tell.
    swamped = np.bincount(frame.component[own & risen & _of_family(frame, DEMAND)], minlength=size) > 0
    return np.asarray(known & (enough & ~swamped)[frame.component])


def _risen(context: Context, frame: MetricFrame) -> npt.NDArray[np.bool_]:
    """Series that the robust detector finds beyond their upper limit, which is evidence of its own."""
    health = context.health.metrics
    if health is None or health.detector is None:
        return np.zeros(len(frame.values), bool)
    inside = _inside(context, frame)
    return np.asarray((_known(health.detector.deviations(frame))[:, inside] > RISEN).any(axis=1))


def _usual(context: Context, frame: MetricFrame) -> npt.NDArray[np.float32]:
    """The healthy median of each series, NaN where nobody knows it."""
    health = context.health.metrics
    if health is None or health.detector is None:
        return np.full(len(frame.values), np.nan, np.float32)
    at = health.detector.find(frame)
    return np.where(at >= 0, health.detector.median[at], np.float32(np.nan))


def _known(values: Array) -> Array:
    return np.asarray(np.nan_to_num(values, nan=0.0))


def _strongest_series(frame: MetricFrame, peaks: Array) -> list[int]:
    """The row of each component's highest peak, by component; the first of equal ones."""
    order = np.lexsort((np.arange(len(peaks)), -peaks, frame.component))
    _, firsts = np.unique(frame.component[order], return_index=True)
    return [int(order[first]) for first in firsts]


def _event(found: _Found, row: int, at: int) -> Event:
    """The event of a component whose series ``row`` deviates the most, at sample ``at``."""
    frame = found.frame
    name, metric = frame.components[frame.component[row]], frame.metrics[frame.metric[row]]
    score = float(found.scores[row, at])
    limits = score / max(1.0 - score, 1e-6)
    start = walk_back(found.scores[row], at)
    kind = load_kinds()[KIND]
    return Event(
        id=f"{KIND}:{name}:{metric}",
        component=name,
        kind=KIND,
        name=metric,
        start=int(frame.times[start]),
        end=int(frame.times[at]),
        severity=score,
        direction="up" if found.drifts[row, at] > 0 else "down",
        evidence=Evidence(
            sentence=_sentence(found, row, at, limits),
            group="saturation",
            blame=float(saturate(np.array(limits - 1.0), SCALE)) * kind.prior,
            likelihood=min((LIMIT_SD * limits) ** 2 / 2.0 / LN10, CERTAIN),
            explainable=kind.explainable,
        ),
        attributes={"began": "suddenly" if _is_sudden(found, row, start) else "slowly"},
    )


def _is_sudden(found: _Found, row: int, start: int) -> bool:
    """Whether the error rose from one sample to the next, about where the anomaly began."""
    error = np.abs(found.frame.values[row] - found.expected[row])
    near = slice(max(start - AROUND, 0), start + AROUND)
    return bool((anomaly_likelihood(error)[near] > ALARM).any())


def _is_lone_jump(found: _Found, row: int, at: int) -> bool:
    """Whether one metric jumped and the others stayed: no relation, and the robust detector sees jumps itself."""
    alone = attribute(found, row, at)[0][1] > LONE
    return alone and _is_sudden(found, row, walk_back(found.scores[row], at))


def attribute(found: _Found, row: int, at: int) -> list[tuple[int, float]]:
    """Rows of the component of ``row`` with their shares of its deviation at a sample, largest first.

    A share is the series' squared deviation in healthy limits over the sum of the component's.
    """
    rows = np.flatnonzero(found.known & (found.frame.component == found.frame.component[row]))
    size = np.square(found.drifts[rows, at].astype(np.float64))
    total = float(size.sum())
    order = np.lexsort((rows, -size))
    return [(int(rows[i]), float(size[i]) / total if total > 0 else 0.0) for i in order]


def _sentence(found: _Found, row: int, at: int, limits: float) -> str:
    frame = found.frame
    name = frame.components[frame.component[row]]
    level, usual = (trailing_mean(values[:, : at + 1], WINDOW)[:, -1] for values in (frame.values, found.expected))
    parts = []
    for each, share in attribute(found, row, at)[:NAMED]:
        if share < LEAST_SHARE:
            break
        metric, seen, wanted = frame.metrics[frame.metric[each]], float(level[each]), float(usual[each])
        told = f" at {quantity(metric, seen)}" if np.isfinite(seen) else ""
        told += f", {quantity(metric, wanted)} expected from the others" if np.isfinite(wanted) else ""
        parts.append(f"{percent(share)} of the deviation is {metric}{told}")
    return (
        f"the metrics of {name} no longer belong together as in its history ({limits:.1f} times the healthy limit): "
        + "; ".join(parts)
    )
