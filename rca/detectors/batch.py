"""What a network learns from: the scaled samples of some components of one shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rca.detectors.windows import WINDOW, fill_forward, window_view
from rca.series import Rows
from rca.telemetry import Bools, Floats

Weights = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How detectors are trained; none of it but ``fine_tune`` and ``epochs`` changes what is learnt.

    Attributes:
        fine_tune: False keeps the warm start, the solution of a linear network.
        epochs: passes over the windows at most; None: as many as the kind of network needs.
        chunk: components trained at once, as many as fit a processor's cache; None: by kind.
        device: "cpu", "cuda", or "auto": a GPU if there is one. Weights from a GPU differ in the last digits.
    """

    fine_tune: bool = True
    epochs: int | None = None
    chunk: int | None = None
    device: Literal["cpu", "cuda", "auto"] = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Components of one width with their windows.

    Attributes:
        names: the components; length C.
        samples: float32, shape (C, T, M): distances from the level in scales, clipped; NaN where missing.
        learn, held: last samples of the windows to learn from, and to decide and calibrate by.
        seed: of the whole training; what is drawn for a component depends on it and on the name alone.
    """

    names: tuple[str, ...]
    samples: Floats
    learn: Rows
    held: Rows
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Residuals:
    """How far samples are from what a network expects.

    Attributes:
        newest: float32, shape (C, N, M), N times: sample less expectation, in scales; NaN where unknown.
        power: float32, same shape: mean of the squares over the window that ends here; NaN where
            unknown.
        whole: float32, shape (C, N): how far the component as a whole is from health, in a unit of
            its own; None where that is the mean of its metrics.
    """

    newest: Floats
    power: Floats
    whole: Floats | None = None


def mean_power(gaps: Floats, known: Bools | None) -> Floats:
    """Mean square over the known samples of each window: shape (C, N, w, M) to (C, N, M), NaN without any."""
    if known is not None:
        gaps = np.where(known, gaps, np.float32(0))
    total: Floats = np.einsum("cnwm,cnwm->cnm", gaps, gaps)
    if known is None:
        return total / np.float32(gaps.shape[2])
    count = known.sum(axis=2, dtype=np.float32)
    return np.where(count > 0, total / np.maximum(count, 1), np.float32(np.nan))


def window_residuals(expect: Callable[[Floats], Floats], samples: Floats, ends: Rows) -> Residuals:
    """Residuals of networks that reconstruct windows.

    Args:
        expect: what they make of windows, shape (C, N, w x M) to the same.
        samples, ends: see ``NetworkDetector.measure``.
    """
    shape = (len(samples), len(ends), WINDOW, samples.shape[2])
    windows = window_view(fill_forward(samples))[:, ends]
    expected = expect(windows)
    gaps = np.subtract(windows, expected, out=expected).reshape(shape)
    if bool((ends >= WINDOW - 1).all()) and not np.isnan(samples).any():
        return Residuals(newest=gaps[:, :, -1], power=mean_power(gaps, None))
    known = window_view(~np.isnan(samples))[:, ends].reshape(shape)
    newest = np.where(known[:, :, -1], gaps[:, :, -1], np.float32(np.nan))
    return Residuals(newest=newest, power=mean_power(gaps, known))
