"""Where the weights of a window autoencoder lie in one flat row, so that an optimiser's step is one operation."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from rca.detectors.batch import Weights
from rca.detectors.mlp import layer_sizes, weight_shapes

# Numbers in a cache line: every matrix of every component begins on one, wherever the component
# lies in a batch, so that a processor adds up in the same order.
_ALIGNED = 16
_OUTSIDE = ("lowest", "highest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Shapes and places of the weights of one component.

    Attributes:
        inputs, hidden, code: units of the layers.
        shapes: of the weights by name.
        starts: where each begins in the row.
        size: numbers in the row, padding included.
    """

    inputs: int
    hidden: int
    code: int
    shapes: dict[str, tuple[int, ...]]
    starts: dict[str, int]
    size: int

    @classmethod
    def of(cls, width: int) -> Self:
        """For components of ``width`` series."""
        inputs, hidden, code = layer_sizes(width)
        shapes = {name: shape for name, shape in weight_shapes(width).items() if name not in _OUTSIDE}
        lengths = [-(-prod(shape) // _ALIGNED) * _ALIGNED for shape in shapes.values()]
        bounds = [0, *np.cumsum(lengths).tolist()]
        starts = {name: start for name, (start, _) in zip(shapes, pairwise(bounds), strict=True)}
        return cls(inputs=inputs, hidden=hidden, code=code, shapes=shapes, starts=starts, size=bounds[-1])

    def views(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """Weights by name, shape (C, *shape), in the memory of rows of shape (C, size)."""
        return {
            name: flat[:, start : start + prod(self.shapes[name])].view(len(flat), *self.shapes[name])
            for name, start in self.starts.items()
        }

    def pack(self, weights: Weights) -> torch.Tensor:
        """Rows from weights by name."""
        flat = torch.zeros(len(weights["b1"]), self.size)
        for name, view in self.views(flat).items():
            view.copy_(torch.from_numpy(np.ascontiguousarray(weights[name])))
        return flat

    def unpack(self, flat: torch.Tensor) -> dict[str, npt.NDArray[Any]]:
        """Weights by name from rows."""
        return {name: view.cpu().contiguous().numpy() for name, view in self.views(flat).items()}
