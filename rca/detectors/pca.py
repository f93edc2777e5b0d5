"""Principal components: the reconstruction error of windows by a component's leading directions.

Shyu et al., "A Novel Anomaly Detection Scheme Based on Principal Component Classifier" (2003). The
simplest of the detectors that learn how metrics move together, in closed form and with numpy alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from rca.detectors.batch import Batch, Residuals, Training, Weights, window_residuals
from rca.detectors.network import NetworkDetector
from rca.detectors.windows import WINDOW, fill_forward, window_view
from rca.series import Rows
from rca.telemetry import Floats

# Share of the variance that the directions keep, and of the inputs that there are directions at most.
EXPLAINED, MOST_DIRECTIONS = 0.9, 0.25


def direction_count(width: int) -> int:
    """Directions at most for components of ``width`` series."""
    return max(int(MOST_DIRECTIONS * WINDOW * width), 1)


class PCADetector(NetworkDetector):
    """Anomaly scores from what principal components leave over; see ``Detector``."""

    kind: ClassVar[str] = "pca"
    chunk: ClassVar[int] = 64

    @classmethod
    def shapes(cls, width: int) -> Mapping[str, tuple[int, ...]]:
        """See ``NetworkDetector``."""
        inputs, count = WINDOW * width, direction_count(width)
        return {"mean": (inputs,), "basis": (inputs, count), "lowest": (count,), "highest": (count,)}

    @classmethod
    def train(cls, batch: Batch, training: Training, previous: Weights | None) -> dict[str, npt.NDArray[Any]]:
        """Directions in closed form, columns of 0 beyond those that explain enough; see ``NetworkDetector``."""
        weights: dict[str, list[npt.NDArray[np.float32]]] = {"mean": [], "basis": [], "lowest": [], "highest": []}
        for samples in batch.samples:
            windows = window_view(fill_forward(samples[None]))[0, batch.learn].astype(np.float64)
            mean = windows.mean(axis=0)
            windows -= mean
            variances, directions = np.linalg.eigh(windows.T @ windows)
            explained = np.cumsum(np.maximum(variances[::-1], 0))
            enough = int(np.searchsorted(explained, EXPLAINED * explained[-1])) + 1
            basis = directions[:, ::-1][:, : direction_count(samples.shape[1])].copy()
            basis[:, enough:] = 0
            codes = windows @ basis
            parts = {"mean": mean, "basis": basis, "lowest": codes.min(axis=0), "highest": codes.max(axis=0)}
            for name, value in parts.items():
                weights[name].append(value.astype(np.float32))
        return {name: np.stack(values) for name, values in weights.items()}

    @classmethod
    def measure(cls, weights: Weights, samples: Floats, ends: Rows) -> Residuals:
        """See ``NetworkDetector``."""
        mean, basis = weights["mean"][:, None], weights["basis"]
        lowest, highest = weights["lowest"][:, None], weights["highest"][:, None]

        def expect(windows: Floats) -> Floats:
            # Beyond what health reaches a direction would follow a sample anywhere.
            codes = np.clip((windows - mean) @ basis, lowest, highest)
            out: Floats = codes @ basis.transpose(0, 2, 1) + mean
            return out

        return window_residuals(expect, samples, ends)
