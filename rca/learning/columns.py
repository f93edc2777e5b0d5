"""Columns: the features that weights are learnt for, and their scales.

The scale of a group is the prior standard deviation of its weights relative to others; one table serves
every system. A sign enters as family, group and name with falling scales, alone and with the service,
so that what is rarely seen is judged by what it is a case of (hierarchical shrinkage).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
from scipy import sparse

from rca.learning.scene import Feature, Features

_BY_LEVEL = (1.0, 0.7, 0.5)
_LEVELLED = {"shown": 1.0, "alone": 1.0, "surprise": 1.0, "unusual": 1.0, "of_service": 0.5, "many": 0.7}

SCALES: Mapping[str, float] = MappingProxyType(
    {
        **{f"{name}{i}": scale * by for name, scale in _LEVELLED.items() for i, by in enumerate(_BY_LEVEL)},
        "amount": 0.3,
        "around": 1.0,
        "client": 1.0,
        "cause": 0.5,
        "effect": 0.5,
        "service": 0.7,
        "component": 0.35,
        "context": 1.0,
    }
)
# Who a candidate is: what is learnt here says nothing of services that were never confirmed as a cause.
IDENTITY = ("of_service0", "of_service1", "of_service2", "service", "component")


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The features that have a column, sorted."""

    features: tuple[Feature, ...]

    @classmethod
    def seen(cls, rows: Iterable[Features], *, least: int = 2) -> Columns:
        """Those that at least ``least`` rows have."""
        counts = Counter(feature for row in rows for feature in row)
        return cls(features=tuple(sorted(f for f, n in counts.items() if n >= least and SCALES.get(f[0], 0.0) > 0)))

    @cached_property
    def place(self) -> dict[Feature, int]:
        """Feature -> column."""
        return {feature: i for i, feature in enumerate(self.features)}

    @cached_property
    def scale(self) -> np.ndarray:
        """The scale of each column, shape (columns,)."""
        return np.array([SCALES[group] for group, _ in self.features], np.float64)

    def matrix(self, rows: Sequence[Features]) -> sparse.csr_array:
        """Scaled values, float64, shape (rows, columns); features without a column are left out."""
        values: list[float] = []
        codes: list[int] = []
        starts = [0]
        for row in rows:
            for feature, value in row.items():
                place = self.place.get(feature)
                if place is not None and value:
                    values.append(value * SCALES[feature[0]])
                    codes.append(place)
            starts.append(len(codes))
        shape = (len(rows), len(self.features))
        return sparse.csr_array((np.array(values), np.array(codes, np.int32), np.array(starts, np.int32)), shape=shape)
