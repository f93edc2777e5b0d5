"""Limits from healthy errors, against tails that are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rca.detectors.calibration import LARGEST, event_limit, event_peaks, fit_tail
from rca.types import MINUTE

MONTH = 30 * 1440  # minutes


def test_an_exponential_tail_is_passed_about_once_in_a_month() -> None:
    # Independent samples: the level that one of 43,200 passes is log 43,200 = 10.7.
    errors = np.random.default_rng(0).exponential(size=(20, 20_000))
    limits = event_limit(errors, MINUTE)
    assert np.median(limits) == pytest.approx(np.log(MONTH), rel=0.15)


def test_events_of_unseen_health_keep_the_budget() -> None:
    rng = np.random.default_rng(1)
    limits = event_limit(rng.exponential(size=(30, 5_000)), MINUTE)
    months = 4
    fresh = rng.exponential(size=(30, months * MONTH))
    events = [len(event_peaks(own, limit)) for own, limit in zip(fresh, limits.tolist(), strict=True)]
    assert 0.3 < np.median(events) / months < 3


def test_some_events_that_were_incidents_hardly_move_the_limit() -> None:
    rng = np.random.default_rng(2)
    clean = rng.exponential(size=10_000)
    ill = clean.copy()
    for start in range(100, 10_000, 1_000):
        ill[start] = 1_000.0
    assert event_limit(ill[None], MINUTE)[0] < 2.5 * event_limit(clean[None], MINUTE)[0]


def test_a_run_over_the_threshold_with_a_short_pause_is_one_event() -> None:
    errors = np.array([0.0, 2, 5, 0, 3, 0, 0] + [0.0] * 20 + [4.0])
    assert event_peaks(errors, 1.0).tolist() == [5, 4]
    assert event_peaks(errors, 9.0).tolist() == []


def test_shape_and_scale_come_from_the_quartiles() -> None:
    # A generalised Pareto distribution with shape .5 and scale 2 has the quantile 4 ((1 - p)^-.5 - 1).
    chances = (np.arange(100_000) + 0.5) / 100_000
    shape, scale = fit_tail(4 * ((1 - chances) ** -0.5 - 1))
    assert shape == pytest.approx(0.5, abs=0.01)
    assert scale == pytest.approx(2.0, rel=0.02)


def test_few_events_are_believed_to_be_of_an_exponential_tail() -> None:
    shape, scale = fit_tail(np.array([1.0, 2.0, 9.0]))
    assert shape < 0.15
    assert scale == pytest.approx(2 / np.log(2), rel=0.15)


def test_longer_intervals_have_fewer_samples_in_a_month_and_lower_limits() -> None:
    errors = np.random.default_rng(3).exponential(size=(1, 5_000))
    assert event_limit(errors, MINUTE)[0] > event_limit(errors, 60 * MINUTE)[0]


def test_nothing_known_has_no_limit_and_still_errors_have_a_positive_one() -> None:
    limits = event_limit(np.array([[np.nan] * 50, [0.0] * 50]), MINUTE)
    assert np.isnan(limits[0])
    assert limits[1] > 0
    assert np.isnan(event_limit(np.zeros((1, 0)), MINUTE)).all()


def test_the_unit_of_errors_does_not_matter() -> None:
    errors = np.random.default_rng(4).gamma(2, size=(3, 2_000))
    np.testing.assert_allclose(event_limit(1000 * errors, MINUTE), 1000 * event_limit(errors, MINUTE), rtol=1e-5)


@settings(deadline=None)
@given(errors=arrays(np.float32, st.integers(1, 60), elements=st.floats(0, 2.0**60, width=32) | st.just(np.nan)))
def test_a_limit_is_positive_and_never_far_beyond_what_was_seen(errors: np.ndarray) -> None:
    limit = float(event_limit(errors[None], MINUTE)[0])
    if np.isnan(errors).all():
        assert np.isnan(limit)
    else:
        assert 0 < limit <= max(LARGEST * float(np.nanmax(errors)), 1e-30) * (1 + 1e-5)
