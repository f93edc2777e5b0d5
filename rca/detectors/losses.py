"""What training looks like from outside: errors of held-out windows by pass, for whoever watches.

Trainers tell what they do; where nobody watches that costs nothing, and it never changes what they do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(slots=True)
class Losses:
    """Errors by pass over the windows, of all components that were trained while this was watched.

    Attributes:
        total: for each pass (0: before the first) the sum over components of the best error so far.
        components: of how many.
    """

    total: list[float] = field(default_factory=list)
    components: int = 0
    _passes: list[npt.NDArray[np.float64]] = field(default_factory=list)

    def begin(self, errors: Any) -> None:
        """A batch of components begins: errors of their held-out windows, shape (C,)."""
        self.close()
        self._passes = [np.asarray(errors).astype(np.float64)]

    def add(self, at: Any, errors: Any) -> None:
        """One more pass: the best errors so far of the components that are still trained."""
        best = self._passes[-1].copy()
        best[np.asarray(at)] = np.asarray(errors)
        self._passes.append(best)

    def close(self) -> None:
        """The last batch is done; its components keep their errors while others are trained longer."""
        if not self._passes:
            return
        known = np.isfinite(self._passes[0])
        sums = [float(each[known].sum()) for each in self._passes]
        longest = max(len(self.total), len(sums))
        own, others = (row + [row[-1] if row else 0.0] * (longest - len(row)) for row in (sums, self.total))
        self.total = [a + b for a, b in zip(own, others, strict=True)]
        self.components += int(known.sum())
        self._passes = []


_WATCHED: ContextVar[Losses | None] = ContextVar("losses", default=None)


@contextmanager
def watch_losses() -> Iterator[Losses]:
    """Collects what trainers tell while the block runs."""
    losses = Losses()
    token = _WATCHED.set(losses)
    try:
        yield losses
    finally:
        _WATCHED.reset(token)
        losses.close()


def watched() -> Losses | None:
    """Who watches; None: nobody."""
    return _WATCHED.get()
