"""Calibration: whether what is believed by 80 % is right in 80 % of the incidents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BINS = 10


def calibration_error(confidence: Sequence[float], right: Sequence[bool], *, bins: int = BINS) -> float:
    """Expected calibration error over bins of equal mass (Nixon et al., CVPR workshops 2019), in [0, 1].

    The mean over bins of |mean confidence - share right|, weighted by the incidents in each; 0 for none.
    """
    stated, true = np.asarray(confidence, np.float64), np.asarray(right, np.float64)
    if not stated.size:
        return 0.0
    parts = np.array_split(np.argsort(stated, kind="stable"), min(bins, stated.size))
    return float(sum(part.size * abs(stated[part].mean() - true[part].mean()) for part in parts) / stated.size)
