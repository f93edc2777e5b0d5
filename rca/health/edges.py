"""Healthy durations per edge or request type, as histograms that add up, and calls that were lost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.calls import CallTable
from rca.health.columns import check_codes, check_lengths, to_names
from rca.tracing import RequestTable

# Bins grow by 2 %: quantiles are right within 1 %, far below the factor of two that matters.
GROWTH = float(np.log(1.02))
SLOW_QUANTILE, SLOW_FACTOR, FEWEST_CALLS = 0.95, 2.0, 10
UNIT = 1_000.0  # gaps below a microsecond are one bin


@dataclass(frozen=True, kw_only=True)
class EdgeHealth:
    """Histograms of gaps: sparse (edge, bin, count), after DDSketch (Masson et al., VLDB 2019).

    ``edges`` sorted keys as in ``CallTable``; ``edge``, ``bin`` int32 and ``count`` float64, shape
    (cells,), sorted by edge and bin. Bin 0 holds |gap| < 1 µs, negative bins negative gaps.
    ``made``, ``lost`` float64, shape (edges,): calls, and those of which only the client saw an error.
    """

    edges: tuple[str, ...]
    edge: npt.NDArray[np.int32]
    bin: npt.NDArray[np.int32]
    count: npt.NDArray[np.float64]
    made: npt.NDArray[np.float64]
    lost: npt.NDArray[np.float64]

    @classmethod
    def build(cls, calls: CallTable, clean: npt.NDArray[np.bool_]) -> EdgeHealth:
        """From the clean calls of a table, mask of shape (calls,)."""
        timed = clean & calls.timed
        size = len(calls.edges)
        made = np.bincount(calls.edge[clean], minlength=size).astype(np.float64)
        lost = np.bincount(calls.edge[clean & calls.lost], minlength=size).astype(np.float64)
        return cls._from_cells(calls.edges, calls.edge[timed], to_bins(calls.gap[timed]), None, made, lost)

    @classmethod
    def of_requests(cls, table: RequestTable, clean: npt.NDArray[np.bool_]) -> EdgeHealth:
        """The own time of clean requests (mask of shape (requests,)) per request type; none is lost."""
        made = np.bincount(table.type_of[clean], minlength=len(table.types)).astype(np.float64)
        bins = to_bins(table.own_time[clean])
        return cls._from_cells(table.types, table.type_of[clean], bins, None, made, np.zeros_like(made))

    @classmethod
    def _from_cells(cls, edges: tuple[str, ...], edge: Any, bins: Any, count: Any, made: Any, lost: Any) -> EdgeHealth:
        low = int(bins.min()) if len(bins) else 0
        width = (int(bins.max()) - low + 1) if len(bins) else 1
        keys, code = np.unique(edge.astype(np.int64) * width + (bins - low), return_inverse=True)
        return cls(
            edges=edges,
            edge=(keys // width).astype(np.int32),
            bin=(keys % width + low).astype(np.int32),
            count=np.bincount(code, count, len(keys)).astype(np.float64),
            made=made,
            lost=lost,
        )

    @cached_property
    def calls(self) -> npt.NDArray[np.float64]:
        """Healthy calls per edge, shape (edges,)."""
        return np.bincount(self.edge, self.count, len(self.edges)).astype(np.float64)

    def quantile(self, q: float) -> npt.NDArray[np.float64]:
        """The q-quantile of each edge's gap in ns, shape (edges,); NaN where there were no calls."""
        out = np.full(len(self.edges), np.nan)
        if not len(self.edge):
            return out
        running = np.cumsum(self.count)
        before = np.concatenate([[0.0], running])[np.searchsorted(self.edge, np.arange(len(self.edges)))]
        wanted = before + np.maximum(q * self.calls, 1e-9)
        cell = np.minimum(np.searchsorted(running, wanted - 1e-9), len(running) - 1)
        known = self.calls > 0
        out[known] = from_bins(self.bin[cell[known]])
        return out

    @cached_property
    def limit(self) -> npt.NDArray[np.float64]:
        """The gap in ns above which a call is slow, per edge: max(q95, 2 x median); NaN below 10 calls."""
        limit = np.maximum(self.quantile(SLOW_QUANTILE), SLOW_FACTOR * self.quantile(0.5))
        return np.where(self.calls >= FEWEST_CALLS, limit, np.nan)

    def merge(self, other: EdgeHealth) -> EdgeHealth:
        """Both together: counts add up."""
        edges = tuple(sorted({*self.edges, *other.edges}))
        position = {name: i for i, name in enumerate(edges)}
        maps = [np.array([position[name] for name in part.edges] or [0], np.int64) for part in (self, other)]
        made, lost = np.zeros(len(edges)), np.zeros(len(edges))
        for part, at in zip((self, other), maps, strict=True):
            if len(part.edges):
                np.add.at(made, at, part.made)
                np.add.at(lost, at, part.lost)
        return self._from_cells(
            edges,
            np.concatenate([m[part.edge] for part, m in zip((self, other), maps, strict=True)]),
            np.concatenate([self.bin, other.bin]),
            np.concatenate([self.count, other.count]),
            made,
            lost,
        )

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays without objects, for storage."""
        return {
            "edges": np.array(self.edges, dtype=np.str_),
            "edge": self.edge,
            "bin": self.bin,
            "count": self.count,
            "made": self.made,
            "lost": self.lost,
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> EdgeHealth:
        """The reverse of ``to_arrays``."""
        edges = to_names(arrays["edges"])
        check_lengths("edges", len(edges), made=arrays["made"], lost=arrays["lost"])
        check_lengths("cells", len(arrays["edge"]), edge=arrays["edge"], bin=arrays["bin"], count=arrays["count"])
        check_codes("edge", arrays["edge"], len(edges))
        return cls(
            edges=edges,
            edge=arrays["edge"],
            bin=arrays["bin"],
            count=arrays["count"],
            made=arrays["made"],
            lost=arrays["lost"],
        )


def to_bins(gap: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """The bin of each gap in ns."""
    size = np.abs(gap.astype(np.float64)) / UNIT
    index = np.where(size < 1.0, 0, 1 + np.floor(np.log(np.maximum(size, 1.0)) / GROWTH))
    signed: npt.NDArray[np.int32] = (np.sign(gap) * index).astype(np.int32)
    return signed


def from_bins(bins: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The middle of each bin in ns (0 for bin 0)."""
    size = np.exp((np.abs(bins) - 0.5) * GROWTH) * UNIT
    return np.where(bins == 0, 0.0, np.sign(bins) * size)
