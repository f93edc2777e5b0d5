"""One labelled entity: a machine or service with history to learn from and a stretch to judge."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.errors import EvaluationError
from rca.telemetry import MetricFrame
from rca.types import SECOND, to_nanoseconds

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

# Sets without clock times begin here, on a Monday; only how times repeat by day and week can matter.
BEGIN = to_nanoseconds("2024-01-01T00:00:00Z")
# Of a set without history, this share of each entity is learnt from: NAB's probationary period.
PROBATION = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """Samples and labels.

    Attributes:
        name: of the machine or service.
        train, test: float32, shape (time, metrics), NaN where missing.
        label: true on anomalous samples of ``test``, shape (time,); algorithms never see it.
        interval: between samples, in nanoseconds.
        train_start, test_start: times of the first samples, in nanoseconds.
    """

    name: str
    train: Floats
    test: Floats
    label: Bools = field(repr=False)
    interval: int
    train_start: int
    test_start: int

    def frame(self, part: str) -> MetricFrame:
        """``train`` or ``test`` as metrics of one component."""
        values, start = (self.train, self.train_start) if part == "train" else (self.test, self.test_start)
        width = values.shape[1]
        return MetricFrame(
            components=(self.name,),
            metrics=tuple(f"metric-{i:03d}" for i in range(width)),
            component=np.zeros(width, np.int32),
            metric=np.arange(width, dtype=np.int32),
            peer=np.full(width, -1, np.int32),
            times=start + self.interval * np.arange(len(values), dtype=np.int64),
            values=np.ascontiguousarray(values.T),
        )

    @property
    def days(self) -> float:
        """Length of ``test`` in days."""
        return len(self.test) * self.interval / (86_400 * SECOND)


def make_entity(
    name: str, train: npt.NDArray[Any] | None, test: npt.NDArray[Any], label: npt.NDArray[Any], interval: int
) -> Entity:
    """An entity whose ``test`` follows its ``train``; without the latter, the first 15 % are learnt from.

    Raises:
        EvaluationError: shapes do not fit, a value is infinite, or there are too few samples.
    """
    test, label = _table(test, name), np.asarray(label).reshape(-1)
    if len(label) != len(test):
        problem = f"{len(label)} labels for {len(test)} samples"
        raise EvaluationError(problem, where=name, remedy="Give one label per sample of the test part")
    if not np.isin(label, (0, 1)).all():
        raise EvaluationError("a label is neither 0 nor 1", where=name, remedy="Label samples by 0 (healthy) and 1")
    truth = label.astype(bool)
    if train is None or not np.size(train):
        cut = int(PROBATION * len(test))
        train, test, truth = test[:cut], test[cut:], truth[cut:]
    else:
        train = _table(train, name)
    if train.shape[1] != test.shape[1]:
        problem = f"{train.shape[1]} metrics to learn from, {test.shape[1]} to judge"
        raise EvaluationError(problem, where=name, remedy="Give the same metrics in both parts")
    if not len(train) or not len(test):
        raise EvaluationError("there are no samples", where=name, remedy="Give samples to learn from and to judge")
    starts = {"train_start": BEGIN, "test_start": BEGIN + interval * len(train)}
    return Entity(name=name, train=train, test=test, label=truth, interval=interval, **starts)


def _table(values: npt.NDArray[Any], name: str) -> Floats:
    if values.dtype.kind not in "fiub" or values.ndim not in (1, 2):
        raise EvaluationError("samples are no table of numbers", where=name, remedy="Give one row per time")
    with np.errstate(over="ignore"):
        table: Floats = (values if values.ndim == 2 else values[:, None]).astype(np.float32)
    if np.isinf(table).any():
        raise EvaluationError("a sample is infinite", where=name, remedy="Leave missing samples empty (NaN)")
    return table
