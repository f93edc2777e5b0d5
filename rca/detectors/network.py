"""Detectors made of one network per component: what is common to all kinds of them.

A component's windows are compared with what its network expects. Each metric deviates by the root
mean square of its residuals over the window, in what that is in health; a component by the mean of
its metrics. The window as a whole tells more than its newest sample, and health's own residuals are
the right unit: what a network never foretells well must not drown out what it always does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from rca.detectors.batch import Batch, Residuals, Training, Weights
from rca.detectors.calendar import HARMONICS
from rca.detectors.calibration import event_limit
from rca.detectors.components import ComponentGroup, gather, group_components
from rca.detectors.fitted import FittedGroup, Shapes, join_groups, join_series, read_groups, write_groups
from rca.detectors.limits import (
    component_deviations,
    healthy_limit,
    healthy_unit,
    judged_windows,
    metric_deviations,
    persistent_deviations,
    score_of,
)
from rca.detectors.protocol import ComponentScores, State
from rca.detectors.scaling import Scaling
from rca.detectors.state import REMEDY, same_detector, series_state, take_series
from rca.detectors.windows import WINDOW, healthy_times, split_ends, window_ends
from rca.errors import DetectorError
from rca.series import Rows, SeriesNames
from rca.telemetry import Bools, Floats, MetricFrame, Times
from rca.types import Window

# Every second window is learnt from: neighbours differ by one sample in twelve.
STRIDE = 2
# Numbers that the windows of components scored at once may take: 32 MiB.
BUDGET = 1 << 23
# Windows that a score looks back over: its own, those of the forecasts in it, what holes in them are filled from.
LOOK_BACK = 3
# Mean residuals over a window below half of what single ones are in health are none.
LEAST_DRIFT = 0.5


@dataclass(frozen=True, kw_only=True)
class NetworkDetector(ABC):
    """One network for each component; see ``Detector`` for what it does.

    Attributes:
        series: what it knows, ordered by the names of component, metric and peer.
        groups: what was learnt, by number of series; in the order of ``group_components(series)``.
    """

    series: SeriesNames
    groups: tuple[FittedGroup, ...]

    kind: ClassVar[str]
    chunk: ClassVar[int]

    @classmethod
    @abstractmethod
    def shapes(cls, width: int) -> Shapes:
        """Shape of each weight of one component with ``width`` series."""

    @classmethod
    @abstractmethod
    def train(cls, batch: Batch, training: Training, previous: Weights | None) -> dict[str, npt.NDArray[Any]]:
        """Weights of each component: float32, shape (C, *shape of one).

        What comes out for a component must not depend on the others in the batch, to the bit.

        Args:
            batch: has at least one window.
            training: how.
            previous: weights to go on from; rows of NaN where there are none.
        """

    @classmethod
    @abstractmethod
    def measure(cls, weights: Weights, samples: Floats, ends: Rows) -> Residuals:
        """Residuals at some times, from samples up to then; with numpy only.

        Args:
            weights: of C components.
            samples: scaled, shape (C, T, M), NaN where missing.
            ends: N times, as indices.
        """

    @classmethod
    def fit(
        cls,
        history: MetricFrame,
        *,
        seed: int = 0,
        excluded: Sequence[Window] = (),
        training: Training | None = None,
        previous: Self | None = None,
    ) -> Self:
        """Learn from healthy samples; see ``Detector``.

        Args:
            history, seed, excluded: see ``Detector``.
            training: how; see ``Training``.
            previous: an earlier fit, gone on from for each component where that is better than to begin anew.

        Raises:
            DetectorError: the history has no series.
        """
        parts = cls.fit_parts(history, seed=seed, excluded=excluded, training=training, previous=previous)
        return cls.join(list(parts))

    @classmethod
    def fit_parts(
        cls,
        history: MetricFrame,
        *,
        seed: int = 0,
        excluded: Sequence[Window] = (),
        training: Training | None = None,
        previous: Self | None = None,
    ) -> Iterator[Self]:
        """Detectors of a few components each, one after the other; ``join`` makes ``fit``'s result of them.

        Raises:
            DetectorError: the history has no series.
        """
        if history.values.shape[0] == 0:
            raise DetectorError("the history has no series", remedy="Give at least one healthy series")
        training = Training() if training is None else training
        healthy = healthy_times(history.times, excluded)
        learn, held = split_ends(window_ends(history.times, healthy), len(history.times))
        names = SeriesNames.of(history)
        for group in group_components(history):
            for part in group.chunks(training.chunk or cls.chunk):
                samples = part.gather(history.values)
                samples[..., ~healthy] = np.nan
                scaling = Scaling.fit(samples, history.times, healthy)
                scaled = _scale(scaling, samples, history.times)
                batch = Batch(names=part.names, samples=scaled, learn=learn[::STRIDE], held=held, seed=seed)
                own = _renumber(part)
                series = _take_series(names, part.rows[part.rows >= 0])
                before = None if previous is None else previous._weights_of(series, own)
                fitted = cls._fit_group(own, scaling, batch, training, before, history.step)
                yield cls(series=series, groups=(fitted,))

    @classmethod
    def _fit_group(
        cls,
        group: ComponentGroup,
        scaling: Scaling,
        batch: Batch,
        training: Training,
        previous: Weights | None,
        interval: int,
    ) -> FittedGroup:
        count, width = group.rows.shape
        if not len(batch.learn):
            weights = {name: np.zeros((count, *shape), np.float32) for name, shape in cls.shapes(width).items()}
            unknown = np.full((count, width), np.nan, np.float32)
            none = unknown[:, 0] if width else np.zeros(0, np.float32)
            return FittedGroup(
                group=group,
                scaling=scaling,
                weights=weights,
                unit=unknown,
                limit=unknown,
                component_limit=none,
                drift_limit=unknown,
            )
        weights = cls.train(batch, training, previous)
        residuals = cls.measure(weights, batch.samples, batch.held)
        unit = healthy_unit(residuals.power)
        judged = judged_windows(batch.samples, ~np.isnan(scaling.scale), WINDOW)[:, batch.held]
        drift = persistent_deviations(residuals.newest, unit, WINDOW)
        drift[:, ~_in_a_row(batch.held, WINDOW)] = np.nan
        return FittedGroup(
            group=group,
            scaling=scaling,
            weights=weights,
            unit=unit,
            limit=healthy_limit(metric_deviations(residuals, unit)),
            component_limit=np.maximum(event_limit(component_deviations(residuals, unit, judged), interval), 1),
            drift_limit=healthy_limit(drift, LEAST_DRIFT),
        )

    @classmethod
    def join(cls, parts: Iterable[Self]) -> Self:
        """One detector of several that know different components; the order does not matter.

        Raises:
            DetectorError: there are none, or two know the same component, or were fitted to other lengths of history.
        """
        parts = list(parts)
        names = [name for part in parts for each in part.groups for name in each.group.names]
        if not names or len(set(names)) < len(names):
            problem = "no parts to join" if not names else "two parts know the same component"
            raise DetectorError(problem, remedy="Give each component's part once")
        if len({each.scaling.periods for part in parts for each in part.groups}) > 1:
            raise DetectorError(
                "the parts were fitted to histories of different length", remedy="Fit all to the same days"
            )
        series = join_series([part.series for part in parts])
        return cls(series=series, groups=join_groups(series, [each for part in parts for each in part.groups]))

    def score(self, window: MetricFrame) -> Floats:
        """Anomaly score of each series; see ``Detector``."""
        return score_of(self.deviations(window), np.float32(1))

    def deviations(self, window: MetricFrame) -> Floats:
        """Signed deviations in healthy limits, shape (series, time); see ``Detector``."""
        out = np.full(window.values.shape, np.nan, np.float32)
        for fitted, rows, residuals, judged in self._measure(window, np.arange(len(window.times))):
            size = metric_deviations(residuals, fitted.unit) / fitted.limit[:, None]
            size[~judged] = np.nan
            out[rows[rows >= 0]] = size.transpose(0, 2, 1)[rows >= 0]
        return out

    def drifts(self, window: MetricFrame) -> Floats:
        """Signed mean of the residuals over each window, in healthy limits: shape (series, time), NaN where unknown.

        More sensitive than ``deviations`` to what stays a little beside its expectation for a whole window.
        """
        out = np.full(window.values.shape, np.nan, np.float32)
        for fitted, rows, residuals, judged in self._measure(window, np.arange(len(window.times))):
            size = persistent_deviations(residuals.newest, fitted.unit, WINDOW) / fitted.drift_limit[:, None]
            size[~judged] = np.nan
            out[rows[rows >= 0]] = size.transpose(0, 2, 1)[rows >= 0]
        return out

    def expected(self, window: MetricFrame) -> Floats:
        """What each sample is expected to be, in its own unit: shape (series, time), NaN where unknown."""
        out = np.full(window.values.shape, np.nan, np.float32)
        for fitted, rows, residuals, judged in self._measure(window, np.arange(len(window.times))):
            gap = residuals.newest * fitted.scaling.scale[:, None]
            gap[~judged] = np.nan
            out[rows[rows >= 0]] = gap.transpose(0, 2, 1)[rows >= 0]
        return window.values - out

    def score_components(self, window: MetricFrame) -> ComponentScores:
        """Anomaly scores of whole components; see ``Detector``."""
        return self._score_components(window, np.arange(len(window.times)))

    def score_newest(self, window: MetricFrame) -> ComponentScores:
        """The last column of ``score_components``, without what it takes to know the others."""
        needed = slice(-LOOK_BACK * WINDOW, None)
        newest = replace(window, times=window.times[needed], values=window.values[:, needed])
        return self._score_components(newest, np.arange(len(newest.times))[-1:])

    def _score_components(self, window: MetricFrame, ends: Rows) -> ComponentScores:
        scores = score_of(self.component_errors(window, ends), np.float32(1))
        return ComponentScores(components=window.components, scores=scores)

    def component_errors(self, window: MetricFrame, ends: Rows) -> Floats:
        """How far components are from health at some times, in limits: shape (components of the window, N).

        NaN where unknown.
        """
        out = np.full((len(window.components), len(ends)), np.nan, np.float32)
        for fitted, rows, residuals, judged in self._measure(window, ends):
            size = component_deviations(residuals, fitted.unit, judged)
            present = (rows >= 0).any(axis=1)
            at = window.component[rows.max(axis=1)[present]]
            out[at] = (size / fitted.component_limit[:, None])[present]
        return out

    def _measure(self, window: MetricFrame, ends: Rows) -> Iterator[tuple[FittedGroup, Rows, Residuals, Bools]]:
        """Parts of what is known, their rows in the window, residuals, and where they may be judged."""
        if not len(ends):
            return
        found = _find(self.series, window)
        place = np.full(len(self.series) + 1, -1, np.int64)  # the last is for padding, -1
        place[found[found >= 0]] = np.flatnonzero(found >= 0)
        for fitted in self.groups:
            size = max(BUDGET // (len(ends) * WINDOW * fitted.group.width), 1)
            for start in range(0, len(fitted.group), size):
                part = fitted.take(slice(start, start + size))
                rows = place[part.group.rows]
                if not (rows >= 0).any():
                    continue
                samples = _scale(part.scaling, gather(window.values, rows), window.times)
                judged = judged_windows(samples, ~np.isnan(part.scaling.scale), WINDOW)[:, ends]
                yield part, rows, self.measure(part.weights, samples, ends), judged

    def _weights_of(self, series: SeriesNames, group: ComponentGroup) -> Weights | None:
        """Weights of the components that have the same series here, NaN for the others."""
        for fitted in self.groups:
            if fitted.group.width == group.width:
                return _matching_weights(self.series, fitted, series, group)
        return None

    def to_state(self) -> State:
        """Names, scaling, weights and limits; see ``Detector``."""
        config, arrays = series_state(self.series)
        periods = list(self.groups[0].scaling.periods) if self.groups else []
        config = {"detector": self.kind, "window": WINDOW, "periods": periods, **config}
        return State(config=config, arrays={**arrays, **write_groups(self.groups)})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """The reverse of ``to_state``; see ``Detector``."""
        config = same_detector(state, cls.kind)
        if config.get("window") != WINDOW:
            problem = f"expected windows of {WINDOW} samples, found {config.get('window')!r:.40}"
            raise DetectorError(problem, where="window", remedy=REMEDY)
        periods = config.get("periods")
        if not isinstance(periods, (list, tuple)) or not all(period in HARMONICS for period in periods):
            raise DetectorError(
                f"expected periods of a calendar, found {periods!r:.40}", where="periods", remedy=REMEDY
            )
        series = take_series(state)
        features = 2 * sum(HARMONICS[period] for period in periods)
        return cls(series=series, groups=read_groups(state, series, tuple(periods), features, cls.shapes))


def _scale(scaling: Scaling, samples: Floats, times: Times) -> Floats:
    """Scaled samples with time before metrics: shape (C, M, T) to (C, T, M)."""
    return np.ascontiguousarray(scaling.apply(samples, times).transpose(0, 2, 1))


def _find(series: SeriesNames, window: MetricFrame) -> Rows:
    """The row of each of the window's series; most windows have the very series of the history, in order."""
    names = ("components", "metrics", "component", "metric", "peer")
    if all(np.array_equal(getattr(series, name), getattr(window, name)) for name in names[2:]) and all(
        getattr(series, name) == getattr(window, name) for name in names[:2]
    ):
        return np.arange(len(series), dtype=np.int64)
    return series.find(window)


def _in_a_row(ends: Rows, size: int) -> Bools:
    """Which times, in rising order, are the last of ``size`` without one left out: shape (N,)."""
    out = np.zeros(len(ends), bool)
    out[size - 1 :] = ends[size - 1 :] - ends[: len(ends) - size + 1] == size - 1
    return out


def _renumber(group: ComponentGroup) -> ComponentGroup:
    """The same components with their series counted through."""
    real = group.rows >= 0
    rows = np.full(group.rows.shape, -1, np.int64)
    rows[real] = np.arange(np.count_nonzero(real))
    return replace(group, rows=rows)


def _take_series(names: SeriesNames, rows: Rows) -> SeriesNames:
    """Some of the series, with the names that they need."""
    component, metric, peer = (codes[rows] for codes in (names.component, names.metric, names.peer))
    used = np.unique(np.concatenate([component, peer[peer >= 0]]))
    measured = np.unique(metric)
    return SeriesNames(
        components=tuple(names.components[code] for code in used.tolist()),
        metrics=tuple(names.metrics[code] for code in measured.tolist()),
        component=np.searchsorted(used, component).astype(np.int32),
        metric=np.searchsorted(measured, metric).astype(np.int32),
        peer=np.where(peer >= 0, np.searchsorted(used, peer), -1).astype(np.int32),
    )


def _matching_weights(
    known: SeriesNames, fitted: FittedGroup, series: SeriesNames, group: ComponentGroup
) -> dict[str, npt.NDArray[Any]]:
    keys, own = known.keys, series.keys
    place = {name: i for i, name in enumerate(fitted.group.names)}
    out = {name: np.full((len(group), *array.shape[1:]), np.nan, np.float32) for name, array in fitted.weights.items()}
    for i, name in enumerate(group.names):
        at = place.get(name)
        if at is None:
            continue
        before, now = fitted.group.rows[at], group.rows[i]
        if [keys[row] for row in before if row >= 0] == [own[row] for row in now if row >= 0]:
            for weight, array in fitted.weights.items():
                out[weight][i] = array[at]
    return out
