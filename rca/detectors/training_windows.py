"""Windows as a tensor program learns from them: shuffled, in equal pieces, masked and weighted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch

from rca.detectors.windows import WINDOW, fill_forward, window_view
from rca.series import Rows
from rca.telemetry import Bools, Floats

# Windows in a piece; pieces are filled up with windows of no weight to a multiple of a cache line.
STEP, _ALIGNED = 128, 16
# The worst windows are left out of training, at most a twentieth of them, and only those whose error
# is far from what half of the windows have: history holds incidents that nobody wrote down.
TRIMMED, FAR = 0.05, 4.0
# Windows of which less is known are not learnt from.
LEAST_KNOWN = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Windows of one step: (C, n, D), the weight of each's samples' errors (C, n), which samples are known."""

    windows: torch.Tensor
    weight: torch.Tensor
    known: torch.Tensor | None


@dataclass(slots=True, kw_only=True)
class TrainingWindows:
    """Windows of C components.

    Attributes:
        windows: holes filled, shape (C, N, D).
        known: 1 where a sample is known, 0 where it is filled, same shape; None: all are known.
        share: 1 over the known samples of a window, shape (C, N), 0 for windows that do not count.
        weight: 1 for windows that are learnt from, 0 for others, shape (C, N).
        step: windows in a piece; N is a multiple of it.
    """

    windows: torch.Tensor
    known: torch.Tensor | None
    share: torch.Tensor
    weight: torch.Tensor
    step: int

    @classmethod
    def of(cls, samples: Floats, ends: Rows, device: torch.device, *, seed: int | None = None) -> Self:
        """Windows that end at some times.

        Args:
            samples: scaled, shape (C, T, M), NaN where missing.
            ends: N times, as indices.
            device: where they are put.
            seed: shuffles the windows, in one way for all components; None leaves them in order.
        """
        if seed is not None:
            ends = np.random.default_rng(seed).permutation(ends)
        steps = max(-(-len(ends) // STEP), 1)
        step = -(-len(ends) // (steps * _ALIGNED)) * _ALIGNED
        padding = steps * step - len(ends)
        at = np.concatenate([ends, np.repeat(ends[:1], padding)])
        known = None if not np.isnan(samples).any() else window_view(~np.isnan(samples))[:, at]
        share = _share(samples, known, len(at))
        share[:, len(ends) :] = 0
        return cls(
            windows=torch.from_numpy(window_view(fill_forward(samples))[:, at]).to(device),
            known=None if known is None else torch.from_numpy(known.astype(np.float32)).to(device),
            share=torch.from_numpy(share).to(device),
            weight=torch.from_numpy((share > 0).astype(np.float32)).to(device),
            step=step,
        )

    @property
    def steps(self) -> int:
        """Pieces in a pass."""
        return self.windows.shape[1] // self.step

    def piece(self, number: int) -> Piece:
        """The windows of one step."""
        part = slice(number * self.step, (number + 1) * self.step)
        return Piece(
            windows=self.windows[:, part],
            weight=self.weight[:, part] * self.share[:, part],
            known=None if self.known is None else self.known[:, part],
        )

    def mean(self, squares: torch.Tensor) -> torch.Tensor:
        """Mean over the known samples of each window: shape (C, N, D) to (C, N)."""
        if self.known is not None:
            squares = squares * self.known
        return squares.sum(dim=2) * self.share

    def typical(self, errors: torch.Tensor) -> torch.Tensor:
        """Mean error of each component's windows, the worst left out: shape (C, N) to (C,); 0 without windows."""
        counts = self.share > 0
        ordered = errors.masked_fill(~counts, torch.inf).sort(dim=1).values
        keep = torch.ceil((1 - TRIMMED) * counts.sum(dim=1, keepdim=True))
        kept = torch.arange(errors.shape[1], device=errors.device) < keep
        return ordered.masked_fill(~kept, 0.0).sum(dim=1) / keep[:, 0].clamp_min(1)

    def trim(self, errors: torch.Tensor) -> None:
        """Leave the worst windows out from here on."""
        counts = self.share > 0
        ordered = errors.masked_fill(~counts, torch.inf).sort(dim=1).values
        number = counts.sum(dim=1, keepdim=True)
        middle = ordered.gather(1, (number // 2).clamp_max(errors.shape[1] - 1))
        last = ordered.gather(1, (torch.ceil((1 - TRIMMED) * number).long() - 1).clamp_min(0))
        self.weight = (counts & (errors <= torch.maximum(last, FAR * middle))).to(self.weight)

    def select(self, going: torch.Tensor) -> Self:
        """Some of the components."""
        return replace(
            self,
            windows=self.windows[going],
            known=None if self.known is None else self.known[going],
            share=self.share[going],
            weight=self.weight[going],
        )


def _share(samples: Floats, known: Bools | None, windows: int) -> Floats:
    """1 over the known samples of each window, 0 where they are too few: shape (C, N)."""
    if known is None:
        return np.full((len(samples), windows), 1 / np.float32(WINDOW * samples.shape[2]), np.float32)
    count = known.sum(axis=2, dtype=np.float32)
    due = WINDOW * (~np.isnan(samples)).any(axis=1).sum(axis=1)[:, None]
    enough = (count > 0) & (count >= LEAST_KNOWN * due)
    return np.where(enough, 1 / np.maximum(count, 1), 0).astype(np.float32)
