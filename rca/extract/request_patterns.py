"""Deviations of request patterns: "requests that have A, do they still have B?", as log10 ratios."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rca.likelihood import binomial_ratio

Array = npt.NDArray[Any]

# Only what follows (almost) always or (almost) never in health is a pattern. Sharper bounds lose
# patterns to a contaminated baseline, wider ones find noise; .05 to .4 give the same on Nezha.
EXTREME_SHARE = 0.2
FEWEST_HEALTHY, FEWEST_NOW = 5, 2


def deviations(k1: Array, n1: Array, k0: Array, n0: Array, dispersion: Array) -> Array:
    """Signed log10 ratio of each pattern, divided by its over-dispersion; 0 where it is no pattern.

    Positive: B is new after A; negative: B is missing after A. All arrays broadcast.
    """
    share = (k0 + 0.5) / (n0 + 1.0)
    usual = (share <= EXTREME_SHARE) | (share >= 1 - EXTREME_SHARE)
    known = (n1 >= FEWEST_NOW) & (n0 >= FEWEST_HEALTHY) & usual
    return np.where(known, binomial_ratio(k1, n1, k0, n0) / dispersion, 0.0)


def strongest_by_group(values: Array, group: Array, groups: int) -> Array:
    """The largest value of each group, at least 0: shape (groups,) or (groups, columns)."""
    out = np.zeros((groups, *values.shape[1:]))
    if len(values):
        order = np.argsort(group, kind="stable")
        sorted_group = group[order]
        begins = np.flatnonzero(np.diff(sorted_group, prepend=-1) != 0)
        out[sorted_group[begins]] = np.maximum(np.maximum.reduceat(values[order], begins, axis=0), 0.0)
    return out
