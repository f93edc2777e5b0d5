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
    _pick(out, slice(None), ordered, quantiles)  # as if no sample were missing
    partial = np.flatnonzero(np.isnan(ordered[:, -1]))
    count = length - np.count_nonzero(np.isnan(ordered[partial]), axis=1)
    for known in np.unique(count[count > 0]).tolist():
        rows = partial[count == known]
        _pick(out, rows, ordered[rows, :known], quantiles)
    return out


def _pick(
    out: npt.NDArray[np.float32],
    rows: npt.NDArray[Any] | slice,
    ordered: npt.NDArray[Any],
    quantiles: Sequence[float],
) -> None:
    """Put the quantiles of sorted rows without NaN into columns of ``out``."""
    last = ordered.shape[1] - 1
    for i, q in enumerate(quantiles):
        place = q * last
        low = int(place)
        lower, upper = ordered[:, low], ordered[:, min(low + 1, last)]
        out[i, rows] = lower + np.float32(place - low) * (upper - lower)
