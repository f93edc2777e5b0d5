"""Causal windows over the samples of many components, and which of them may be learnt from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.series import Rows
from rca.telemetry import Bools, Times
from rca.types import Window

WINDOW = 12
# Of the history, in blocks spread over all of it, for deciding and calibrating.
BLOCKS, HELD_OUT_EVERY = 20, 5
# A window longer than this many times its due has a hole in the time axis.
_LONGEST = 1.5


def healthy_times(times: Times, excluded: Sequence[Window]) -> Bools:
    """Which samples are of none of the excluded windows: shape (time,).

    A sample describes the step before it, so that the first one after a window goes as well.
    """
    healthy = np.ones(len(times), bool)
    step = max(int(np.median(np.diff(times))), 1) if len(times) > 1 else 1
    for window in excluded:
        healthy &= (times < window.start) | ((times >= window.end + step) & (times > window.start))
    return healthy


def window_ends(times: Times, healthy: Bools, size: int = WINDOW) -> Rows:
    """Last samples of the windows that are whole, healthy throughout, and not torn by a gap in time."""
    if len(times) < size:
        return np.zeros(0, np.int64)
    ends = np.arange(size - 1, len(times))
    ill = np.concatenate([[0], np.cumsum(~healthy)])
    whole = ill[ends + 1] == ill[ends + 1 - size]
    due = float(np.median(np.diff(times))) * (size - 1) if len(times) > 1 else 0.0
    unbroken: Bools = times[ends] - times[ends + 1 - size] <= _LONGEST * due
    return np.asarray(ends[whole & unbroken], np.int64)


def split_ends(ends: Rows, length: int, size: int = WINDOW) -> tuple[Rows, Rows]:
    """Windows to learn from and windows held out, without a sample in common.

    Every fifth of twenty blocks of the history is held out, so that both see all hours; a history
    too short for that is used for both.

    Args:
        ends: last samples of the windows.
        length: samples of the history.
    """
    block = max(-(-length // BLOCKS), 1)
    if block <= size:
        return ends, ends
    last, first = ends // block % HELD_OUT_EVERY, (ends + 1 - size) // block % HELD_OUT_EVERY
    held = HELD_OUT_EVERY // 2
    learn, keep = ends[(last != held) & (first != held)], ends[(last == held) & (first == held)]
    return (learn, keep) if len(learn) and len(keep) else (ends, ends)


def window_view(samples: npt.NDArray[Any], size: int = WINDOW) -> npt.NDArray[Any]:
    """All windows of samples in time order, without a copy: shape (C, T, size x M).

    Window t of the result ends with sample t; what lies before the first sample is 0, or False.

    Args:
        samples: shape (C, T, M): time before metrics, so that a window is one stretch of memory.
    """
    components, length, metrics = samples.shape
    padded = np.zeros((components, size - 1 + length, metrics), samples.dtype)
    padded[:, size - 1 :] = samples
    shape = (components, length, size * metrics)
    return np.lib.stride_tricks.as_strided(padded, shape, padded.strides, writeable=False)


def fill_forward(samples: npt.NDArray[Any], limit: int = WINDOW) -> npt.NDArray[Any]:
    """Samples with holes filled: by the last known value for up to ``limit`` samples, then by 0, the mean.

    For what a network takes in; what it gives out is compared with known samples only.

    Args:
        samples: in scales from the level, shape (C, T, M), NaN where missing.
    """
    missing = np.isnan(samples)
    if not missing.any():
        return samples
    at = np.where(missing, -1, np.arange(samples.shape[1])[:, None])
    last = np.maximum.accumulate(at, axis=1)
    known = (last >= 0) & (np.arange(samples.shape[1])[:, None] - last < limit)
    filled = np.take_along_axis(samples, np.maximum(last, 0), axis=1)
    return np.where(known, filled, samples.dtype.type(0))
