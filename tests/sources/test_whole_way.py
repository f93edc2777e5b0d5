"""An incident sent as OTLP is explained as the same incident read from arrays."""

from __future__ import annotations

from dataclasses import replace

from rca import analyze
from rca.health.build import build_profile
from rca.sources.otlp import decode_otlp, request_type
from rca.telemetry import LogBatch, SpanBatch, Telemetry


def number(id: str, size: int) -> bytes:
    """The id of a span or trace of the shop as OTLP has them; none for none."""
    return (int(id.removeprefix("t")) + 1).to_bytes(size, "big") if id else b""


def exported_spans(spans: SpanBatch) -> bytes:
    request = request_type("traces")()
    for code, name in enumerate(spans.components):
        rows = [i for i, component in enumerate(spans.component) if component == code]
        if not rows:
            continue
        part = request.resource_spans.add()
        part.resource.attributes.add(key="service.name").value.string_value = name
        scope = part.scope_spans.add()
        for i in rows:
            span = scope.spans.add(
                trace_id=number(spans.trace[i], 16),
                span_id=number(spans.span[i], 8),
                parent_span_id=number(spans.parent[i], 8),
                name=spans.operations[spans.operation[i]],
                kind=int(spans.kind[i]),
                start_time_unix_nano=int(spans.start[i]),
                end_time_unix_nano=int(spans.start[i] + spans.duration[i]),
            )
            span.status.code = int(spans.status[i])
            if spans.peer[i] >= 0:
                span.attributes.add(key="peer.service").value.string_value = spans.components[spans.peer[i]]
    return request.SerializeToString()


def exported_logs(logs: LogBatch) -> bytes:
    request = request_type("logs")()
    for i, component in enumerate(logs.component):
        part = request.resource_logs.add()
        part.resource.attributes.add(key="service.name").value.string_value = logs.components[component]
        record = part.scope_logs.add().log_records.add(
            time_unix_nano=int(logs.times[i]),
            severity_number=4 * int(logs.level[i]) - 3,
            trace_id=number(logs.trace[i], 16),
            span_id=number(logs.span[i], 8),
        )
        record.body.string_value = logs.message[i]
    return request.SerializeToString()


def test_an_incident_sent_as_otlp_has_the_same_cause(shop) -> None:
    from rca.report.document import to_document

    faulty = replace(shop, fault="own time")
    told = Telemetry(
        metrics=faulty.metrics(),
        spans=decode_otlp("traces", exported_spans(faulty.spans())).spans,
        logs=decode_otlp("logs", exported_logs(faulty.logs())).logs,
    )
    assert len(told.spans) == len(faulty.spans())
    read = analyze(replace(faulty.case(), health=build_profile(faulty.telemetry().slice(shop.health))))
    sent = analyze(replace(faulty.case(), telemetry=told, health=build_profile(told.slice(shop.health))))
    assert sent.root_causes[0].component == "pay"
    assert to_document(sent) == to_document(read)
