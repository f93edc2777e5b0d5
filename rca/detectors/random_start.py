"""Training of networks that have no solution to start from: by chance, and long enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import torch

from rca.detectors.batch import Batch, Training, Weights
from rca.detectors.descent import Expect, Plan, better_start, descend, differentiate
from rca.detectors.layout import Layout
from rca.detectors.programs import one_thread, pick_device
from rca.detectors.training_windows import TrainingWindows

# Steps that a network drawn at random needs at least, and passes that a short history is worth.
FEWEST_STEPS, MOST_EPOCHS = 200, 40


def train_from_chance(
    batch: Batch,
    training: Training,
    previous: Weights | None,
    shapes: Mapping[str, tuple[int, ...]],
    expect: Expect,
    plan: Plan,
) -> dict[str, npt.NDArray[Any]]:
    """Weights of each component: the best by its held-out windows.

    Args:
        batch, training, previous: see ``NetworkDetector.train``.
        shapes: of the weights of one component.
        expect: the network.
        plan: how far to go; a short history is gone over more often.
    """
    layout = Layout.of(shapes)
    device = pick_device(training.device)
    with one_thread(), torch.no_grad():
        learn = TrainingWindows.of(batch.samples, batch.learn, device, seed=batch.seed)
        held = TrainingWindows.of(batch.samples, batch.held, device)
        drawn = [_draw(name, batch.seed, shapes) for name in batch.names]
        flat = layout.pack({name: np.stack([each[name] for each in drawn]) for name in shapes}).to(device)
        if previous is not None:
            flat = better_start(flat, layout.pack(previous).to(flat), layout, held, expect)
        epochs = training.epochs or max(plan.epochs, min(-(-FEWEST_STEPS // learn.steps), MOST_EPOCHS))
        if training.fine_tune:
            gradients = differentiate(expect)
            flat = descend(flat, layout, (learn, held), expect, gradients, replace(plan, epochs=epochs))
        return layout.unpack(flat)


def _draw(name: str, seed: int, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, npt.NDArray[Any]]:
    """Weights that keep lengths about as they are (Glorot & Bengio, 2010), biases of 0."""
    rng = np.random.default_rng([seed & 0xFFFFFFFF, crc32(name.encode())])
    return {
        weight: rng.standard_normal(shape, np.float32) / np.float32(np.sqrt(shape[0]))
        if len(shape) > 1
        else np.zeros(shape, np.float32)
        for weight, shape in shapes.items()
    }
