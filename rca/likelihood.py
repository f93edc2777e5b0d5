"""Likelihood ratios, in powers of ten: how much likelier the window is if it differs from health."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

LN10 = float(np.log(10.0))
Array = npt.NDArray[Any]


def binomial_ratio(k1: Array, n1: Array, k0: Array, n0: Array) -> Array:
    """log10 likelihood ratio of two binomial rates against one pooled rate, signed by the window's.

    Args:
        k1, n1: successes and trials in the window.
        k0, n0: the same in health; half a success in one more trial is added (Jeffreys-like), so
            that what was never seen is not impossible.

    Returns:
        >= 0 where the window's rate is higher than in health, <= 0 where it is lower.
    """
    hits, trials = k0 + 0.5, n0 + 1.0
    window = k1 / np.maximum(n1, 1e-9)
    health = hits / trials
    pooled = (k1 + hits) / (n1 + trials)
    gain = (
        _log_likelihood(k1, n1, window)
        + _log_likelihood(hits, trials, health)
        - _log_likelihood(k1, n1, pooled)
        - _log_likelihood(hits, trials, pooled)
    )
    ratio: Array = np.sign(window - health) * np.maximum(gain, 0.0) / LN10
    return ratio


def _log_likelihood(k: Array, n: Array, p: Array) -> Array:
    p = np.clip(p, 1e-9, 1 - 1e-9)
    total: Array = k * np.log(p) + (n - k) * np.log1p(-p)
    return total


def saturate(x: Array, scale: Array | float) -> Array:
    """x / (x + scale): evidence of any size brought to [0, 1); one half at the scale; 0 below zero."""
    x = np.maximum(np.asarray(x, np.float64), 0.0)
    return x / (x + scale)
