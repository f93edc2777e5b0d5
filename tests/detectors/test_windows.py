"""Windows: which may be learnt from, and what they see."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rca.detectors.windows import WINDOW, fill_forward, healthy_times, split_ends, window_ends, window_view
from rca.types import MINUTE, Window

TIMES = MINUTE * np.arange(400, dtype=np.int64)
ALL = np.ones(400, bool)


def test_no_window_touches_an_excluded_time_nor_the_sample_that_describes_its_end() -> None:
    healthy = healthy_times(TIMES, [Window(start=100 * MINUTE, end=110 * MINUTE)])
    assert np.flatnonzero(~healthy).tolist() == list(range(100, 111))
    ends = window_ends(TIMES, healthy)
    seen = set((ends[:, None] - np.arange(WINDOW)).ravel().tolist())
    assert seen == set(range(400)) - set(range(100, 111))


def test_no_window_spans_a_gap_in_time() -> None:
    times = np.where(np.arange(400) < 200, TIMES, TIMES + 60 * MINUTE)
    ends = window_ends(times, ALL)
    assert not set(range(200, 200 + WINDOW - 1)) & set(ends.tolist())
    assert {199, 200 + WINDOW - 1} <= set(ends.tolist())


def test_a_history_shorter_than_a_window_has_none() -> None:
    assert not len(window_ends(TIMES[: WINDOW - 1], ALL[: WINDOW - 1]))


def test_held_out_windows_share_no_sample_with_those_learnt_from_and_come_from_all_over() -> None:
    learn, held = split_ends(window_ends(TIMES, ALL), 400)
    samples = [set((ends[:, None] - np.arange(WINDOW)).ravel().tolist()) for ends in (learn, held)]
    assert not samples[0] & samples[1]
    assert len(held) >= 20
    assert held.min() < 100
    assert held.max() > 300


def test_a_short_history_is_used_for_both() -> None:
    ends = window_ends(TIMES[:60], ALL[:60])
    learn, held = split_ends(ends, 60)
    assert learn.tolist() == held.tolist() == ends.tolist()


def test_a_window_ends_with_its_sample_and_sees_nothing_after() -> None:
    samples = np.arange(40, dtype=np.float32).reshape(1, 20, 2) + 1
    view = window_view(samples, 3)
    assert view[0, 5].tolist() == [7, 8, 9, 10, 11, 12]
    assert view[0, 0].tolist() == [0, 0, 0, 0, 1, 2]


def test_holes_are_filled_by_the_last_known_sample_for_a_window_and_then_by_the_mean() -> None:
    samples = np.full((1, 20, 1), np.nan, np.float32)
    samples[0, 2] = 7
    filled = fill_forward(samples)[0, :, 0]
    assert filled.tolist() == [0, 0, *[7] * WINDOW, *[0] * (18 - WINDOW)]


@given(st.lists(st.one_of(st.none(), st.floats(-9, 9, width=32)), min_size=1, max_size=30))
def test_filling_keeps_what_is_known_and_leaves_nothing_missing(values: list[float | None]) -> None:
    samples = np.array([np.nan if value is None else value for value in values], np.float32).reshape(1, -1, 1)
    filled, known = fill_forward(samples), ~np.isnan(samples)
    assert (filled[known] == samples[known]).all()
    assert not np.isnan(filled).any()
