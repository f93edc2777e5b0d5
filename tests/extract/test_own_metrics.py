"""Own metrics: evidence of components where nothing shows calls, by series that can be checked by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rca.extract.context import Context, prepare
from rca.extract.own_metrics import IDLE, extract_own_metrics, heavy_tailed_powers, sees_calls
from rca.pipeline import analyze
from rca.settings import Settings
from rca.telemetry import MetricFrame, Telemetry
from rca.topology import Topology
from rca.types import MINUTE, Case, Event, Incident, Window

SAMPLES, HEALTHY, ONSET = 60, 40, 45
Series = npt.NDArray[np.float64]


def steady(level: float = 10.0) -> Series:
    """A series with a noise of about two hundredths of its level: the floor of the noise counts."""
    return level * (1 + 0.02 * np.sin(np.arange(SAMPLES) * 2.4))


def risen(factor: float, level: float = 10.0, at: int = ONSET) -> Series:
    series = steady(level)
    series[at:] *= factor
    return series


def case_of(series: Mapping[tuple[str, str], Series], topology: Topology | None = None) -> Case:
    rows = [(k * MINUTE, c, m, v) for (c, m), values in series.items() for k, v in enumerate(values)]
    frame = MetricFrame.from_rows(
        times=np.array([row[0] for row in rows], np.int64),
        components=[row[1] for row in rows],
        metrics=[row[2] for row in rows],
        values=np.array([row[3] for row in rows]),
    )
    incident = Incident(
        id="i",
        window=Window(start=HEALTHY * MINUTE, end=SAMPLES * MINUTE),
        baseline=Window(start=0, end=HEALTHY * MINUTE),
        detected_at=(ONSET + 2) * MINUTE,
        onset=ONSET * MINUTE - MINUTE // 2,
    )
    return Case(incident=incident, telemetry=Telemetry(metrics=frame), topology=topology)


def context_of(series: Mapping[tuple[str, str], Series], **facts: Any) -> Context:
    return prepare(case_of(series, **facts), Settings())


def powers(events: list[Event]) -> dict[tuple[str, str], float]:
    return {(e.component, e.name): e.evidence.likelihood for e in events if e.evidence is not None}


def test_evidence_grows_with_the_logarithm_of_a_deviation_and_is_nothing_without_one() -> None:
    assert heavy_tailed_powers(np.array([0.0, 3.0])).tolist() == pytest.approx([0.0, 2.0 * np.log10(4.0)])
    ten, hundred = heavy_tailed_powers(np.array([1e3, 1e4]))
    assert hundred - ten == pytest.approx(4.0, rel=1e-3)


def test_every_component_is_told_by_its_strongest_series_and_the_loud_ones_beside_it() -> None:
    found = powers(
        extract_own_metrics(
            context_of(
                {
                    ("cart", "cpu_usage"): risen(5.0),
                    ("cart", "memory_bytes"): risen(3.0),
                    ("cart", "threads"): steady(),
                    ("store", "cpu_usage"): steady(),
                    ("store", "memory_bytes"): risen(1.03),
                }
            )
        )
    )
    assert set(found) == {("cart", "cpu_usage"), ("cart", "memory_bytes"), ("store", "memory_bytes")}
    assert found["cart", "cpu_usage"] > found["cart", "memory_bytes"] > found["store", "memory_bytes"]


def test_what_was_as_high_before_the_incident_is_no_news() -> None:
    found = extract_own_metrics(context_of({("cart", "cpu_usage"): risen(5.0, at=HEALTHY)}))
    assert all(value < 0.5 for value in powers(found).values())


def test_a_spike_of_one_sample_is_not_evidence() -> None:
    spike = steady()
    spike[ONSET + 3] *= 50
    found = extract_own_metrics(context_of({("cart", "cpu_usage"): spike}))
    assert all(value < 0.5 for value in powers(found).values())


def test_two_failures_in_a_hundred_are_many_where_there_were_none() -> None:
    available = np.full(SAMPLES, 99.99) + 0.005 * np.sin(np.arange(SAMPLES))
    available[ONSET:] = 98.0
    (event,) = extract_own_metrics(context_of({("cart", "availability_percent"): available}))
    assert (event.kind, event.direction) == ("availability.down", "down")
    assert event.evidence is not None and event.evidence.likelihood > 3.0


def test_a_busy_resource_counts_by_half_where_requests_are_measured_and_do_not_suffer() -> None:
    busy, calm = {("cart", "cpu_usage"): risen(5.0)}, {("cart", "latency_seconds"): np.full(SAMPLES, 0.2)}
    unknown = powers(extract_own_metrics(context_of(busy)))["cart", "cpu_usage"]
    idle = powers(extract_own_metrics(context_of({**busy, **calm})))["cart", "cpu_usage"]
    hurt = powers(extract_own_metrics(context_of({**busy, ("cart", "latency_seconds"): risen(3.0)})))
    assert idle == pytest.approx(IDLE * unknown)
    assert IDLE * unknown < hurt["cart", "cpu_usage"] < unknown


def test_what_a_component_sees_of_its_callees_is_not_its_own() -> None:
    assert extract_own_metrics(context_of({("cart", "client_latency_seconds"): risen(9.0)})) == []


def test_the_machine_below_counts_for_hosts_only() -> None:
    series = {("cart", "node_cpu_usage"): risen(5.0), ("n1", "node_cpu_usage"): risen(5.0)}
    topology = Topology.from_edges([], components=["n1"], kinds={"n1": "host"})
    assert {component for component, _ in powers(extract_own_metrics(context_of(series, topology=topology)))} == {"n1"}


def test_the_event_begins_where_the_series_left_its_noise() -> None:
    (event,) = extract_own_metrics(context_of({("cart", "memory_bytes"): risen(5.0)}))
    assert event.start == ONSET * MINUTE


def test_own_metrics_speak_alone_where_nothing_shows_calls_and_not_beside_amounts() -> None:
    series = {
        (name, metric): values
        for name in ("web", "cart")
        for metric, values in (("requests_per_second", steady(50.0)), ("latency_seconds", risen(4.0, 0.1)))
    }
    alone = analyze(case_of(series)).graph.events
    beside = analyze(case_of(series, topology=Topology.from_edges([("web", "cart")]))).graph.events
    groups = [{e.evidence.group for e in events if e.evidence is not None} for events in (alone, beside)]
    assert groups[0] == {"own metrics"}
    assert "amount" in groups[1] and "own metrics" not in groups[1]
    assert not sees_calls(context_of(series), alone)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.just(float("nan")), st.floats(-1e30, 1e30)), min_size=SAMPLES, max_size=SAMPLES))
def test_any_series_gives_finite_evidence(values: list[float]) -> None:
    for metric in ("cpu_usage", "availability_ratio", "orders_placed"):
        found = extract_own_metrics(context_of({("cart", metric): np.array(values), ("web", "x"): steady()}))
        assert all(np.isfinite(e.evidence.likelihood) and 0 <= e.severity <= 1 for e in found if e.evidence)


def test_without_symptom_and_calls_an_uncertain_cause_is_not_named() -> None:
    series = {(f"service-{i}", "cpu_utilization"): risen(1.3) if i < 3 else steady() for i in range(8)}
    report = analyze(case_of(series))
    assert report.verdict == "inconclusive"
    assert any("nobody named a symptom" in reason for reason in report.missing)
    assert set(report.ranking[:3]) == {"service-0", "service-1", "service-2"}
