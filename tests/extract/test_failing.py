"""Who failed first: order, error spans, demand and the alert, as weak evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rca.extract.abnormal import AbnormalSeries, find_abnormal, growth, median, ramp_start
from rca.extract.context import Context
from rca.extract.failing import extract_failing, extract_order
from rca.health import HealthProfile
from rca.health.metrics import MetricHealth
from rca.settings import Settings
from rca.telemetry import MetricFrame, SpanBatch, Telemetry
from rca.topology import Topology
from rca.types import MINUTE, Case, Event, Incident, Symptom, Window

SAMPLES, HEALTHY, ALERT = 60, 20, 50
CHAIN = (("web", "cart"), ("cart", "store"))


def steady(level: float = 10.0) -> npt.NDArray[np.float64]:
    """A flat series with a little deterministic noise."""
    return level * (1 + 0.01 * np.sin(np.arange(SAMPLES) * 2.4))


def jump(at: int, factor: float = 20.0, level: float = 10.0) -> npt.NDArray[np.float64]:
    series = steady(level)
    series[at:] *= factor
    return series


def make(
    series: Mapping[tuple[str, str], npt.NDArray[np.float64]],
    *,
    spans: SpanBatch | None = None,
    alert_on: str = "web",
    edges: tuple[tuple[str, str], ...] = CHAIN,
) -> Context:
    rows = [(k * MINUTE, c, m, v) for (c, m), values in series.items() for k, v in enumerate(values)]
    metrics = MetricFrame.from_rows(
        times=np.array([row[0] for row in rows], np.int64),
        components=[row[1] for row in rows],
        metrics=[row[2] for row in rows],
        values=np.array([row[3] for row in rows]),
    )
    incident = Incident(
        id="i",
        window=Window(start=HEALTHY * MINUTE, end=SAMPLES * MINUTE),
        baseline=Window(start=0, end=HEALTHY * MINUTE),
        detected_at=ALERT * MINUTE,
        symptoms=(Symptom(component=alert_on),),
    )
    telemetry = Telemetry(metrics=metrics, spans=SpanBatch.empty() if spans is None else spans)
    return Context(
        case=Case(incident=incident, telemetry=telemetry),
        topology=Topology.from_edges(edges),
        health=HealthProfile(),
        onsets=np.array([ALERT * MINUTE], np.int64),
        ends=np.array([SAMPLES * MINUTE], np.int64),
        settings=Settings(),
    )


def of_group(events: list[Event], group: str) -> dict[str, Event]:
    return {event.component: event for event in events if event.evidence and event.evidence.group == group}


def blame(event: Event) -> float:
    assert event.evidence is not None
    return event.evidence.blame


def failing_spans(*rows: tuple[str, str, str, int, str]) -> SpanBatch:
    """Spans of one trace at the alert: (component, id, parent, status, text)."""
    return SpanBatch.build(
        start=np.full(len(rows), ALERT * MINUTE, np.int64),
        duration=np.full(len(rows), 1_000_000, np.int64),
        component=[row[0] for row in rows],
        operation=["op"] * len(rows),
        trace=["t"] * len(rows),
        span=[row[1] for row in rows],
        parent=[row[2] for row in rows],
        status=np.array([row[3] for row in rows], np.int8),
        text=[row[4] for row in rows],
    )


def test_the_component_that_deviates_first_gets_most_blame_and_five_samples_later_half() -> None:
    context = make(
        {("cart", "latency_ms"): jump(40), ("web", "latency_ms"): jump(45), ("store", "latency_ms"): steady()}
    )
    order = of_group(extract_order(context), "order")
    assert sorted(order) == ["cart", "web"]
    assert blame(order["web"]) == pytest.approx(blame(order["cart"]) / 2)
    assert order["cart"].start == 40 * MINUTE
    assert order["cart"].evidence is not None
    assert order["cart"].evidence.weak


def test_a_drop_of_what_should_be_high_counts_and_a_drop_of_what_should_be_low_does_not() -> None:
    order = of_group(extract_order(make({("cart", "success_ratio"): jump(40, factor=0.05)})), "order")
    assert order["cart"].direction == "down"
    assert of_group(extract_order(make({("cart", "latency_ms"): jump(40, factor=0.05)})), "order") == {}


def test_of_a_components_series_the_one_with_most_blame_speaks() -> None:
    context = make({("cart", "disk_used_pct"): jump(40), ("cart", "latency_ms"): jump(41)})
    (event,) = of_group(extract_order(context), "order").values()
    assert (event.name, event.start) == ("latency_ms", 41 * MINUTE)


def test_the_onset_of_a_ramp_is_where_it_leaves_its_health_not_where_the_alert_fires() -> None:
    ramp = steady()
    ramp[25:] += 4.0 * np.arange(SAMPLES - 25)
    abnormal = find_abnormal(make({("cart", "memory_bytes"): ramp}))
    assert abnormal.onset[0] <= 27 * MINUTE
    start = ramp_start(abnormal, "cart")
    assert start is None or abs(start - 25 * MINUTE) <= 2 * MINUTE
    assert growth(abnormal, "cart") > 0.9


def test_a_spike_that_is_over_before_the_alert_is_not_abnormal() -> None:
    series = steady()
    series[30:34] *= 20
    assert len(find_abnormal(make({("cart", "latency_ms"): series}))) == 0


def test_without_time_before_the_window_the_profile_says_what_is_healthy() -> None:
    def frame(values: npt.NDArray[np.float64], start: int) -> MetricFrame:
        return MetricFrame.from_rows(
            times=(start + np.arange(len(values))) * MINUTE,
            components=["cart"] * len(values),
            metrics=["latency_ms"] * len(values),
            values=values,
        )

    context = make({})
    case = replace(context.case, telemetry=Telemetry(metrics=frame(jump(0)[HEALTHY:], HEALTHY)))
    known = HealthProfile(metrics=MetricHealth(sample=frame(steady(), -1000)))
    assert len(find_abnormal(replace(context, case=case))) == 0
    assert len(find_abnormal(replace(context, case=case, health=known))) == 1
    empty = HealthProfile(metrics=MetricHealth(sample=frame(steady(), 0).select(np.zeros(1, bool))))
    assert len(find_abnormal(replace(context, case=case, health=empty))) == 0


def test_short_gaps_do_not_end_the_way_back_and_long_ones_do() -> None:
    bridged, broken = jump(30), jump(30)
    bridged[35:37] = 10.0
    broken[35:38] = 10.0
    abnormal = find_abnormal(make({("cart", "a_ms"): bridged, ("cart", "b_ms"): broken}))
    assert list(abnormal.onset // MINUTE) == [30, 38]


def test_missing_samples_are_neither_deviating_nor_quiet() -> None:
    series = jump(30)
    series[33:43] = np.nan
    assert find_abnormal(make({("cart", "latency_ms"): series})).onset[0] == 30 * MINUTE


def test_the_deepest_failing_span_is_blamed_and_its_callers_are_not() -> None:
    spans = failing_spans(
        ("web", "a", "", 2, ""),
        ("cart", "b", "a", 2, ""),
        ("store", "c", "b", 2, "error=disk full"),
        ("web", "d", "", 1, ""),
    )
    found = of_group(extract_failing(make({("web", "latency_ms"): steady()}, spans=spans)), "error spans")
    assert sorted(found) == ["store"]
    assert blame(found["store"]) == pytest.approx(0.4)


def test_cancelled_work_counts_for_nobody_but_for_the_caller_that_gave_up() -> None:
    spans = failing_spans(("cart", "b", "", 2, "error=deadline"), ("store", "c", "b", 2, "error=context canceled"))
    found = of_group(extract_failing(make({("web", "latency_ms"): steady()}, spans=spans)), "error spans")
    assert sorted(found) == ["cart"]


def test_demand_that_rose_with_the_callers_excuses_and_alone_it_does_not() -> None:
    together = {("web", "requests_per_sec"): jump(40), ("cart", "requests_per_sec"): jump(40)}
    found = of_group(extract_failing(make(together)), "demand")
    assert sorted(found) == ["cart"]
    assert blame(found["cart"]) == -0.5
    assert found["cart"].evidence is not None
    assert found["cart"].evidence.weak
    alone = {("web", "requests_per_sec"): steady(), ("cart", "requests_per_sec"): jump(40)}
    assert of_group(extract_failing(make(alone)), "demand") == {}


def test_hosts_and_neighbours_outside_the_request_path_do_not_compete() -> None:
    context = make({("node-7", "node_cpu_utilization_ratio"): jump(40), ("cart", "latency_ms"): jump(41)})
    assert sorted(of_group(extract_order(context), "order")) == ["cart"]


def test_the_alerting_component_gets_little() -> None:
    (event,) = of_group(extract_failing(make({}, alert_on="cart")), "symptom").values()
    assert (event.component, blame(event)) == ("cart", 0.3)


def test_event_ids_are_unique_and_nothing_is_said_of_an_empty_case() -> None:
    context = make({("cart", "latency_ms"): jump(40), ("cart", "requests_per_sec"): jump(40)})
    ids = [event.id for event in (*extract_order(context), *extract_failing(context))]
    assert len(ids) == len(set(ids))
    assert [event.kind for event in extract_failing(make({}))] == ["alert.firing"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.one_of(st.just(float("nan")), st.floats(-1e12, 1e12)), min_size=7, max_size=7),
        min_size=1,
        max_size=5,
    )
)
def test_the_median_without_nan_is_numpys(rows: list[list[float]]) -> None:
    values = np.array(rows, np.float64)
    known = ~np.isnan(values).all(axis=1)
    assert np.array_equal(median(values)[known], np.nanmedian(values[known], axis=1))
    assert np.isnan(median(values)[~known]).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.just(float("nan")), st.floats(-1e30, 1e30)), min_size=SAMPLES, max_size=SAMPLES))
def test_any_series_gives_finite_evidence_within_its_range(values: list[float]) -> None:
    context = make({("cart", "latency_ms"): np.array(values), ("web", "x"): steady()})
    abnormal: AbnormalSeries = find_abnormal(context)
    assert np.isfinite(abnormal.deviation).all()
    assert all(0 <= event.severity <= 1 for event in (*extract_order(context), *extract_failing(context)))
