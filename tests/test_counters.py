from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rca.counters import rates_from_counters
from rca.telemetry import MetricFrame
from rca.types import SECOND

NAN = float("nan")


def frame_of(*rows: list[float], seconds: list[float] | None = None) -> MetricFrame:
    size = len(rows[0])
    return MetricFrame(
        components=("a",),
        metrics=tuple(f"m{i}" for i in range(len(rows))),
        component=np.zeros(len(rows), np.int32),
        metric=np.arange(len(rows), dtype=np.int32),
        peer=np.full(len(rows), -1, np.int32),
        times=(np.array(seconds or [10 * i for i in range(size)]) * SECOND).astype(np.int64),
        values=np.array(rows, np.float32),
    )


@pytest.mark.parametrize(
    ("counter", "rates", "reason"),
    [
        ([100, 120, 120, 150], [NAN, 2, 0, 3], "growth per ten seconds"),
        ([100, 130, 20, 40], [NAN, 3, 2, 2], "after a reset, what the counter shows is what it grew"),
        ([100, 0, 0, 10], [NAN, 0, 0, 1], "a reset to zero is no growth"),
        ([100, NAN, NAN, 160], [NAN, NAN, NAN, 2], "a gap gives one rate at its end, over all of its time"),
        ([NAN, 100, 110, NAN], [NAN, NAN, 1, NAN], "the first sample has no rate; missing stays missing"),
        ([NAN, NAN, NAN, NAN], [NAN, NAN, NAN, NAN], "an empty series stays empty"),
        ([5, 5, 5, 5], [NAN, 0, 0, 0], "a constant counter does not grow"),
        ([100, -5, 5, 5], [NAN, 0, 1, 0], "not even a counter below zero has a negative rate"),
    ],
)
def test_a_counter_becomes_its_growth_per_second(counter: list[float], rates: list[float], reason: str) -> None:
    result = rates_from_counters(frame_of(counter), np.array([True]))
    np.testing.assert_array_equal(result.values[0], np.array(rates, np.float32), err_msg=reason)


def test_uneven_sampling_divides_by_the_time_that_went_by() -> None:
    result = rates_from_counters(frame_of([0, 10, 20, 30], seconds=[0, 1, 6, 6.5]), np.array([True]))
    np.testing.assert_array_equal(result.values[0], np.array([NAN, 10, 2, 20], np.float32))


def test_series_outside_the_mask_stay_as_they_are_and_so_does_the_frame_given() -> None:
    frame = frame_of([1, 2, 3], [10, 20, 30])
    result = rates_from_counters(frame, np.array([False, True]))
    np.testing.assert_array_equal(result.values, np.array([[1, 2, 3], [NAN, 1, 1]], np.float32))
    np.testing.assert_array_equal(frame.values, [[1, 2, 3], [10, 20, 30]])
    np.testing.assert_array_equal(rates_from_counters(frame, np.array([1])).values, result.values)


def test_frames_without_series_or_times_pass() -> None:
    assert rates_from_counters(MetricFrame.empty(), np.zeros(0, bool)).values.shape == (0, 0)
    assert rates_from_counters(frame_of([]), np.array([True])).values.shape == (1, 0)


@settings(deadline=None, max_examples=60)
@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 3), st.integers(1, 6)),
        elements=st.one_of(st.just(NAN), st.floats(width=32, allow_nan=False, allow_infinity=False)),
    )
)
def test_no_rate_is_ever_negative_or_infinite_and_each_sample_but_the_first_has_one(values: np.ndarray) -> None:
    frame = frame_of(*values.tolist())
    rates = rates_from_counters(frame, np.ones(len(values), bool)).values
    assert not (rates < 0).any()
    samples = (~np.isnan(values)).sum(axis=1)
    assert (~np.isnan(rates)).sum(axis=1).tolist() == np.maximum(samples - 1, 0).tolist()
