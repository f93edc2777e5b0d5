"""Simple methods, each in the form in which it is strongest on server telemetry.

All see z-scores of the history, clipped, and return distances calibrated as ours are, so that
alarms of different methods can be compared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.detection.entity import Entity
from rca.detectors.calibration import event_limit
from rca.telemetry import Floats

WINDOW = 12
# Samples whose mean is taken where one sample is too noisy.
SMOOTHING = 10
# Farther than this all values are alike; of the level, what a standard deviation is at least.
FARTHEST, LEVEL_FLOOR = 10.0, 1e-4
# Variance that the principal components keep.
EXPLAINED = 0.9
CLUSTERS, STARTS = 20, 3
Scores = npt.NDArray[Any]


def score_random(entity: Entity, seed: int) -> Scores:
    """Uniform noise: what a measure gives for nothing."""
    generator = np.random.default_rng(seed)
    history, window = (generator.random(len(part)) for part in (entity.train, entity.test))
    return _calibrate(history, window, entity.interval)


def score_l2(entity: Entity, _: int) -> Scores:
    """Length of the z-scores."""
    before, now = (np.linalg.norm(part, axis=1) for part in _z_scores(entity))
    return _calibrate(before, now, entity.interval)


def score_l2_smoothed(entity: Entity, _: int) -> Scores:
    """Length of the z-scores, mean of ten samples."""
    before, now = (_smooth(np.linalg.norm(part, axis=1)) for part in _z_scores(entity))
    return _calibrate(before, now, entity.interval)


def score_pca(entity: Entity, _: int) -> Scores:
    """Reconstruction error of windows of twelve by 90 % of their variance, mean of ten samples."""
    from sklearn.decomposition import PCA

    history, window = (_windows(part) for part in _z_scores(entity))
    model = PCA(EXPLAINED, svd_solver="covariance_eigh").fit(history)

    def error(part: Floats) -> Scores:
        return _smooth(np.linalg.norm(part - model.inverse_transform(model.transform(part)), axis=1))

    return _calibrate(error(history), error(window), entity.interval)


def score_k_means(entity: Entity, seed: int) -> Scores:
    """Distance of windows to the nearest of twenty centres; windows smooth by themselves."""
    history, window = (_windows(part) for part in _z_scores(entity))
    before, now = _nearest_centre(history, window, seed)
    return _calibrate(before, now, entity.interval)


def score_k_means_smoothed(entity: Entity, seed: int) -> Scores:
    """Distance of samples to the nearest of twenty centres, mean of ten."""
    before, now = _nearest_centre(*_z_scores(entity), seed)
    return _calibrate(_smooth(before), _smooth(now), entity.interval)


def _nearest_centre(history: Floats, window: Floats, seed: int) -> tuple[Scores, Scores]:
    from sklearn.cluster import MiniBatchKMeans

    clusters = min(CLUSTERS, len(history))
    model = MiniBatchKMeans(clusters, n_init=STARTS, random_state=seed).fit(history)
    return model.transform(history).min(axis=1), model.transform(window).min(axis=1)


def score_isolation_forest(entity: Entity, seed: int) -> Scores:
    """Depth in a hundred random trees of samples, mean of ten."""
    from sklearn.ensemble import IsolationForest

    history, window = _z_scores(entity)
    model = IsolationForest(random_state=seed).fit(history)
    before, now = (_smooth(-model.score_samples(part)) for part in (history, window))
    return _calibrate(before, now, entity.interval)


def _z_scores(entity: Entity) -> tuple[Floats, Floats]:
    level, spread = (_known(take, entity.train) for take in (np.nanmean, np.nanstd))
    spread = np.maximum(spread, np.maximum(LEVEL_FLOOR * np.abs(level), np.finfo(np.float32).tiny ** 0.25))
    parts = (np.clip((part - level) / spread, -FARTHEST, FARTHEST) for part in (entity.train, entity.test))
    history, window = (np.nan_to_num(part).astype(np.float32) for part in parts)
    return history, window


def _known(take: Callable[..., Any], values: Floats) -> Scores:
    """Of each metric over its known samples; 0 where it has none."""
    out = np.zeros(values.shape[1])
    some = ~np.isnan(values).all(axis=0)
    out[some] = take(values[:, some].astype(np.float64), axis=0)
    return out


def _windows(values: Floats) -> Floats:
    """The last twelve samples at each time, the first one repeated before the begin."""
    padded = np.concatenate([np.repeat(values[:1], WINDOW - 1, axis=0), values])
    view = np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=0)
    out: Floats = np.ascontiguousarray(view.reshape(len(values), -1))
    return out


def _smooth(errors: Scores) -> Scores:
    """The mean of the last ten errors at each time."""
    total = np.cumsum(np.concatenate([[0.0], np.repeat(errors[:1], SMOOTHING - 1), errors]))
    return np.asarray((total[SMOOTHING:] - total[:-SMOOTHING]) / SMOOTHING)


def _calibrate(history: Scores, window: Scores, interval: int) -> Scores:
    """x / (1 + x) of errors in limits: one half where history would be passed once in a month."""
    limit = event_limit(history[None], interval)[0]
    return np.asarray(window / (window + limit))
