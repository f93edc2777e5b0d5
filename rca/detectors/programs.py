"""How tensor programs are run: on what device, and on one thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from rca.errors import DetectorError


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
