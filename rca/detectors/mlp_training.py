"""Training of window autoencoders: all components of a chunk in one program, each by itself to the bit.

Products are batched, one of a fixed shape for each component; the backward pass is written out, which
is several times faster than recording it for networks as small as these. Every network starts at the
principal components of its windows and keeps them unless held-out windows are reconstructed better.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import torch

from rca.detectors.batch import Batch, Training, Weights
from rca.detectors.descent import Plan, better_start, descend, window_errors
from rca.detectors.layout import Layout, Parts
from rca.detectors.mlp import weight_shapes
from rca.detectors.principal import leading_directions
from rca.detectors.programs import one_thread, pick_device
from rca.detectors.training_windows import Piece, TrainingWindows

# Passes at most, passes without gain before a component is done.
EPOCHS, PATIENCE = 8, 2
RATE = 2e-3
# Explained share that the code is widened to.
EXPLAINED = 0.9
# Health reaches all codes but a thousandth on each side.
CODE_QUANTILE = 0.001
# A fine-tuned network replaces the linear one where it is better by more than chance.
LEAST_GAIN = 0.01


def train(batch: Batch, training: Training, previous: Weights | None) -> dict[str, npt.NDArray[Any]]:
    """Weights of each component; see ``NetworkDetector.train``."""
    layout = _layout(batch.samples.shape[2])
    device = pick_device(training.device)
    with one_thread(), torch.no_grad():
        learn = TrainingWindows.of(batch.samples, batch.learn, device, seed=batch.seed)
        held = TrainingWindows.of(batch.samples, batch.held, device)
        flat = _warm_start(batch, layout, learn)
        if previous is not None:
            flat = better_start(flat, layout.pack(previous).to(flat), layout, held, _expect)
        if training.fine_tune:
            plan = Plan(epochs=training.epochs or EPOCHS, rate=RATE, patience=PATIENCE, least_gain=LEAST_GAIN)
            flat = descend(flat, layout, (learn, held), _expect, _gradients, plan)
        lowest, highest = _code_range(flat, layout, learn)
        return {**layout.unpack(flat), "lowest": lowest, "highest": highest}


def _layout(width: int) -> Layout:
    """Without the range of the codes, which is not learnt by descent."""
    return Layout.of({name: shape for name, shape in weight_shapes(width).items() if name[0] in "wb"})


def _warm_start(batch: Batch, layout: Layout, learn: TrainingWindows) -> torch.Tensor:
    """Networks that do what principal components do: fits, leaves the worst windows out, and fits those again."""
    flat = _embed(batch, layout, *leading_directions(learn.windows, learn.weight, layout.shapes["b2"][0]))
    changed = learn.trim(window_errors(flat, layout, learn, _expect))
    if bool(changed.any()):
        at = torch.nonzero(changed)[:, 0]
        again = leading_directions(learn.windows[at], learn.weight[at], layout.shapes["b2"][0])
        names = [batch.names[i] for i in at.tolist()]
        flat[at] = _embed(batch, layout, *again, names=names)
    return flat


def _embed(
    batch: Batch, layout: Layout, directions: torch.Tensor, share: torch.Tensor, names: list[str] | None = None
) -> torch.Tensor:
    """Principal components as rectified units: each direction is a pair of them, one for either sign.

    Units of directions that are not needed look at the windows at random and are not listened to,
    until training finds a use for them.
    """
    enough = torch.cumsum(share, dim=1) - share < EXPLAINED
    kept = (directions * enough[:, None]).contiguous()
    spare = (~enough).to(kept.dtype).repeat(1, 2)
    code = layout.shapes["b2"][0]
    noise = [_draw(name, batch.seed, layout) for name in names or batch.names]
    flat = torch.zeros(len(kept), layout.size).to(kept)
    part = layout.views(flat)
    part["w1"].copy_(torch.stack([each[0] for each in noise]).to(kept) * spare[:, None])
    part["w1"][:, :, :code] += kept
    part["w1"][:, :, code:] -= kept
    part["w3"].copy_(torch.stack([each[1] for each in noise]).to(kept) * spare[:, None] * enough[:, :, None])
    unit = torch.diag_embed(enough.to(kept.dtype))
    part["w2"][:, :code] = unit
    part["w2"][:, code:] = -unit
    part["w3"][:, :, :code] += unit
    part["w3"][:, :, code:] -= unit
    part["w4"][:, :code] = kept.transpose(1, 2)
    part["w4"][:, code:] = -kept.transpose(1, 2)
    return flat


def _draw(name: str, seed: int, layout: Layout) -> tuple[torch.Tensor, torch.Tensor]:
    """First and third weights of one component, with lengths of about one."""
    rng = np.random.default_rng([seed & 0xFFFFFFFF, crc32(name.encode())])
    drawn = []
    for weight in ("w1", "w3"):
        inputs, outputs = layout.shapes[weight]
        drawn.append(rng.standard_normal((inputs, outputs), np.float32) / np.float32(np.sqrt(inputs)))
    return torch.from_numpy(drawn[0]), torch.from_numpy(drawn[1])


def _forward(part: Parts, windows: torch.Tensor) -> tuple[torch.Tensor, ...]:
    first = torch.baddbmm(part["b1"][:, None], windows, part["w1"]).relu_()
    code = torch.baddbmm(part["b2"][:, None], first, part["w2"])
    second = torch.baddbmm(part["b3"][:, None], code, part["w3"]).relu_()
    return first, code, second, torch.baddbmm(part["b4"][:, None], second, part["w4"])


def _expect(part: Parts, windows: torch.Tensor) -> torch.Tensor:
    return _forward(part, windows)[-1]


def _gradients(part: Parts, piece: Piece, into: Parts) -> None:
    """Gradients of the weighted square error, written out: see ``Differentiate``."""
    windows = piece.windows
    first, code, second, gap = _forward(part, windows)
    gap.sub_(windows).mul_(piece.weight[:, :, None])
    if piece.known is not None:
        gap.mul_(piece.known)
    ones = torch.ones(len(gap), 1, gap.shape[1]).to(gap)
    for name, entered in (("4", second), ("3", code), ("2", first), ("1", windows)):
        torch.bmm(entered.transpose(1, 2), gap, out=into[f"w{name}"])
        torch.bmm(ones, gap, out=into[f"b{name}"][:, None])
        if name == "1":
            return
        gap = torch.bmm(gap, part[f"w{name}"].transpose(1, 2))
        if entered is not code:  # which is linear
            gap.mul_(entered > 0)


def _code_range(flat: torch.Tensor, layout: Layout, learn: TrainingWindows) -> tuple[npt.NDArray[Any], ...]:
    """What codes health reaches, below and above: shape (C, code) each."""
    code = _forward(layout.views(flat), learn.windows)[1]
    left_out = (learn.weight <= 0)[:, :, None]
    count = 1 + int(CODE_QUANTILE * code.shape[1])
    ends = []
    for sign in (-1.0, 1.0):
        reached = (sign * code).masked_fill(left_out, -torch.inf).topk(count, dim=1).values[:, -1]
        ends.append(torch.where(torch.isfinite(reached), sign * reached, torch.zeros_like(reached)).cpu().numpy())
    return ends[0], ends[1]
