"""What every detector can do."""

from __future__ import annotations

from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from rca.telemetry import MetricFrame


@runtime_checkable
class Detector(Protocol):
    """Learns from history how series look in health, and scores a window against it."""

    @classmethod
    def fit(cls, history: MetricFrame) -> Self:
        """Learn from healthy samples; series without any finite sample are scored 0.

        Raises:
            DetectorError: the history has no series.
        """
        ...

    def score(self, window: MetricFrame) -> npt.NDArray[np.float32]:
        """Anomaly scores in [0, 1], shape (series of the window, time); 0 where unknown, never NaN.

        One half is the limit that healthy samples hardly pass.
        """
        ...

    def deviations(self, window: MetricFrame) -> npt.NDArray[Any]:
        """Signed deviations in units of the healthy limit, shape (series, time); NaN where unknown."""
        ...
