"""Gradient descent for many networks at once, each stopped, and kept or not, by its own held-out windows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import torch

from rca.detectors.layout import Layout, Parts
from rca.detectors.losses import watched
from rca.detectors.training_windows import Piece, TrainingWindows

# What a network makes of windows: weights and windows of shape (C, N, D) to the same shape.
Expect = Callable[[Parts, torch.Tensor], torch.Tensor]
# Gradients of the weighted square error of a piece of the windows, written into the last argument.
Differentiate = Callable[[Parts, Piece, Parts], None]

_BETAS, _EPSILON = (0.9, 0.99), 1e-8
# Passes between looking again at which windows are the worst.
_TRIMMED_EVERY = 3
# Share of the steps in which the rate rises, before it falls as a cosine to 0 (Smith & Topin, 2019).
_RISING = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How far to go.

    Attributes:
        epochs: passes over the windows at most.
        rate: the highest rate of learning.
        patience: passes without gain after which a component is done.
        least_gain: share by which the first weights must be surpassed to be given up.
    """

    epochs: int
    rate: float
    patience: int
    least_gain: float = 0.0


def window_errors(flat: torch.Tensor, layout: Layout, data: TrainingWindows, expect: Expect) -> torch.Tensor:
    """Mean square error of each window: shape (C, N)."""
    return data.mean(expect(layout.views(flat), data.windows).sub_(data.windows).square_())


def typical_error(flat: torch.Tensor, layout: Layout, data: TrainingWindows, expect: Expect) -> torch.Tensor:
    """Error of each component's windows, the worst left out: shape (C,)."""
    return data.typical(window_errors(flat, layout, data, expect))


def better_start(
    flat: torch.Tensor, before: torch.Tensor, layout: Layout, held: TrainingWindows, expect: Expect
) -> torch.Tensor:
    """Of two sets of weights the one with less error on held-out windows, for each component; NaN is none."""
    known = ~torch.isnan(before).any(dim=1)
    before = torch.nan_to_num(before)
    errors = [typical_error(weights, layout, held, expect) for weights in (flat, before)]
    return torch.where((known & (errors[1] < errors[0]))[:, None], before, flat)


def differentiate(expect: Expect) -> Differentiate:
    """Gradients of any network, by recording what it does."""

    def into_parts(parts: Parts, piece: Piece, into: Parts) -> None:
        leaves = {name: part.detach().requires_grad_() for name, part in parts.items()}
        with torch.enable_grad():
            squares = (expect(leaves, piece.windows) - piece.windows).square() * piece.weight[:, :, None]
            loss = (squares if piece.known is None else squares * piece.known).sum()
            found = torch.autograd.grad(loss, list(leaves.values()))
        for name, gradient in zip(leaves, found, strict=True):
            into[name].copy_(gradient)

    return into_parts


@dataclass(slots=True)
class _Progress:
    """Components in training: place among all, weights, moments, best error, and passes since it fell."""

    at: torch.Tensor
    flat: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor
    error: torch.Tensor
    waited: torch.Tensor

    def select(self, going: torch.Tensor) -> Self:
        return type(self)(*(getattr(self, name)[going] for name in self.__slots__))


def descend(
    flat: torch.Tensor,
    layout: Layout,
    windows: tuple[TrainingWindows, TrainingWindows],
    expect: Expect,
    gradients: Differentiate,
    plan: Plan,
) -> torch.Tensor:
    """The best weights of each component by its held-out windows, those it started with included.

    Args:
        flat: weights to start with, shape (C, size).
        layout: where they lie.
        windows: to learn from, and held out.
        expect, gradients: the network forwards and backwards.
        plan: how far to go.
    """
    learn, held = replace(windows[0]), windows[1]  # what is trimmed on the way is trimmed here alone
    best = flat.clone()
    error = typical_error(flat, layout, held, expect) * (1 - plan.least_gain)
    losses = watched()
    if losses is not None:
        losses.begin(error.cpu())
    places = torch.arange(len(flat), device=flat.device)
    moments = torch.zeros_like(flat), torch.zeros_like(flat)
    now = _Progress(places, flat.clone(), *moments, error, torch.zeros_like(error))
    for epoch in range(plan.epochs):
        _pass(now, layout, learn, gradients, plan, epoch)
        error = typical_error(now.flat, layout, held, expect)
        better = error < now.error
        best[now.at[better]] = now.flat[better]
        now.error = torch.where(better, error, now.error)
        if losses is not None:
            losses.add(now.at.cpu(), now.error.cpu())
        now.waited = torch.where(better, torch.zeros_like(now.waited), now.waited + 1)
        going = now.waited < plan.patience
        if not bool(going.any()) or epoch == plan.epochs - 1:
            break
        if not bool(going.all()):
            now, learn, held = now.select(going), learn.select(going), held.select(going)
        if epoch % _TRIMMED_EVERY == 1:
            learn.trim(window_errors(now.flat, layout, learn, expect))
    return best


def _pass(
    now: _Progress, layout: Layout, learn: TrainingWindows, gradients: Differentiate, plan: Plan, epoch: int
) -> None:
    """One pass over the windows with Adam (Kingma & Ba, 2015)."""
    gradient = torch.zeros_like(now.flat)
    parts, into = layout.views(now.flat), layout.views(gradient)
    for i in range(learn.steps):
        gradients(parts, learn.piece(i), into)
        now.first.lerp_(gradient, 1 - _BETAS[0])
        now.second.mul_(_BETAS[1]).addcmul_(gradient, gradient, value=1 - _BETAS[1])
        count = epoch * learn.steps + i + 1
        correction = (1 - _BETAS[1] ** count) ** 0.5
        rate = plan.rate * _share_of_rate(count, plan.epochs * learn.steps) * correction / (1 - _BETAS[0] ** count)
        now.flat.addcdiv_(now.first, now.second.sqrt().add_(_EPSILON * correction), value=-rate)


def _share_of_rate(step: int, total: int) -> float:
    """Share of the highest rate at a step, counted from 1."""
    rising = max(_RISING * total, 1.0)
    if step <= rising:
        return step / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(total - rising, 1.0)))
