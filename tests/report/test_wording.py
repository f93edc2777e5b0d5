from __future__ import annotations

import pytest

from rca.report.wording import clock, duration, listing, moment, number, percent
from rca.types import SECOND, to_nanoseconds


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0012, "0.0012"),
        (0.5, "0.5"),
        (3.14159, "3.14"),
        (12.345, "12.3"),
        (480.0, "480"),
        (1234.5, "1,234"),
        (2.5e7, "2.5e+07"),
        (-12.345, "-12.3"),
        (100.0, "100"),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3_725, "1 h 2 min"), (90_000, "1 d 1 h"), (-40, "40 s")],
)
def test_durations_have_two_units(seconds: int, text: str) -> None:
    assert duration(seconds * SECOND) == text


@pytest.mark.parametrize(("share", "text"), [(0, "0 %"), (0.001, "< 1 %"), (0.874, "87 %"), (1, "100 %")])
def test_a_small_share_is_not_rounded_to_nothing(share: float, text: str) -> None:
    assert percent(share) == text


def test_times_are_written_in_utc() -> None:
    time = to_nanoseconds("2026-03-02T15:04:05+02:00")
    assert clock(time) == "13:04:05"
    assert moment(time) == "2026-03-02 13:04:05"


def test_a_long_list_ends_in_a_count() -> None:
    assert listing(["a", "b"], 2) == "a, b"
    assert listing(["a", "b", "c", "d"], 2) == "a, b and 2 more"
