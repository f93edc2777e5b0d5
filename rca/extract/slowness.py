"""Is a kind of call slower than in health? A likelihood ratio of the share of slow calls, per candidate onset."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rca.health.edges import EdgeHealth

Array = npt.NDArray[Any]

# A slow edge has 60 % of its calls beyond the healthy limit, which health passes in 5 %.
SLOW_SHARE, HEALTHY_SHARE = 0.6, 0.05
IF_SLOW = float(np.log10(SLOW_SHARE / HEALTHY_SHARE))
IF_NORMAL = float(np.log10((1 - SLOW_SHARE) / (1 - HEALTHY_SHARE)))
# No edge counts for more than 30 calls: they are not independent.
MOST_CALLS = 30


def slow_ratios(
    health: EdgeHealth, names: tuple[str, ...], code: Array, start: Array, took: Array, onsets: Array, ends: Array
) -> tuple[Array, Array, Array]:
    """log10 likelihood ratio "slow against healthy" of each name, and slow and judged calls.

    Args:
        health: healthy durations by name.
        names: what ``code`` refers to.
        code, start, took: of each call: name, begin and duration in ns, shape (calls,).
        onsets, ends: candidate windows in ns, shape (candidates,).

    Returns:
        Ratios (negative where calls are *not* slow, 0 where health does not know the name), slow
        calls and judged calls, each of shape (names, candidates).
    """
    position = {name: i for i, name in enumerate(health.edges)}
    known = np.array([position.get(name, -1) for name in names] or [-1], np.int64)
    limit = np.append(health.limit, np.nan)[known[code]] if len(code) else np.zeros(0)
    usable = ~np.isnan(limit)
    code, start, late = code[usable], start[usable], (took > limit)[usable]
    judged = np.zeros((len(names), len(onsets)))
    slow = np.zeros((len(names), len(onsets)))
    for candidate, (a, b) in enumerate(zip(onsets, ends, strict=True)):
        inside = (start >= a) & (start < b)
        judged[:, candidate] = np.bincount(code[inside], minlength=len(names))
        slow[:, candidate] = np.bincount(code[inside & late], minlength=len(names))
    share = slow / np.maximum(judged, 1)
    ratio = np.minimum(judged, MOST_CALLS) * (share * IF_SLOW + (1 - share) * IF_NORMAL)
    return ratio, slow, judged
