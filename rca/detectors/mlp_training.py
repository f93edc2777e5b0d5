"""Training of window autoencoders: all components of a chunk in one program, each by itself to the bit.

Products are batched, one of a fixed shape for each component; the backward pass is written out, which
is several times faster than recording it for networks as small as these. Every network starts at the
principal components of its windows and keeps them unless held-out windows are reconstructed better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self
from zlib import crc32

import numpy as np
import numpy.typing as npt
import torch

from rca.detectors.batch import Batch, Training, Weights
from rca.detectors.mlp_layout import Layout
from rca.detectors.principal import leading_directions
from rca.detectors.programs import one_thread, pick_device, rate_at
from rca.detectors.training_windows import TrainingWindows

# Passes at most, passes without gain before a component is done.
EPOCHS, PATIENCE = 8, 2
RATE, BETAS, EPSILON = 2e-3, (0.9, 0.99), 1e-8
# Explained share that the code is widened to.
EXPLAINED = 0.9
# Health reaches all codes but a thousandth on each side.
CODE_QUANTILE = 0.001
# A fine-tuned network replaces the linear one where it is better by more than chance.
LEAST_GAIN = 0.01


def train(batch: Batch, training: Training, previous: Weights | None) -> dict[str, npt.NDArray[Any]]:
    """Weights of each component; see ``NetworkDetector.train``."""
    layout = Layout.of(batch.samples.shape[2])
    device = pick_device(training.device)
    with one_thread(), torch.no_grad():
        learn = TrainingWindows.of(batch.samples, batch.learn, device, seed=batch.seed)
        held = TrainingWindows.of(batch.samples, batch.held, device)
        flat = _warm_start(batch, layout, learn)
        if previous is not None:
            flat = _better_start(flat, layout.pack(previous).to(device), layout, held)
        if training.fine_tune:
            flat = _fine_tune(flat, layout, learn, held, training.epochs or EPOCHS)
        lowest, highest = _code_range(flat, layout, learn)
        weights = layout.unpack(flat)
    return {**weights, "lowest": lowest, "highest": highest}


def _warm_start(batch: Batch, layout: Layout, learn: TrainingWindows) -> torch.Tensor:
    """Networks that do what principal components do: fits, leaves the worst windows out, and fits those again."""
    flat = _embed(batch, layout, *leading_directions(learn.windows, learn.weight, layout.code))
    changed = learn.trim(_errors(flat, layout, learn))
    if bool(changed.any()):
        at = torch.nonzero(changed)[:, 0]
        again = leading_directions(learn.windows[at], learn.weight[at], layout.code)
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
    code = layout.code
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
    first = rng.standard_normal((layout.inputs, layout.hidden), np.float32) / np.float32(np.sqrt(layout.inputs))
    third = rng.standard_normal((layout.code, layout.hidden), np.float32) / np.float32(np.sqrt(layout.code))
    return torch.from_numpy(first), torch.from_numpy(third)


def _forward(part: dict[str, torch.Tensor], windows: torch.Tensor) -> tuple[torch.Tensor, ...]:
    first = torch.baddbmm(part["b1"][:, None], windows, part["w1"]).relu_()
    code = torch.baddbmm(part["b2"][:, None], first, part["w2"])
    second = torch.baddbmm(part["b3"][:, None], code, part["w3"]).relu_()
    return first, code, second, torch.baddbmm(part["b4"][:, None], second, part["w4"])


def _errors(flat: torch.Tensor, layout: Layout, data: TrainingWindows) -> torch.Tensor:
    """Mean square error of each window: shape (C, N)."""
    gap = _forward(layout.views(flat), data.windows)[-1].sub_(data.windows)
    return data.mean(gap.square_())


def _held_error(flat: torch.Tensor, layout: Layout, held: TrainingWindows) -> torch.Tensor:
    """Error of each component's held-out windows: shape (C,)."""
    return held.typical(_errors(flat, layout, held))


def _better_start(flat: torch.Tensor, before: torch.Tensor, layout: Layout, held: TrainingWindows) -> torch.Tensor:
    known = ~torch.isnan(before).any(dim=1)
    before = torch.nan_to_num(before)
    better = known & (_held_error(before, layout, held) < _held_error(flat, layout, held))
    return torch.where(better[:, None], before, flat)


@dataclass(slots=True)
class _Progress:
    """Components in training: state of the optimiser, best so far, and passes since it got better."""

    at: torch.Tensor
    flat: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor
    error: torch.Tensor
    waited: torch.Tensor

    def select(self, going: torch.Tensor) -> Self:
        return type(self)(*(getattr(self, name)[going] for name in self.__slots__))


def _fine_tune(
    flat: torch.Tensor, layout: Layout, learn: TrainingWindows, held: TrainingWindows, epochs: int
) -> torch.Tensor:
    """The best weights of each component by its held-out windows, those it started with included."""
    best = flat.clone()
    start = _held_error(flat, layout, held)
    now = _Progress(
        torch.arange(len(flat), device=flat.device),
        flat.clone(),
        torch.zeros_like(flat),
        torch.zeros_like(flat),
        start * (1 - LEAST_GAIN),
        torch.zeros_like(start),
    )
    total = epochs * learn.steps
    for epoch in range(epochs):
        _pass(now, layout, learn, epoch * learn.steps, total)
        error = _held_error(now.flat, layout, held)
        better = error < now.error
        best[now.at[better]] = now.flat[better]
        now.error = torch.where(better, error, now.error)
        now.waited = torch.where(better, torch.zeros_like(now.waited), now.waited + 1)
        going = now.waited < PATIENCE
        if not bool(going.any()) or epoch == epochs - 1:
            break
        if not bool(going.all()):
            now, learn, held = now.select(going), learn.select(going), held.select(going)
        learn.trim(_errors(now.flat, layout, learn))
    return best


def _pass(now: _Progress, layout: Layout, learn: TrainingWindows, done: int, total: int) -> None:
    """One pass over the windows with Adam (Kingma & Ba, 2015)."""
    part, gradient = layout.views(now.flat), torch.zeros_like(now.flat)
    into = layout.views(gradient)
    ones = torch.ones(len(now.flat), 1, learn.step, device=now.flat.device)
    for i in range(learn.steps):
        windows, weight, known = learn.piece(i)
        _backward(part, into, windows, weight, known, ones)
        now.first.lerp_(gradient, 1 - BETAS[0])
        now.second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        count = done + i + 1
        correction = (1 - BETAS[1] ** count) ** 0.5
        rate = RATE * rate_at(count, total) * correction / (1 - BETAS[0] ** count)
        now.flat.addcdiv_(now.first, now.second.sqrt().add_(EPSILON * correction), value=-rate)


def _backward(
    part: dict[str, torch.Tensor],
    into: dict[str, torch.Tensor],
    windows: torch.Tensor,
    weight: torch.Tensor,
    known: torch.Tensor | None,
    ones: torch.Tensor,
) -> None:
    """Gradients of the weighted square error, written into ``into``."""
    first, code, second, gap = _forward(part, windows)
    gap.sub_(windows).mul_(weight[:, :, None])
    if known is not None:
        gap.mul_(known)
    torch.bmm(second.transpose(1, 2), gap, out=into["w4"])
    into["b4"].copy_(torch.bmm(ones, gap)[:, 0])
    gap = torch.bmm(gap, part["w4"].transpose(1, 2)).mul_(second > 0)
    torch.bmm(code.transpose(1, 2), gap, out=into["w3"])
    into["b3"].copy_(torch.bmm(ones, gap)[:, 0])
    gap = torch.bmm(gap, part["w3"].transpose(1, 2))
    torch.bmm(first.transpose(1, 2), gap, out=into["w2"])
    into["b2"].copy_(torch.bmm(ones, gap)[:, 0])
    gap = torch.bmm(gap, part["w2"].transpose(1, 2)).mul_(first > 0)
    torch.bmm(windows.transpose(1, 2), gap, out=into["w1"])
    into["b1"].copy_(torch.bmm(ones, gap)[:, 0])


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
