"""k-means: the distance of a component's recent levels to the nearest of a few typical states.

Centres by Lloyd's iteration (1982) from a start drawn by distance (Arthur & Vassilvitskii, 2007).
Where health has several modes, such as day and night or batch and idle, one ellipse round all of
them takes the space between for healthy; centres do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from zlib import crc32

import numpy as np
import numpy.typing as npt

from rca.detectors.batch import Batch, Residuals, Training, Weights, window_residuals
from rca.detectors.network import NetworkDetector
from rca.detectors.windows import WINDOW, fill_forward, window_view
from rca.series import Rows
from rca.telemetry import Floats

CENTRES, ITERATIONS = 20, 10


class KMeansDetector(NetworkDetector):
    """Anomaly scores from the distance to the nearest centre; see ``Detector``."""

    kind: ClassVar[str] = "k-means"
    chunk: ClassVar[int] = 64

    @classmethod
    def shapes(cls, width: int) -> Mapping[str, tuple[int, ...]]:
        """See ``NetworkDetector``."""
        return {"centres": (CENTRES, WINDOW * width)}

    @classmethod
    def train(cls, batch: Batch, training: Training, previous: Weights | None) -> dict[str, npt.NDArray[Any]]:
        """Centres of each component's windows; see ``NetworkDetector``."""
        centres = []
        for name, samples in zip(batch.names, batch.samples, strict=True):
            windows = window_view(fill_forward(samples[None]))[0, batch.learn]
            rng = np.random.default_rng([batch.seed & 0xFFFFFFFF, crc32(name.encode())])
            centres.append(find_centres(windows, rng))
        return {"centres": np.stack(centres)}

    @classmethod
    def measure(cls, weights: Weights, samples: Floats, ends: Rows) -> Residuals:
        """See ``NetworkDetector``."""
        return window_residuals(lambda windows: nearest_centres(weights["centres"], windows), samples, ends)


def find_centres(windows: Floats, rng: np.random.Generator) -> Floats:
    """Centres of windows, shape (N, D) to (CENTRES, D); some are alike where there are few windows."""
    centres = windows[_spread_out(windows, rng)].astype(np.float32)
    for _ in range(ITERATIONS):
        nearest = _distances(centres, windows).argmin(axis=1)
        member = np.zeros((CENTRES, len(windows)), np.float32)
        member[nearest, np.arange(len(windows))] = 1
        count = member.sum(axis=1)
        moved = member @ windows / np.maximum(count, 1)[:, None]
        centres = np.where(count[:, None] > 0, moved, centres)
    return centres


def nearest_centres(centres: Floats, windows: Floats) -> Floats:
    """The centre that each window is nearest to: shape (C, N, D)."""
    return np.stack([own[_distances(own, part).argmin(axis=1)] for own, part in zip(centres, windows, strict=True)])


def _spread_out(windows: Floats, rng: np.random.Generator) -> list[int]:
    """Windows to start from, each drawn by its squared distance to those drawn before."""
    chosen = [int(rng.integers(len(windows)))]
    far = np.full(len(windows), np.inf)
    while len(chosen) < CENTRES:
        far = np.minimum(far, _distances(windows[chosen[-1:]], windows)[:, 0].astype(np.float64))
        total = np.cumsum(far)
        place = np.searchsorted(total, rng.random() * total[-1], side="right")
        chosen.append(int(min(place, len(windows) - 1)))
    return chosen


def _distances(centres: Floats, windows: Floats) -> Floats:
    """Squared distances: shape (N, centres)."""
    product = windows @ centres.T
    squares = np.square(windows).sum(axis=1)[:, None] + np.square(centres).sum(axis=1)
    out: Floats = np.maximum(squares - 2 * product, np.float32(0))
    return out
