"""A short window against a long one: how surely errors have risen of late, whatever their usual size.

The anomaly likelihood of IBM's monitors (Islam et al., "Anomaly Detection in Cloud Components",
arXiv 2005.08739; "Anomaly Detection in Large-Scale Cloud Systems", arXiv 2411.09047).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

Array = npt.NDArray[Any]

# The published windows, in samples.
SHORT, LONG = 2, 30
# The published limit: 3.2 standard deviations of the long window.
ALARM = 0.9996
_NO_SPREAD = 1e-10


def anomaly_likelihood(errors: Array, *, short: int = SHORT, long: int = LONG) -> npt.NDArray[np.float64]:
    """How surely the mean error of the last ``short`` samples lies above that of the last ``long`` ones.

    L = 0.5 + 0.5 Phi((mean of the short window - mean of the long one) / deviation of the long one).

    Args:
        errors: shape (..., time), not negative; NaN where unknown.
        short, long: samples, ``short`` < ``long``.

    Returns:
        Shape (..., time), in [0.5, 1]; 0.5 until the long window is full, and where the short one is empty. A
        value depends on its sample and on earlier ones only.
    """
    recent, count, _ = _moments(errors, short)
    usual, known, spread = _moments(errors, long)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (recent - usual) / (spread + _NO_SPREAD)
    out = 0.5 + 0.5 * ndtr(np.nan_to_num(z, nan=-np.inf))
    out[(count == 0) | (known < 2)] = 0.5
    out[..., : long - 1] = 0.5
    return np.asarray(out, np.float64)


def trailing_mean(values: Array, size: int, *, least: int = 1) -> npt.NDArray[np.float64]:
    """The mean of the known values among the last ``size``, NaN where fewer than ``least``: shape (..., time)."""
    mean, count, _ = _moments(values, size)
    return np.where(count >= least, mean, np.nan)


def _moments(values: Array, size: int) -> tuple[Array, Array, Array]:
    """Mean, number and standard deviation of the known values among the last ``size``."""
    known = np.isfinite(values)
    # One row after the other in memory: how a sum is grouped must not depend on a row's neighbours.
    filled = np.ascontiguousarray(np.where(known, values, 0.0), np.float64)
    level = filled.sum(axis=-1, keepdims=True) / np.maximum(known.sum(axis=-1, keepdims=True), 1)
    rest = np.where(known, filled - level, 0.0)  # differences of running sums lose digits far from 0
    count = np.maximum(_last(known.astype(np.float64), size), 0.0)
    least = np.maximum(count, 1.0)
    mean = _last(rest, size) / least
    variance = np.maximum(_last(rest * rest, size) / least - mean * mean, 0.0)
    return mean + level, np.rint(count), np.sqrt(variance)


def _last(values: Array, size: int) -> Array:
    """Sums of the last ``size`` values."""
    total = np.cumsum(values, axis=-1)
    before = np.zeros_like(total)
    before[..., size:] = total[..., :-size]
    return np.asarray(total - before)
