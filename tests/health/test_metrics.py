"""Healthy metrics: a sample of clean time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rca.health.metrics import MOST_SAMPLES, MetricHealth, clean_columns
from rca.telemetry import MetricFrame
from rca.types import MINUTE, Window


def test_halves_merge_into_the_whole(shop) -> None:
    frame = shop.metrics()
    early = frame.times < shop.health.start + 20 * MINUTE
    merged = MetricHealth.build(frame, early).merge(MetricHealth.build(frame, ~early))
    whole = MetricHealth.build(frame)
    for name, column in whole.to_arrays().items():
        np.testing.assert_array_equal(merged.to_arrays()[name], column)


def test_a_sample_describes_the_step_before_it(shop) -> None:
    frame = shop.metrics()
    start = shop.health.start
    cut = Window(start=start + 10 * MINUTE, end=start + 12 * MINUTE)
    dirty = np.flatnonzero(~clean_columns(frame, (cut,)))
    assert dirty.tolist() == [11, 12]


def test_a_long_history_is_thinned_to_a_day_in_runs_of_neighbours() -> None:
    length = 5 * MOST_SAMPLES
    frame = MetricFrame.from_rows(
        times=np.arange(length) * MINUTE,
        components=["a"] * length,
        metrics=["cpu"] * length,
        values=np.arange(length, dtype=float),
    )
    sample = MetricHealth.build(frame).sample
    assert len(sample.times) == MOST_SAMPLES
    assert np.mean(np.diff(sample.times) == MINUTE) > 0.85
    assert sample.times[0] == 0
    assert sample.times[-1] > 0.99 * length * MINUTE


def test_a_part_without_series_has_no_detector() -> None:
    assert MetricHealth(sample=MetricFrame.empty()).detector is None


def test_the_detector_is_fitted_once(shop) -> None:
    health = MetricHealth.build(shop.metrics())
    assert health.detector is not None
    assert health.detector is health.detector
    assert replace(health).detector is not health.detector
