"""Bootstrap intervals: how far a mean over incidents could be off, had other incidents happened."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SAMPLES = 2_000
LEVEL = 0.95


def interval(
    values: npt.NDArray[np.float64], *, seed: int = 0, samples: int = SAMPLES, level: float = LEVEL
) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean (Efron, 1979).

    Args:
        values: one per incident, shape (incidents,).
        seed: the same seed gives the same interval.
        samples: how often incidents are drawn anew.
        level: share of the drawn means inside the interval.

    Returns:
        (low, high); (0, 0) where there are no incidents.
    """
    size = len(values)
    if not size:
        return 0.0, 0.0
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(size, np.full(size, 1.0 / size), size=samples)  # (samples, incidents)
    low, high = np.quantile(counts @ values / size, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)
