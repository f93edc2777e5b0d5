"""Clean time cut into blocks, and the requests that each component served in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.telemetry import SpanBatch
from rca.types import SECOND, Window

Floats = npt.NDArray[np.float64]
# Blocks without a line that count as quiet. What is cut out around an incident is longer.
LONGEST_GAP = 5


@dataclass(frozen=True, slots=True)
class Blocks:
    """Blocks of clean time: start and end in ns, increasing, and their seconds; shape (blocks,)."""

    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    seconds: Floats

    @classmethod
    def cut(cls, times: npt.NDArray[np.int64], windows: Sequence[Window] | None, block: int) -> Blocks:
        """Windows cut into equal blocks of about ``block`` ns.

        Without windows the blocks with any of ``times`` are taken, and gaps of up to five blocks
        between them: nothing was written then. Longer gaps were cut out, or not collected.
        """
        if windows is None:
            number = np.unique(times // block)
            gaps = np.flatnonzero((np.diff(number) > 1) & (np.diff(number) <= LONGEST_GAP + 1))
            quiet = [np.arange(number[gap] + 1, number[gap + 1]) for gap in gaps]
            start = np.sort(np.concatenate([number, *quiet])) * block
            return cls(start, start + block, np.full(len(start), block / SECOND))
        starts: list[npt.NDArray[np.int64]] = [np.zeros(0, np.int64)]
        ends: list[npt.NDArray[np.int64]] = [np.zeros(0, np.int64)]
        last: int | None = None
        for window in sorted(windows):
            begin = window.start if last is None else max(window.start, last)
            if window.end <= begin:
                continue
            pieces = max(round((window.end - begin) / block), 1)
            edges = begin + (window.end - begin) * np.arange(pieces + 1, dtype=object) // pieces
            starts.append(edges[:-1].astype(np.int64))
            ends.append(edges[1:].astype(np.int64))
            last = window.end
        start, end = np.concatenate(starts), np.concatenate(ends)
        return cls(start, end, np.maximum((end - start) / SECOND, 1e-9))

    def find(self, times: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The block of each time, -1 where it lies in none."""
        if not len(self.start):
            return np.full(len(times), -1, np.int64)
        place = np.searchsorted(self.start, times, side="right") - 1
        return np.where((place >= 0) & (times < self.end[np.maximum(place, 0)]), place, -1)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests per component and block, sparse: sorted keys component * blocks + block."""

    keys: npt.NDArray[np.int64]
    count: Floats
    blocks: int

    def __call__(self, component: npt.NDArray[Any], block: npt.NDArray[np.int64]) -> Floats:
        """Requests of each component in each block, shape (n,)."""
        if not len(self.keys):
            return np.zeros(len(block))
        wanted = component.astype(np.int64) * self.blocks + block
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[place] == wanted, self.count[place], 0.0)

    def totals(self, size: int) -> Floats:
        """Requests of each component, shape (size,)."""
        return np.bincount(self.keys // max(self.blocks, 1), self.count, size).astype(np.float64)


def count_traffic(spans: SpanBatch | None, names: tuple[str, ...], blocks: Blocks) -> Traffic:
    """Spans per component (codes into ``names``) and block."""
    none = np.zeros(0, np.int64)
    if spans is None or not len(spans) or not names:
        return Traffic(none, np.zeros(0), len(blocks.start))
    index = {name: code for code, name in enumerate(names)}
    code = np.array([index.get(name, -1) for name in spans.components], np.int64)[spans.component]
    place = blocks.find(spans.start)
    kept = (code >= 0) & (place >= 0)
    keys, count = np.unique(code[kept] * len(blocks.start) + place[kept], return_counts=True)
    return Traffic(keys, count.astype(np.float64), len(blocks.start))
