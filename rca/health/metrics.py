"""Healthy metrics: a thinned sample of clean time per series, and the robust detector fitted to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.detectors.robust import RobustDetector
from rca.health.columns import to_names
from rca.telemetry import MetricFrame
from rca.types import Window

# A day at one sample a minute: quantiles to .98 stay sharp, 5,000 components stay small.
MOST_SAMPLES = 1_440


@dataclass(frozen=True, kw_only=True)
class MetricHealth:
    """A sample of clean time: at most 1,440 columns, NaN where unknown."""

    sample: MetricFrame

    @classmethod
    def build(cls, metrics: MetricFrame, clean: npt.NDArray[np.bool_] | None = None) -> MetricHealth:
        """From the clean columns of a frame (mask of shape (time,); default: all of them)."""
        columns = np.arange(len(metrics.times)) if clean is None else np.flatnonzero(clean)
        return cls(sample=_thin(replace(metrics, times=metrics.times[columns], values=metrics.values[:, columns])))

    @cached_property
    def detector(self) -> RobustDetector | None:
        """The robust detector of this sample; None without series."""
        return RobustDetector.fit(self.sample) if self.sample.values.shape[0] else None

    def merge(self, other: MetricHealth) -> MetricHealth:
        """Both samples on one time axis, thinned again."""
        parts = [_rows(self.sample), _rows(other.sample)]
        joined: dict[str, Any] = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return MetricHealth(sample=_thin(MetricFrame.from_rows(**joined)))

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays without objects, for storage."""
        frame = self.sample
        return {
            "components": np.array(frame.components, dtype=np.str_),
            "metrics": np.array(frame.metrics, dtype=np.str_),
            **{name: getattr(frame, name) for name in ("component", "metric", "peer", "times", "values")},
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> MetricHealth:
        """The reverse of ``to_arrays``."""
        return cls(
            sample=MetricFrame(
                components=to_names(arrays["components"]),
                metrics=to_names(arrays["metrics"]),
                component=arrays["component"],
                metric=arrays["metric"],
                peer=arrays["peer"],
                times=arrays["times"],
                values=arrays["values"],
            )
        )


def clean_columns(metrics: MetricFrame, cut: tuple[Window, ...]) -> npt.NDArray[np.bool_]:
    """Which samples are healthy: a sample describes the step before it, so that step must be clean."""
    clean = np.ones(len(metrics.times), bool)
    for window in cut:
        clean &= ~((metrics.times > window.start) & (metrics.times < window.end + metrics.step))
    return clean


def _thin(frame: MetricFrame) -> MetricFrame:
    length = len(frame.times)
    if length <= MOST_SAMPLES:
        return frame
    # Runs of samples are kept together where that is possible: persistence needs neighbours.
    blocks = np.array_split(np.arange(length), MOST_SAMPLES // 8)
    columns = np.concatenate([block[:8] for block in blocks])
    return replace(frame, times=frame.times[columns], values=frame.values[:, columns])


def _rows(frame: MetricFrame) -> dict[str, npt.NDArray[Any]]:
    series, column = np.nonzero(~np.isnan(frame.values))
    names = np.array([*frame.components, ""], dtype=object)
    return {
        "times": frame.times[column],
        "components": names[frame.component[series]],
        "metrics": np.array(frame.metrics, dtype=object)[frame.metric[series]],
        "peers": names[frame.peer[series]],
        "values": frame.values[series, column],
    }
