"""``model.json``: everything about a stored model that is not a weight, and its strict reading."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec
import numpy as np
import numpy.typing as npt

from rca.errors import ModelError
from rca.registry.weights import REMEDY, ArrayFacts
from rca.series import SeriesNames
from rca.telemetry import MetricFrame
from rca.types import Window, to_nanoseconds, to_text

FORMAT = 1
# A million series by name stay below it.
MOST_BYTES = 64 << 20


class Features(msgspec.Struct, forbid_unknown_fields=True):
    """The series that the model was trained on, in order: codes of component, metric and peer (-1: none)."""

    components: list[str]
    metrics: list[str]
    series: list[tuple[int, int, int]]


class Data(msgspec.Struct, forbid_unknown_fields=True):
    """What the model was trained on: times in ISO 8601, ``hash`` SHA-256 over names, times and samples."""

    hash: str
    source: str = ""
    start: str = ""
    end: str = ""
    step_seconds: float = 0.0
    samples: int = 0
    excluded: list[tuple[str, str]] = []


class Description(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A stored model without its weights.

    ``config`` is the detector's own, ``arrays`` and ``statistics`` say what the two files of arrays
    hold, ``thresholds`` what a score is compared with, ``metrics`` are figures of the fit.
    """

    format: int = FORMAT
    name: str
    version: str
    detector: str
    created: str
    code_version: str
    seed: int
    parent: str = ""
    data: Data
    metrics: dict[str, float]
    thresholds: dict[str, float]
    scaler: str
    config: dict[str, Any]
    arrays: dict[str, ArrayFacts]
    statistics: dict[str, ArrayFacts] = {}
    features: Features

    def series(self) -> SeriesNames:
        """The series of ``features``.

        Raises:
            ModelError: a code is none of the names'.
        """
        codes = np.array(self.features.series, np.int64).reshape(-1, 3)
        limits = [len(self.features.components), len(self.features.metrics), len(self.features.components)]
        if codes.size and (bool((codes < [0, 0, -1]).any()) or bool((codes >= limits).any())):
            raise ModelError("a feature is none of the names", where=f"{self.name}@{self.version}", remedy=REMEDY)
        component, metric, peer = codes.astype(np.int32).T
        return SeriesNames(
            components=tuple(self.features.components),
            metrics=tuple(self.features.metrics),
            component=component,
            metric=metric,
            peer=peer,
        )

    def window(self) -> Window | None:
        """The time that the model was trained on, if it is known."""
        if not self.data.start:
            return None
        return Window(start=to_nanoseconds(self.data.start), end=to_nanoseconds(self.data.end))


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a detector came about: what is kept beside its weights.

    Attributes:
        series: the features in order.
        data_hash: SHA-256 of what it was trained on.
        window: its time.
        step: median distance between samples in nanoseconds; samples: how many are not missing.
        statistics: how the samples were distributed, for drift; see ``rca.training.drift``.
        metrics: figures of the fit by name.
        parent: the version that the fit started from.
    """

    series: SeriesNames
    data_hash: str
    source: str = ""
    window: Window | None = None
    step: int = 0
    samples: int = 0
    seed: int = 0
    excluded: Sequence[Window] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    statistics: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    parent: str = ""

    @classmethod
    def of(cls, history: MetricFrame, *, seed: int = 0, source: str = "", **more: Any) -> Self:
        """What a history that is in memory as a whole says."""
        times = history.times
        return cls(
            series=SeriesNames.of(history),
            data_hash=hash_frame(history),
            source=source,
            window=Window(start=int(times[0]), end=int(times[-1]) + max(history.step, 1)) if times.size else None,
            step=history.step,
            samples=int(np.count_nonzero(~np.isnan(history.values))),
            seed=seed,
            **more,
        )


def hash_frame(frame: MetricFrame) -> str:
    """SHA-256 over the names, times and samples of a frame."""
    digest = hashlib.sha256(msgspec.json.encode((frame.components, frame.metrics)))
    for column in (frame.component, frame.metric, frame.peer, frame.times, frame.values):
        digest.update(np.ascontiguousarray(column, column.dtype.newbyteorder("<")).data)
    return digest.hexdigest()


def data_of(training: Training) -> Data:
    """The part of ``model.json`` about the data."""
    window = training.window
    return Data(
        hash=training.data_hash,
        source=training.source,
        start=to_text(window.start) if window else "",
        end=to_text(window.end) if window else "",
        step_seconds=training.step / 1e9,
        samples=training.samples,
        excluded=[(to_text(each.start), to_text(each.end)) for each in training.excluded],
    )


def features_of(series: SeriesNames) -> Features:
    """The part of ``model.json`` about the series."""
    codes = zip(series.component.tolist(), series.metric.tolist(), series.peer.tolist(), strict=True)
    return Features(components=list(series.components), metrics=list(series.metrics), series=list(codes))


def decode_description(content: bytes, *, where: str) -> Description:
    """Reads ``model.json``.

    Raises:
        ModelError: no JSON of this form, or of a later version of it.
    """
    try:
        described = msgspec.json.decode(content, type=Description)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as bad:
        raise ModelError(f"is no description of a model ({bad})", where=where, remedy=REMEDY) from bad
    if described.format != FORMAT:
        raise ModelError(
            f"has the format {described.format} where {FORMAT} is read",
            where=where,
            remedy="Update rca, or train again",
        )
    return described
