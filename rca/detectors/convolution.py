"""Forecasts by a small convolution over time: the newest sample from the eleven before it.

Munir et al., "DeepAnT: A Deep Learning Approach for Unsupervised Anomaly Detection in Time Series"
(IEEE Access 2019), without pooling and with one network per component. Scores need numpy only.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from rca.detectors.batch import Batch, Residuals, Training, Weights
from rca.detectors.fitted import Shapes
from rca.detectors.network import NetworkDetector
from rca.detectors.windows import WINDOW, fill_forward, window_view
from rca.series import Rows
from rca.telemetry import Floats

# Samples under a kernel, and filters for components of up to 10 series, of up to 20, and so on.
KERNEL, FILTERS, SERIES_PER_STEP, MOST_STEPS = 3, 8, 10, 4
# Places of the second layer: each convolution takes two samples off the past.
PLACES = WINDOW - 1 - 2 * (KERNEL - 1)


def weight_shapes(width: int) -> dict[str, tuple[int, ...]]:
    """Shape of each weight of one component."""
    filters = FILTERS * min(-(-width // SERIES_PER_STEP), MOST_STEPS)
    return {
        "first": (KERNEL * width, filters),
        "first_bias": (filters,),
        "second": (KERNEL * filters, filters),
        "second_bias": (filters,),
        "foretell": (PLACES * filters, width),
        "foretell_bias": (width,),
    }


def forecast(weights: Weights, past: Floats) -> Floats:
    """The next sample: shape (C, N, (w - 1) x M) to (C, N, M)."""
    layer = past
    for name in ("first", "second"):
        layer = _convolve(layer, weights[name], weights[f"{name}_bias"])
    out: Floats = layer @ weights["foretell"]
    out += weights["foretell_bias"][:, None]
    return out


def _convolve(samples: Floats, kernel: Floats, bias: Floats) -> Floats:
    """Rectified convolution over time: shape (C, N, T x channels) to (C, N, (T - 2) x filters)."""
    components, count, length = samples.shape
    taps, filters = kernel.shape[1:]
    channels = taps // KERNEL
    places = length // channels - KERNEL + 1
    inside = samples.strides
    shape, strides = (components, count, places, taps), (*inside[:2], channels * inside[2], inside[2])
    under = np.lib.stride_tricks.as_strided(samples, shape, strides, writeable=False)
    out: Floats = under.reshape(components, count * places, taps) @ kernel
    out += bias[:, None]
    np.maximum(out, 0, out=out)
    return out.reshape(components, count, places * filters)


class ConvolutionDetector(NetworkDetector):
    """Anomaly scores from the error of forecasts; see ``Detector``."""

    kind: ClassVar[str] = "convolution"
    chunk: ClassVar[int] = 16

    @classmethod
    def shapes(cls, width: int) -> Shapes:
        """See ``NetworkDetector``."""
        return weight_shapes(width)

    @classmethod
    def train(cls, batch: Batch, training: Training, previous: Weights | None) -> dict[str, npt.NDArray[Any]]:
        """See ``NetworkDetector``."""
        from rca.detectors.convolution_training import train

        return train(batch, training, previous)

    @classmethod
    def measure(cls, weights: Weights, samples: Floats, ends: Rows) -> Residuals:
        """See ``NetworkDetector``; the power is that of the last twelve forecasts."""
        components, _, width = samples.shape
        needed = np.unique(np.maximum(ends[:, None] - np.arange(WINDOW), 0))
        past = window_view(fill_forward(samples))[:, needed, :-width]
        gaps = samples[:, needed] - forecast(weights, past)
        known = ~np.isnan(gaps)
        squares = np.where(known, np.square(gaps), np.float32(0))
        at = np.searchsorted(needed, ends)
        total, count = np.zeros((2, components, len(ends), width), np.float32)
        for back in range(WINDOW):
            inside = ends >= back  # times before the first sample have none
            total[:, inside] += squares[:, np.searchsorted(needed, ends[inside] - back)]
            count[:, inside] += known[:, np.searchsorted(needed, ends[inside] - back)]
        power = np.where(count > 0, total / np.maximum(count, 1), np.float32(np.nan))
        return Residuals(newest=gaps[:, at], power=power)
