"""What the doctor finds, each finding provoked by one flaw in a case that is otherwise sound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from rca.doctor import Finding, examine_case
from rca.telemetry import SPAN_CLIENT, SPAN_SERVER, LogBatch, MetricFrame, SpanBatch, Telemetry, texts
from rca.topology import Topology
from rca.types import MINUTE, SECOND, Alert, Case, Change, Incident, Symptom, Window, to_nanoseconds

START = to_nanoseconds("2026-03-02T12:00:00Z")
WINDOW = Window(start=START + 60 * MINUTE, end=START + 90 * MINUTE)
COUNT = 90


def make_metrics() -> MetricFrame:
    rng = np.random.default_rng(0)
    rows = [("web", "latency_ms"), ("cart", "latency_ms"), ("db", "cpu_utilization")]
    return MetricFrame.from_rows(
        times=np.tile(START + np.arange(COUNT) * MINUTE, len(rows)),
        components=[component for component, _ in rows for _ in range(COUNT)],
        metrics=[metric for _, metric in rows for _ in range(COUNT)],
        values=rng.normal(10, 1, len(rows) * COUNT),
    )


def make_spans(skew: int = 0, orphans: int = 0) -> SpanBatch:
    """Every 30 s web calls cart: 10 ms at the client, 8 ms at the server whose clock is off by ``skew`` ns."""
    calls = 2 * COUNT
    start = START + np.arange(calls) * 30 * SECOND
    ids = [f"{i:04d}" for i in range(calls)]
    parents = [("lost" if i < orphans else f"c{name}") for i, name in enumerate(ids)]
    return SpanBatch.build(
        start=np.concatenate([start, start + 1_000_000 + skew]),
        duration=np.concatenate([np.full(calls, 10_000_000), np.full(calls, 8_000_000)]),
        component=["web"] * calls + ["cart"] * calls,
        operation=["GET /cart"] * (2 * calls),
        trace=ids * 2,
        span=[f"c{name}" for name in ids] + [f"s{name}" for name in ids],
        parent=[""] * calls + parents,
        kind=np.repeat([SPAN_CLIENT, SPAN_SERVER], calls),
    )


def make_logs() -> LogBatch:
    times = START + np.arange(COUNT) * MINUTE
    return LogBatch(
        components=("cart",),
        times=times,
        component=np.zeros(COUNT, np.int32),
        level=np.full(COUNT, 3, np.int8),
        message=texts(["served"] * COUNT),
        trace=texts([f"{i:04d}" for i in range(COUNT)]),
        span=texts([""] * COUNT),
    )


@pytest.fixture
def sound() -> Case:
    change = Change(id="1", component="cart", kind="change.deployment", name="cart 1.2", time=START + MINUTE)
    telemetry = Telemetry(metrics=make_metrics(), spans=make_spans(), logs=make_logs(), changes=(change,))
    return Case(
        incident=Incident(id="sound", window=WINDOW, symptoms=(Symptom(component="web", metric="latency_ms"),)),
        telemetry=telemetry,
        topology=Topology.from_edges([("web", "cart"), ("cart", "db")]),
    )


def with_telemetry(case: Case, **parts: object) -> Case:
    return replace(case, telemetry=replace(case.telemetry, **parts))


def with_incident(case: Case, **parts: object) -> Case:
    return replace(case, incident=replace(case.incident, **parts))


def with_values(case: Case, row: int, values: NDArray[np.float32] | float) -> Case:
    grid = case.telemetry.metrics.values.copy()
    grid[row] = values
    return with_telemetry(case, metrics=replace(case.telemetry.metrics, values=grid))


def only(findings: list[Finding], text: str) -> Finding:
    found = [finding for finding in findings if text in finding.what]
    assert len(found) == 1, [finding.what for finding in findings]
    assert found[0].remedy
    return found[0]


def test_a_sound_case_has_no_finding(sound: Case) -> None:
    assert examine_case(sound) == []


def test_a_case_without_telemetry_is_an_error(sound: Case) -> None:
    findings = examine_case(replace(sound, telemetry=Telemetry()))
    assert only(findings, "no telemetry at all").severity == "error"


def test_telemetry_that_misses_the_window_is_an_error_that_names_time_zones(sound: Case) -> None:
    later = Window(start=START + 5_000 * MINUTE, end=START + 5_030 * MINUTE)
    finding = only(examine_case(with_incident(sound, window=later)), "falls into the window")
    assert finding.severity == "error"
    assert "zone" in finding.remedy


def test_without_topology_and_spans_callers_cannot_be_told_from_causes(sound: Case) -> None:
    case = replace(with_telemetry(sound, spans=SpanBatch.empty(), logs=LogBatch.empty()), topology=None)
    assert only(examine_case(case), "depends on which").severity == "warning"


def test_spans_alone_are_topology_enough(sound: Case) -> None:
    assert not [f for f in examine_case(replace(sound, topology=None)) if "depends on which" in f.what]


def test_without_time_before_the_window_health_is_unknown(sound: Case) -> None:
    case = replace(sound, telemetry=sound.telemetry.slice(WINDOW))
    assert only(examine_case(case), "no healthy time").severity == "warning"


def test_a_short_baseline_is_counted(sound: Case) -> None:
    case = with_incident(sound, baseline=Window(start=WINDOW.start - 4 * MINUTE, end=WINDOW.start))
    assert only(examine_case(case), "the baseline has 4 metric samples").severity == "warning"


def test_a_window_of_few_samples_is_too_short(sound: Case) -> None:
    case = with_incident(sound, window=Window(start=WINDOW.start, end=WINDOW.start + 3 * MINUTE))
    assert only(examine_case(case), "the window has 3 metric samples").severity == "warning"


def test_a_window_of_half_a_day_is_noted(sound: Case) -> None:
    case = with_incident(sound, window=Window(start=WINDOW.start, end=WINDOW.start + 720 * MINUTE))
    assert only(examine_case(case), "12 hours").severity == "note"


@pytest.mark.parametrize("name", ["detected_at", "onset"])
def test_an_alert_or_onset_outside_the_window_is_found(sound: Case, name: str) -> None:
    case = with_incident(sound, **{name: WINDOW.start - MINUTE})
    assert only(examine_case(case), f"{name} 2026-03-02T12:59:00Z").severity == "warning"


def test_an_unknown_symptom_is_found(sound: Case) -> None:
    case = with_incident(sound, symptoms=(Symptom(component="wbe"),))
    assert only(examine_case(case), "symptom's component wbe").severity == "warning"


def test_an_unknown_metric_of_a_symptom_is_noted(sound: Case) -> None:
    case = with_incident(sound, symptoms=(Symptom(component="web", metric="apdex"),))
    assert only(examine_case(case), "metric apdex").severity == "note"


def test_without_symptom_and_alert_the_symptom_is_guessed(sound: Case) -> None:
    case = with_incident(sound, symptoms=())
    assert only(examine_case(case), "users felt").severity == "note"
    alert = Alert(component="web", name="slow", kind="latency.up")
    assert not [f for f in examine_case(with_telemetry(case, alerts=(alert,))) if "users felt" in f.what]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.nan, "1 of 3 series have no sample at all"),
        (7.0, "1 of 3 series never change"),
        (np.where(np.arange(COUNT) % 3, np.nan, np.arange(COUNT)), "1 of 3 series miss more than half"),
    ],
)
def test_empty_constant_and_sparse_series_are_named(
    sound: Case, values: NDArray[np.float32] | float, text: str
) -> None:
    finding = only(examine_case(with_values(sound, 0, values)), text)
    assert "latency_ms" in finding.what or "cpu_utilization" in finding.what


@pytest.mark.parametrize(
    ("skew", "text"), [(-2 * SECOND, "2 s behind that of web"), (3 * SECOND, "ahead of that of web")]
)
def test_a_clock_that_is_off_is_named_with_its_size(sound: Case, skew: int, text: str) -> None:
    finding = only(examine_case(with_telemetry(sound, spans=make_spans(skew))), "the clock of cart")
    assert text in finding.what
    assert "NTP" in finding.remedy


def test_spans_without_their_parents_are_counted(sound: Case) -> None:
    case = with_telemetry(sound, spans=make_spans(orphans=COUNT))
    assert "25%" in only(examine_case(case), "name a parent that is not there").what


def test_a_component_that_no_rule_reaches_is_named(sound: Case) -> None:
    case = replace(sound, topology=Topology.from_edges([("web", "cart")]))
    assert "db" in only(examine_case(case), "no rule's reach").what


def test_a_component_of_the_topology_without_telemetry_is_named(sound: Case) -> None:
    case = replace(sound, topology=Topology.from_edges([("web", "cart"), ("cart", "db"), ("cart", "cache")]))
    assert "cache" in only(examine_case(case), "that send nothing").what


def test_few_spans_are_a_matter_of_sampling(sound: Case) -> None:
    few = sound.telemetry.spans.take(np.arange(0, len(sound.telemetry.spans), 9))
    assert only(examine_case(with_telemetry(sound, spans=few)), "fewer than 20 spans").severity == "note"


def test_coarse_metrics_are_noted(sound: Case) -> None:
    frame = sound.telemetry.metrics
    coarse = replace(frame, times=frame.times[::10], values=frame.values[:, ::10])
    assert "every 10 minutes" in only(examine_case(with_telemetry(sound, metrics=coarse)), "metrics come").what


def test_spans_without_logs_and_logs_without_traces_are_noted(sound: Case) -> None:
    assert only(examine_case(with_telemetry(sound, logs=LogBatch.empty())), "spans but no logs")
    logs = sound.telemetry.logs
    assert only(examine_case(with_telemetry(sound, logs=replace(logs, trace=logs.span))), "names its trace")


def test_logs_without_levels_are_noted(sound: Case) -> None:
    logs = replace(sound.telemetry.logs, level=np.zeros(COUNT, np.int8))
    assert only(examine_case(with_telemetry(sound, logs=logs)), "no log line has a level")


def test_a_metric_whose_name_says_nothing_is_named(sound: Case) -> None:
    frame = replace(sound.telemetry.metrics, metrics=("blub", "latency_ms"))
    assert "blub" in only(examine_case(with_telemetry(sound, metrics=frame)), "do not say what they measure").what


def test_a_kind_that_no_rule_knows_is_named(sound: Case) -> None:
    change = Change(id="1", component="cart", kind="change.weather", name="rain", time=START)
    assert "change.weather" in only(examine_case(with_telemetry(sound, changes=(change,))), "no rule knows").what


def test_without_changes_no_deployment_can_be_suspected(sound: Case) -> None:
    assert only(examine_case(with_telemetry(sound, changes=())), "no changes").severity == "note"


def test_errors_come_before_warnings_before_notes(sound: Case) -> None:
    case = with_incident(replace(sound, telemetry=Telemetry(), topology=None), detected_at=START)
    severities = [finding.severity for finding in examine_case(case)]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)
    assert {"error", "warning", "note"} == set(severities)
