"""When a detected anomaly began: from its peak back to where the deviation left the healthy range."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

# The limit that healthy scores hardly pass.
LIMIT = 0.5
# So many quiet samples in a row end the way back: an anomaly may fall silent for a sample or two.
LONGEST_GAP = 2


def walk_back(scores: npt.NDArray[Any], peak: int, *, limit: float = LIMIT, gap: int = LONGEST_GAP) -> int:
    """The first sample of the run of scores above the limit that leads to a peak.

    Args:
        scores: shape (time,), in [0, 1]; NaN where unknown, which neither ends the way nor counts.
        peak: index of the sample to start from.
        limit: what a score has to pass.
        gap: quiet samples in a row that are bridged.
    """
    first, quiet = peak, 0
    for at in range(peak, -1, -1):
        score = float(scores[at])
        if np.isnan(score):
            continue
        if score > limit:
            first, quiet = at, 0
        else:
            quiet += 1
            if quiet > gap:
                break
    return first
