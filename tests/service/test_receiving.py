"""OTLP over gRPC by the real SDK, and batches as Kafka's consumer hands them on."""

from __future__ import annotations

import socket
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rca.errors import OverloadedError
from rca.sources.received import Received
from rca.telemetry import LogBatch, texts
from rca.types import Window

ADMIN = "a-token-for-tests-0123456789-0123456789"  # as in conftest.py
ALL = Window(start=0, end=1 << 62)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def lines(*numbers: int) -> Received:
    return Received(
        logs=LogBatch(
            components=("kafka-test",),
            times=np.array(numbers, np.int64),
            component=np.zeros(len(numbers), np.int32),
            level=np.zeros(len(numbers), np.int8),
            message=texts([f"line {number}" for number in numbers]),
            trace=texts([""] * len(numbers)),
            span=texts([""] * len(numbers)),
        )
    )


def told(service: Any) -> list[str]:
    found = service.windows.read(ALL).logs
    chosen = [found.components[code] == "kafka-test" for code in found.component]
    return sorted(found.message[np.array(chosen, bool)].tolist())


def test_the_sdks_grpc_exporter_is_understood_and_needs_a_token(run_service: Callable[..., Any]) -> None:
    exporter = pytest.importorskip(
        "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", reason="the OTLP exporter is not installed"
    )
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult

    running = run_service(grpc_port=free_port())
    address = f"127.0.0.1:{running.service.receiver.grpc_port}"
    seen: list[Any] = []

    class Watched(exporter.OTLPSpanExporter):  # type: ignore[misc, name-defined]
        def export(self, spans: Any) -> Any:
            seen.append(super().export(spans))
            return seen[-1]

    for token in (ADMIN, "wrong"):
        sender = Watched(address, insecure=True, headers={"authorization": f"Bearer {token}"}, timeout=10)
        provider = TracerProvider(resource=Resource.create({"service.name": "checkout"}))
        provider.add_span_processor(SimpleSpanProcessor(sender))
        with provider.get_tracer("t").start_as_current_span("GET /pay"):
            pass
        provider.shutdown()
    assert seen == [SpanExportResult.SUCCESS, SpanExportResult.FAILURE]
    spans = running.service.windows.read(ALL).spans
    assert [spans.operations[code] for code in spans.operation] == ["GET /pay"]
    assert [name for name, _, _ in running.service.store.components()] == ["checkout"]


def test_messages_of_kafka_have_one_effect_however_they_are_batched_again(server: Any) -> None:
    service = server.service
    take = service.receiver._take
    take(SimpleNamespace(received=lines(1, 2), ids=("t/0/1", "t/0/2")))
    take(SimpleNamespace(received=lines(1, 2), ids=("t/0/1", "t/0/2")))
    assert told(service) == ["line 1", "line 2"]
    take(SimpleNamespace(received=lines(1, 2, 3), ids=("t/0/1", "t/0/2", "t/0/3")))
    take(SimpleNamespace(received=lines(2), ids=("t/0/2",)))
    assert told(service) == ["line 1", "line 2", "line 3"]


def test_equal_lines_of_one_message_are_as_many_lines(server: Any) -> None:
    service = server.service
    before = len(told(service))
    service.receiver._take(SimpleNamespace(received=lines(7, 7, 7), ids=("t/1/1",)))
    assert len(told(service)) - before == 3


def test_a_store_that_is_away_makes_kafka_wait(run_service: Callable[..., Any]) -> None:
    running = run_service()
    running.service.store.close()
    with pytest.raises(OverloadedError):
        running.service.receiver._take(SimpleNamespace(received=lines(1), ids=("t/0/1",)))
