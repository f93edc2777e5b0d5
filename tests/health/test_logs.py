"""Healthy logs: sums over blocks that add up, and are saved without loss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rca.errors import InputError, ProfileError
from rca.health.logs import ALL_LINES, WARNINGS, LogHealth
from rca.telemetry import ERROR, INFO, LogBatch, SpanBatch, texts
from rca.types import SECOND, Window

MINUTE = 60 * SECOND
EXAMPLES = settings(max_examples=40, deadline=None)
ROWS = st.lists(
    st.tuples(
        st.integers(0, 599), st.sampled_from(["cart", "front"]), st.sampled_from(["ok", "failed: IOException", "x 1"])
    ),
    max_size=40,
)


def batch(rows: list[tuple[float, str, str]], level: int = INFO) -> LogBatch:
    names = tuple(sorted({component for _, component, _ in rows}))
    return LogBatch(
        components=names,
        times=np.array([int(time * SECOND) for time, _, _ in rows], np.int64),
        component=np.array([names.index(component) for _, component, _ in rows], np.int32),
        level=np.full(len(rows), level, np.int8),
        message=texts([message for _, _, message in rows]),
        trace=texts([""] * len(rows)),
        span=texts([""] * len(rows)),
    )


def spans(times: list[float], component: str) -> SpanBatch:
    size = len(times)
    return SpanBatch.build(
        start=np.array([int(t * SECOND) for t in times], np.int64),
        duration=np.ones(size, np.int64),
        component=[component] * size,
        operation=["op"] * size,
        trace=[str(i) for i in range(size)],
        span=[str(i) for i in range(size)],
        parent=[""] * size,
    )


def said(health: LogHealth) -> dict[tuple[str, str], float]:
    names = health.miner.templates
    tally = health.templates
    return {
        (health.components[c], names[t]): float(n)
        for c, t, n in zip(tally.component, tally.item, tally.count, strict=True)
    }


def test_lines_are_counted_per_component_and_template_and_block() -> None:
    rows = [(5, "cart", "order 1 kept"), (6, "cart", "order 2 kept"), (65, "cart", "order 3 kept"), (70, "front", "hi")]
    health = LogHealth.build(batch(rows), [Window(start=0, end=3 * MINUTE)])
    assert said(health) == {("cart", "order <NUM> kept"): 3.0, ("front", "hi"): 1.0}
    cart = health.templates.take(health.templates.component == 0)
    assert cart.squares.tolist() == [(2**2 + 1**2) / 60]
    assert cart.present.tolist() == [2.0]
    assert health.blocks.tolist() == [3.0, 3.0]
    assert health.seconds.tolist() == [180.0, 180.0]


def test_lines_outside_the_windows_do_not_count() -> None:
    rows = [(5, "cart", "a"), (100, "cart", "a"), (200, "front", "a")]
    health = LogHealth.build(batch(rows), [Window(start=0, end=MINUTE)])
    assert said(health) == {("cart", "a"): 1.0}


def test_without_windows_long_gaps_are_no_clean_time_and_short_ones_are() -> None:
    rows = [(5, "cart", "a"), (125, "cart", "a"), (3600, "cart", "a")]
    assert LogHealth.build(batch(rows)).blocks.tolist() == [4.0]


def test_even_lines_have_a_dispersion_of_one_and_bursts_a_larger_one() -> None:
    even = [(60 * block + i, "cart", "even") for block in range(10) for i in range(4)]
    bursts = [(60 * block + i, "cart", "burst now") for block in (2, 7) for i in range(20)]
    health = LogHealth.build(batch(even + bursts), [Window(start=0, end=10 * MINUTE)])
    level = dict(
        zip(
            (health.miner.templates[t] for t in health.templates.item), health.dispersion(health.templates), strict=True
        )
    )
    assert level["even"] == 1.0
    assert level["burst now"] == pytest.approx((2 * 400 / 40 * 10 - 40) / 9)


def test_lines_that_follow_traffic_are_even_per_request_though_uneven_in_time() -> None:
    times = [60 * block + i for block in range(10) for i in range(2 if block % 2 else 40)]
    health = LogHealth.build(
        batch([(t, "cart", "served") for t in times]), [Window(start=0, end=10 * MINUTE)], traffic=spans(times, "cart")
    )
    assert health.requests.tolist() == [210.0]
    assert health.dispersion(health.templates)[0] > 10
    assert health.dispersion(health.templates, per_request=True)[0] == 1.0


def test_warnings_and_exceptions_are_counted_apart() -> None:
    rows = [(5, "cart", "failed: IOException\n at IOException"), (6, "cart", "failed: KeyException")]
    health = LogHealth.build(batch(rows, ERROR), [Window(start=0, end=MINUTE)])
    assert health.exceptions == ("IOException", "KeyException")
    assert health.raised.count.tolist() == [1.0, 1.0]
    assert health.totals.item.tolist() == [ALL_LINES, WARNINGS]
    assert health.totals.count.tolist() == [2.0, 2.0]


@settings(EXAMPLES)
@given(ROWS, ROWS)
def test_days_add_up_whichever_comes_first(
    first: list[tuple[int, str, str]], second: list[tuple[int, str, str]]
) -> None:
    window = [Window(start=0, end=10 * MINUTE)]
    a, b = LogHealth.build(batch(first), window), LogHealth.build(batch(second), window)
    both, other = a.merge(b), b.merge(a)
    assert said(both) == said(other)
    assert both.components == other.components
    assert both.totals.columns().keys() == other.totals.columns().keys()
    for name, column in both.totals.columns().items():
        np.testing.assert_allclose(column, getattr(other.totals, name))
    assert both.templates.count.sum() == len(first) + len(second)
    assert both.exceptions == other.exceptions


@settings(EXAMPLES)
@given(ROWS)
def test_what_is_saved_comes_back(rows: list[tuple[int, str, str]]) -> None:
    health = LogHealth.build(batch(rows), [Window(start=0, end=10 * MINUTE)])
    arrays = health.to_arrays()
    assert all(array.dtype != object for array in arrays.values())
    again = LogHealth.from_arrays(arrays)
    assert again.components == health.components
    for name, array in again.to_arrays().items():
        np.testing.assert_array_equal(array, arrays[name])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("names", np.frombuffer(b"{", np.uint8)),
        ("seconds", np.zeros(7)),
        ("templates.item", np.array([99], np.int32)),
        ("templates.count", np.array([np.nan])),
        ("templates.count", np.zeros(3)),
        ("totals.component", np.array([-1], np.int32)),
        ("miner", np.frombuffer(b"[]", np.uint8)),
        ("blocks", np.array([-1.0])),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name: str, value: np.ndarray) -> None:
    arrays = LogHealth.build(batch([(1, "cart", "a")]), [Window(start=0, end=MINUTE)]).to_arrays()
    with pytest.raises(ProfileError):
        LogHealth.from_arrays({**arrays, name: value})
    with pytest.raises(ProfileError):
        LogHealth.from_arrays({key: array for key, array in arrays.items() if key != name})


def test_a_replica_borrows_the_sums_of_its_siblings() -> None:
    rows = [(1, "cart-1", "a"), (2, "cart-2", "a"), (3, "cart-2", "a")]
    health = LogHealth.build(batch(rows), [Window(start=0, end=MINUTE)]).lend({"cart-9": ("cart-1", "cart-2")})
    assert said(health)["cart-9", "a"] == 3.0
    assert health.seconds.tolist() == [60.0, 60.0, 120.0]


def test_a_block_must_have_a_length() -> None:
    with pytest.raises(InputError):
        LogHealth.build(batch([(1, "cart", "a")]), block=0)
