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
from rca.detectors.descent import Plan, better_start, descend
from rca.detectors.layout import Layout, Parts
from rca.detectors.mlp import weight_shapes
from rca.detectors.principal import leading_directions
from rca.detectors.programs import one_thread, pick_device
from rca.detectors.training_windows import Piece, TrainingWindows

# Passes at most, passes without gain before a component is done.
EPOCHS, PATIENCE = 4, 2
RATE = 4e-3
# Where windows left out hold more of the power, principal components are found anew without them.
BENDING = 0.2
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
        flat, code = _warm_start(layout, learn)
        if training.fine_tune or previous is not None:
            held = TrainingWindows.of(batch.samples, batch.held, device)
            flat = _improve(flat, layout, (learn, held), batch, training, previous)
            code = _encode(layout.views(flat), learn.windows)[1]
        lowest, highest = _code_range(code, learn)
        return {**layout.unpack(flat), "lowest": lowest, "highest": highest}


def _improve(
    flat: torch.Tensor,
    layout: Layout,
    windows: tuple[TrainingWindows, TrainingWindows],
    batch: Batch,
    training: Training,
    previous: Weights | None,
) -> torch.Tensor:
    """Better weights than the warm start's, where earlier ones or descent know any."""
    if training.fine_tune:
        _fill_spare_units(flat, layout, batch)
    if previous is not None:
        flat = better_start(flat, layout.pack(previous).to(flat), layout, windows[1], expect)
    if not training.fine_tune:
        return flat
    plan = Plan(epochs=training.epochs or EPOCHS, rate=RATE, patience=PATIENCE, least_gain=LEAST_GAIN)
    return descend(flat, layout, windows, expect, _gradients, plan)


def _layout(width: int) -> Layout:
    """Without the range of the codes, which is not learnt by descent."""
    return Layout.of({name: shape for name, shape in weight_shapes(width).items() if name[0] in "wb"})


def _warm_start(layout: Layout, learn: TrainingWindows) -> tuple[torch.Tensor, torch.Tensor]:
    """Networks that do what principal components do, and the codes that they give the windows.

    The worst windows are left out, and components that these bent are found anew without them.
    """
    count = layout.shapes["b2"][0]
    kept = _needed(*leading_directions(learn.windows, learn.weight, count))
    code = torch.bmm(learn.windows, kept)
    power = torch.linalg.vector_norm(learn.windows, dim=2).square_()
    learn.trim(power - code.square().sum(dim=2))  # what is left beside orthonormal directions
    power.mul_(learn.share > 0)
    bent = (power * learn.weight).sum(dim=1) < (1 - BENDING) * power.sum(dim=1)
    if bool(bent.any()):
        at = torch.nonzero(bent)[:, 0]
        kept[at] = _needed(*leading_directions(learn.windows[at], learn.weight[at], count))
        code[at] = torch.bmm(learn.windows[at], kept[at])
    return _embed(layout, kept), code


def _needed(directions: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """The directions that it takes to explain enough, 0 in place of the others."""
    return directions * (torch.cumsum(share, dim=1) - share < EXPLAINED)[:, None]


def _embed(layout: Layout, kept: torch.Tensor) -> torch.Tensor:
    """Directions as rectified units: each is a pair of them, one for either sign."""
    unit = torch.diag_embed((kept != 0).any(dim=1).to(kept))
    flat = torch.zeros(len(kept), layout.size).to(kept)
    part, code = layout.views(flat), kept.shape[2]
    for sign, side in ((1.0, slice(code)), (-1.0, slice(code, 2 * code))):
        part["w1"][:, :, side] = sign * kept
        part["w2"][:, side] = sign * unit
        part["w3"][:, :, side] = sign * unit
        part["w4"][:, side] = sign * kept.transpose(1, 2)
    return flat


def _fill_spare_units(flat: torch.Tensor, layout: Layout, batch: Batch) -> None:
    """Hidden units of directions that are not needed look at windows and codes at random.

    Nobody listens to them until training finds a use for them, so that nothing changes yet.
    """
    part = layout.views(flat)
    spare = (part["w4"] == 0).all(dim=2)
    used = (part["w2"] != 0).any(dim=1)
    drawn = [_draw(name, batch.seed, layout) for name in batch.names]
    first, third = (torch.from_numpy(np.stack([each[i] for each in drawn])).to(flat) for i in range(2))
    part["w1"].add_(first.mul_(spare[:, None]))
    part["w3"].add_(third.mul_(spare[:, None]).mul_(used[:, :, None]))


def _draw(name: str, seed: int, layout: Layout) -> list[npt.NDArray[np.float32]]:
    """First and third weights of one component, such that outputs are as large as inputs."""
    rng = np.random.default_rng([seed & 0xFFFFFFFF, crc32(name.encode())])
    drawn = []
    for weight in ("w1", "w3"):
        shape = layout.shapes[weight]
        drawn.append(rng.standard_normal(shape, np.float32) * np.float32(shape[0] ** -0.5))
    return drawn


def _encode(part: Parts, windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    first = torch.baddbmm(part["b1"][:, None], windows, part["w1"]).relu_()
    return first, torch.baddbmm(part["b2"][:, None], first, part["w2"])


def _forward(part: Parts, windows: torch.Tensor) -> tuple[torch.Tensor, ...]:
    first, code = _encode(part, windows)
    second = torch.baddbmm(part["b3"][:, None], code, part["w3"]).relu_()
    return first, code, second, torch.baddbmm(part["b4"][:, None], second, part["w4"])


def expect(part: Parts, windows: torch.Tensor) -> torch.Tensor:
    """The same as ``mlp.reconstruct``, without holding codes to what health reaches."""
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


def _code_range(code: torch.Tensor, learn: TrainingWindows) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """What codes health reaches, below and above: shape (C, N, code) to (C, code) each."""
    code = code.transpose(1, 2).contiguous()
    left_out = (learn.weight <= 0)[:, None]
    count = 1 + int(CODE_QUANTILE * code.shape[2])
    ends = []
    for sign in (-1.0, 1.0):
        signed = (sign * code).masked_fill_(left_out, -torch.inf)
        reached = signed.amax(dim=2) if count == 1 else signed.topk(count, dim=2).values[:, :, -1]
        ends.append(torch.where(torch.isfinite(reached), sign * reached, torch.zeros_like(reached)).cpu().numpy())
    return ends[0], ends[1]
