"""Training of recurrent autoencoders: all components of a chunk in one program."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import torch

from rca.detectors.batch import Batch, Training, Weights
from rca.detectors.descent import Plan
from rca.detectors.gru import weight_shapes
from rca.detectors.layout import Parts
from rca.detectors.random_start import train_from_chance
from rca.detectors.windows import WINDOW

PLAN = Plan(epochs=6, rate=4e-3, patience=2)


def train(batch: Batch, training: Training, previous: Weights | None) -> dict[str, npt.NDArray[Any]]:
    """Weights of each component; see ``NetworkDetector.train``."""
    return train_from_chance(batch, training, previous, weight_shapes(batch.samples.shape[2]), expect, PLAN)


def expect(part: Parts, windows: torch.Tensor) -> torch.Tensor:
    """The same as ``gru.reconstruct``."""
    components, count, _ = windows.shape
    units, width = part["tell"].shape[1:]
    entered = torch.baddbmm(
        part["encode_bias"][:, None],
        windows.reshape(components, count * WINDOW, width),
        part["encode_input"],
    ).view(components, count, WINDOW, 3 * units)
    state = windows.new_zeros(components, count, units)
    for i in range(WINDOW):
        state = _step(entered[:, :, i], state, part["encode_state"], part["encode_reset"])
    told = []
    bias = part["decode_bias"][:, None]
    for i in range(WINDOW):
        told.append(torch.baddbmm(part["tell_bias"][:, None], state, part["tell"]))
        if i < WINDOW - 1:
            state = _step(bias, state, part["decode_state"], part["decode_reset"])
    return torch.stack(told[::-1], dim=2).view(windows.shape)


def _step(gates: torch.Tensor, state: torch.Tensor, weight: torch.Tensor, reset_bias: torch.Tensor) -> torch.Tensor:
    units = state.shape[2]
    recalled = torch.bmm(state, weight)
    switches = torch.sigmoid(gates[..., : 2 * units] + recalled[..., : 2 * units])
    update, reset = switches[..., :units], switches[..., units:]
    candidate = torch.tanh(gates[..., 2 * units :] + reset * (recalled[..., 2 * units :] + reset_bias[:, None]))
    return torch.lerp(candidate, state, update)
