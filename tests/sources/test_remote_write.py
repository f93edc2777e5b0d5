"""Prometheus' remote write: counters, gauges, histograms, and what is not taken."""

from __future__ import annotations

import math
import struct
from typing import Any

import cramjam
import numpy as np
import pytest

from rca.errors import SourceError
from rca.sources.bodies import Limits
from rca.sources.errors import TooLargeError, UnsupportedError
from rca.sources.messages import message_type
from rca.sources.prometheus_labels import COUNTER_TYPE
from rca.sources.remote_write import decode_remote_write
from rca.types import SECOND

T = 1_795_300_000_000  # ms
STALE = struct.unpack(">d", bytes.fromhex("7ff0000000000002"))[0]


def written(*series: tuple[dict[str, str], list[float]], types: dict[str, int] | None = None) -> bytes:
    request: Any = message_type("prometheus.WriteRequest")()
    for labels, values in series:
        one = request.timeseries.add()
        for name, value in labels.items():
            one.labels.add(name=name, value=value)
        for i, value in enumerate(values):
            one.samples.add(value=value, timestamp=T + 15_000 * i)
    for name, kind in (types or {}).items():
        request.metadata.add(type=kind, metric_family_name=name)
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))


def labelled(name: str, **labels: str) -> dict[str, str]:
    return {"__name__": name, "job": "cart", "instance": "10.0.0.1:80", **labels}


def test_names_and_metadata_tell_counters_from_gauges() -> None:
    body = written(
        (labelled("requests_total"), [0, 15]),
        (labelled("queries"), [0, 30]),
        (labelled("temperature"), [20, 21]),
        types={"queries": COUNTER_TYPE},
    )
    frame = decode_remote_write(body).telemetry(step=15 * SECOND).metrics
    found = {frame.metrics[code]: row[-1] for code, row in zip(frame.metric, frame.values.tolist(), strict=True)}
    assert found == {"requests_per_second": 1.0, "queries_per_second": 2.0, "temperature": 21.0}


def test_a_staleness_marker_is_a_gap() -> None:
    assert math.isnan(STALE)
    samples = decode_remote_write(written((labelled("up"), [1.0, STALE, math.inf]))).samples
    assert samples.values[0] == 1.0
    assert np.isnan(samples.values[1:]).all()


def test_classic_histograms_are_put_together_from_their_series() -> None:
    name = "http_request_duration_seconds"
    bounds = [("0.1", 50.0), ("1", 100.0), ("+Inf", 100.0)]
    body = written(
        *((labelled(f"{name}_bucket", le=le, code="500"), [0.0, count]) for le, count in bounds),
        (labelled(f"{name}_count", code="500"), [0.0, 100.0]),
        (labelled(f"{name}_sum", code="500"), [0.0, 20.0]),
        (labelled(f"{name}_count", code="200"), [0.0, 300.0]),
        (labelled(f"{name}_sum", code="200"), [0.0, 20.0]),
    )
    frame = decode_remote_write(body).telemetry(step=15 * SECOND).metrics
    found = {frame.metrics[code]: row[-1] for code, row in zip(frame.metric, frame.values.tolist(), strict=True)}
    assert found == pytest.approx(
        {
            "http_request_calls_per_second": 400 / 15,
            "http_request_calls_error_ratio": 0.25,
            f"{name}_mean": 0.1,
            f"{name}_p95": 0.1 + 0.9 * 45 / 50,
        },
        rel=1e-5,
    )


@pytest.mark.parametrize(
    ("labels", "component"),
    [
        ({"__name__": "node_load1", "job": "node", "instance": "n1:9100"}, "n1"),
        ({"__name__": "up", "job": "node-exporter", "instance": "n1:9100"}, "n1"),
        (
            {"__name__": "node_load1", "job": "x", "pod": "node-exporter-x7k2q", "node": "n1", "instance": "i:9100"},
            "n1",
        ),
        ({"__name__": "process_open_fds", "job": "cart", "instance": "n1:80"}, "cart"),
    ],
)
def test_metrics_below_all_services_are_about_the_host(labels: dict[str, str], component: str) -> None:
    assert decode_remote_write(written((labels, [1.0]))).samples.keys[0].component == component


def test_two_prometheus_that_scrape_the_same_target_count_once() -> None:
    both = [(labelled("requests_total", prometheus_replica=name), [0, 15, 30]) for name in ("a", "b")]
    frame = decode_remote_write(written(*both)).telemetry(step=15 * SECOND).metrics
    assert frame.values[0, 1:].tolist() == [1.0, 1.0]


def test_a_pods_containers_count_and_not_their_sum_as_well() -> None:
    pod = {"__name__": "container_memory_rss", "job": "kubelet", "pod": "cart-7d9f8b6c5-x2k4q", "namespace": "shop"}
    body = written((pod, [3.0]), ({**pod, "container": "POD"}, [0.1]), ({**pod, "container": "cart"}, [2.9]))
    received = decode_remote_write(body)
    assert (received.samples.values.tolist(), received.ignored) == ([2.9], 2)
    network = {**pod, "__name__": "container_network_receive_bytes_total"}
    assert decode_remote_write(written((network, [1.0]))).accepted == 1


def test_calls_of_a_service_graph_are_dependencies() -> None:
    graph = {"__name__": "traces_service_graph_request_total", "client": "shop", "server": "cart", "job": "tempo"}
    received = decode_remote_write(written((graph, [1.0])))
    assert [(key.component, key.peer) for key in received.samples.keys] == [("shop", "cart")]
    assert received.topology.callees("shop") == ("cart",)


def test_native_histograms_and_series_without_a_name_are_rejected_and_counted() -> None:
    request: Any = message_type("prometheus.WriteRequest")()
    native = request.timeseries.add()
    native.labels.add(name="__name__", value="latency")
    native.histograms.add(timestamp=T)
    request.timeseries.add().samples.add(value=1.0, timestamp=T)
    received = decode_remote_write(bytes(cramjam.snappy.compress_raw(request.SerializeToString())))
    assert (len(received.samples), received.rejected) == (0, 2)
    assert "native histograms" in received.problem


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request"},
        {"X-Prometheus-Remote-Write-Version": "2.0.0"},
        {"Content-Encoding": "zstd"},
        {"Content-Type": "application/json"},
    ],
)
def test_version_2_and_other_encodings_are_refused_with_415(headers: dict[str, str]) -> None:
    with pytest.raises(UnsupportedError) as refused:
        decode_remote_write(written((labelled("up"), [1.0])), headers=headers)
    assert refused.value.status == 415


def test_a_message_of_another_kind_is_refused() -> None:
    # The symbols of version 2 are field 4: nothing that version 1 knows.
    with pytest.raises(SourceError, match="no series"):
        decode_remote_write(bytes(cramjam.snappy.compress_raw(b"\x22\x01a")))


def test_more_samples_than_are_taken_are_refused() -> None:
    with pytest.raises(TooLargeError):
        decode_remote_write(written((labelled("up"), [1.0] * 11)), limits=Limits(records=10))
