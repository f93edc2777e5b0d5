"""Scaling and the calendar in it."""

from __future__ import annotations

import numpy as np
import pytest

from rca.detectors.calendar import DAY, WEEK, calendar_features, covered_periods
from rca.detectors.scaling import FARTHEST, Scaling
from rca.types import MINUTE

HOURS = 60 * MINUTE * np.arange(24 * 8, dtype=np.int64)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def test_healthy_samples_have_mean_0_and_deviation_1_however_many_are_missing() -> None:
    values = 50 + 3 * noise(4, 600)
    values[1, ::3] = np.nan
    times = MINUTE * np.arange(600, dtype=np.int64)
    scaled = Scaling.fit(values, times).apply(values, times)
    np.testing.assert_allclose(np.nanmean(scaled, axis=1), 0, atol=1e-3)
    np.testing.assert_allclose(np.nanstd(scaled, axis=1), 1, atol=1e-3)
    assert (np.isnan(scaled) == np.isnan(values)).all()


def test_samples_far_away_are_clipped_and_those_cut_out_teach_nothing() -> None:
    values, times = noise(1, 300), MINUTE * np.arange(300, dtype=np.int64)
    values[0, 100:120] = 1e6
    healthy = np.ones(300, bool)
    healthy[100:120] = False
    scaled = Scaling.fit(values, times, healthy).apply(values, times)
    assert (scaled[0, 100:120] == FARTHEST).all()
    assert abs(scaled[0, :100].std() - 1) < 0.1


def test_a_still_series_has_a_hundredth_of_its_level_for_a_scale_and_a_silent_one_none() -> None:
    values = np.array([[5.0] * 9, [0.0] * 9, [np.nan] * 9], np.float32)
    scaling = Scaling.fit(values, MINUTE * np.arange(9, dtype=np.int64))
    assert scaling.scale[0] == pytest.approx(0.05)
    assert np.isnan(scaling.scale[1:]).all()


def test_a_series_is_scaled_the_same_to_the_bit_whoever_its_neighbours_are() -> None:
    values = np.exp(3 * noise(7, 5, 1441))
    values[3, 2, 50:90] = np.nan
    times = MINUTE * np.arange(1441, dtype=np.int64)
    together = Scaling.fit(values, times)
    for i in range(7):
        alone = Scaling.fit(values[i : i + 1], times)
        assert np.array_equal(alone.level[0], together.level[i])
        assert np.array_equal(alone.scale[0], together.scale[i])


def test_numbers_near_the_end_of_float32_do_not_overflow() -> None:
    values = np.float32(2.0**120) * noise(2, 12)
    scaling = Scaling.fit(values, MINUTE * np.arange(12, dtype=np.int64))
    assert np.isfinite(scaling.scale).all()


def test_a_daily_rhythm_is_taken_off_where_there_is_one_and_only_there() -> None:
    rhythm = np.sin(2 * np.pi * (HOURS % DAY) / DAY)
    values = np.stack([5 * rhythm + noise(len(HOURS)), noise(len(HOURS), seed=1)]).astype(np.float32)
    scaling = Scaling.fit(values, HOURS)
    assert scaling.calendar[0].any()
    assert not scaling.calendar[1].any()
    assert scaling.scale[0] < 1.5
    later = HOURS + 8 * DAY
    expected = scaling.apply((5 * rhythm + 0 * HOURS)[None].repeat(2, axis=0).astype(np.float32), later)[0]
    assert np.abs(expected).max() < 1


def test_a_calendar_needs_its_period_three_times_and_enough_samples_in_each() -> None:
    assert covered_periods(HOURS) == (DAY,)
    assert covered_periods(HOURS[:71]) == ()
    assert covered_periods(HOURS[:72]) == (DAY,)
    assert covered_periods(60 * MINUTE * np.arange(24 * 22, dtype=np.int64)) == (DAY, WEEK)
    assert covered_periods(DAY * np.arange(30, dtype=np.int64)) == (WEEK,)
    assert covered_periods(HOURS[:1]) == ()


def test_calendar_features_repeat_and_tell_monday_from_thursday() -> None:
    features = calendar_features(HOURS, (DAY, WEEK))
    np.testing.assert_allclose(features[:24], calendar_features(HOURS + WEEK, (DAY, WEEK))[:24], atol=1e-5)
    assert not np.allclose(features[0], features[24 * 3])
    assert np.abs(features).max() <= 1
