"""Series by name: which of another frame's series are the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rca.telemetry import NO_PEER, Codes, MetricFrame

Rows = npt.NDArray[np.int64]

# Stands for a name that is not known here; no name has it, and it is not NO_PEER.
UNKNOWN = -2


@dataclass(frozen=True, kw_only=True)
class SeriesNames:
    """What each series of a frame measures, without the samples; see ``MetricFrame``."""

    components: tuple[str, ...]
    metrics: tuple[str, ...]
    component: Codes
    metric: Codes
    peer: Codes

    @classmethod
    def of(cls, frame: MetricFrame) -> Self:
        """The names of a frame's series."""
        return cls(
            components=frame.components,
            metrics=frame.metrics,
            component=frame.component,
            metric=frame.metric,
            peer=frame.peer,
        )

    def __len__(self) -> int:
        return len(self.component)

    @property
    def keys(self) -> tuple[tuple[str, str, str], ...]:
        """(component, metric, peer or "") of each series."""
        names = (*self.components, "")  # -1, no peer, is the last
        codes = zip(self.component.tolist(), self.metric.tolist(), self.peer.tolist(), strict=True)
        return tuple((self.components[c], self.metrics[m], names[p]) for c, m, p in codes)

    def find(self, frame: MetricFrame) -> Rows:
        """The row here of each series of a frame, -1 where there is none; shape (series of the frame,)."""
        known, order = self._sorted
        if not len(known):
            return np.full(len(frame.component), -1, np.int64)
        wanted = self._codes(frame.components, frame.metrics, frame.component, frame.metric, frame.peer)
        # Of two series of one name the last counts.
        place = np.maximum(np.searchsorted(known, wanted, side="right") - 1, 0)
        return np.where((known[place] == wanted) & (wanted >= 0), order[place], -1)

    @cached_property
    def _sorted(self) -> tuple[Rows, Rows]:
        codes = self._codes(self.components, self.metrics, self.component, self.metric, self.peer)
        order = np.argsort(codes, kind="stable")
        return codes[order], order

    @cached_property
    def _places(self) -> tuple[dict[str, int], dict[str, int]]:
        return {n: i for i, n in enumerate(self.components)}, {n: i for i, n in enumerate(self.metrics)}

    @cached_property
    def _own(self) -> tuple[Rows, Rows]:
        """Its own names by code: most frames asked for share them."""
        return _translate(self.components, self._places[0]), _translate(self.metrics, self._places[1])

    def _codes(
        self, components: tuple[str, ...], metrics: tuple[str, ...], component: Codes, metric: Codes, peer: Codes
    ) -> Rows:
        """One number per series, the same for the same names; negative where a name is not known here."""
        of_component = self._own[0] if components is self.components else _translate(components, self._places[0])
        of_metric = self._own[1] if metrics is self.metrics else _translate(metrics, self._places[1])
        caller, what = of_component[component], of_metric[metric]
        other = np.where(peer == NO_PEER, NO_PEER, of_component[np.maximum(peer, 0)])
        code = (caller * (len(self.components) + 1) + other + 1) * len(self.metrics) + what
        return np.where((caller == UNKNOWN) | (what == UNKNOWN) | (other == UNKNOWN), -1, code)


def _translate(names: tuple[str, ...], place: dict[str, Any]) -> Rows:
    return np.array([place.get(name, UNKNOWN) for name in names] or [UNKNOWN], np.int64)
