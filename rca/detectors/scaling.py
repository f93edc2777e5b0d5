"""Scaling: samples as distances from their level, in what the series varies by in health."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rca.detectors.calendar import calendar_features, covered_periods
from rca.telemetry import Bools, Floats, Times

# Farther than this all samples are alike: a counter that jumps must not outweigh everything else.
FARTHEST = 10.0
# A scale is at least this share of the level (a series may not move at all in health), and of the
# largest distance from it that health has seen (a single blip makes a tiny deviation of a still one).
LEVEL_FLOOR, REACH_FLOOR = 0.01, 0.05
# A calendar that explains less of what it has not seen is left out: it would only add noise.
LEAST_EXPLAINED = 0.1
RIDGE = 1e-2


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """Level, scale and calendar of series, of any leading shape.

    Attributes:
        level: float32, mean of the healthy samples; NaN where there are none.
        scale: float32, positive; NaN where nothing is known of how the series varies.
        periods: the calendar's periods in nanoseconds, none where history did not cover them.
        calendar: float32, shape (..., features): what to add to the level by time of day and week.
    """

    level: Floats
    scale: Floats
    periods: tuple[int, ...]
    calendar: Floats

    @classmethod
    def fit(cls, values: Floats, times: Times, healthy: Bools | None = None) -> Self:
        """Learn from healthy samples.

        Args:
            values: shape (..., T), NaN where missing.
            times: shape (T,).
            healthy: shape (T,), False where samples are cut out.
        """
        if healthy is not None and not healthy.all():
            values, times = values[..., healthy], times[healthy]
        missing = np.isnan(values)
        count = len(times) - missing.sum(axis=-1) if missing.any() else np.full(values.shape[:-1], len(times))
        rest = np.where(missing, np.float32(0), values)
        periods = covered_periods(times)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            level = rest.sum(axis=-1) / np.maximum(count, 1).astype(np.float32)
            rest -= level[..., None]
            rest[missing] = 0
            calendar = _fit_calendar(rest, calendar_features(times, periods))
            if calendar.any():
                rest -= calendar @ calendar_features(times, periods).T
                rest[missing] = 0
            scale = _spread(rest, count)
            scale = np.maximum(scale, LEVEL_FLOOR * np.abs(level))
        known = (count > 0) & np.isfinite(level)
        return cls(
            level=np.where(known, level, np.float32(np.nan)),
            scale=np.where(known & (scale > 0) & np.isfinite(scale), scale, np.float32(np.nan)),
            periods=periods,
            calendar=calendar,
        )

    def apply(self, values: Floats, times: Times) -> Floats:
        """Samples in scales from their level, clipped to +-10: float32, shape (..., T), NaN where unknown."""
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = values - self.level[..., None]
            if self.periods and bool(self.calendar.any()):
                scaled -= self.calendar @ calendar_features(times, self.periods).T
            scaled /= self.scale[..., None]
        np.clip(scaled, -FARTHEST, FARTHEST, out=scaled)
        out: Floats = scaled.astype(np.float32, copy=False)
        return out


def _spread(rest: Floats, count: npt.NDArray[Any]) -> Floats:
    """Standard deviation, or a share of the largest deviation where that is more: shape (...)."""
    # Taken by themselves: rows are reduced one by one, so that a series' neighbours do not matter.
    reach = np.maximum(rest.max(axis=-1, initial=0), -rest.min(axis=-1, initial=0))
    unit = rest / np.where(reach > 0, reach, 1)[..., None]  # squares of bytes would overflow
    mean = np.square(unit, out=unit).sum(axis=-1) / np.maximum(count, 1).astype(np.float32)
    out: Floats = reach * np.maximum(np.sqrt(mean), np.float32(REACH_FLOOR))
    return out


def _fit_calendar(rest: Floats, features: Floats) -> Floats:
    """Coefficients of the calendar, 0 where it does not help: float32, shape (..., features).

    Both halves of the history are foretold from the other; what does not foretell is not kept.
    """
    shape = (*rest.shape[:-1], features.shape[1])
    if not features.shape[1]:
        return np.zeros(shape, np.float32)
    half = rest.shape[-1] // 2
    before, after = np.zeros(rest.shape[:-1]), np.zeros(rest.shape[:-1])
    for learn, check in ((slice(half), slice(half, None)), (slice(half, None), slice(half))):
        expected = _regress(rest[..., learn], features[learn]) @ features[check].T
        before += np.square(rest[..., check]).sum(axis=-1)
        after += np.square(rest[..., check] - expected).sum(axis=-1)
    helps = after < (1 - LEAST_EXPLAINED) * before
    return np.where(helps[..., None], _regress(rest, features), np.float32(0)).astype(np.float32)


def _regress(rest: Floats, features: Floats) -> Floats:
    """Least squares with a small ridge; a missing sample counts as what is expected without a calendar."""
    gram = features.T.astype(np.float64) @ features + RIDGE * len(features) * np.eye(features.shape[1])
    weights = np.linalg.solve(gram, features.T.astype(np.float64)).astype(np.float32)
    out: Floats = rest @ weights.T
    return out
