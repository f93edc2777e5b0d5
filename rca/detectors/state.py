"""Reading what was kept of a detector: nothing is taken on trust, since files are truncated and flipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.detectors.protocol import State
from rca.errors import DetectorError
from rca.series import SeriesNames

REMEDY = "Train the model again, or roll back to an earlier version"


def take_array(
    state: State, name: str, shape: Sequence[int | None], dtype: type = np.float32, *, missing: bool = False
) -> npt.NDArray[Any]:
    """An array of the given shape and type; None stands for any length.

    Args:
        missing: whether NaN has a meaning here.

    Raises:
        DetectorError: it is absent, has another shape or type, or a value is not a number.
    """
    array = state.arrays.get(name)
    if array is None:
        raise DetectorError("this part of the model is missing", where=name, remedy=REMEDY)
    fits = array.ndim == len(shape) and all(want in (None, have) for want, have in zip(shape, array.shape, strict=True))
    if not fits or array.dtype != np.dtype(dtype):
        wanted = "x".join("any" if length is None else str(length) for length in shape)
        found = "x".join(map(str, array.shape))
        problem = f"expected {np.dtype(dtype)} of {wanted or 'no dimension'}, found {array.dtype} of {found or 'none'}"
        raise DetectorError(problem, where=name, remedy=REMEDY)
    wrong = np.isinf(array) if missing else ~np.isfinite(array)
    if wrong.any():
        raise DetectorError("a value is not a number", where=name, remedy=REMEDY)
    return array


def take_value(state: State, name: str, kind: type) -> Any:
    """A value of the config.

    Raises:
        DetectorError: it is absent or of another kind.
    """
    value = state.config.get(name)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise DetectorError(f"expected {kind.__name__}, found {value!r:.40}", where=name, remedy=REMEDY)
    return value


def take_names(state: State, name: str) -> tuple[str, ...]:
    """Names of the config, in order.

    Raises:
        DetectorError: it is absent, or one is no text.
    """
    value = state.config.get(name)
    if not isinstance(value, (list, tuple)) or not all(isinstance(text, str) for text in value):
        raise DetectorError(f"expected names, found {value!r:.40}", where=name, remedy=REMEDY)
    return tuple(value)


def series_state(series: SeriesNames) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Config and arrays that keep the names of series."""
    config = {"components": list(series.components), "metrics": list(series.metrics)}
    return config, {name: getattr(series, name) for name in ("component", "metric", "peer")}


def take_series(state: State) -> SeriesNames:
    """The reverse of ``series_state``.

    Raises:
        DetectorError: something is absent, or a code is none of the names'.
    """
    components, metrics = take_names(state, "components"), take_names(state, "metrics")
    component = take_array(state, "component", (None,), np.int32)
    metric = take_array(state, "metric", component.shape, np.int32)
    peer = take_array(state, "peer", component.shape, np.int32)
    for codes, names, lowest in ((component, components, 0), (metric, metrics, 0), (peer, components, -1)):
        if codes.size and not lowest <= int(codes.min()) <= int(codes.max()) < len(names):
            raise DetectorError("a code lies outside the names", where="series", remedy=REMEDY)
    return SeriesNames(components=components, metrics=metrics, component=component, metric=metric, peer=peer)


def same_detector(state: State, name: str) -> Mapping[str, Any]:
    """The config, where the state is of the detector called ``name``.

    Raises:
        DetectorError: it is of another one.
    """
    if state.config.get("detector") != name:
        found = state.config.get("detector")
        raise DetectorError(f"expected a model of {name}, found {found!r:.40}", where="detector", remedy=REMEDY)
    return state.config
