"""Likelihood ratios by numbers that can be checked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rca.likelihood import binomial_ratio, saturate


def ratio(k1: float, n1: float, k0: float, n0: float) -> float:
    return float(binomial_ratio(np.array(k1), np.array(n1), np.array(k0), np.array(n0)))


def test_what_never_happened_in_health_and_always_happens_now_is_told_by_hand() -> None:
    # Health: half a success in two trials. Window: 1 of 1. Pooled: 1.5 of 3.
    separate = 0.5 * math.log(0.25) + 1.5 * math.log(0.75)
    pooled = 3 * math.log(0.5)
    assert ratio(1, 1, 0, 1) == pytest.approx((separate - pooled) / math.log(10))


def test_the_sign_is_that_of_the_difference() -> None:
    assert ratio(9, 10, 10, 100) > 2
    assert ratio(1, 10, 90, 100) < -2


def test_equal_rates_say_almost_nothing() -> None:
    assert abs(ratio(50, 100, 500, 1000)) < 0.01


def test_no_trials_say_nothing() -> None:
    assert ratio(0, 0, 5, 10) == 0.0


counts = st.integers(0, 1000)


@given(k1=counts, more1=counts, k0=counts, more0=counts)
def test_ratios_are_finite_and_mirrored_when_success_and_failure_change_places(
    k1: int, more1: int, k0: int, more0: int
) -> None:
    found = ratio(k1, k1 + more1, k0, k0 + more0)
    assert math.isfinite(found)
    if k1 + more1:
        assert ratio(more1, k1 + more1, more0, k0 + more0) == pytest.approx(-found, abs=1e-6)


@given(k=st.integers(1, 50), n=st.integers(50, 100), times=st.integers(2, 10))
def test_ten_times_the_trials_at_the_same_rate_say_more(k: int, n: int, times: int) -> None:
    assert abs(ratio(k * times, n * times, 0, 1000)) >= abs(ratio(k, n, 0, 1000))


def test_saturation_is_one_half_at_the_scale_and_nothing_below_zero() -> None:
    assert saturate(np.array([-5.0, 0.0, 10.0, 30.0]), 10.0).tolist() == [0.0, 0.0, 0.5, 0.75]


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=9), st.floats(0.1, 100))
def test_saturation_keeps_the_order_and_stays_below_one(values: list[float], scale: float) -> None:
    found = saturate(np.sort(values), scale)
    assert ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found) >= 0).all()
