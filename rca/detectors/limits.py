"""From residuals to deviations: what they are in health, and how far healthy windows reach."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rca.detectors.batch import Residuals
from rca.telemetry import Bools, Floats

# A residual below a fifth of what its series varies by is none, however well a network foretells it.
LEAST_UNIT = 0.22
# Healthy windows reach the quantile; the margin is for those that were not seen.
QUANTILE, MARGIN = 0.99, 1.5
# Of what should be known of a component in a window; of less it is not judged.
LEAST_KNOWN = 0.5


def healthy_unit(power: Floats) -> Floats:
    """Root mean square of healthy residuals: shape (C, N, M) to (C, M), NaN where nothing is known."""
    known = ~np.isnan(power)
    count = known.sum(axis=1)
    mean = np.where(known, power, np.float32(0)).sum(axis=1) / np.maximum(count, 1).astype(np.float32)
    return np.where(count > 0, np.maximum(np.sqrt(mean), np.float32(LEAST_UNIT)), np.float32(np.nan))


def metric_deviations(residuals: Residuals, unit: Floats) -> Floats:
    """Signed root mean square over each window, in units: shape (C, N, M), NaN where unknown."""
    size = np.copysign(np.sqrt(residuals.power), residuals.newest) / unit[:, None]
    return np.where(np.isnan(residuals.newest), np.float32(np.nan), size)


def component_deviations(residuals: Residuals, unit: Floats, judged: Bools) -> Floats:
    """What the whole deviates by, or the mean over its metrics in units: shape (C, N), NaN where unknown."""
    if residuals.whole is not None:
        return np.where(judged, residuals.whole, np.float32(np.nan))
    size = np.sqrt(residuals.power) / unit[:, None]
    known = ~np.isnan(size)
    count = known.sum(axis=2)
    mean = np.where(known, size, np.float32(0)).sum(axis=2) / np.maximum(count, 1).astype(np.float32)
    return np.where((count > 0) & judged, mean, np.float32(np.nan))


def persistent_deviations(newest: Floats, unit: Floats, size: int) -> Floats:
    """Signed mean of the last ``size`` residuals, in units: shape (C, T, M), NaN where less than half is known.

    Residuals of healthy samples cancel out; those of a relation that broke have one sign.
    """
    known = ~np.isnan(newest)
    in_units = np.where(known, newest / unit[:, None], np.float32(0))
    total, count = (_trailing_sum(part, size) for part in (in_units, known))
    mean = total / np.maximum(count, 1)
    return np.where(count >= size // 2, mean, np.nan).astype(np.float32)


def _trailing_sum(values: npt.NDArray[Any], size: int) -> npt.NDArray[np.float64]:
    """Sums of the last ``size`` along the second axis."""
    total = np.cumsum(values, axis=1, dtype=np.float64)
    total[:, size:] -= total[:, :-size].copy()
    return total


def healthy_limit(deviations: Floats, least: float = 1.0) -> Floats:
    """What healthy windows hardly pass, at least ``least``: shape (C, N, ...) to (C, ...), NaN without any."""
    if not deviations.shape[1]:
        return np.full((*deviations.shape[:1], *deviations.shape[2:]), np.nan, np.float32)
    size = np.sort(np.ascontiguousarray(np.moveaxis(np.abs(deviations), 1, -1)))
    count = (~np.isnan(size)).sum(axis=-1, keepdims=True)
    place = np.floor(QUANTILE * np.maximum(count - 1, 0)).astype(np.int64)
    reached = np.take_along_axis(size, place, axis=-1)[..., 0]
    return np.maximum(np.float32(least), np.float32(MARGIN) * reached)


def score_of(deviations: Floats, limit: Floats | np.float32) -> Floats:
    """Score in [0, 1], one half at the limit, 0 where unknown; same shape as the deviations."""
    size = np.abs(deviations) / limit
    size = np.where(np.isnan(size), np.float32(0), np.minimum(size, np.finfo(np.float32).max))
    return np.asarray(size / (1 + size), np.float32)


def judged_windows(samples: Floats, known_series: Bools, size: int) -> Bools:
    """Where enough of a component is known to judge it: shape (C, T).

    Args:
        samples: shape (C, T, M), NaN where missing.
        known_series: shape (C, M), the series that history had.
        size: samples of a window.
    """
    ends = np.arange(1, samples.shape[1] + 1)
    if bool(known_series.all()) and not np.isnan(samples).any():
        return np.tile(ends >= LEAST_KNOWN * size, (len(samples), 1))
    known: npt.NDArray[np.int64] = (~np.isnan(samples)).sum(axis=2)
    total = np.concatenate([np.zeros((len(known), 1), np.int64), np.cumsum(known, axis=1)], axis=1)
    inside = total[:, ends] - total[:, np.maximum(ends - size, 0)]
    due = size * known_series.sum(axis=1)[:, None]
    enough: Bools = (inside >= LEAST_KNOWN * due) & (inside > 0)
    return enough
