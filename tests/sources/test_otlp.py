"""OpenTelemetry's protocol: what each sort of record means, and what is answered."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from rca.errors import SourceError
from rca.sources.errors import UnsupportedError
from rca.sources.naming import Naming
from rca.sources.otlp import decode_otlp, encode_error, encode_response, request_type, response
from rca.sources.received import Received
from rca.telemetry import ERROR, FATAL, INFO, WARN
from rca.types import SECOND

JSON = {"Content-Type": "application/json"}
T = 1_795_300_000 * SECOND
TRACE, SPAN, PARENT = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174", "aaa19b7ec3c1b175"


def text(value: str) -> dict[str, str]:
    return {"stringValue": value}


def pairs(**facts: str) -> list[dict[str, Any]]:
    return [{"key": name.replace("__", "."), "value": text(value)} for name, value in facts.items()]


def traces(*spans: dict[str, Any], **resource: str) -> Received:
    facts = {"service__name": "cart", **resource}
    body = {"resourceSpans": [{"resource": {"attributes": pairs(**facts)}, "scopeSpans": [{"spans": list(spans)}]}]}
    return decode_otlp("traces", json.dumps(body).encode(), headers=JSON)


def span(**facts: Any) -> dict[str, Any]:
    times = {"startTimeUnixNano": str(T), "endTimeUnixNano": str(T + 1_000)}
    return {"traceId": TRACE, "spanId": SPAN, "name": "GET /", "kind": 2, **times, **facts}


def metrics(*listed: dict[str, Any], naming: Naming | None = None, **resource: str) -> Received:
    facts = {"service__name": "cart", **resource}
    body = {
        "resourceMetrics": [{"resource": {"attributes": pairs(**facts)}, "scopeMetrics": [{"metrics": list(listed)}]}]
    }
    return decode_otlp("metrics", json.dumps(body).encode(), headers=JSON, naming=naming or Naming())


def point(i: int, **facts: Any) -> dict[str, Any]:
    return {"timeUnixNano": str(T + i * 10 * SECOND), "startTimeUnixNano": str(T), **facts}


def values(received: Received) -> dict[str, list[float | None]]:
    frame = received.telemetry().metrics
    return {
        frame.metrics[code]: [None if math.isnan(value) else round(float(value), 4) for value in row]
        for code, row in zip(frame.metric, frame.values, strict=True)
    }


def logs(**record: Any) -> Received:
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": str(T), **record}]}]}]}
    return decode_otlp("logs", json.dumps(body).encode(), headers=JSON)


# JSON


def test_ids_are_hex_in_either_case_and_integers_may_be_texts_or_numbers() -> None:
    upper = span(traceId=TRACE.upper(), startTimeUnixNano=T, endTimeUnixNano=str(T + 5), parentSpanId=PARENT)
    spans = traces(upper).spans
    assert (spans.trace[0], spans.span[0], spans.parent[0]) == (TRACE, SPAN, PARENT)
    assert spans.duration.tolist() == [5]


@pytest.mark.parametrize(
    ("facts", "place"),
    [
        ({"traceId": "W47/95gDgQPSabYzgT/GDA=="}, "traceId"),  # base64, as protobuf's own JSON would have it
        ({"traceId": TRACE[:-1]}, "traceId"),
        ({"kind": "SPAN_KIND_SERVER"}, "kind"),
        ({"startTimeUnixNano": "soon"}, "startTimeUnixNano"),
        ({"startTimeUnixNano": -1}, "startTimeUnixNano"),
        ({"startTimeUnixNano": "18446744073709551616"}, "startTimeUnixNano"),
        ({"name": 5}, "name"),
        ({"attributes": {"a": "b"}}, "attributes"),
        ({"status": []}, "status"),
        ({"events": [{"attributes": [{"value": {"boolValue": "yes"}}]}]}, "events[0].attributes[0].value.boolValue"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_its_place(facts: dict[str, Any], place: str) -> None:
    with pytest.raises(SourceError) as refused:
        traces(span(**facts))
    assert refused.value.where == f"OTLP traces.resourceSpans[0].scopeSpans[0].spans[0].{place}"


def test_unknown_keys_and_nulls_are_ignored() -> None:
    assert traces(span(new="x", status=None, events=[])).accepted == 1


# Spans


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ({"traceId": ""}, "16 bytes"),
        ({"spanId": SPAN[:4]}, "or its own id not 8"),
        ({"startTimeUnixNano": "0"}, "no start"),
        ({"endTimeUnixNano": str(T - 1)}, "ends before it starts"),
        ({"endTimeUnixNano": "18446744073709551615"}, "beyond the year 2261"),
    ],
)
def test_a_span_that_cannot_be_is_rejected_and_the_others_are_taken(facts: dict[str, Any], problem: str) -> None:
    received = traces(span(), span(**facts))
    assert (len(received.spans), received.rejected) == (1, 1)
    assert problem in received.problem


@pytest.mark.parametrize(
    ("kind", "facts", "peer"),
    [
        (3, {"peer__service": "payment", "server__address": "10.0.0.1"}, "payment"),
        (3, {"server__address": "payment.shop.svc.cluster.local"}, "payment"),
        (3, {"server__address": "payment:8080"}, "payment"),
        (3, {"server__address": "10.0.0.1", "db__system__name": "postgresql"}, "postgresql"),
        (3, {"server__address": "orders-db", "db__system": "mysql"}, "orders-db"),
        (3, {"net__peer__name": "api.stripe.com"}, "api.stripe.com"),
        (3, {"server__address": "10.0.0.1"}, "10.0.0.1"),
        (4, {"messaging__destination__name": "orders"}, "orders"),
        (5, {"messaging__destination__name": "orders"}, "orders"),
        (2, {"server__address": "cart"}, ""),
        (1, {"peer__service": "payment"}, ""),
    ],
)
def test_a_span_calls_what_its_attributes_name(kind: int, facts: dict[str, str], peer: str) -> None:
    spans = traces(span(kind=kind, attributes=pairs(**facts))).spans
    assert (spans.components[spans.peer[0]] if spans.peer[0] >= 0 else "") == peer


def test_a_consumer_keeps_the_link_to_its_producer() -> None:
    spans = traces(span(kind=5, links=[{"traceId": TRACE, "spanId": PARENT}])).spans
    assert (spans.link_trace[0], spans.link_span[0]) == (TRACE, PARENT)


@pytest.mark.parametrize(
    ("resource", "component"),
    [
        ({"service__name": "cart"}, "cart"),
        ({"service__name": "unknown_service:java", "k8s__deployment__name": "cart"}, "cart"),
        ({"service__name": "", "k8s__pod__name": "cart-7d9f8b6c5-x2k4q"}, "cart"),
        ({"service__name": "unknown_service:java"}, "unknown_service:java"),
        ({"service__name": "", "host__name": "node-1"}, "node-1"),
        ({"service__name": ""}, "unknown"),
    ],
)
def test_a_resource_is_the_component_that_its_attributes_name(resource: dict[str, str], component: str) -> None:
    spans = traces(span(), **resource).spans
    assert spans.components[spans.component[0]] == component


# Logs


@pytest.mark.parametrize(
    ("facts", "level"),
    [
        ({"severityNumber": 9}, INFO),
        ({"severityNumber": 13}, WARN),
        ({"severityNumber": 17, "severityText": "info"}, ERROR),
        ({"severityNumber": 24}, FATAL),
        ({"severityText": "WARNING"}, WARN),
        ({"body": text('{"level":"error","msg":"x"}')}, ERROR),
        ({}, 0),
    ],
)
def test_the_level_of_a_record_is_its_number_its_word_or_what_its_body_says(facts: dict[str, Any], level: int) -> None:
    assert logs(**{"body": text("x"), **facts}).logs.level.tolist() == [level]


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"body": text("x")}, "x"),
        ({"body": {"kvlistValue": {"values": [{"key": "a", "value": {"intValue": "1"}}]}}}, '{"a":1}'),
        ({"body": {"arrayValue": {"values": [{"boolValue": True}, {"doubleValue": 0.5}]}}}, "[true,0.5]"),
        ({"eventName": "device.crash"}, "device.crash"),
        (
            {"body": text("x"), "attributes": pairs(exception__type="IOError", exception__message="gone")},
            "x IOError: gone",
        ),
    ],
)
def test_the_message_of_a_record_is_its_body_or_its_name(facts: dict[str, Any], message: str) -> None:
    assert logs(**facts).logs.message.tolist() == [message]


def test_a_record_is_dated_by_when_it_was_seen_where_it_says_nothing_else() -> None:
    assert logs(timeUnixNano="0", observedTimeUnixNano="7", body=text("x")).logs.times.tolist() == [7]
    undated = logs(timeUnixNano="0", body=text("x"))
    assert (len(undated.logs), undated.rejected) == (0, 1)


# Metrics


def test_gauges_stay_and_sums_become_rates_by_their_temporality() -> None:
    points = [point(i, asInt=str(10 * i)) for i in range(3)]
    told = metrics(
        {"name": "load", "gauge": {"dataPoints": [point(i, asDouble=0.5) for i in range(3)]}},
        {"name": "total", "sum": {"dataPoints": points, "aggregationTemporality": 2, "isMonotonic": True}},
        {"name": "delta", "sum": {"dataPoints": points[2:], "aggregationTemporality": 1, "isMonotonic": True}},
        {"name": "queue.size", "sum": {"dataPoints": points, "aggregationTemporality": 2}},
    )
    assert told.rejected == 0
    assert values(told) == {
        "load": [0.5, 0.5, 0.5],
        "total_per_second": [None, 1.0, 1.0],
        "delta_per_second": [None, None, 1.0],
        "queue.size": [0.0, 10.0, 20.0],
    }


def histogram(i: int, **facts: Any) -> dict[str, Any]:
    counts = {"count": str(100 * i), "bucketCounts": [str(50 * i), str(50 * i), "0"], "explicitBounds": [0.1, 1.0]}
    return point(i, sum=20.0 * i, **counts, **facts)


def test_histograms_become_calls_means_quantiles_and_shares_of_failures() -> None:
    failing = pairs(error__type="500")
    told = metrics(
        {
            "name": "http.server.request.duration",
            "histogram": {
                "aggregationTemporality": 2,
                "dataPoints": [
                    histogram(1),
                    histogram(2),
                    histogram(1, attributes=failing),
                    histogram(2, attributes=failing),
                ],
            },
        }
    )
    assert values(told) == {
        "http.server.request_calls_per_second": [None, 20.0],
        "http.server.request_calls_error_ratio": [None, 0.5],
        "http.server.request.duration_mean": [None, 0.2],
        "http.server.request.duration_p95": [None, 0.91],
    }


def test_exponential_histograms_give_quantiles_within_a_power_of_two() -> None:
    # Scale 1: bucket i covers (2^(i/2), 2^((i+1)/2)]; i = -8 and -7 cover (1/16, 1/8].
    buckets = {"offset": -8, "bucketCounts": ["60", "40"]}
    one = {"count": "100", "sum": 10.0, "scale": 1, "zeroCount": "0", "positive": buckets}
    told = metrics(
        {"name": "rpc.duration", "exponentialHistogram": {"aggregationTemporality": 1, "dataPoints": [point(1, **one)]}}
    )
    found = values(told)
    assert found["rpc.duration_mean"] == [0.1]
    assert found["rpc_calls_per_second"] == [10.0]
    assert found["rpc.duration_p95"] == [round(1 / 16 + 0.95 / 16, 4)]


def test_summaries_give_means_and_their_quantiles() -> None:
    def summary(i: int) -> dict[str, Any]:
        return point(i, count=str(10 * i), sum=5.0 * i, quantileValues=[{"quantile": 0.99, "value": 0.9}])

    told = metrics({"name": "rpc.duration", "summary": {"dataPoints": [summary(1), summary(2)]}})
    assert values(told) == {
        "rpc.duration_mean": [None, 0.5],
        "rpc.duration_p99": [0.9, 0.9],
        "rpc_calls_per_second": [None, 1.0],
    }


def counted(counts: list[str], bounds: list[float]) -> dict[str, Any]:
    points = [point(1, count="1", bucketCounts=counts, explicitBounds=bounds)]
    return {"name": "m", "histogram": {"aggregationTemporality": 2, "dataPoints": points}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "m", "gauge": {"dataPoints": [point(1, asDouble="NaN")]}},
        {"name": "m", "gauge": {"dataPoints": [{"asDouble": 1.0}]}},
        {"name": "", "gauge": {"dataPoints": [point(1, asDouble=1.0)]}},
        {"name": "m", "sum": {"dataPoints": [point(1, asDouble=1.0)], "isMonotonic": True}},
        counted(["1"], [1.0]),
        counted(["1", "0", "0"], [2.0, 1.0]),
    ],
)
def test_a_point_that_cannot_be_read_is_rejected_and_the_others_are_taken(wrong: dict[str, Any]) -> None:
    received = metrics({"name": "good", "gauge": {"dataPoints": [point(1, asInt="1")]}}, wrong)
    assert (len(received.samples), received.rejected) == (1, 1)
    assert received.problem


def test_points_without_a_recorded_value_are_gaps() -> None:
    received = metrics({"name": "m", "gauge": {"dataPoints": [point(1, flags=1), point(2, asInt="1")]}})
    assert (len(received.samples), received.rejected) == (1, 0)


def test_metrics_about_calls_name_the_component_that_is_called() -> None:
    call = point(1, asDouble=1.0, attributes=pairs(server__address="payment.shop.svc"))
    received = metrics({"name": "http.client.active_requests", "gauge": {"dataPoints": [call]}})
    assert [key.peer for key in received.samples.keys] == ["payment"]
    graph = point(1, asDouble=1.0, attributes=pairs(client="shop", server="cart"))
    name = "traces.service.graph.request.total"
    told = metrics({"name": name, "sum": {"dataPoints": [graph], "aggregationTemporality": 2, "isMonotonic": True}})
    assert [(key.component, key.peer) for key in told.samples.keys] == [("shop", "cart")]
    assert told.topology.callees("shop") == ("cart",)


def test_processes_that_name_no_instance_do_not_mix_their_counters() -> None:
    def told(pid: str, first: int) -> Received:
        points = [point(i, asInt=str(first + 10 * i)) for i in range(3)]
        total = {"dataPoints": points, "aggregationTemporality": 2, "isMonotonic": True}
        return metrics({"name": "jobs", "sum": total}, process__pid=pid)

    assert values(Received.merge([told("1", 0), told("2", 5_000)])) == {"jobs_per_second": [None, 2.0, 2.0]}


def test_replicas_can_be_components_of_their_own() -> None:
    gauge = {"name": "load", "gauge": {"dataPoints": [point(1, asDouble=1.0)]}}
    received = metrics(gauge, naming=Naming(replicas=True), k8s__pod__name="cart-0")
    assert [key.component for key in received.samples.keys] == ["cart-0"]
    assert received.topology.replica_of == {"cart-0": "cart"}


# Answers


@pytest.mark.parametrize(
    ("signal", "field"),
    [("traces", "rejected_spans"), ("metrics", "rejected_data_points"), ("logs", "rejected_log_records")],
)
def test_what_was_rejected_is_answered_in_the_type_of_the_request(signal: Any, field: str) -> None:
    received = Received(rejected=3, problem="too old")
    answer = response(signal, received)
    assert (getattr(answer.partial_success, field), answer.partial_success.error_message) == (3, "too old")
    body, kind = encode_response(signal, received)
    assert (type(answer).FromString(body), kind) == (answer, "application/x-protobuf")
    body, kind = encode_response(signal, received, JSON)
    head, *rest = field.split("_")
    camel = head + "".join(part.capitalize() for part in rest)
    assert (json.loads(body), kind) == ({"partialSuccess": {camel: "3", "errorMessage": "too old"}}, "application/json")
    assert encode_response(signal, Received(), JSON) == (b"{}", "application/json")
    assert encode_response(signal, Received()) == (b"", "application/x-protobuf")


def test_an_error_is_a_status_in_the_type_of_the_request() -> None:
    error = SourceError("wrong", where="OTLP", remedy="Mend it")
    body, _ = encode_error(error, JSON)
    assert json.loads(body) == {"code": 3, "message": "OTLP: wrong. Mend it"}
    body, kind = encode_error(error)
    assert (body, kind) == (b"\x08\x03\x12\x14OTLP: wrong. Mend it", "application/x-protobuf")


def test_other_content_types_are_refused() -> None:
    with pytest.raises(UnsupportedError):
        decode_otlp("logs", b"", headers={"Content-Type": "text/plain"})


def test_an_empty_request_holds_nothing() -> None:
    for signal in ("traces", "metrics", "logs"):
        assert decode_otlp(signal, b"").accepted == 0
        assert request_type(signal)().ByteSize() == 0
