"""CPU time of decoding what senders push: OTLP, remote write, Loki, alerts; and of assembling metrics.

Run: ``python benchmarks/bench_sources.py``
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import cramjam
from limits import Limits
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from rca.sources.alertmanager import decode_alertmanager
from rca.sources.loki import decode_loki
from rca.sources.messages import message_type
from rca.sources.otlp import decode_otlp
from rca.sources.received import Received
from rca.sources.remote_write import decode_remote_write

RECORDS = 20_000
T = 1_795_300_000_000_000_000
EVERY = 15_000_000_000


def describe(resource: Any, service: int) -> None:
    facts = {"service.name": f"service-{service}", "k8s.pod.name": f"service-{service}-7d9f8b6c5-x2k4q", "a": "b"}
    for name, value in facts.items():
        resource.attributes.add(key=name).value.string_value = value


def add_facts(target: Any, count: int, i: int) -> None:
    for n in range(count):
        target.attributes.add(key=f"attribute.{n}").value.string_value = f"value {(i + n) % 7}"


def traces() -> bytes:
    request = ExportTraceServiceRequest()
    for service in range(20):
        part = request.resource_spans.add()
        describe(part.resource, service)
        scope = part.scope_spans.add()
        for i in range(RECORDS // 20):
            span = scope.spans.add(name=f"GET /{i % 50}", kind=2 + i % 2, start_time_unix_nano=T + i)
            span.end_time_unix_nano = T + i + 1_000_000
            span.trace_id, span.span_id = (
                (i // 5 + 1).to_bytes(16, "big"),
                (service * RECORDS + i + 1).to_bytes(8, "big"),
            )
            add_facts(span, 8, i)
    return request.SerializeToString()


def logs() -> bytes:
    request = ExportLogsServiceRequest()
    for service in range(20):
        part = request.resource_logs.add()
        describe(part.resource, service)
        scope = part.scope_logs.add()
        for i in range(RECORDS // 20):
            record = scope.log_records.add(time_unix_nano=T + i, severity_number=9)
            record.body.string_value = f"request {i} took {i % 100} ms"
            add_facts(record, 3, i)
    return request.SerializeToString()


def metrics(moment: int) -> bytes:
    """20 services with 10 histograms of 16 buckets and 50 gauges each: 4,600 samples."""
    request = ExportMetricsServiceRequest()
    for service in range(20):
        part = request.resource_metrics.add()
        describe(part.resource, service)
        scope = part.scope_metrics.add()
        for n in range(10):
            metric = scope.metrics.add(name="http.server.request.duration", unit="s")
            metric.histogram.aggregation_temporality = 2
            point = metric.histogram.data_points.add(time_unix_nano=T + moment * EVERY, start_time_unix_nano=T)
            point.attributes.add(key="http.route").value.string_value = f"/{n}"
            point.count, point.sum = 160 * (moment + 1), 80.0 * (moment + 1)
            point.explicit_bounds.extend([0.1 * (b + 1) for b in range(15)])
            point.bucket_counts.extend([10 * (moment + 1)] * 16)
        for n in range(50):
            gauge = scope.metrics.add(name=f"gauge.{n}").gauge.data_points.add(time_unix_nano=T + moment * EVERY)
            gauge.as_double = float(moment)
    return request.SerializeToString()


def remote_write() -> bytes:
    request: Any = message_type("prometheus.WriteRequest")()
    for i in range(RECORDS):
        one = request.timeseries.add()
        facts = {
            "__name__": f"metric_{i % 200}_total",
            "job": f"job-{i % 20}",
            "instance": f"host-{i // 200}:80",
            "mode": "x",
        }
        for name, value in facts.items():
            one.labels.add(name=name, value=value)
        one.samples.add(value=float(i), timestamp=T // 1_000_000)
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))


def loki() -> bytes:
    values = [[str(T + i), f"level=info msg=request {i} took {i % 100} ms"] for i in range(RECORDS // 20)]
    return json.dumps({"streams": [{"stream": {"app": f"service-{s}"}, "values": values} for s in range(20)]}).encode()


def alerts() -> bytes:
    labels = {"alertname": "HighLatency", "severity": "critical", "cluster": "a"}
    listed = [
        {"status": "firing", "labels": {**labels, "service": f"s{i}"}, "startsAt": "2026-01-31T12:00:00Z"}
        for i in range(1_000)
    ]
    return json.dumps({"version": "4", "groupKey": "{}", "alerts": listed}).encode()


def cpu(work: Callable[[], Any]) -> float:
    """The least of three, in seconds."""
    taken = []
    for _ in range(3):
        begin = time.process_time()
        work()
        taken.append(time.process_time() - begin)
    return min(taken)


def main() -> int:
    limits = Limits()
    body: Any
    js = {"Content-Type": "application/json"}
    for name, body, decode, floor in (
        ("OTLP spans", traces(), lambda b: decode_otlp("traces", b), 20_000),
        ("OTLP log records", logs(), lambda b: decode_otlp("logs", b), 60_000),
        ("OTLP samples", metrics(0), lambda b: decode_otlp("metrics", b), 60_000),
        ("remote write samples", remote_write(), decode_remote_write, 20_000),
        ("Loki lines", loki(), lambda b: decode_loki(b, headers=js), 60_000),
        ("alerts", alerts(), decode_alertmanager, 5_000),
    ):
        count = decode(body).accepted
        limits.at_least(f"{name} per second", count / cpu(lambda b=body, d=decode: d(b)), floor, "/s")
    parts = [decode_otlp("metrics", metrics(moment)) for moment in range(60)]
    whole = Received.merge(parts)
    limits.show("samples put together", len(whole.samples), "")
    limits.at_most("merge of 60 requests", cpu(lambda: Received.merge(parts)), 1.0, "s")
    limits.at_most("frame of them", cpu(whole.telemetry), 1.5, "s")
    return limits.close()


if __name__ == "__main__":
    sys.exit(main())
