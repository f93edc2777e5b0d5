"""Columns of stored profiles: read back as names, and checked to fit together."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rca.errors import ProfileError


def to_names(column: npt.NDArray[Any]) -> tuple[str, ...]:
    """The texts of a stored column, shape (names,)."""
    return tuple(str(name) for name in column)


def check_lengths(what: str, length: int, **columns: npt.NDArray[Any]) -> None:
    """Refuse columns that have not one row for each of ``what``.

    Raises:
        ProfileError: a column is longer or shorter, or is no column.
    """
    for name, column in columns.items():
        if column.ndim == 0 or len(column) != length:
            raise ProfileError(f"{name} has shape {column.shape} for {length} {what}")


def check_codes(name: str, codes: npt.NDArray[Any], size: int) -> None:
    """Refuse codes outside [0, size), or that are no whole numbers.

    Raises:
        ProfileError: a code refers to nothing.
    """
    if not np.issubdtype(codes.dtype, np.integer) or (codes.size and not 0 <= codes.min() <= codes.max() < size):
        raise ProfileError(f"{name} refers to something outside of its {size} names")
