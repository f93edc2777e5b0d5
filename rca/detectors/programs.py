"""How tensor programs are run: on what device, on one thread, at what rate they learn."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from rca.errors import DetectorError

# Share of the steps in which the rate rises, before it falls as a cosine to 0 (Smith & Topin, 2019).
_RISING = 0.1


def pick_device(wanted: Literal["cpu", "cuda", "auto"]) -> torch.device:
    """The device to train on.

    Raises:
        DetectorError: a GPU is asked for and there is none.
    """
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise DetectorError("there is no GPU that PyTorch can use", where="device", remedy="Train on cpu or auto")
    return torch.device("cuda" if there and wanted != "cpu" else "cpu")


@contextmanager
def one_thread() -> Iterator[None]:
    """Products on one thread: how a product is cut among threads shows in its last bits.

    Cores are put to use by training chunks of components side by side.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def rate_at(step: int, total: int) -> float:
    """Share of the highest rate at a step, counted from 1."""
    rising = max(_RISING * total, 1.0)
    if step <= rising:
        return step / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(total - rising, 1.0)))
