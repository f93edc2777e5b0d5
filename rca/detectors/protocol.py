"""What every detector can do, and the form in which a fitted one is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from rca.telemetry import MetricFrame
from rca.types import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A fitted detector without its class: what the registry writes and reads.

    Attributes:
        config: values that JSON can say.
        arrays: numbers and names by name; no objects.
    """

    config: Mapping[str, Any]
    arrays: Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentScores:
    """How anomalous whole components are.

    Attributes:
        components: their names, in the order of the window's.
        scores: float32 in [0, 1], shape (components, time); 0 where unknown, never NaN.
    """

    components: tuple[str, ...]
    scores: npt.NDArray[np.float32]


@runtime_checkable
class Detector(Protocol):
    """Learns from history how series look in health, and scores a window against it."""

    @classmethod
    def fit(cls, history: MetricFrame, *, seed: int = 0, excluded: Sequence[Window] = ()) -> Self:
        """Learn from healthy samples; series without any finite sample are scored 0.

        Args:
            history: mostly healthy samples on one time axis.
            seed: of whatever is drawn at random; the same seed gives the same detector.
            excluded: times that are not healthy, such as known incidents; cut out.

        Raises:
            DetectorError: the history has no series.
        """
        ...

    def score(self, window: MetricFrame) -> npt.NDArray[np.float32]:
        """Anomaly scores in [0, 1], shape (series of the window, time); 0 where unknown, never NaN.

        One half is the limit that healthy samples hardly pass. A score depends on its sample and
        on earlier ones only.
        """
        ...

    def score_components(self, window: MetricFrame) -> ComponentScores:
        """Anomaly scores of whole components, with the same limit of one half."""
        ...

    def deviations(self, window: MetricFrame) -> npt.NDArray[Any]:
        """Signed deviations in units of the healthy limit, shape (series, time); NaN where unknown."""
        ...

    def to_state(self) -> State:
        """What has to be kept of a fitted detector."""
        ...

    @classmethod
    def from_state(cls, state: State) -> Self:
        """The reverse of ``to_state``.

        Raises:
            DetectorError: something is missing, has another shape, or is not a number.
        """
        ...
