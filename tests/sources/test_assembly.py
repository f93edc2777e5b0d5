"""Samples become series that the engine understands: rates, shares, means and quantiles."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rca.extract.meaning import classify
from rca.sources.assembly import frame_from_samples, read_quantile
from rca.sources.received import Received
from rca.sources.samples import (
    COUNTER,
    DELTA,
    SampleBatch,
    SampleCollector,
    Series,
    samples_from_table,
    samples_to_table,
)
from rca.telemetry import MetricFrame
from rca.types import SECOND, Window

STEP = 15 * SECOND
T0 = 1_795_300_000 * SECOND


def batch(*rows: tuple[Series, list[float]], starts: list[int] | None = None) -> SampleBatch:
    out = SampleCollector()
    for key, values in rows:
        for i, value in enumerate(values):
            if value is not None:
                out.add(out.code(key), T0 + i * STEP, value, starts[i] if starts else 0)
    return out.batch()


def rows(frame: MetricFrame) -> dict[tuple[str, str], list[float]]:
    return {
        (frame.components[component], frame.metrics[metric]): [
            None if math.isnan(value) else round(float(value), 5) for value in row
        ]
        for component, metric, row in zip(frame.component, frame.metric, frame.values, strict=True)
    }


def series(metric: str = "requests_total", sort: str = COUNTER, **facts: object) -> Series:
    return Series(component="cart", metric=metric, sort=sort, **facts)


@pytest.mark.parametrize(
    ("values", "rates", "reason"),
    [
        ([0, 15, 45], [None, 1, 2], "growth per second"),
        ([0, 30, 15], [None, 2, 1], "a reset: what it shows now is what it grew"),
        ([5, 5, 5], [None, 0, 0], "no growth is zero, not missing"),
        ([0, None, 60], [None, None, 2], "a gap gives one rate at its end"),
        ([0, math.nan, 60], [None, None, 2], "a staleness marker is a gap"),
        ([7], [], "one sample has no rate"),
    ],
)
def test_counters_become_rates(values: list[float], rates: list[float | None], reason: str) -> None:
    found = rows(frame_from_samples(batch((series(), values)), step=STEP)).get(("cart", "requests_per_second"), [])
    assert [rate for rate in found if rate is not None] == [rate for rate in rates if rate is not None], reason


def test_large_counters_keep_their_growth() -> None:
    # In float32 the growth of 15 would be lost beside 2^40.
    frame = frame_from_samples(batch((series(), [2.0**40, 2.0**40 + 15])), step=STEP)
    assert rows(frame) == {("cart", "requests_per_second"): [None, 1.0]}


def test_a_counter_that_says_when_it_began_has_a_rate_at_once() -> None:
    gauge = Series(component="cart", metric="load")
    out = SampleCollector()
    for i in range(3):
        out.add(out.code(gauge), T0 + i * STEP, 1.0)
    out.add(out.code(series()), T0 + 2 * STEP, 30.0, T0 + STEP)
    assert rows(frame_from_samples(out.batch(), step=STEP))["cart", "requests_per_second"] == [None, None, 2.0]


def test_a_counter_that_began_anew_was_reset_even_where_it_did_not_fall() -> None:
    samples = batch((series(), [10, 30]), starts=[T0 - STEP, T0 + SECOND])
    assert rows(frame_from_samples(samples, step=STEP))["cart", "requests_per_second"] == [None, 2.0]


def test_deltas_grow_since_their_start_or_the_sample_before() -> None:
    told = batch((series(sort=DELTA), [30, 45]), starts=[T0 - STEP, T0])
    assert rows(frame_from_samples(told, step=STEP))["cart", "requests_per_second"] == [2.0, 3.0]
    untold = batch((series(sort=DELTA), [30, 45]))
    assert rows(frame_from_samples(untold, step=STEP))["cart", "requests_per_second"] == [None, 3.0]


def test_replicas_and_request_labels_are_added_up_and_failures_are_a_share() -> None:
    samples = batch(
        (series(replica="a"), [0, 90]),
        (series(replica="b"), [0, 45]),
        (series(replica="a{500}", failed=True), [0, 15]),
    )
    found = rows(frame_from_samples(samples, step=STEP))
    assert found["cart", "requests_per_second"] == [None, 10.0]
    assert found["cart", "requests_error_ratio"] == [None, 0.1]


def test_a_replica_that_is_late_once_does_not_make_the_sum_fall() -> None:
    samples = batch((series(replica="a"), [0, 15, 30, 45, 60]), (series(replica="b"), [0, 15, None, 45, 60]))
    assert rows(frame_from_samples(samples, step=STEP))["cart", "requests_per_second"] == [None, 2, 2, 2, 2]


def test_gauges_of_replicas_are_averaged_and_labels_that_tell_parts_stay_apart() -> None:
    samples = batch(
        (Series(component="cart", metric="memory", labels="state=used", replica="a"), [2.0]),
        (Series(component="cart", metric="memory", labels="state=used", replica="b"), [4.0]),
        (Series(component="cart", metric="memory", labels="state=free"), [9.0]),
    )
    assert rows(frame_from_samples(samples)) == {
        ("cart", "memory{state=used}"): [3.0],
        ("cart", "memory{state=free}"): [9.0],
    }


def test_labels_of_which_there_are_too_many_sets_are_dropped() -> None:
    keys = [Series(component="cart", metric="queue", labels=f"user={i}") for i in range(40)]
    assert list(rows(frame_from_samples(batch(*((key, [float(i)]) for i, key in enumerate(keys)))))) == [
        ("cart", "queue")
    ]


def histogram(
    name: str, counts: list[list[float]], total: list[float], **facts: object
) -> list[tuple[Series, list[float]]]:
    bounds = (0.1, 1.0, math.inf)
    parts = [(series(name, part="bucket", bound=b, **facts), c) for b, c in zip(bounds, counts, strict=True)]
    return [*parts, (series(name, part="count", **facts), counts[-1]), (series(name, part="sum", **facts), total)]


def test_histograms_become_calls_means_and_quantiles() -> None:
    name = "http.server.request.duration"
    told = histogram(name, [[0, 90], [0, 150], [0, 150]], [0, 30])
    failing = histogram(name, [[0, 0], [0, 30], [0, 30]], [0, 24], replica="500", failed=True)
    found = rows(frame_from_samples(batch(*told, *failing), step=STEP))
    assert found == {
        ("cart", "http.server.request_calls_per_second"): [None, 180 / 15],
        ("cart", "http.server.request_calls_error_ratio"): [
            None,
            round(30 / 180, 5),
        ],
        ("cart", f"{name}_mean"): [None, 0.3],
        # 171 of 180 lie below it: 81 of the 90 between 0.1 and 1.
        ("cart", f"{name}_p95"): [None, round(0.1 + 0.9 * 81 / 90, 5)],
    }


@pytest.mark.parametrize(
    ("metric", "family"),
    [
        ("http.server.request_calls_per_second", "traffic"),
        ("http.server.request_calls_error_ratio", "errors"),
        ("http.server.request.duration_mean", "latency"),
        ("http_request_duration_seconds_p95", "latency"),
        ("http_requests_per_second", "traffic"),
        ("http_requests_error_ratio", "errors"),
        ("process_cpu_seconds_per_second", "cpu"),
        ("node_cpu_seconds_per_second{mode=idle}", "cpu"),
        ("jvm.memory.used{jvm.memory.pool.name=eden}", "memory"),
    ],
)
def test_the_engine_understands_the_names_that_are_made(metric: str, family: str) -> None:
    assert classify(metric).family in (family, "connections" if "pool" in metric else family)


def test_a_count_without_a_sum_is_a_gauge_of_that_name() -> None:
    samples = batch((series("kube_node_status", part="count"), [3.0, 2.0]))
    assert rows(frame_from_samples(samples, step=STEP)) == {("cart", "kube_node_status_count"): [3.0, 2.0]}


def test_quantiles_of_summaries_are_gauges() -> None:
    samples = batch((Series(component="cart", metric="rpc_seconds", part="quantile", bound=0.99), [0.5]))
    assert rows(frame_from_samples(samples)) == {("cart", "rpc_seconds_p99"): [0.5]}


@pytest.mark.parametrize(
    ("bounds", "counts", "value", "reason"),
    [
        ([1.0, 2.0, math.inf], [50, 100, 100], 1.9, "within a bucket"),
        ([1.0, math.inf], [100, 100], 0.95, "the first bucket begins at zero"),
        ([1.0, 2.0, math.inf], [0, 10, 100], 2.0, "beyond the last finite bound: that bound"),
        ([1.0, math.inf], [0, 0], math.nan, "nothing was counted"),
        ([math.inf], [10], math.nan, "no finite bound"),
        ([-2.0, 0.0], [0, 10], -0.1, "negative values"),
        ([1.0, 2.0, math.inf], [50, 40, 100], 2.0, "counts that fall are counts that lag"),
    ],
)
def test_a_quantile_is_read_as_prometheus_reads_it(bounds, counts, value: float, reason: str) -> None:
    found = read_quantile(np.array(bounds), np.array(counts, np.float64)[:, None], 0.95)
    assert found.tolist() == pytest.approx([value], nan_ok=True), reason


keys = st.builds(
    Series,
    component=st.sampled_from(["a", "b"]),
    metric=st.sampled_from(["m", "n_total"]),
    sort=st.sampled_from(["gauge", "counter", "delta"]),
    peer=st.sampled_from(["", "b"]),
    part=st.sampled_from(["", "count", "sum", "bucket"]),
    bound=st.sampled_from([0.5, 1.0, math.inf]),
    failed=st.booleans(),
)
points = st.tuples(keys, st.integers(1, 2**62), st.floats(), st.integers(0, 2**62))


def collected(rows_: list[tuple[Series, int, float, int]]) -> SampleBatch:
    out = SampleCollector()
    for key, time, value, start in rows_:
        out.add(out.code(key), time, value, start)
    return out.batch()


@settings(max_examples=100, deadline=None)
@given(st.lists(points, max_size=30))
def test_any_samples_make_a_frame_and_survive_a_table(rows_: list[tuple[Series, int, float, int]]) -> None:
    samples = collected(rows_)
    frame_from_samples(samples)
    kept = samples_from_table(samples_to_table(samples), where="test")
    assert kept.keys == samples.keys
    np.testing.assert_array_equal(kept.values, samples.values)
    np.testing.assert_array_equal(kept.times, samples.times)


@settings(max_examples=50, deadline=None)
@given(st.lists(points, max_size=20, unique_by=lambda row: (row[0], row[1])), st.randoms())
def test_samples_may_come_in_any_order_and_any_number_of_requests(rows_, random) -> None:
    shuffled = rows_.copy()
    random.shuffle(shuffled)
    cut = len(rows_) // 2
    parts = [Received(samples=collected(shuffled[:cut])), Received(samples=collected(shuffled[cut:]))]
    whole, put_together = frame_from_samples(collected(rows_)), frame_from_samples(Received.merge(parts).samples)
    assert rows_ == [] or whole.metrics == put_together.metrics
    np.testing.assert_allclose(whole.values, put_together.values, rtol=1e-5)


def test_a_slice_keeps_the_samples_of_its_window() -> None:
    samples = batch((series(), [1, 2, 3, 4])).slice(Window(start=T0 + STEP, end=T0 + 3 * STEP))
    assert samples.values.tolist() == [2.0, 3.0]
    assert samples.keys == (series(),)
