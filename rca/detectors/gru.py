"""Window autoencoder of gated recurrent units: what a window is summed up to must tell the window again.

Malhotra et al., "LSTM-based Encoder-Decoder for Multi-sensor Anomaly Detection" (2016), with the
cells of Cho et al. (2014) as in Islam & Miranskyy, "Anomaly Detection in Cloud Components" (2020).
Scores need numpy only.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from rca.detectors.batch import Batch, Residuals, Training, Weights, window_residuals
from rca.detectors.fitted import Shapes
from rca.detectors.network import NetworkDetector
from rca.detectors.windows import WINDOW
from rca.series import Rows
from rca.telemetry import Floats

# Units for components of up to 10 series, of up to 20, and so on; at most four steps.
UNITS, SERIES_PER_STEP, MOST_STEPS = 12, 10, 4
HALF = np.float32(0.5)


def weight_shapes(width: int) -> dict[str, tuple[int, ...]]:
    """Shape of each weight of one component: gates are update, reset and candidate, side by side."""
    units = UNITS * min(-(-width // SERIES_PER_STEP), MOST_STEPS)
    return {
        "encode_input": (width, 3 * units),
        "encode_state": (units, 3 * units),
        "encode_bias": (3 * units,),
        "encode_reset": (units,),
        "decode_state": (units, 3 * units),
        "decode_bias": (3 * units,),
        "decode_reset": (units,),
        "tell": (units, width),
        "tell_bias": (width,),
    }


def reconstruct(weights: Weights, windows: Floats) -> Floats:
    """What the networks make of windows: shape (C, N, inputs), both. The last sample is told first."""
    components, count, _ = windows.shape
    width = weights["tell"].shape[2]
    entered = windows.reshape(components, count * WINDOW, width) @ weights["encode_input"]
    entered = entered.reshape(components, count, WINDOW, -1)
    state = np.zeros((components, count, weights["tell"].shape[1]), np.float32)
    for i in range(WINDOW):
        gates = entered[:, :, i] + weights["encode_bias"][:, None]
        state = _step(gates, state, weights["encode_state"], weights["encode_reset"])
    out = np.empty((components, count, WINDOW, width), np.float32)
    bias = weights["decode_bias"][:, None]
    for i in reversed(range(WINDOW)):
        out[:, :, i] = state @ weights["tell"] + weights["tell_bias"][:, None]
        if i:
            state = _step(bias, state, weights["decode_state"], weights["decode_reset"])
    return out.reshape(windows.shape)


def _step(gates: Floats, state: Floats, weight: Floats, reset_bias: Floats) -> Floats:
    """The next state: shape (C, N, units)."""
    units = state.shape[2]
    recalled = state @ weight
    switches = gates[..., : 2 * units] + recalled[..., : 2 * units]
    switches = HALF + HALF * np.tanh(HALF * switches)  # the logistic function, which would overflow
    update, reset = switches[..., :units], switches[..., units:]
    last = slice(2 * units, None)
    candidate = np.tanh(gates[..., last] + reset * (recalled[..., last] + reset_bias[:, None]))
    out: Floats = candidate + update * (state - candidate)
    return out


class GRUDetector(NetworkDetector):
    """Anomaly scores from the reconstruction error of a recurrent autoencoder; see ``Detector``."""

    kind: ClassVar[str] = "gru"
    chunk: ClassVar[int] = 16

    @classmethod
    def shapes(cls, width: int) -> Shapes:
        """See ``NetworkDetector``."""
        return weight_shapes(width)

    @classmethod
    def train(cls, batch: Batch, training: Training, previous: Weights | None) -> dict[str, npt.NDArray[Any]]:
        """See ``NetworkDetector``."""
        from rca.detectors.gru_training import train

        return train(batch, training, previous)

    @classmethod
    def measure(cls, weights: Weights, samples: Floats, ends: Rows) -> Residuals:
        """See ``NetworkDetector``."""
        return window_residuals(lambda windows: reconstruct(weights, windows), samples, ends)
