"""Where the weights of a network lie in one flat row, so that an optimiser's step is one operation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from rca.detectors.batch import Weights

Parts = dict[str, torch.Tensor]

# Numbers in a cache line: every matrix of every component begins on one, wherever the component
# lies in a batch, so that a processor adds up in the same order.
_ALIGNED = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Shapes and places of the weights of one component.

    Attributes:
        shapes: of the weights by name.
        starts: where each begins in the row.
        size: numbers in the row, padding included.
    """

    shapes: Mapping[str, tuple[int, ...]]
    starts: Mapping[str, int]
    size: int

    @classmethod
    def of(cls, shapes: Mapping[str, tuple[int, ...]]) -> Self:
        """One after the other, in the order given."""
        lengths = [-(-prod(shape) // _ALIGNED) * _ALIGNED for shape in shapes.values()]
        bounds = [0, *np.cumsum(lengths).tolist()]
        starts = {name: start for name, (start, _) in zip(shapes, pairwise(bounds), strict=True)}
        return cls(shapes=dict(shapes), starts=starts, size=bounds[-1])

    def views(self, flat: torch.Tensor) -> Parts:
        """Weights by name, shape (C, *shape), in the memory of rows of shape (C, size)."""
        return {
            name: flat[:, start : start + prod(self.shapes[name])].view(len(flat), *self.shapes[name])
            for name, start in self.starts.items()
        }

    def pack(self, weights: Weights) -> torch.Tensor:
        """Rows from weights by name."""
        flat = torch.zeros(len(weights[next(iter(self.shapes))]), self.size)
        for name, view in self.views(flat).items():
            view.copy_(torch.from_numpy(np.ascontiguousarray(weights[name])))
        return flat

    def unpack(self, flat: torch.Tensor) -> dict[str, npt.NDArray[Any]]:
        """Weights by name from rows."""
        return {name: view.cpu().contiguous().numpy() for name, view in self.views(flat).items()}
