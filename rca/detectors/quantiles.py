"""Quantiles of many series at once, with missing samples: one sort, then an index by valid count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def sorted_quantiles(values: npt.NDArray[Any], quantiles: Sequence[float]) -> npt.NDArray[np.float32]:
    """Quantiles per row, linearly interpolated, ignoring NaN.

    Sorting puts NaN last, so that the valid samples of a row are its first ``count``; this is one
    sort for all rows instead of one call per row.

    Args:
        values: shape (series, time).
        quantiles: in [0, 1].

    Returns:
        Shape (quantiles, series), NaN for rows without a valid sample.
    """
    series, length = values.shape
    out = np.full((len(quantiles), series), np.nan, np.float32)
    if length == 0 or series == 0:
        return out
    ordered = np.sort(values, axis=1)
    count = length - np.isnan(ordered).sum(axis=1)
    rows = np.arange(series)
    last = np.maximum(count - 1, 0)
    for i, q in enumerate(quantiles):
        place = q * last
        low = place.astype(np.int64)
        high = np.minimum(low + 1, last)
        part = (place - low).astype(np.float32)
        lower, upper = ordered[rows, low], ordered[rows, high]
        out[i] = lower + part * (upper - lower)
    return out
