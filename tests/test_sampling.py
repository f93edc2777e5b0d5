"""Samples taken at slightly different seconds, on one axis."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rca.sampling import align, series_step
from rca.telemetry import MetricFrame
from rca.types import MINUTE, SECOND


def frame(times: dict[str, list[int]]) -> MetricFrame:
    """One series per component; each sample's value is its number."""
    return MetricFrame.from_rows(
        times=np.array([time for row in times.values() for time in row], np.int64),
        components=[name for name, row in times.items() for _ in row],
        metrics=["cpu"] * sum(map(len, times.values())),
        values=np.array([place for row in times.values() for place in range(len(row))], float),
    )


def test_scrapes_of_one_round_become_one_column_with_the_latest_time() -> None:
    scraped = frame({"a": [0, MINUTE, 2 * MINUTE], "b": [5 * SECOND, MINUTE + 5 * SECOND, 2 * MINUTE + 5 * SECOND]})
    aligned = align(scraped)
    assert aligned.times.tolist() == [5 * SECOND, MINUTE + 5 * SECOND, 2 * MINUTE + 5 * SECOND]
    assert aligned.values.tolist() == [[0, 1, 2], [0, 1, 2]]


def test_a_round_that_crosses_a_full_minute_stays_one_round() -> None:
    early = [MINUTE - 2 * SECOND + k * MINUTE for k in range(3)]
    late = [time + 4 * SECOND for time in early]
    assert align(frame({"a": early, "b": late})).values.tolist() == [[0, 1, 2], [0, 1, 2]]


def test_a_regular_axis_is_returned_as_it_is() -> None:
    regular = frame({"a": [0, 60, 120], "b": [0, 60, 120]})
    assert align(regular) is regular


def test_of_two_samples_in_one_step_the_later_stays() -> None:
    doubled = frame({"a": [0, MINUTE, MINUTE + SECOND, 2 * MINUTE, 3 * MINUTE]})
    aligned = align(doubled)
    assert aligned.values.tolist() == [[0, 2, 3, 4]]
    assert aligned.times[1] == MINUTE + SECOND


@pytest.mark.parametrize("times", [{}, {"a": [5]}, {"a": [5], "b": [9]}])
def test_frames_without_two_samples_of_a_series_have_no_step_and_stay(times: dict[str, list[int]]) -> None:
    few = frame(times) if times else MetricFrame.empty()
    assert series_step(few) == 0
    assert align(few) is few


@given(
    offsets=st.lists(st.integers(0, 20), min_size=1, max_size=4),
    rounds=st.integers(2, 6),
    start=st.integers(0, 10**6),
)
def test_every_round_is_one_column_and_nothing_is_lost(offsets: list[int], rounds: int, start: int) -> None:
    times = {f"c{i}": [start + k * 60 + offset for k in range(rounds)] for i, offset in enumerate(offsets)}
    aligned = align(frame(times))
    assert aligned.values.shape == (len(offsets), rounds)
    assert not np.isnan(aligned.values).any()
    assert series_step(aligned) == 60
