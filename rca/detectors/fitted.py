"""What was learnt of components of one shape, how parts of it are joined, kept and read again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rca.detectors.batch import Weights
from rca.detectors.components import ComponentGroup, group_components
from rca.detectors.protocol import State
from rca.detectors.scaling import Scaling
from rca.detectors.state import REMEDY, take_array
from rca.errors import DetectorError
from rca.series import SeriesNames
from rca.telemetry import Floats, encode

Shapes = Mapping[str, tuple[int, ...]]
# Per series: NaN where a group is wider than a component, or nothing is known.
_PER_SERIES = ("level", "scale", "unit", "limit", "drift_limit")


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedGroup:
    """Components of one width: C of them, M series each.

    Attributes:
        group: which they are; rows refer to the detector's series.
        scaling: of each series, shape (C, M).
        weights: of each network, shape (C, ...) each.
        unit: root mean square of a series' residuals in health, in scales, shape (C, M).
        limit: what that reaches in a healthy window, in units, shape (C, M).
        component_limit: the same for the mean over a component's series, shape (C,).
        drift_limit: what the mean of a series' residuals over a window reaches in health, in units, shape (C, M).
    """

    group: ComponentGroup
    scaling: Scaling
    weights: Weights
    unit: Floats
    limit: Floats
    component_limit: Floats
    drift_limit: Floats

    def take(self, part: slice) -> Self:
        """Some of the components."""
        return self._map(lambda array: array[part], self.group.take(part))

    def _map(self, change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]], group: ComponentGroup) -> Self:
        scaling = replace(
            self.scaling,
            level=change(self.scaling.level),
            scale=change(self.scaling.scale),
            calendar=change(self.scaling.calendar),
        )
        return replace(
            self,
            group=group,
            scaling=scaling,
            weights={name: change(array) for name, array in self.weights.items()},
            unit=change(self.unit),
            limit=change(self.limit),
            component_limit=change(self.component_limit),
            drift_limit=change(self.drift_limit),
        )

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Everything that was learnt, by name."""
        scaling = {"level": self.scaling.level, "scale": self.scaling.scale, "calendar": self.scaling.calendar}
        limits = {
            "unit": self.unit,
            "limit": self.limit,
            "component_limit": self.component_limit,
            "drift_limit": self.drift_limit,
        }
        return {**scaling, **limits, **{f"weight.{name}": array for name, array in self.weights.items()}}

    @classmethod
    def from_columns(cls, group: ComponentGroup, periods: tuple[int, ...], columns: Weights) -> Self:
        """The reverse of ``columns``."""
        return cls(
            group=group,
            scaling=Scaling(
                level=columns["level"], scale=columns["scale"], periods=periods, calendar=columns["calendar"]
            ),
            weights={name[7:]: array for name, array in columns.items() if name.startswith("weight.")},
            unit=columns["unit"],
            limit=columns["limit"],
            component_limit=columns["component_limit"],
            drift_limit=columns["drift_limit"],
        )


def join_series(parts: Sequence[SeriesNames]) -> SeriesNames:
    """The series of all parts, ordered by the names of component, metric and peer, and no other names."""
    keys = sorted(key for part in parts for key in part.keys)
    names, codes = encode([key[0] for key in keys] + [key[2] for key in keys if key[2]])
    metrics, metric = encode([key[1] for key in keys])
    peer = np.full(len(keys), -1, np.int32)
    peer[[bool(key[2]) for key in keys]] = codes[len(keys) :]
    return SeriesNames(components=names, metrics=metrics, component=codes[: len(keys)], metric=metric, peer=peer)


def join_groups(series: SeriesNames, parts: Sequence[FittedGroup]) -> tuple[FittedGroup, ...]:
    """One group for each width, in the order of ``group_components(series)``, whatever the parts were."""
    joined = []
    for group in group_components(series):
        same = [part for part in parts if part.group.width == group.width]
        names = [name for part in same for name in part.group.names]
        order = np.array(sorted(range(len(names)), key=names.__getitem__))
        columns = [part.columns() for part in same]
        merged = {name: np.concatenate([each[name] for each in columns])[order] for name in columns[0]}
        joined.append(FittedGroup.from_columns(group, same[0].scaling.periods, merged))
    return tuple(joined)


def write_groups(groups: Sequence[FittedGroup]) -> dict[str, npt.NDArray[Any]]:
    """Arrays by name, each with the width of its group."""
    return {f"{each.group.width}.{name}": array for each in groups for name, array in each.columns().items()}


def read_groups(
    state: State, series: SeriesNames, periods: tuple[int, ...], features: int, shapes: Callable[[int], Shapes]
) -> tuple[FittedGroup, ...]:
    """The reverse of ``write_groups``.

    Args:
        state: what was kept.
        series: what the detector knows.
        periods: of the calendar.
        features: of the calendar.
        shapes: of the weights of one component, by width.

    Raises:
        DetectorError: an array is missing, has another shape or type, or is not finite.
    """
    groups = []
    for group in group_components(series):
        count, width = group.rows.shape
        columns = {name: take_array(state, f"{width}.{name}", (count, width), missing=True) for name in _PER_SERIES}
        columns["component_limit"] = take_array(state, f"{width}.component_limit", (count,), missing=True)
        columns["calendar"] = take_array(state, f"{width}.calendar", (count, width, features))
        for name, shape in shapes(width).items():
            columns[f"weight.{name}"] = take_array(state, f"{width}.weight.{name}", (count, *shape))
        if any(
            bool((columns[name] <= 0).any()) for name in ("scale", "unit", "limit", "component_limit", "drift_limit")
        ):
            raise DetectorError("a scale or a limit is not positive", where=f"width {width}", remedy=REMEDY)
        groups.append(FittedGroup.from_columns(group, periods, columns))
    return tuple(groups)
