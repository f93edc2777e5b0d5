from __future__ import annotations

import pytest

from rca.quantities import clock, duration, moment, number, percent, quantity
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


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("gc_pause_seconds_total", 2.5, "2.5 s"),
        ("container_cpu_utilization_ratio", 0.4336, "43 %"),
        ("http_server_error_ratio", 0.001707, "0.2 %"),
        ("container_memory_working_set_bytes", 3.23e9, "3.23 GB"),
        ("container_disk_io_bytes_per_second", 2.626e5, "263 kB/s"),
        ("http_server_request_duration_seconds_p95", 0.4613, "461 ms"),
        ("http_server_request_duration_seconds_mean", 0.0128, "12.8 ms"),
        ("latency_p99_ms", 480.2, "480 ms"),
        ("pool_used_percent", 98.7, "99 %"),
        ("process_threads", 64.0, "64"),
    ],
)
def test_a_value_carries_the_unit_that_its_metric_names(metric: str, value: float, text: str) -> None:
    assert quantity(metric, value) == text
