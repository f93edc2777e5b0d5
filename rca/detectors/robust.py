"""The robust detector: median and inter-quartile range, floors on the scale, two samples in a row.

The default, and what answers where another detector cannot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rca.detectors.history import cut_out
from rca.detectors.protocol import ComponentScores, State
from rca.detectors.quantiles import sorted_quantiles
from rca.detectors.state import same_detector, series_state, take_array, take_series
from rca.series import SeriesNames
from rca.telemetry import MetricFrame
from rca.types import Window

NAME = "robust"

# IQR of a normal distribution in standard deviations.
IQR_TO_SD = 1.349
# A scale below a tenth of the level, or a twentieth of what this metric varies by elsewhere, is
# taken for that: many series do not move at all in health, and byte counters would win every time.
LEVEL_FLOOR, PEER_FLOOR = 0.1, 0.05
# What healthy samples reach: the 99.5th percentile over all components, the 98th of its own.
POOLED_QUANTILE, OWN_QUANTILE = 0.995, 0.98
FEWEST_POOLED = 100
# Series looked at in one go: what fits into a processor's own cache.
BLOCK = 1024
# Scales from the level, where more would overflow what is reckoned further with.
FARTHEST = 1e30
COLUMNS = ("median", "scale", "upper", "lower")


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
    def fit(cls, history: MetricFrame, *, seed: int = 0, excluded: Sequence[Window] = ()) -> Self:
        """Learn level, scale and limits from healthy samples, nothing at random; see ``Detector``."""
        history = cut_out(history, excluded)
        low, median, high = sorted_quantiles(history.values, (0.25, 0.5, 0.75))
        scale = np.maximum((high - low) / IQR_TO_SD, LEVEL_FLOOR * np.abs(median))
        scale = np.maximum(scale, PEER_FLOOR * _median_by_metric(scale, history))
        scale = np.where(scale > 0, scale, np.nan).astype(np.float32)
        upper, lower = _limits(history, median, scale)
        return cls(series=SeriesNames.of(history), median=median, scale=scale, upper=upper, lower=lower)

    def deviations(self, window: MetricFrame) -> npt.NDArray[Any]:
        """Signed, persistent deviations in units of the healthy limit, shape (series, time).

        A sample counts as far as the one before it agrees; NaN where unknown.
        """
        signed = np.empty(window.values.shape, np.float32)
        for rows, size, upwards in self._deviate(window):
            np.multiply(size, 2 * upwards.astype(np.float32) - 1, out=signed[rows])
        return signed

    def score(self, window: MetricFrame) -> npt.NDArray[np.float32]:
        """x / (1 + x) of the deviation in healthy limits; see ``Detector``."""
        scores = np.empty(window.values.shape, np.float32)
        for rows, size, _ in self._deviate(window):
            np.abs(size, out=size)
            size[np.isnan(size)] = 0.0
            np.divide(size, 1.0 + size, out=scores[rows])
        return scores

    def score_components(self, window: MetricFrame) -> ComponentScores:
        """The highest score of a component's series; see ``Detector``."""
        return ComponentScores(components=window.components, scores=highest_by_component(window, self.score(window)))

    def to_state(self) -> State:
        """Names, levels, scales and limits; see ``Detector``."""
        config, arrays = series_state(self.series)
        columns = {name: getattr(self, name) for name in COLUMNS}
        return State(config={"detector": NAME, **config}, arrays={**arrays, **columns})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """The reverse of ``to_state``; see ``Detector``."""
        same_detector(state, NAME)
        series = take_series(state)
        columns = {name: take_array(state, name, (len(series),), missing=True) for name in COLUMNS}
        return cls(series=series, **columns)

    def _deviate(self, window: MetricFrame) -> Iterator[tuple[slice, npt.NDArray[np.float32], npt.NDArray[np.bool_]]]:
        """Blocks of series, by how much they deviate (the next block overwrites it), and whether upwards."""
        at = self.find(window)
        # Row -1, the last, stands for what is not known.
        columns = (self.median, self.scale, self.upper, self.lower)
        median, scale, upper, lower = (np.append(column, np.float32(np.nan)) for column in columns)
        low, high = (np.empty((BLOCK, window.values.shape[1]), np.float32) for _ in range(2))
        for rows in _blocks(len(at)):
            own = at[rows]
            up, down = low[: len(own)], high[: len(own)]
            _compare_neighbours(window.values[rows], median[own], scale[own], up, down)
            up /= upper[own][:, None]
            down /= -lower[own][:, None]
            upwards = up >= down
            yield rows, np.maximum(up, down, out=up), upwards

    def find(self, window: MetricFrame) -> npt.NDArray[np.int64]:
        """The row of each of the window's series, -1 where it was not in the history."""
        return self.series.find(window)


def highest_by_component(window: MetricFrame, scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The highest score of each component's series, 0 for one without series: shape (components, time)."""
    out = np.zeros((len(window.components), scores.shape[1]), np.float32)
    order = np.argsort(window.component, kind="stable")
    components, begins = np.unique(window.component[order], return_index=True)
    if len(components):
        out[components] = np.maximum.reduceat(scores[order], begins, axis=0)
    return out


def _blocks(series: int) -> Iterator[slice]:
    for start in range(0, series, BLOCK):
        yield slice(start, start + BLOCK)


def _compare_neighbours(
    values: npt.NDArray[Any],
    median: npt.NDArray[Any],
    scale: npt.NDArray[Any],
    low: npt.NDArray[np.float32],
    high: npt.NDArray[np.float32],
) -> None:
    """Fills ``low`` and ``high`` of a block: finite, NaN where a sample, the one before it or the scale is missing."""
    with np.errstate(over="ignore"):
        z = values - median[:, None]
        z /= scale[:, None]
    np.clip(z, -FARTHEST, FARTHEST, out=z)
    # One row after the other, as if they were one: only the first column is compared with a stranger.
    flat = z.reshape(-1)
    for take, out in ((np.minimum, low), (np.maximum, high)):
        take(flat[1:], flat[:-1], out=out.reshape(-1)[1:])
        out[:, :1] = np.nan


def _median_by_metric(scale: npt.NDArray[Any], frame: MetricFrame) -> npt.NDArray[Any]:
    """For each series the median scale of its metric over all components."""
    out = np.zeros(len(scale), np.float32)
    for metric in np.unique(frame.metric):
        rows = frame.metric == metric
        finite = scale[rows][np.isfinite(scale[rows])]
        out[rows] = np.median(finite) if finite.size else 0.0
    return out


def _limits(
    history: MetricFrame, median: npt.NDArray[Any], scale: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """What the samples of each series reach upwards and downwards, own or pooled: shape (series,) each."""
    values, metric = history.values, history.metric
    found: tuple[list[tuple[Any, Any]], list[tuple[Any, Any]]] = ([], [])
    samples = np.zeros(int(metric.max(initial=-1)) + 1, np.int64)
    low, high = (np.empty((BLOCK, values.shape[1]), np.float32) for _ in range(2))
    for rows in _blocks(len(values)):
        up, down = low[: len(metric[rows])], high[: len(metric[rows])]
        _compare_neighbours(values[rows], median[rows], scale[rows], up, down)
        np.negative(down, out=down)
        missing = np.isnan(up)
        # Counting row by row is slow, and seldom needed: the first column alone is missing everywhere.
        gaps = np.count_nonzero(missing, axis=1) if np.count_nonzero(missing) > len(up) else 1
        samples += np.bincount(metric[rows], up.shape[1] - gaps + np.zeros(len(up)), len(samples)).astype(np.int64)
        for side, beyond in zip((up, down), found, strict=True):
            place = np.flatnonzero(side.reshape(-1) > 1.0)
            beyond.append((rows.start + place // values.shape[1], side.reshape(-1)[place]))
    limits = []
    for sign, beyond in zip((1, -1), found, strict=True):
        row, reached = (np.concatenate(part) for part in zip(*beyond, strict=True))
        pooled = _pooled(reached, metric[row], samples)[metric]
        # Only series that pass what all reach can reach more themselves.
        far = np.flatnonzero(np.bincount(row[reached > pooled[row]], minlength=len(metric)))
        own = [np.empty((len(far), values.shape[1]), np.float32) for _ in range(2)]
        _compare_neighbours(values[far], median[far], scale[far], *own)
        highest = sorted_quantiles(own[0] if sign > 0 else -own[1], (OWN_QUANTILE,))[0]
        pooled[far] = np.fmax(pooled[far], highest)
        limits.append(pooled)
    return limits[0], limits[1]


def _pooled(
    reached: npt.NDArray[np.float32], metric: npt.NDArray[Any], samples: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """What the samples of each metric reach, from those above 1 and the number of all: shape (metrics,)."""
    out = np.ones(len(samples), np.float32)
    order = np.argsort(metric, kind="stable")
    codes, begins = np.unique(metric[order], return_index=True)
    for code, above in zip(codes.tolist(), np.split(reached[order], begins[1:]), strict=False):
        out[code] = _top_quantile(above, int(samples[code]), POOLED_QUANTILE)
    return out


def _top_quantile(above: npt.NDArray[np.float32], count: int, quantile: float) -> float:
    """The quantile of ``count`` samples of which those above 1 are given, at least 1; 1 for few samples."""
    place = quantile * (count - 1)
    first = count - len(above)  # the place of the lowest that is above 1
    low = int(place)
    if count < FEWEST_POOLED or low + 1 < first:
        return 1.0
    pair = [max(low - first, 0), min(low + 1 - first, len(above) - 1)]
    found = np.partition(above, pair)[pair].astype(float)
    lower, upper = float(found[0]) if low >= first else 1.0, float(found[1])
    return max(1.0, lower + (place - low) * (upper - lower))
