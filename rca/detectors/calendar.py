"""Calendar features: where in the day and in the week a sample lies."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rca.telemetry import Times
from rca.types import MINUTE

DAY, WEEK = 1440 * MINUTE, 7 * 1440 * MINUTE
# Sines and cosines of a day are three harmonics (a working day is no sine), of a week one more.
HARMONICS = {DAY: 3, WEEK: 1}
# A period that was seen fewer times cannot be told from a trend or an accident.
FEWEST_PERIODS = 3


def covered_periods(times: Times) -> tuple[int, ...]:
    """Day and week, as far as the times cover them often enough to learn from."""
    span = int(times[-1] - times[0]) + _step(times) if len(times) > 1 else 0
    return tuple(period for period in HARMONICS if span >= FEWEST_PERIODS * period and _step(times) * 4 <= period)


def calendar_features(times: Times, periods: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Sine and cosine of each harmonic of each period: float32, shape (time, features), in [-1, 1].

    Weeks begin on Monday, days at midnight, UTC.
    """
    columns: list[npt.NDArray[Any]] = []
    for period in periods:
        # The epoch was a Thursday.
        phase = (times + 3 * DAY) % period / period
        for harmonic in range(1, HARMONICS[period] + 1):
            columns += [np.sin(2 * np.pi * harmonic * phase), np.cos(2 * np.pi * harmonic * phase)]
    return np.stack(columns, axis=1).astype(np.float32) if columns else np.zeros((len(times), 0), np.float32)


def _step(times: Times) -> int:
    return int(np.median(np.diff(times))) if len(times) > 1 else 0
