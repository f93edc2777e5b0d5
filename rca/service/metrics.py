"""What the service measures of itself, for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

MEDIA = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """Counters and histograms of one service; gauges are set when they are asked for."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "rca_http_requests", "Requests by route and status.", ("method", "route", "status"), registry=registry
        )
        self.latency = Histogram(
            "rca_http_request_seconds",
            "Time to the last byte of an answer.",
            ("route",),
            registry=registry,
            buckets=_SECONDS,
        )
        self.bytes_in = Counter("rca_http_request_bytes", "Bytes of bodies.", ("route",), registry=registry)
        self.records = Counter(
            "rca_ingested_records",
            "Records by source and what became of them.",
            ("source", "outcome"),
            registry=registry,
        )
        self.shed = Counter(
            "rca_shed_requests", "Requests refused because of too much work.", ("why",), registry=registry
        )
        self.analyses = Counter("rca_analyses", "Analyses by outcome.", ("outcome",), registry=registry)
        self.analysis_seconds = Histogram(
            "rca_analysis_seconds", "Time of one analysis.", registry=registry, buckets=_SECONDS
        )
        self.lessons = Counter("rca_lessons", "Lessons by outcome.", ("outcome",), registry=registry)
        self.verdicts = Counter("rca_verdicts", "Reports by verdict.", ("verdict",), registry=registry)
        self.feedback = Counter("rca_feedback", "Feedback by opinion.", ("opinion",), registry=registry)
        self.incidents = Counter(
            "rca_alert_incidents",
            "What alerts did to incidents: opened, joined, closed, merged.",
            ("what",),
            registry=registry,
        )
        self.pulls = Counter(
            "rca_pulls", "Questions to sources by what came of them.", ("source", "outcome"), registry=registry
        )
        self.deliveries = Counter(
            "rca_deliveries",
            "Attempts to send a message by target and what came of them.",
            ("target", "outcome"),
            registry=registry,
        )
        self.alert_to_report = Histogram(
            "rca_alert_to_report_seconds",
            "From an alert that opened an incident to its first report.",
            registry=registry,
            buckets=_SECONDS,
        )
        self.jobs = Gauge("rca_jobs", "Jobs by state.", ("state",), registry=registry)
        self.waiting = Gauge("rca_waiting_rows", "Rows that wait to be written.", ("store",), registry=registry)
        self.waiting_calls = Gauge("rca_waiting_calls", "Calls that wait for a process.", ("pool",), registry=registry)
        self.in_flight = Gauge("rca_in_flight_bytes", "Bytes of bodies held in memory.", registry=registry)
        self.telemetry_bytes = Gauge("rca_telemetry_bytes", "Bytes of ingested telemetry.", registry=registry)
        self.graph_seconds = Histogram(
            "rca_graph_seconds",
            "Time of what is read from and written to the knowledge graph.",
            ("what",),
            registry=registry,
            buckets=_SECONDS,
        )
        self.graph_failures = Counter(
            "rca_graph_failures", "What the knowledge graph did not do: read, written.", ("what",), registry=registry
        )
        self.graph_waiting = Gauge(
            "rca_graph_waiting_batches", "Batches that wait for the Neo4j server.", registry=registry
        )
        self.graph_refused = Gauge(
            "rca_graph_refused_batches", "Batches that the Neo4j server refused for good.", registry=registry
        )
        self.graph_degraded = Gauge(
            "rca_graph_degraded", "1 while the knowledge graph is answered from what is known here.", registry=registry
        )
        self.accuracy = Gauge(
            "rca_accuracy", "Share of confirmed causes within the first k.", ("k",), registry=registry
        )
        self.confirmed = Gauge("rca_confirmed_incidents", "Incidents whose cause was confirmed.", registry=registry)

        self.accuracy_due = 0.0

    def set_accuracy(self, measured: Mapping[str, Any]) -> None:
        """Shows how often the confirmed causes came first."""
        self.confirmed.set(measured["incidents"])
        for k in (1, 3, 5):
            self.accuracy.labels(str(k)).set(measured["measures"][f"AC@{k}"])

    def page(self) -> bytes:
        """All of it as text."""
        return generate_latest(self.registry)
