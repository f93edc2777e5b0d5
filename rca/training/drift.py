"""Drift of training data: how unlike the history of the former version the new samples of a series are.

Each series' history is kept as its deciles and the share of samples up to each. The population
stability index of the new samples over these ten bins (Siddiqi, "Credit Risk Scorecards", 2006: up to
0.1 stable, beyond 0.25 another population) tells that they differ, the distance of the medians which way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rca.detectors.history import cut_out
from rca.detectors.quantiles import sorted_quantiles
from rca.series import SeriesNames
from rca.telemetry import Floats, MetricFrame

DRIFTED = 0.25
# With fewer samples ten bins differ by chance as much as by drift.
FEWEST = 100
EDGES = tuple(round(0.1 * i, 1) for i in range(1, 10))
MEDIAN = 4  # its place among the edges
# A sample in every bin that nobody saw: an empty bin is unlikely, not impossible.
UNSEEN = 0.5
# Beyond this many spreads nobody cares how many.
FARTHEST = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """How the samples of each series were distributed.

    Attributes:
        edges: float32, shape (series, 9): deciles; NaN without samples.
        shares: float32, shape (series, 10): share of the samples in (edge before, edge].
        count: int64, shape (series,): samples that are not missing.
        total: int64, shape (series,): times.
    """

    edges: Floats
    shares: Floats
    count: npt.NDArray[np.int64]
    total: npt.NDArray[np.int64]

    @classmethod
    def of(cls, frame: MetricFrame) -> Self:
        """Of a frame's series, in its order."""
        edges = np.ascontiguousarray(sorted_quantiles(frame.values, EDGES).T)
        counts = _bin(frame.values, edges)
        count = counts.sum(axis=1)
        return cls(
            edges=edges,
            shares=(counts / np.maximum(count, 1)[:, None]).astype(np.float32),
            count=count,
            total=np.full(len(count), len(frame.times), np.int64),
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What is kept of it."""
        return {"edges": self.edges, "shares": self.shares, "count": self.count, "total": self.total}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """The reverse of ``arrays``."""
        return cls(edges=arrays["edges"], shares=arrays["shares"], count=arrays["count"], total=arrays["total"])

    def take(self, rows: npt.NDArray[np.int64]) -> Self:
        """Of some series; -1 is one that is unknown."""
        unknown = rows < 0
        edges = np.where(unknown[:, None], np.float32(np.nan), self.edges[rows]) if len(self.count) else None
        if edges is None:
            return type(self)(
                edges=np.full((len(rows), len(EDGES)), np.nan, np.float32),
                shares=np.zeros((len(rows), len(EDGES) + 1), np.float32),
                count=np.zeros(len(rows), np.int64),
                total=np.zeros(len(rows), np.int64),
            )
        count = np.where(unknown, 0, self.count[rows])
        return type(self)(edges=edges, shares=self.shares[rows], count=count, total=self.total[rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How the new samples of each series differ; shape (series,) each.

    Attributes:
        index: population stability index, >= 0; NaN where there are too few samples, old or new.
        shift: distance of the medians in the former distance of the first and last decile; NaN likewise.
        known: whether the former version knew the series.
    """

    index: Floats
    shift: Floats
    known: npt.NDArray[np.bool_]


def compare(former: Distribution, frame: MetricFrame) -> Drift:
    """The drift of a frame's series against what they were; rows of both are the same series."""
    counts = _bin(frame.values, former.edges)
    count = counts.sum(axis=1)
    expected = _smooth(former.shares * former.count[:, None])
    actual = _smooth(counts)
    index = ((actual - expected) * np.log(actual / expected)).sum(axis=1)
    median = sorted_quantiles(frame.values, (0.5,))[0]
    # Series that did not move at all are measured by their level.
    spread = np.fmax(former.edges[:, -1] - former.edges[:, 0], 1e-3 * np.abs(former.edges[:, MEDIAN]))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        shift = np.clip((median - former.edges[:, MEDIAN]) / spread, -FARTHEST, FARTHEST)
    enough = (count >= FEWEST) & (former.count >= FEWEST)
    return Drift(
        index=np.where(enough, index, np.nan).astype(np.float32),
        shift=np.where(enough, shift, np.nan).astype(np.float32),
        known=former.count > 0,
    )


def compare_by_name(series: SeriesNames, statistics: Mapping[str, npt.NDArray[Any]], frame: MetricFrame) -> Drift:
    """The drift of a frame's series against the kept statistics of ``series``."""
    return compare(Distribution.from_arrays(statistics).take(series.find(frame)), frame)


def healthy(frame: MetricFrame, excluded: Any) -> MetricFrame:
    """The frame without the times that are not healthy."""
    return cut_out(frame, excluded) if frame.values.size else frame


def _bin(values: Floats, edges: Floats) -> npt.NDArray[np.int64]:
    """Samples in (edge before, edge]: shape (series, 10)."""
    below = np.stack([np.count_nonzero(values <= edges[:, i, None], axis=1) for i in range(edges.shape[1])], axis=1)
    all_of_them = np.count_nonzero(~np.isnan(values), axis=1)
    return np.diff(below, axis=1, prepend=0, append=all_of_them[:, None]).astype(np.int64)


def _smooth(counts: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    filled = counts.astype(np.float64) + UNSEEN
    return np.asarray(filled / filled.sum(axis=1, keepdims=True))
