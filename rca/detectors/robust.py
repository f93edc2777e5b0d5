"""The robust detector: median and inter-quartile range, floors on the scale, two samples in a row.

The default, and what answers where another detector cannot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rca.detectors.quantiles import sorted_quantiles
from rca.errors import DetectorError
from rca.series import SeriesNames
from rca.telemetry import MetricFrame

# IQR of a normal distribution in standard deviations.
IQR_TO_SD = 1.349
# A scale below a tenth of the level, or a twentieth of what this metric varies by elsewhere, is
# taken for that: many series do not move at all in health, and byte counters would win every time.
LEVEL_FLOOR, PEER_FLOOR = 0.1, 0.05
# What healthy samples reach: the 99.5th percentile over all components, the 98th of its own.
POOLED_QUANTILE, OWN_QUANTILE = 0.995, 0.98
FEWEST_POOLED = 100
# Scales from the level, where more would overflow what is reckoned further with.
FARTHEST = 1e30


@dataclass(frozen=True, kw_only=True)
class RobustDetector:
    """Healthy level, scale and limit of each (component, metric, peer).

    Attributes:
        series: what each of them is called.
        median, scale: float32, shape (series,); scale NaN where a series never had a sample.
        upper, lower: what two successive healthy samples reach upwards and downwards, in scales,
            at least 1; float32, shape (series,).
    """

    series: SeriesNames
    median: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]
    upper: npt.NDArray[np.float32]
    lower: npt.NDArray[np.float32]

    @classmethod
    def fit(cls, history: MetricFrame) -> Self:
        """Learn level, scale and limits from healthy samples; see ``Detector``."""
        if history.values.shape[0] == 0:
            raise DetectorError("the history has no series", remedy="Give at least one healthy series")
        low, median, high = sorted_quantiles(history.values, (0.25, 0.5, 0.75))
        scale = np.maximum((high - low) / IQR_TO_SD, LEVEL_FLOOR * np.abs(median))
        scale = np.maximum(scale, PEER_FLOOR * _median_by_metric(scale, history))
        scale = np.where(scale > 0, scale, np.nan).astype(np.float32)
        z = _distance(history.values, median, scale)
        return cls(
            series=SeriesNames.of(history),
            median=median,
            scale=scale,
            upper=_limits(persistent(z), history.metric),
            lower=_limits(persistent(-z), history.metric),
        )

    def deviations(self, window: MetricFrame) -> npt.NDArray[Any]:
        """Signed, persistent deviations in units of the healthy limit, shape (series, time).

        A sample counts as far as the one before it agrees; NaN where unknown.
        """
        at = self.find(window)
        known = at >= 0
        at = np.where(known, at, 0)
        if not len(self.series):
            return np.full(window.values.shape, np.nan, np.float32)
        z = _distance(window.values, self.median[at], self.scale[at])
        up = persistent(z) / self.upper[at][:, None]
        down = persistent(-z) / self.lower[at][:, None]
        signed = np.where(up >= down, up, -down)
        return np.where(known[:, None], signed, np.nan).astype(np.float32)

    def score(self, window: MetricFrame) -> npt.NDArray[np.float32]:
        """x / (1 + x) of the deviation in healthy limits; see ``Detector``."""
        size = np.nan_to_num(np.abs(self.deviations(window)), nan=0.0)
        scores: npt.NDArray[np.float32] = (size / (1.0 + size)).astype(np.float32)
        return scores

    def find(self, window: MetricFrame) -> npt.NDArray[np.int64]:
        """The row of each of the window's series, -1 where it was not in the history."""
        return self.series.find(window)


def persistent(z: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The smaller of each sample and the one before it; NaN where either is missing."""
    out = np.full_like(z, np.nan)
    if z.shape[1] > 1:
        out[:, 1:] = np.minimum(z[:, 1:], z[:, :-1])
    return out


def _distance(values: npt.NDArray[Any], median: npt.NDArray[Any], scale: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Signed distance of each sample from its level in scales, finite or NaN."""
    with np.errstate(over="ignore"):
        z: npt.NDArray[Any] = (values - median[:, None]) / scale[:, None]
    return np.clip(z, -FARTHEST, FARTHEST, out=z)


def _median_by_metric(scale: npt.NDArray[Any], frame: MetricFrame) -> npt.NDArray[Any]:
    """For each series the median scale of its metric over all components."""
    out = np.zeros(len(scale), np.float32)
    for metric in np.unique(frame.metric):
        rows = frame.metric == metric
        finite = scale[rows][np.isfinite(scale[rows])]
        out[rows] = np.median(finite) if finite.size else 0.0
    return out


def _limits(z: npt.NDArray[Any], metric: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    own = np.nan_to_num(sorted_quantiles(z, (OWN_QUANTILE,))[0], nan=0.0)
    pooled = np.ones(len(metric), np.float32)
    for code in np.unique(metric):
        rows = metric == code
        values = z[rows]
        finite = values[np.isfinite(values)]
        if finite.size >= FEWEST_POOLED:
            pooled[rows] = max(1.0, float(np.quantile(finite, POOLED_QUANTILE)))
    limits: npt.NDArray[np.float32] = np.maximum(np.maximum(own, pooled), 1.0).astype(np.float32)
    return limits
