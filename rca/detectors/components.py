"""Components as arrays: a frame's series grouped so that all components of one shape are one array."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rca.series import Rows, SeriesNames
from rca.telemetry import Floats, MetricFrame

# Widths that components are padded to: every one from 2 to 8, then steps of at most a quarter, so that
# a fleet of unequal components makes few groups and padding costs little. A matrix of one column is
# multiplied by other code when it is alone than when it is one of many, with other last digits.
_LEAST, _EXACT, _STEPS = 2, 8, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentGroup:
    """Components with about as many series each, padded to one width.

    A component's result must not depend on its neighbours here: the width follows from the number
    of its own series, their order from their names.

    Attributes:
        names: the components, sorted; length C.
        rows: int64, shape (C, M): the frame's row of each series, by metric and then by peer, -1
            where a component has fewer series than its group is wide.
    """

    names: tuple[str, ...]
    rows: Rows

    @property
    def width(self) -> int:
        """M, the number of series that each component is padded to."""
        return int(self.rows.shape[1])

    def __len__(self) -> int:
        return len(self.names)

    def take(self, part: slice) -> Self:
        """Some of the components."""
        return replace(self, names=self.names[part], rows=self.rows[part])

    def chunks(self, size: int) -> Iterator[Self]:
        """Parts of at most ``size`` components."""
        for start in range(0, len(self.names), size):
            yield self.take(slice(start, start + size))

    def gather(self, values: Floats) -> Floats:
        """The samples of each component: float32, shape (C, M, T), NaN where missing or padded.

        Args:
            values: shape (series, T), as in a frame.
        """
        return gather(values, self.rows)


def gather(values: npt.NDArray[Any], rows: Rows) -> npt.NDArray[Any]:
    """Rows of an array by number, NaN for -1: shape (*rows.shape, *values.shape[1:])."""
    if len(values) == 0:
        return np.full((*rows.shape, *values.shape[1:]), np.nan, np.float32)
    out: npt.NDArray[Any] = values[rows]
    absent = rows < 0
    if absent.any():
        out[absent] = np.nan
    return out


def padded_width(series: int) -> int:
    """The width of the group that a component with this many series belongs to."""
    if series <= _EXACT:
        return max(series, _LEAST)
    step = (1 << ((series - 1).bit_length() - 1)) // _STEPS
    return -(-series // step) * step


def group_components(series: SeriesNames | MetricFrame) -> tuple[ComponentGroup, ...]:
    """All components that have a series, grouped by padded number of series, narrow groups first.

    Series between two components belong to the one that they are measured on.
    """
    if not len(series.component):
        return ()
    order = _by_name(series)
    codes = series.component[order]
    starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    counts = np.diff(np.r_[starts, len(codes)])
    widths = np.array([padded_width(count) for count in counts.tolist()])
    groups = []
    for width in np.unique(widths).tolist():
        chosen = np.flatnonzero(widths == width)
        place = starts[chosen, None] + np.arange(width)
        inside = np.arange(width) < counts[chosen, None]
        rows = np.where(inside, order[np.minimum(place, len(order) - 1)], -1)
        names = tuple(series.components[code] for code in codes[starts[chosen]].tolist())
        groups.append(ComponentGroup(names=names, rows=rows))
    return tuple(groups)


def _by_name(series: SeriesNames | MetricFrame) -> Rows:
    """Rows ordered by component, metric and peer, by name and not by code."""
    component, metric = _ranks(series.components), _ranks(series.metrics)
    peer = np.append(component, -1)[series.peer]  # no peer, -1, is the last
    return np.lexsort((peer, metric[series.metric], component[series.component])).astype(np.int64)


def _ranks(names: tuple[str, ...]) -> Rows:
    ranks = np.empty(len(names), np.int64)
    ranks[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    return ranks
