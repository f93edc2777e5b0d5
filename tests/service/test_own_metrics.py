"""The service's own metrics arrive at an OpenTelemetry collector, and say what /metrics says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from rca.service.own_metrics import encode_metrics


def decoded(body: bytes) -> dict[str, Any]:
    request = ExportMetricsServiceRequest.FromString(body)
    return {metric.name: metric for metric in request.resource_metrics[0].scope_metrics[0].metrics}


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes], threading.Event]]:
    """A collector on loopback, and what it was sent."""
    bodies: list[bytes] = []
    came = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/metrics"
            assert self.headers["Content-Type"] == "application/x-protobuf"
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()
            came.set()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", bodies, came
    server.shutdown()
    thread.join()
    server.server_close()


def test_counters_gauges_and_histograms_keep_their_kind_their_labels_and_their_values() -> None:
    registry = CollectorRegistry()
    Counter("asked", "Requests.", ("route",), registry=registry).labels("/a").inc(3)
    Gauge("waiting", "Rows.", registry=registry).set(7)
    took = Histogram("took", "Seconds.", registry=registry, buckets=(1, 2))
    for seconds in (0.5, 1.5, 1.7, 9.0):
        took.observe(seconds)
    found = decoded(encode_metrics(registry.collect(), started=5, now=9))
    counter = found["asked"].sum.data_points[0]
    assert (counter.as_double, counter.start_time_unix_nano, counter.time_unix_nano) == (3.0, 5, 9)
    assert found["asked"].sum.is_monotonic
    assert [(label.key, label.value.string_value) for label in counter.attributes] == [("route", "/a")]
    assert found["waiting"].gauge.data_points[0].as_double == 7.0
    histogram = found["took"].histogram.data_points[0]
    assert list(histogram.bucket_counts) == [1, 2, 1]
    assert list(histogram.explicit_bounds) == [1.0, 2.0]
    assert (histogram.count, histogram.sum) == (4, pytest.approx(12.7))


def test_a_configured_collector_is_sent_what_the_service_counted(
    run_service: Callable[..., Any], collector: tuple[str, list[bytes], threading.Event]
) -> None:
    url, bodies, came = collector
    with run_service(otlp_metrics=url, otlp_seconds=0.2).client() as http:
        assert http.get("/api/v1/rules").is_success
        came.clear()
        assert came.wait(30)
    found = decoded(bodies[-1])
    counted = {
        tuple(label.value.string_value for label in point.attributes): point.as_double
        for point in found["rca_http_requests"].sum.data_points
    }
    assert any(value >= 1 for key, value in counted.items() if "/api/v1/rules" in key)
    assert {"rca_jobs", "rca_analysis_seconds"} <= set(found)
