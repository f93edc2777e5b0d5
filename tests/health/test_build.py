"""Profiles of clean telemetry, and what is cut out of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rca.health.build import HealthRecorder, build_profile, subtract
from rca.telemetry import Telemetry
from rca.types import MINUTE, Window

edges = st.tuples(st.integers(0, 60), st.integers(0, 60)).map(sorted)


def test_an_incident_that_is_cut_out_leaves_no_trace_in_the_profile(shop) -> None:
    broken = replace(shop, fault="missing").telemetry()
    profile = build_profile(broken, exclude=[Window(start=shop.onset, end=shop.window.end)])
    clean = build_profile(broken.slice(Window(start=shop.health.start, end=shop.onset)))
    assert profile.requests is not None
    assert clean.requests is not None
    assert profile.edges is not None
    assert clean.edges is not None
    assert profile.requests.both.tolist() == clean.requests.both.tolist()
    assert profile.edges.count.tolist() == clean.edges.count.tolist()
    # The sample at the onset describes the healthy minute before it.
    assert profile.metrics is not None
    assert profile.metrics.sample.times.max() == shop.onset
    assert profile.windows[0].end == shop.onset


def test_a_recorder_gives_profiles_of_several_choices_of_clean_time(shop) -> None:
    recorder = HealthRecorder(shop.telemetry())
    all_of_it, half = recorder.profile(), recorder.profile(exclude=[shop.window])
    assert all_of_it.requests is not None
    assert half.requests is not None
    assert all_of_it.requests.requests.max() == 400
    assert half.requests.requests.max() == 300


def test_a_profile_of_nothing_has_no_parts() -> None:
    profile = build_profile(Telemetry())
    assert profile.windows == ()
    assert [getattr(profile, name) for name in ("metrics", "logs", "requests", "edges", "own_times")] == [None] * 5


def test_a_profile_of_incidents_only_has_no_metrics_and_no_requests(shop) -> None:
    everything = Window(start=shop.health.start - MINUTE, end=shop.window.end + MINUTE)
    profile = build_profile(shop.telemetry(), exclude=[everything])
    assert profile.metrics is None
    assert profile.requests is None
    assert profile.windows == ()


def test_profiles_of_halves_merge_into_what_the_whole_knows(shop) -> None:
    told, middle = shop.telemetry(), shop.health.start + 20 * MINUTE
    one = build_profile(told.slice(Window(start=shop.health.start, end=middle)), small=True)
    two = build_profile(told.slice(Window(start=middle, end=shop.window.end)))
    merged, whole = one.merge(two), build_profile(told)
    assert merged.small is False
    assert merged.requests is not None
    assert whole.requests is not None
    assert merged.requests.both.tolist() == whole.requests.both.tolist()
    assert merged.own_times is not None
    assert whole.own_times is not None
    assert merged.own_times.limit.tolist() == whole.own_times.limit.tolist()
    assert sum(window.seconds for window in merged.windows) == pytest.approx(
        sum(window.seconds for window in whole.windows), abs=61
    )


def test_merging_with_a_profile_that_lacks_a_part_keeps_the_part(shop) -> None:
    full, bare = build_profile(shop.telemetry()), build_profile(Telemetry())
    assert bare.merge(full).requests is full.requests
    assert full.merge(bare).edges is full.edges


@given(edges, st.lists(edges, max_size=4))
def test_subtracting_windows_leaves_the_seconds_that_none_of_them_covers(
    whole: list[int], parts: list[list[int]]
) -> None:
    left = subtract(Window(start=whole[0], end=whole[1]), [Window(start=a, end=b) for a, b in parts])
    covered = {t for a, b in parts for t in range(a, b)}
    assert [t for w in left for t in range(w.start, w.end)] == [t for t in range(*whole) if t not in covered]
    assert subtract(None, []) == ()


def test_profiles_do_not_depend_on_the_order_of_rows(shop) -> None:
    told, rng = shop.telemetry(), np.random.default_rng(1)
    shuffled = replace(
        told,
        spans=told.spans.take(rng.permutation(len(told.spans))),
        logs=told.logs.take(rng.permutation(len(told.logs))),
    )
    one, two = build_profile(told), build_profile(shuffled)
    assert one.requests is not None
    assert two.requests is not None
    assert one.requests.items == two.requests.items
    assert one.requests.both.tolist() == two.requests.both.tolist()
