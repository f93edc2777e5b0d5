"""Healthy durations as histograms that add up, on the shop of the root ``conftest.py``."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rca.errors import ProfileError
from rca.health.edges import EdgeHealth, from_bins, to_bins
from rca.spans import link_spans, readable
from rca.tracing import RequestTable, cut_requests

MS = 1_000_000
durations = st.integers(1_001, 10**13)


@given(st.lists(durations, min_size=1, max_size=20))
def test_a_bin_is_within_two_per_cent_of_what_lies_in_it(gaps: list[int]) -> None:
    exact = np.array(gaps, float)
    np.testing.assert_allclose(from_bins(to_bins(exact)), exact, rtol=0.021)
    np.testing.assert_array_equal(to_bins(-exact), -to_bins(exact))


def test_gaps_below_a_microsecond_are_one_bin() -> None:
    assert to_bins(np.array([0, 999, -999])).tolist() == [0, 0, 0]


def requests(shop) -> RequestTable:
    spans = shop.spans()
    return cut_requests(link_spans(spans.take(spans.start < shop.health.end)), np.zeros(0, object))


def test_own_times_have_the_quantiles_and_limits_of_the_shop(shop) -> None:
    table = requests(shop)
    health = EdgeHealth.of_requests(table, np.ones(len(table), bool))
    assert [readable(name) for name in health.edges] == ["cart GET /cart", "pay POST /pay", "shop GET /buy"]
    assert health.calls.tolist() == [300, 300, 300]
    np.testing.assert_allclose(health.quantile(0.5), [10 * MS, 20 * MS, 30 * MS], rtol=0.021)
    # All of a kind take the same time: twice the median is the limit.
    np.testing.assert_allclose(health.limit, [20 * MS, 40 * MS, 60 * MS], rtol=0.021)
    assert health.lost.tolist() == [0, 0, 0]


def test_the_limit_is_the_95th_percentile_where_that_is_higher_and_unknown_below_ten_calls(shop) -> None:
    table = requests(shop)
    for count, known in ((9, False), (10, True)):
        few = np.zeros(len(table), bool)
        few[np.flatnonzero(table.type_of == 0)[:count]] = True
        assert np.isfinite(EdgeHealth.of_requests(table, few).limit).tolist() == [known, False, False]
    spread = EdgeHealth.of_requests(table, np.ones(len(table), bool))
    slow = EdgeHealth(
        edges=spread.edges[:1],
        edge=np.zeros(2, np.int32),
        bin=to_bins(np.array([MS, 100 * MS])),
        count=np.array([90.0, 10.0]),
        made=np.array([100.0]),
        lost=np.zeros(1),
    )
    assert slow.limit[0] == pytest.approx(100 * MS, rel=0.021)


def test_an_edge_without_calls_has_no_quantile(shop) -> None:
    table = requests(shop)
    health = EdgeHealth.of_requests(table, np.zeros(len(table), bool))
    assert np.isnan(health.quantile(0.5)).all()
    assert health.calls.tolist() == [0, 0, 0]


def test_halves_of_the_calls_merge_into_the_whole(shop) -> None:
    calls = requests(shop).calls
    early = calls.start < shop.health.start + 15 * 60 * 10**9
    whole = EdgeHealth.build(calls, np.ones(len(early), bool))
    for one, two in ((early, ~early), (~early, early)):
        merged = EdgeHealth.build(calls, one).merge(EdgeHealth.build(calls, two))
        for name, column in whole.to_arrays().items():
            np.testing.assert_array_equal(merged.to_arrays()[name], column)


def test_edges_that_only_one_side_knows_stay(shop) -> None:
    calls = requests(shop).calls
    one = EdgeHealth.build(calls, np.ones(len(calls.edge), bool))
    other = EdgeHealth(
        edges=("a\x1fb",),
        edge=np.zeros(1, np.int32),
        bin=np.array([7], np.int32),
        count=np.array([3.0]),
        made=np.array([4.0]),
        lost=np.array([1.0]),
    )
    both = one.merge(other)
    at = both.edges.index("a\x1fb")
    assert (both.calls[at], both.made[at], both.lost[at]) == (3, 4, 1)
    assert both.calls.sum() == one.calls.sum() + 3


def test_columns_that_do_not_fit_are_refused(shop) -> None:
    table = requests(shop)
    arrays = EdgeHealth.of_requests(table, np.ones(len(table), bool)).to_arrays()
    for name in ("edge", "bin", "count", "made", "lost"):
        with pytest.raises(ProfileError):
            EdgeHealth.from_arrays(arrays | {name: arrays[name][:-1]})
    with pytest.raises(ProfileError):
        EdgeHealth.from_arrays(arrays | {"edge": arrays["edge"] + 99})
