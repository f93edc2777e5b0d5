"""Counts per component and item, summed over blocks of time so that days and replicas add up."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Sums over blocks of clean time; each column has shape (keys,), sorted by component and item.

    ``component``, ``item`` int32; ``level`` int8, the highest seen; ``count`` lines; ``squares`` the
    sum over blocks of lines² / seconds and ``per_request`` of lines² / requests, from which follows
    how unevenly lines come; ``present`` blocks with any.
    """

    component: npt.NDArray[np.int32]
    item: npt.NDArray[np.int32]
    level: npt.NDArray[np.int8]
    count: Floats
    squares: Floats
    per_request: Floats
    present: Floats

    def __len__(self) -> int:
        return len(self.item)

    @classmethod
    def of_lines(cls, component: Any, item: Any, level: Any, block: Any, seconds: Floats, requests: Floats) -> Self:
        """From lines: all arrays of shape (lines,); ``seconds`` and ``requests`` of each line's block."""
        cells, inverse, lines = _group(component, item, block)
        count = lines.astype(np.float64)
        first = np.zeros(len(count), np.int64)
        first[inverse] = np.arange(len(inverse))
        highest = np.zeros(len(count), np.int8)
        np.maximum.at(highest, inverse, np.asarray(level, np.int8))
        return cls(
            component=cells[0].astype(np.int32),
            item=cells[1].astype(np.int32),
            level=highest,
            count=count,
            squares=count**2 / seconds[first],
            per_request=count**2 / np.maximum(requests[first], 1.0),
            present=np.ones(len(count)),
        ).summed()

    def summed(self) -> Self:
        """One row per component and item."""
        cells, inverse, _ = _group(self.component, self.item, np.zeros(len(self), np.int64))
        size = len(cells[0])
        highest = np.zeros(size, np.int8)
        np.maximum.at(highest, inverse, self.level)
        sums: dict[str, Any] = {name: np.bincount(inverse, getattr(self, name), size) for name in _SUMS}
        return type(self)(component=cells[0].astype(np.int32), item=cells[1].astype(np.int32), level=highest, **sums)

    def renamed(self, component: npt.NDArray[Any], item: npt.NDArray[Any] | None = None) -> Self:
        """The same with new codes, given by old code."""
        items = self.item if item is None else item[self.item]
        return replace(self, component=component[self.component], item=items)

    def take(self, rows: npt.NDArray[Any]) -> Self:
        """The keys of a mask or of indices."""
        return type(self)(**{name: column[rows] for name, column in self.columns().items()})

    def plus(self, other: Self) -> Self:
        """Both together."""
        own, more = self.columns(), other.columns()
        return type(self)(**{name: np.concatenate([own[name], more[name]]) for name in own}).summed()

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """The columns by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


_SUMS = ("count", "squares", "per_request", "present")


def dispersion(count: Floats, squares: Floats, exposure: Floats, blocks: Floats) -> Floats:
    """Pearson's chi² per degree of freedom of counts against one rate, at least 1; all shapes broadcast.

    With n lines over exposure t in each block, N and T their sums: chi² = (sum of n²/t) T/N - N.
    """
    chi = squares * exposure / np.maximum(count, 1e-9) - count
    return np.maximum(np.where(blocks > 1, chi / np.maximum(blocks - 1, 1.0), 1.0), 1.0)


def _group(a: Any, b: Any, c: Any) -> tuple[tuple[Any, Any, Any], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Distinct triples in order, the triple of each row, and the rows of each."""
    a, b, c = (np.asarray(x, np.int64) for x in (a, b, c))
    if not len(a):
        none = np.zeros(0, np.int64)
        return (none, none, none), none, none
    high_b, high_c = int(b.max()) + 1, int(c.max()) + 1
    keys, inverse, count = np.unique((a * high_b + b) * high_c + c, return_inverse=True, return_counts=True)
    return (keys // high_c // high_b, keys // high_c % high_b, keys % high_c), inverse, count
