"""Multi-scale Gaussian: how far a component's recent levels lie from how its metrics move together in health.

Each metric is seen by its trailing means over 1, 2, 4, ... 64 samples: the newest sample tells at
once, the long means what stays a little beside its place. The Mahalanobis distance of them all
(Mahalanobis 1936; Hotelling 1947, for the control of processes) sees both what principal components
leave over and how far a sample lies within them. The covariance is shrunk towards a multiple of the
identity (Ledoit & Wolf, 2004), since directions that health hardly uses are only noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from rca.detectors.batch import Batch, Residuals, Training, Weights
from rca.detectors.network import NetworkDetector
from rca.series import Rows
from rca.telemetry import Floats

SCALES = (1, 2, 4, 8, 16, 32, 64)
# Added to each variance, as a share of their mean; the result hardly changes between .03 and .3.
SHRINKAGE = 0.1
# In squares of what the metrics vary by: what has hardly moved in health must not make everything far.
LEAST_VARIANCE = 1e-4


class GaussianDetector(NetworkDetector):
    """Anomaly scores from the Mahalanobis distance of trailing means; see ``Detector``."""

    kind: ClassVar[str] = "gaussian"
    chunk: ClassVar[int] = 64

    @classmethod
    def shapes(cls, width: int) -> Mapping[str, tuple[int, ...]]:
        """See ``NetworkDetector``."""
        size = len(SCALES) * width
        blocks = (width, len(SCALES), len(SCALES))
        return {"mean": (size,), "precision": (size, size), "root": (size, size), "blocks": blocks}

    @classmethod
    def train(cls, batch: Batch, training: Training, previous: Weights | None) -> dict[str, npt.NDArray[Any]]:
        """Mean and inverse covariance in closed form; see ``NetworkDetector``."""
        weights: dict[str, list[npt.NDArray[np.float32]]] = {"mean": [], "precision": [], "root": [], "blocks": []}
        for samples in batch.samples:
            features = trailing_means(samples[None], batch.learn)[0].astype(np.float64)
            mean = features.mean(axis=0)
            features -= mean
            variances, directions = np.linalg.eigh(features.T @ features / len(features))
            shrunk = max(SHRINKAGE * float(variances.mean()), LEAST_VARIANCE)
            variances = np.maximum(variances, 0.0) + shrunk
            root = directions / np.sqrt(variances)
            precision = root @ root.T
            parts = {"mean": mean, "precision": precision, "root": root, "blocks": _invert_blocks(precision)}
            for name, value in parts.items():
                weights[name].append(value.astype(np.float32))
        return {name: np.stack(values) for name, values in weights.items()}

    @classmethod
    def measure(cls, weights: Weights, samples: Floats, ends: Rows) -> Residuals:
        """Residuals of each metric given all others, and the distance of the whole; see ``NetworkDetector``."""
        features = trailing_means(samples, ends) - weights["mean"][:, None]
        whole = np.sqrt(np.square(features @ weights["root"]).mean(axis=2))
        pull = (features @ weights["precision"]).reshape(*features.shape[:2], len(SCALES), -1)
        gaps = np.matmul(pull.transpose(0, 3, 1, 2), weights["blocks"]).transpose(0, 2, 3, 1)
        known = ~np.isnan(samples[:, ends])
        return Residuals(
            newest=np.where(known, gaps[:, :, 0], np.float32(np.nan)),
            power=np.where(known, np.square(gaps).mean(axis=2), np.float32(np.nan)),
            whole=whole,
        )


def _invert_blocks(precision: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The inverse of each metric's own block: shape (M, scales, scales).

    Applied to a metric's part of precision times deviation it gives what the metric's means are
    beside what all other metrics let expect, for variables that are jointly normal.
    """
    scales = len(SCALES)
    blocks = precision.reshape(scales, len(precision) // scales, scales, -1)
    return np.asarray(np.linalg.inv(np.einsum("imjm->mij", blocks)))


def trailing_means(samples: Floats, ends: Rows) -> Floats:
    """Means of the known among the last 1, 2, ... 64 samples, 0 (the level) where none is known.

    Args:
        samples: in scales from the level, shape (C, T, M), NaN where missing.
        ends: N times, as indices.

    Returns:
        float32, shape (C, N, scales x M).
    """
    if len(ends):  # nothing that lies farther back is looked at
        first = max(int(ends.min()) + 1 - SCALES[-1], 0)
        samples, ends = samples[:, first : int(ends.max()) + 1], ends - first
    known = ~np.isnan(samples)
    complete = bool(known.all())
    total = _running(samples if complete else np.where(known, samples, np.float32(0)))
    count = None if complete else _running(known)
    parts = []
    for scale in SCALES:
        begins = np.maximum(ends + 1 - scale, 0)
        sums = total[:, ends + 1] - total[:, begins]
        number = (ends + 1 - begins)[:, None] if count is None else count[:, ends + 1] - count[:, begins]
        parts.append((sums / np.maximum(number, 1)).astype(np.float32))
    return np.concatenate(parts, axis=2)


def _running(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    out = np.zeros((values.shape[0], values.shape[1] + 1, values.shape[2]))
    np.cumsum(values, axis=1, out=out[:, 1:])
    return out
