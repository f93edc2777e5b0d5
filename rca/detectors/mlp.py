"""Window autoencoder: a small fully connected network per component, all of a shape in one program.

Sakurada & Yairi, "Anomaly Detection Using Autoencoders with Nonlinear Dimensionality Reduction"
(MLSDA 2014); the start at the linear solution follows Bourlard & Kamp, "Auto-association by
Multilayer Perceptrons and Singular Value Decomposition" (1988). Scores need numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from rca.detectors.batch import Batch, Residuals, Training, Weights, window_residuals
from rca.detectors.network import NetworkDetector
from rca.detectors.windows import WINDOW
from rca.series import Rows
from rca.telemetry import Floats

# Inputs per hidden unit, as in a 120-16-8-16-120 network, and least hidden units.
INPUTS_PER_HIDDEN, HIDDEN_STEP, FEWEST_HIDDEN = 120, 16, 8


def layer_sizes(width: int) -> tuple[int, int, int]:
    """Inputs, hidden units and code units at most for components of ``width`` series."""
    inputs = WINDOW * width
    steps = -(-inputs // INPUTS_PER_HIDDEN)
    hidden = HIDDEN_STEP * steps if 2 * inputs > INPUTS_PER_HIDDEN else FEWEST_HIDDEN
    return inputs, hidden, hidden // 2


def weight_shapes(width: int) -> dict[str, tuple[int, ...]]:
    """Shape of each weight of one component."""
    inputs, hidden, code = layer_sizes(width)
    return {
        "w1": (inputs, hidden),
        "b1": (hidden,),
        "w2": (hidden, code),
        "b2": (code,),
        "w3": (code, hidden),
        "b3": (hidden,),
        "w4": (hidden, inputs),
        "b4": (inputs,),
        "lowest": (code,),
        "highest": (code,),
    }


def reconstruct(weights: Weights, windows: Floats) -> Floats:
    """What the network makes of windows: shape (C, N, inputs), both.

    Codes are held to what health reaches: outside of it a linear part would follow a sample
    anywhere, and a level that was never seen would be reconstructed as well as any other.
    """
    code = encode(weights, windows)
    np.clip(code, weights["lowest"][:, None], weights["highest"][:, None], out=code)
    hidden = code @ weights["w3"]
    hidden += weights["b3"][:, None]
    np.maximum(hidden, 0, out=hidden)
    out: Floats = hidden @ weights["w4"]
    out += weights["b4"][:, None]
    return out


def encode(weights: Weights, windows: Floats) -> Floats:
    """Codes of windows: shape (C, N, code)."""
    hidden = windows @ weights["w1"]
    hidden += weights["b1"][:, None]
    np.maximum(hidden, 0, out=hidden)
    code: Floats = hidden @ weights["w2"]
    code += weights["b2"][:, None]
    return code


class MLPDetector(NetworkDetector):
    """Anomaly scores from the reconstruction error of each component's windows; see ``Detector``."""

    kind: ClassVar[str] = "mlp"
    chunk: ClassVar[int] = 16

    @classmethod
    def shapes(cls, width: int) -> Mapping[str, tuple[int, ...]]:
        """See ``NetworkDetector``."""
        return weight_shapes(width)

    @classmethod
    def train(cls, batch: Batch, training: Training, previous: Weights | None) -> dict[str, npt.NDArray[Any]]:
        """See ``NetworkDetector``."""
        from rca.detectors.mlp_training import train

        return train(batch, training, previous)

    @classmethod
    def measure(cls, weights: Weights, samples: Floats, ends: Rows) -> Residuals:
        """See ``NetworkDetector``."""
        return window_residuals(lambda windows: reconstruct(weights, windows), samples, ends)
