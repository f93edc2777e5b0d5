"""Deviations of request patterns, by numbers that can be checked by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rca.extract.request_patterns import deviations, strongest_by_group


def deviation(k1: float, n1: float, k0: float, n0: float, dispersion: float = 1.0) -> float:
    return float(deviations(*(np.array(x, float) for x in (k1, n1, k0, n0, dispersion))))


def test_a_step_that_always_followed_and_no_longer_does_is_negative() -> None:
    assert deviation(0, 20, 100, 100) < -10


def test_a_step_that_never_followed_and_now_does_is_positive() -> None:
    assert deviation(20, 20, 0, 100) > 10


def test_what_follows_now_and_then_in_health_is_no_pattern() -> None:
    assert deviation(0, 20, 50, 100) == 0
    assert deviation(20, 20, 50, 100) == 0


def test_too_few_requests_are_no_pattern() -> None:
    assert deviation(0, 1, 100, 100) == 0
    assert deviation(0, 20, 4, 4) == 0
    assert deviation(0, 2, 5, 5) < 0


def test_over_dispersion_divides() -> None:
    assert deviation(0, 20, 100, 100, 4.0) == deviation(0, 20, 100, 100) / 4


@given(
    st.lists(st.tuples(st.integers(0, 4), st.floats(-10, 10), st.floats(-10, 10)), max_size=20),
)
def test_the_strongest_of_each_group_is_that_of_a_loop(rows: list[tuple[int, float, float]]) -> None:
    group = np.array([row[0] for row in rows], np.int64)
    values = np.array([row[1:] for row in rows], float).reshape(-1, 2)
    expected = np.zeros((5, 2))
    for at, row in zip(group, values, strict=True):
        expected[at] = np.maximum(expected[at], row)
    np.testing.assert_array_equal(strongest_by_group(values, group, 5), expected)
