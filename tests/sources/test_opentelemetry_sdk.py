"""The exporters of the OpenTelemetry SDK send to us: protobuf and JSON over HTTP, and gRPC."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from rca.errors import OverloadedError, SourceError
from rca.sources.otlp import decode_otlp, encode_error, encode_response
from rca.sources.otlp_grpc import otlp_server
from rca.sources.received import Received
from rca.telemetry import ERROR

pytest.importorskip("opentelemetry.sdk", reason="the OpenTelemetry SDK is not installed")
RESOURCE = {"service.name": "checkout", "k8s.pod.name": "checkout-7d9f8b6c5-x2k4q", "k8s.node.name": "node-1"}


def emit(exporters: dict[str, Any]) -> None:
    """One request with a call that fails, its metrics and a log line, by the SDK."""
    from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
    from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.trace import SpanKind

    resource = Resource.create(RESOURCE)
    tracing = TracerProvider(resource=resource)
    tracing.add_span_processor(SimpleSpanProcessor(exporters["traces"]))
    reader = PeriodicExportingMetricReader(exporters["metrics"], export_interval_millis=3_600_000)
    metering = MeterProvider(resource=resource, metric_readers=[reader])
    logs = LoggerProvider(resource=resource)
    logs.add_log_record_processor(SimpleLogRecordProcessor(exporters["logs"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        logger = logging.getLogger("shop.under.test")
        logger.propagate = False
        logger.handlers = [LoggingHandler(logger_provider=logs)]
    tracer, meter = tracing.get_tracer("shop"), metering.get_meter("shop")
    duration = meter.create_histogram("http.server.request.duration", unit="s")
    with tracer.start_as_current_span("POST /checkout", kind=SpanKind.SERVER):
        try:
            with tracer.start_as_current_span("charge", kind=SpanKind.CLIENT, attributes={"peer.service": "payment"}):
                raise TimeoutError("deadline exceeded")
        except TimeoutError:
            logger.error("payment failed")
    duration.record(1.25, {"http.route": "/checkout", "http.response.status_code": 500})
    meter.create_counter("orders").add(3)
    metering.force_flush()
    for provider in (tracing, metering, logs):
        provider.shutdown()


def check(told: dict[str, list[Received]]) -> None:
    spans = [one.spans for one in told["traces"] if len(one.spans)]
    assert sorted(batch.operations[batch.operation[0]] for batch in spans) == ["POST /checkout", "charge"]
    child, root = sorted(spans, key=lambda batch: batch.operations[batch.operation[0]], reverse=True)
    assert child.parent[0] == root.span[0]
    assert child.trace[0] == root.trace[0]
    assert child.components[child.peer[0]] == "payment"
    assert "TimeoutError" in child.text[0]
    lines = Received.merge(told["logs"]).logs
    assert lines.message.tolist() == ["payment failed"]
    assert lines.level.tolist() == [ERROR]
    assert (lines.trace[0], lines.span[0]) == (root.trace[0], root.span[0])
    metrics = Received.merge(told["metrics"])
    assert metrics.topology.replica_of == {"checkout-7d9f8b6c5-x2k4q": "checkout"}
    assert metrics.topology.hosts == {"checkout-7d9f8b6c5-x2k4q": "node-1"}
    parts = {(key.metric, key.part, key.failed) for key in metrics.samples.keys}
    assert ("http.server.request.duration", "count", True) in parts
    assert ("orders", "", False) in parts
    assert not any(one.rejected for signal in told.values() for one in signal)


def collecting(told: dict[str, list[Received]]) -> Callable[[str, bytes, dict[str, str]], tuple[int, bytes, str]]:
    def answer(path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes, str]:
        signal: Any = path.rsplit("/", 1)[-1]
        try:
            received = decode_otlp(signal, body, headers=headers)
        except SourceError as bad:
            return bad.status, *encode_error(bad, headers)
        told[signal].append(received)
        return 200, *encode_response(signal, received, headers)

    return answer


@pytest.mark.parametrize("compression", ["NoCompression", "Gzip", "Deflate"])
def test_protobuf_over_http_is_read(receiver, compression: str) -> None:
    http = pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the exporter is not installed")
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    told: dict[str, list[Received]] = {"traces": [], "metrics": [], "logs": []}
    receiver.answer = collecting(told)
    kinds = {"traces": OTLPSpanExporter, "metrics": OTLPMetricExporter, "logs": OTLPLogExporter}
    chosen = getattr(http.Compression, compression)
    emit({name: kind(endpoint=f"{receiver.url}/v1/{name}", compression=chosen) for name, kind in kinds.items()})
    check(told)
    assert {path for path, _, _ in receiver.requests} == {"/v1/traces", "/v1/metrics", "/v1/logs"}


def test_json_over_http_is_read(receiver) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.json.http", reason="the JSON exporter is not installed")
    from opentelemetry.exporter.otlp.json.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.json.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter

    told: dict[str, list[Received]] = {"traces": [], "metrics": [], "logs": []}
    receiver.answer = collecting(told)
    kinds = {"traces": OTLPSpanExporter, "metrics": OTLPMetricExporter, "logs": OTLPLogExporter}
    emit({name: kind(endpoint=f"{receiver.url}/v1/{name}") for name, kind in kinds.items()})
    assert {headers["content-type"] for _, _, headers in receiver.requests} == {"application/json"}
    check(told)


def test_grpc_is_read() -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.grpc", reason="the exporter is not installed")
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    told: dict[str, list[Received]] = {"traces": [], "metrics": [], "logs": []}
    asked: list[str] = []

    def authorize(metadata: Any) -> bool:
        asked.append(metadata.get("authorization", ""))
        return True

    server, port = otlp_server("127.0.0.1:0", lambda signal, one: told[signal].append(one), authorize=authorize)
    server.start()
    try:
        kinds = {"traces": OTLPSpanExporter, "metrics": OTLPMetricExporter, "logs": OTLPLogExporter}
        common = {"endpoint": f"127.0.0.1:{port}", "insecure": True, "headers": (("authorization", "Bearer t"),)}
        emit({name: kind(**common) for name, kind in kinds.items()})
    finally:
        server.stop(0).wait()
    check(told)
    assert set(asked) == {"Bearer t"}


@pytest.mark.parametrize(
    ("content", "refusal", "allowed", "code"),
    [
        (b"\xff\xff", None, True, "INVALID_ARGUMENT"),
        (b"", OverloadedError("full", where="test", remedy="wait"), True, "UNAVAILABLE"),
        (b"", SourceError("wrong", where="test", remedy="mend"), True, "INVALID_ARGUMENT"),
        (b"", None, False, "UNAUTHENTICATED"),
        (b"", None, True, "OK"),
    ],
)
def test_grpc_answers_what_its_senders_understand(
    content: bytes, refusal: Exception | None, allowed: bool, code: str
) -> None:
    import grpc

    def deliver(signal: str, received: Received) -> None:
        if refusal is not None:
            raise refusal

    server, port = otlp_server("127.0.0.1:0", deliver, authorize=lambda metadata: allowed)
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            export = channel.unary_unary("/opentelemetry.proto.collector.logs.v1.LogsService/Export")
            try:
                export(content, timeout=10)
                answered = "OK"
            except grpc.RpcError as bad:
                answered = bad.code().name
    finally:
        server.stop(0).wait()
    assert answered == code
