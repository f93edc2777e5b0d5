"""The service's own metrics: gauges set when they are asked for, and all of it pushed as OTLP over HTTP."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import httpx
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric
from prometheus_client.metrics_core import Metric as Family

import rca
from rca.errors import RCAError
from rca.service.accuracy import measure_reports
from rca.service.logs import LOGGER

if TYPE_CHECKING:
    from rca.service.state import Service

_CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
_MEDIA = "application/x-protobuf"
_PATH = "/v1/metrics"
_ACCURACY_SECONDS = 60.0
_MOST_MEASURED = 500  # reports that are read for the accuracy at one time


def set_gauges(service: Service) -> None:
    """What is read at the moment when somebody asks; reads the store, so call it off the event loop."""
    own = service.metrics
    counts = service.store.count_jobs()
    for state in ("queued", "running", "done", "failed", "cancelled"):
        own.jobs.labels(state).set(counts.get(state, 0))
    own.waiting.labels("records").set(service.store.waiting)
    own.waiting.labels("telemetry").set(service.windows.waiting)
    own.waiting_calls.labels("decoders").set(service.decoders.waiting)
    own.waiting_calls.labels("analysts").set(service.analysts.waiting)
    own.in_flight.set(service.bodies.in_flight)
    own.telemetry_bytes.set(service.windows.size())
    if service.graph is not None:
        graph = service.graph.state
        own.graph_waiting.set(graph.waiting)
        own.graph_refused.set(graph.refused)
        own.graph_degraded.set(graph.state != "ok")
    if own.accuracy_due < time.monotonic():
        own.accuracy_due = time.monotonic() + _ACCURACY_SECONDS
        measured = measure_reports(service.store, service.store.confirmed(limit=_MOST_MEASURED))
        own.set_accuracy(measured)


def encode_metrics(families: Iterable[Family], *, started: int, now: int, instance: str = "") -> bytes:
    """An OTLP request with each counter as a monotonic sum, each histogram and gauge as what it is.

    Args:
        families: as a registry of ``prometheus_client`` collects them.
        started, now: ns since the epoch: since when counters count, and when they were read.
        instance: what tells this replica from others.
    """
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add()
    for key, value in (
        ("service.name", "rca"),
        ("service.version", rca.__version__),
        ("service.instance.id", instance),
    ):
        attribute = scope.resource.attributes.add(key=key)
        attribute.value.string_value = value
    metrics = scope.scope_metrics.add()
    metrics.scope.name = "rca.service"
    for family in families:
        metric = Metric(name=family.name, description=family.documentation)
        {"counter": _add_sums, "histogram": _add_histograms}.get(family.type, _add_gauges)(metric, family, started, now)
        if metric.WhichOneof("data") is not None:
            metrics.metrics.append(metric)
    return request.SerializeToString()


class MetricsExporter:
    """Pushes the metrics every few seconds, for as long as it runs; what fails is logged and tried anew next time."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._started = time.time_ns()

    async def run(self) -> None:
        """Does nothing where no collector is configured."""
        configured = self._service.configuration.otlp_metrics.rstrip("/")
        if not configured:
            return
        url = configured if configured.endswith(_PATH) else f"{configured}{_PATH}"
        async with httpx.AsyncClient(timeout=10.0, follow_redirects=False, trust_env=False) as client:
            while True:
                await asyncio.sleep(self._service.configuration.otlp_seconds)
                await self._push(client, url)

    async def _push(self, client: httpx.AsyncClient, url: str) -> None:
        try:
            await asyncio.to_thread(set_gauges, self._service)
            families = self._service.metrics.registry.collect()
            body = encode_metrics(families, started=self._started, now=time.time_ns(), instance=socket.gethostname())
            answer = await client.post(url, content=body, headers={"Content-Type": _MEDIA})
            problem = "" if answer.is_success else f"answered with {answer.status_code}"
        except (httpx.HTTPError, httpx.InvalidURL, RCAError) as error:
            problem = type(error).__name__
        if problem:
            LOGGER.warning("own metrics could not be pushed", extra={"problem": problem})


def _add_sums(metric: Metric, family: Family, started: int, now: int) -> None:
    metric.sum.aggregation_temporality = _CUMULATIVE
    metric.sum.is_monotonic = True
    for sample in family.samples:
        if sample.name.endswith("_total"):
            point = metric.sum.data_points.add(as_double=sample.value, start_time_unix_nano=started, time_unix_nano=now)
            _label(point, sample.labels)


def _add_gauges(metric: Metric, family: Family, started: int, now: int) -> None:
    for sample in family.samples:
        point = metric.gauge.data_points.add(as_double=sample.value, time_unix_nano=now)
        _label(point, sample.labels)


def _add_histograms(metric: Metric, family: Family, started: int, now: int) -> None:
    metric.histogram.aggregation_temporality = _CUMULATIVE
    series: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
    sums: dict[tuple[tuple[str, str], ...], float] = {}
    for sample in family.samples:
        labels = tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
        if sample.name.endswith("_bucket"):
            series.setdefault(labels, []).append((float(sample.labels["le"]), sample.value))
        elif sample.name.endswith("_sum"):
            sums[labels] = sample.value
    for labels, buckets in series.items():
        buckets.sort()
        counts = [int(value) for _, value in buckets]
        point = metric.histogram.data_points.add(
            start_time_unix_nano=started,
            time_unix_nano=now,
            count=counts[-1],
            sum=sums.get(labels, 0.0),
            # Prometheus adds buckets up, OpenTelemetry does not.
            bucket_counts=[upper - lower for lower, upper in zip([0, *counts], counts, strict=False)],
            explicit_bounds=[bound for bound, _ in buckets[:-1]],
        )
        _label(point, dict(labels))


def _label(point: object, labels: dict[str, str]) -> None:
    for name, value in sorted(labels.items()):
        attribute = point.attributes.add(key=name)  # type: ignore[attr-defined] # sums, gauges and histograms have it
        attribute.value.string_value = value
