"""One detector of several, each of which knows other components: what training in parts comes to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rca.detectors.protocol import ComponentScores, Detector, State
from rca.detectors.state import REMEDY, same_detector, take_names
from rca.errors import DetectorError
from rca.telemetry import Floats, MetricFrame
from rca.types import Window

NAME = "joined"
MOST_PARTS = 100_000


@dataclass(frozen=True, kw_only=True)
class JoinedDetector:
    """Several detectors, each asked for its own components.

    Attributes:
        parts: the detectors.
        components: those that each of them knows; no component belongs to two.
    """

    parts: tuple[Detector, ...]
    components: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        names = [name for part in self.components for name in part]
        if not self.parts or len(self.parts) != len(self.components):
            raise DetectorError("there is not one list of components per part", where=NAME, remedy=REMEDY)
        if len(set(names)) < len(names):
            raise DetectorError("two parts know the same component", where=NAME, remedy=REMEDY)

    @classmethod
    def fit(cls, history: MetricFrame, *, seed: int = 0, excluded: Sequence[Window] = ()) -> Self:
        """Refused: it is made of detectors that are fitted already."""
        raise DetectorError("is made of fitted detectors", where=NAME, remedy="Fit its parts, or use `rca train`")

    def score(self, window: MetricFrame) -> Floats:
        """See ``Detector``."""
        out = np.zeros(window.values.shape, np.float32)
        for part, rows, own in self._split(window):
            out[rows] = part.score(own)
        return out

    def deviations(self, window: MetricFrame) -> npt.NDArray[Any]:
        """See ``Detector``."""
        out = np.full(window.values.shape, np.nan, np.float32)
        for part, rows, own in self._split(window):
            out[rows] = part.deviations(own)
        return out

    def score_components(self, window: MetricFrame) -> ComponentScores:
        """See ``Detector``."""
        out = np.zeros((len(window.components), window.values.shape[1]), np.float32)
        for part, rows, own in self._split(window):
            codes = np.unique(window.component[rows])
            out[codes] = part.score_components(own).scores[codes]
        return ComponentScores(components=window.components, scores=out)

    def _split(self, window: MetricFrame) -> Iterator[tuple[Detector, npt.NDArray[np.int64], MetricFrame]]:
        """Each part with its rows of the window, where it has any."""
        part_of = {name: number for number, names in enumerate(self.components) for name in names}
        of_component = np.array([part_of.get(name, -1) for name in window.components] or [-1], np.int64)
        of_series = of_component[window.component]
        for number in np.unique(of_series[of_series >= 0]).tolist():
            rows = np.flatnonzero(of_series == number)
            yield self.parts[number], rows, window.select(rows)

    def to_state(self) -> State:
        """See ``Detector``; the arrays of a part are called ``<number>/<name>``."""
        states = [part.to_state() for part in self.parts]
        arrays = {f"{i:05d}/{name}": array for i, state in enumerate(states) for name, array in state.arrays.items()}
        parts = [
            {"components": list(names), "config": dict(state.config)}
            for names, state in zip(self.components, states, strict=True)
        ]
        return State(config={"detector": NAME, "parts": parts}, arrays=arrays)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """See ``Detector``."""
        from rca.detectors.catalogue import restore

        told = same_detector(state, NAME).get("parts")
        if not isinstance(told, list) or not 0 < len(told) <= MOST_PARTS:
            raise DetectorError("expected a list of parts", where=NAME, remedy=REMEDY)
        parts, components = [], []
        arrays: list[dict[str, npt.NDArray[Any]]] = [{} for _ in told]
        for name, array in state.arrays.items():
            number, slash, own = name.partition("/")
            if not slash or not number.isdecimal() or int(number) >= len(told):
                raise DetectorError("an array belongs to no part", where=name[:80], remedy=REMEDY)
            arrays[int(number)][own] = array
        for part, own_arrays in zip(told, arrays, strict=True):
            config, names = _read_part(part)
            parts.append(restore(State(config=config, arrays=own_arrays)))
            components.append(names)
        return cls(parts=tuple(parts), components=tuple(components))


def _read_part(part: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    config, names = (part.get("config"), part.get("components")) if isinstance(part, dict) else (None, None)
    if not isinstance(config, dict) or config.get("detector") == NAME or not isinstance(names, list):
        raise DetectorError("a part does not say what it is", where=NAME, remedy=REMEDY)
    return config, take_names(State(config={"components": names}, arrays={}), "components")


def join(parts: Sequence[Detector], components: Sequence[Sequence[str]]) -> Detector:
    """One detector of parts of one class; such as can be merged are, so that scoring is one go."""
    if len(parts) == 1:
        return parts[0]
    merge = getattr(type(parts[0]), "join", None)
    if merge is not None:
        try:
            merged: Detector = merge(list(parts))
        except DetectorError:  # fitted to histories of different length: they answer side by side
            pass
        else:
            return merged
    return JoinedDetector(parts=tuple(parts), components=tuple(tuple(names) for names in components))
