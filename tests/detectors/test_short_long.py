"""The short window against the long one, trailing means, and where an anomaly began."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from rca.detectors.onset import walk_back
from rca.detectors.short_long import ALARM, LONG, SHORT, anomaly_likelihood, trailing_mean

numbers = st.lists(st.one_of(st.just(np.nan), st.floats(-1e6, 1e6)), min_size=1, max_size=60)


def test_the_likelihood_is_the_published_formula() -> None:
    errors = np.random.default_rng(1).gamma(2.0, size=50)
    recent, usual = errors[-SHORT:].mean(), errors[-LONG:].mean()
    expected = 0.5 + 0.5 * norm.cdf((recent - usual) / errors[-LONG:].std())
    assert anomaly_likelihood(errors)[-1] == pytest.approx(expected)


def test_nothing_is_said_until_the_long_window_is_full() -> None:
    likelihood = anomaly_likelihood(np.r_[np.zeros(LONG - 2), 9.0, 9.0])
    assert (likelihood[: LONG - 1] == 0.5).all()
    assert likelihood[-1] > ALARM


def test_a_jump_alarms_and_a_level_or_a_fall_does_not() -> None:
    level = np.random.default_rng(2).normal(1.0, 0.01, 60)
    jump, fall = level.copy(), level.copy()
    jump[-SHORT:] += 1.0
    fall[-SHORT:] -= 1.0
    assert anomaly_likelihood(jump)[-1] > ALARM
    assert anomaly_likelihood(level).max() < ALARM
    assert anomaly_likelihood(fall)[-1] < 0.51


@given(errors=numbers, cut=st.integers(0, 60))
def test_a_likelihood_lies_between_a_half_and_one_and_sees_no_later_sample(errors: list[float], cut: int) -> None:
    whole = anomaly_likelihood(np.array(errors), short=2, long=5)
    assert ((whole >= 0.5) & (whole <= 1.0)).all()
    part = anomaly_likelihood(np.array(errors[:cut]), short=2, long=5) if cut else np.zeros(0)
    np.testing.assert_allclose(part, whole[:cut], atol=1e-6)


@given(values=numbers, size=st.integers(1, 8))
def test_a_trailing_mean_is_the_mean_of_what_is_known_of_the_last_samples(values: list[float], size: int) -> None:
    found = trailing_mean(np.array(values), size)
    for i, mean in enumerate(found):
        part = np.array(values[max(i + 1 - size, 0) : i + 1])
        known = part[~np.isnan(part)]
        assert np.isnan(mean) if not len(known) else mean == pytest.approx(known.mean(), abs=1e-6, rel=1e-9)


def test_a_mean_of_too_few_known_samples_is_unknown() -> None:
    assert np.isnan(trailing_mean(np.array([1.0, np.nan, np.nan]), 3, least=2)[-1])


@pytest.mark.parametrize(
    ("scores", "first"),
    [
        ([0.1, 0.1, 0.6, 0.9], 2),
        ([0.6, 0.1, 0.1, 0.6, 0.9], 0),
        ([0.6, 0.1, 0.1, 0.1, 0.6, 0.9], 4),
        ([0.6, np.nan, np.nan, np.nan, 0.9], 0),
        ([0.1, 0.2], 1),
    ],
    ids=["from the limit on", "a short gap is bridged", "a long gap ends it", "what is unknown counts not", "none"],
)
def test_an_anomaly_is_walked_back_to_where_it_left_the_limit(scores: list[float], first: int) -> None:
    assert walk_back(np.array(scores), len(scores) - 1) == first
