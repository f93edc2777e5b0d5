"""Training of forecasts by convolution: all components of a chunk in one program."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import torch

from rca.detectors.batch import Batch, Training, Weights
from rca.detectors.convolution import KERNEL, weight_shapes
from rca.detectors.descent import Plan
from rca.detectors.layout import Parts
from rca.detectors.random_start import train_from_chance

PLAN = Plan(epochs=6, rate=4e-3, patience=2)


def train(batch: Batch, training: Training, previous: Weights | None) -> dict[str, npt.NDArray[Any]]:
    """Weights of each component; see ``NetworkDetector.train``."""
    return train_from_chance(batch, training, previous, weight_shapes(batch.samples.shape[2]), expect, PLAN)


def expect(part: Parts, windows: torch.Tensor) -> torch.Tensor:
    """Windows with the newest sample as ``convolution.forecast`` foretells it, and the others as they are."""
    width = part["foretell"].shape[2]
    past = windows[:, :, :-width]
    layer = past
    for name in ("first", "second"):
        layer = _convolve(layer, part[name], part[f"{name}_bias"])
    newest = torch.baddbmm(part["foretell_bias"][:, None], layer, part["foretell"])
    return torch.cat([past, newest], dim=2)


def _convolve(samples: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    components, count, _ = samples.shape
    taps, filters = kernel.shape[1:]
    under = samples.unfold(2, taps, taps // KERNEL)
    out = torch.baddbmm(bias[:, None], under.reshape(components, -1, taps), kernel).relu()
    return out.view(components, count, under.shape[2] * filters)
