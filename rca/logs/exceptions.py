"""Exception classes that log lines name."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rca.logs.masks import Masks
from rca.telemetry import Texts


def find_exceptions(messages: Texts, masks: Masks) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Rows of the lines that name an exception class, shape (mentions,), and the class that each mentions."""
    rows: list[int] = []
    names: list[str] = []
    find: Any = masks.find_exceptions
    for row, message in enumerate(messages.tolist()):
        for name in find(message):
            rows.append(row)
            names.append(name)
    return np.array(rows, np.int64), names
