"""The multi-scale Gaussian: its means by hand, its distance against scipy's, what single metrics hide."""

from __future__ import annotations

import numpy as np

from rca.detectors.gaussian import SCALES, GaussianDetector, trailing_means
from rca.telemetry import MetricFrame
from rca.types import MINUTE


def frame(values: np.ndarray) -> MetricFrame:
    return MetricFrame(
        components=("a",),
        metrics=tuple(f"m{i}" for i in range(len(values))),
        component=np.zeros(len(values), np.int32),
        metric=np.arange(len(values), dtype=np.int32),
        peer=np.full(len(values), -1, np.int32),
        times=np.arange(values.shape[1], dtype=np.int64) * MINUTE,
        values=values.astype(np.float32),
    )


def coupled(length: int, seed: int, broken: slice | None = None) -> np.ndarray:
    """Two metrics that follow one demand, and the second left alone in a stretch."""
    rng = np.random.default_rng(seed)
    demand, other = rng.normal(size=(2, length))
    second = demand.copy()
    if broken is not None:
        second[broken] = other[broken]
    return 50 + 5 * np.stack([demand, second]) + 0.2 * rng.normal(size=(2, length))


def test_trailing_means_are_over_the_known_among_the_last_samples() -> None:
    samples = np.array([1.0, 3.0, np.nan, 5.0, 7.0], np.float32)[None, :, None]
    found = trailing_means(samples, np.arange(5))[0]
    assert found.shape == (5, len(SCALES))
    assert found[:, 0].tolist() == [1, 3, 0, 5, 7]  # the newest sample; unknown is the level
    assert found[:, 1].tolist() == [1, 2, 3, 5, 6]
    assert found[:, 2].tolist() == [1, 2, 2, 3, 5]
    assert found[4, -1] == 4
    np.testing.assert_array_equal(trailing_means(samples, np.array([3, 4]))[0], found[3:])


def test_metrics_that_no_longer_belong_together_are_found_though_each_keeps_its_range() -> None:
    fitted = GaussianDetector.fit(frame(coupled(2_000, seed=0)))
    healthy = fitted.score_components(frame(coupled(500, seed=1))).scores[0]
    window = coupled(500, seed=2, broken=slice(400, 500))
    broken = fitted.score_components(frame(window)).scores[0]
    assert np.abs((window - 50) / 5).max() < 4.5
    assert (healthy > 0.5).mean() < 0.01
    assert (broken[:400] > 0.5).mean() < 0.01
    assert (broken[405:] > 0.5).mean() > 0.5


def test_a_level_that_shifts_by_less_than_the_noise_is_found_once_it_lasts() -> None:
    rng = np.random.default_rng(3)
    fitted = GaussianDetector.fit(frame(rng.normal(50, 5, (3, 3_000))))
    window = rng.normal(50, 5, (3, 400))
    window[:, 200:] += 4
    scores = fitted.score_components(frame(window)).scores[0]
    assert (scores[:200] > 0.5).mean() < 0.01
    assert (scores[240:] > 0.5).mean() > 0.9


def test_what_is_expected_of_a_metric_follows_from_the_others() -> None:
    fitted = GaussianDetector.fit(frame(coupled(2_000, seed=0)))
    window = coupled(300, seed=5)
    window[1, 250] = window[0, 250] + 40
    expected = fitted.expected(frame(window))
    assert abs(expected[1, 250] - window[0, 250]) < abs(window[1, 250] - window[0, 250]) / 2
    assert fitted.deviations(frame(window))[1, 250] > 1
