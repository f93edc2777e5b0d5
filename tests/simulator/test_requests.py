from __future__ import annotations

import numpy as np
import pytest

from rca.simulator import simulate
from rca.simulator.world import UNTRACED
from rca.telemetry import SPAN_CLIENT, SPAN_CONSUMER, SPAN_PRODUCER, SPAN_SERVER, SpanBatch
from rca.types import Case

SEEDS = [(3, "bad_deployment"), (4, "network_loss"), (6, "pod_kill"), (9, None)]


def positions(spans: SpanBatch, names: np.ndarray) -> np.ndarray:
    index = {span: i for i, span in enumerate(spans.span)}
    return np.array([index.get(name, -1) for name in names])


@pytest.fixture(scope="module", params=SEEDS, ids=lambda pair: str(pair[1]))
def case(request: pytest.FixtureRequest) -> Case:
    seed, fault = request.param
    return simulate(seed=seed, fault=fault)[0]


def test_parents_exist_in_the_same_trace_and_enclose_their_children(case: Case) -> None:
    spans = case.telemetry.spans
    parent = positions(spans, spans.parent)
    child = np.flatnonzero(spans.parent != "")
    parent = parent[child]
    assert (parent >= 0).all()
    assert (spans.trace[parent] == spans.trace[child]).all()
    assert (spans.start[parent] <= spans.start[child]).all()
    assert (spans.start[parent] + spans.duration[parent] >= spans.start[child] + spans.duration[child]).all()
    assert (spans.duration > 0).all()


def test_every_span_has_a_name_of_its_own_and_starts_in_order(case: Case) -> None:
    spans = case.telemetry.spans
    assert len(set(spans.span)) == len(spans)
    assert (np.diff(spans.start) >= 0).all()


def test_client_spans_hold_the_server_spans_that_they_call(case: Case) -> None:
    spans = case.telemetry.spans
    parent = positions(spans, spans.parent)
    served = np.flatnonzero((spans.kind == SPAN_SERVER) & (parent >= 0))
    assert (spans.kind[parent[served]] == SPAN_CLIENT).all()
    assert (spans.duration[parent[served]] >= spans.duration[served]).all()
    assert (spans.operation[parent[served]] == spans.operation[served]).all()


def test_uninstrumented_components_are_peers_and_write_no_spans(case: Case) -> None:
    spans = case.telemetry.spans
    writing = {spans.components[i] for i in np.unique(spans.component)}
    called = {spans.components[i] for i in np.unique(spans.peer[spans.peer >= 0])}
    assert called and not writing & called
    if case.topology is not None:
        assert {case.topology.kinds[name] for name in called} <= set(UNTRACED)


def test_consumers_are_linked_to_the_message_that_caused_them(case: Case) -> None:
    spans = case.telemetry.spans
    consumed = np.flatnonzero(spans.kind == SPAN_CONSUMER)
    sent = positions(spans, spans.link_span[consumed])
    assert consumed.size and (sent >= 0).all()
    assert (spans.kind[sent] == SPAN_PRODUCER).all()
    assert (spans.link_trace[consumed] == spans.trace[sent]).all()
    assert (spans.start[consumed] >= spans.start[sent]).all()
    assert (spans.parent[consumed] == "").all()


def test_log_lines_of_requests_belong_to_their_server_span(case: Case) -> None:
    logs, spans = case.telemetry.logs, case.telemetry.spans
    joined = np.flatnonzero(logs.span != "")
    at = positions(spans, logs.span[joined])
    # A request that was going on when the window ended may have its span and not its last lines, never the reverse.
    assert (at >= 0).all()
    assert (logs.trace[joined] == spans.trace[at]).all()
    assert (logs.component[joined] == spans.component[at]).all()
    assert (np.diff(logs.times) >= 0).all()
    assert not any("%" in message for message in logs.message if "budget" not in message)


def test_spans_last_as_long_as_metrics_say() -> None:
    case, _ = simulate(seed=12, fault=None, traces_per_minute=60.0)
    spans, frame, incident = case.telemetry.spans, case.telemetry.metrics, case.incident
    mean = frame.slice(incident.window)
    for name in ("gateway", "web"):
        rows = (spans.component == spans.components.index(name)) & (spans.kind == SPAN_SERVER)
        rows &= spans.start >= incident.window.start
        series = (mean.component == mean.components.index(name)) & (
            mean.metric == mean.metrics.index("http_server_request_duration_seconds_mean")
        )
        measured = float(np.nanmean(mean.values[series]))
        assert float(spans.duration[rows].mean()) / 1e9 == pytest.approx(measured, rel=0.12)
