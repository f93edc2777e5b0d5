"""What is pushed is durable, has one effect however often it comes, and can be analysed by reference."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from rca.sources.registry import PUSH_SOURCES
from rca.stores import open_store
from rca.types import SECOND

LOOPS = int(os.environ.get("RCA_KILL_LOOPS", "1"))
BEGIN = 1_767_225_600
DETECTED = BEGIN + 33 * 60
FAULT = BEGIN + 30 * 60
JSON = {"Content-Type": "application/json"}


def gauges(metric: str, healthy: dict[str, float], faulty: dict[str, float]) -> list[dict[str, Any]]:
    """One OTLP request per ten minutes."""
    bodies = []
    for part in range(0, 40, 10):
        resources = []
        for component, level in healthy.items():
            points = []
            for minute in range(part, part + 10):
                value = faulty[component] if BEGIN + 60 * minute >= FAULT else level
                wave = 1 + 0.02 * ((minute * 7) % 5 - 2)
                points.append({"timeUnixNano": str((BEGIN + 60 * minute) * SECOND), "asDouble": value * wave})
            resource = {"attributes": [{"key": "service.name", "value": {"stringValue": component}}]}
            scope = {"metrics": [{"name": metric, "gauge": {"dataPoints": points}}]}
            resources.append({"resource": resource, "scopeMetrics": [scope]})
        bodies.append({"resourceMetrics": resources})
    return bodies


def span(trace: str, number: int, parent: str, component: str, kind: int, at: int, ms: int) -> dict[str, Any]:
    start = at * SECOND
    told = {
        "traceId": trace,
        "spanId": f"{number:016x}",
        "parentSpanId": parent,
        "name": f"{component} request",
        "kind": kind,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + ms * 1_000_000),
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": component}}]}
    return {"resource": resource, "scopeSpans": [{"spans": [told]}]}


def test_telemetry_that_was_pushed_is_analysed_by_reference(server: Any) -> None:
    healthy = {"web": 50.0, "cart": 20.0, "cart-db": 4.0, "mail": 30.0}
    faulty = {"web": 450.0, "cart": 420.0, "cart-db": 400.0, "mail": 30.0}
    bodies = gauges("latency_ms", healthy, faulty)
    bodies += gauges("connections", {"cart-db": 20.0}, {"cart-db": 100.0})
    random.Random(5).shuffle(bodies)
    trace = "0123456789abcdef0123456789abcdef"
    spans = [
        span(trace, 1, "", "web", 2, BEGIN, 50),
        span(trace, 2, f"{1:016x}", "cart", 2, BEGIN, 20),
        span(trace, 3, f"{2:016x}", "cart-db", 2, BEGIN, 4),
    ]
    alert = {
        "version": "4",
        "groupKey": "{}:{alertname='HighLatency'}",
        "status": "firing",
        "alerts": [
            {
                "status": "firing",
                "labels": {"alertname": "HighLatency", "service": "web", "severity": "critical"},
                "annotations": {"summary": "web is slow"},
                "startsAt": "2026-01-01T00:33:00Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "fingerprint": "a408b39eada7ee42",
            }
        ],
    }
    with server.client() as http:
        for body in bodies:
            content = gzip.compress(json.dumps(body).encode())
            answer = http.post("/v1/metrics", content=content, headers=JSON | {"Content-Encoding": "gzip"})
            assert (answer.status_code, answer.json()) == (200, {})
        assert http.post("/v1/traces", json={"resourceSpans": spans}).status_code == 200
        assert http.post("/api/v1/ingest/alertmanager", json=alert).json()["accepted"] == 1
        change = {"time": "2026-01-01T00:29:30Z", "component": "cart-db", "kind": "config", "name": "pool size"}
        assert http.post("/api/v1/changes", json=change).status_code == 202
        names = [row["name"] for row in http.get("/api/v1/components").json()["components"]]
        assert {"cart", "cart-db", "mail", "web"} <= set(names)
        assert ["web", "cart", 1.0] in http.get("/api/v1/topology").json()["edges"]
        for reference in ({"components": ["web"]}, {"labels": {"alertname": "HighLatency", "service": "web"}}):
            asked = reference | {"detected_at": "2026-01-01T00:33:00Z", "baseline": {"start": "2026-01-01T00:00:00Z"}}
            answer = http.post("/api/v1/incidents?wait=60", json=asked)
            assert answer.status_code == 200, answer.text
            report = answer.json()
            assert report["root_causes"][0]["component"] == "cart-db"
            assert report["incident"]["symptoms"][0]["component"] == "web"
            assert report["suspects"][0]["change"]["name"] == "pool size"
        server.service.maintain(BEGIN * SECOND)  # long before anything is too old
        again = http.post(f"{answer.headers['location']}/analyses?wait=60")
        assert again.json() == report


@pytest.mark.parametrize("name", sorted(PUSH_SOURCES))
def test_nonsense_is_refused_by_every_source_and_is_never_our_mistake(http: httpx.Client, name: str) -> None:
    path = PUSH_SOURCES[name].path
    noise = random.Random(7).randbytes(300)
    medias = ("application/json", "application/x-protobuf", "application/cloudevents+json", "text/plain", "")
    for body in (b"", b"{", b"null", b"[]", b"{}", b'"x"', b"1e999", noise, b'{"alerts": 3}', b'[{"kind": 7}]'):
        for media in medias:
            answer = http.post(path, content=body, headers={"Content-Type": media} if media else {})
            assert answer.status_code < 500, (media, body, answer.text)


def change(number: int) -> dict[str, Any]:
    return {"id": f"c{number}", "time": BEGIN + number, "component": "cart", "kind": "deployment", "name": f"v{number}"}


def test_the_same_changes_again_shuffled_and_late_have_one_effect(server: Any, http: httpx.Client) -> None:
    before = server.service.store.count("changes")
    changes = [change(number) for number in range(100_000, 100_060)]
    assert http.post("/api/v1/changes", json=changes[:40]).json()["duplicate"] is False
    random.Random(1).shuffle(changes)
    assert http.post("/api/v1/changes", json=changes).json()["accepted"] == 60
    assert http.post("/api/v1/changes", json=changes[::-1]).json()["duplicate"] is True
    assert server.service.store.count("changes") - before == 60


def test_the_same_lines_again_have_one_effect(server: Any, http: httpx.Client) -> None:
    values = [[str((BEGIN + n) * SECOND), f"line {n}"] for n in range(50)]
    push = {"streams": [{"stream": {"service_name": "loki-twice"}, "values": values}]}

    def rows() -> int:
        return sum(segment.rows for segment in server.service.store.segments(signal="logs"))

    before = rows()
    for _ in range(3):
        assert http.post("/loki/api/v1/push", json=push).status_code == 204
    assert rows() - before == 50


def test_an_alert_is_kept_once_however_often_it_is_told(server: Any, http: httpx.Client) -> None:
    before = server.service.store.count("events")
    firing = {"status": "firing", "labels": {"alertname": "Down", "job": "x"}, "startsAt": "2026-01-01T00:00:00Z"}
    for group in ("a", "a", "b"):
        hook = {"version": "4", "groupKey": group, "alerts": [firing]}
        assert http.post("/api/v1/ingest/alertmanager", json=hook).status_code == 200
    assert server.service.store.count("events") - before == 1


def test_a_store_that_cannot_write_asks_the_sender_to_come_again(run_service: Callable[..., Any]) -> None:
    running = run_service()
    with running.client() as http:
        assert http.post("/api/v1/changes", json=change(1)).status_code == 202
        running.service.store.close()
        for path, body in (("/api/v1/changes", change(2)), ("/api/v1/ingest/alertmanager", {"alerts": []})):
            answer = http.post(path, json=body)
            assert answer.status_code in (200, 503)
        assert http.post("/api/v1/changes", json=change(3)).headers["retry-after"]


def test_every_acknowledged_event_is_there_once_after_kill_9(serve: Callable[..., Any], tmp_path: Any) -> None:
    acknowledged: set[str] = set()
    rng = random.Random(11)
    number = 0
    for _ in range(LOOPS):
        process = serve()
        process.wait_until_ready()
        stop = threading.Event()

        def send(first: int, url: str = process.url, stop: threading.Event = stop) -> None:
            token = {"Authorization": "Bearer a-token-for-tests-0123456789-0123456789"}
            with httpx.Client(base_url=url, headers=token, timeout=30) as client:
                while not stop.is_set():
                    batch = [change(first + offset) for offset in range(50)]
                    first += 1_000
                    try:
                        if client.post("/api/v1/changes", json=batch).status_code == 202:
                            acknowledged.update(one["id"] for one in batch)
                    except httpx.TransportError:
                        return

        senders = [threading.Thread(target=send, args=(number + 50 * place,)) for place in range(4)]
        number += 10_000_000
        for sender in senders:
            sender.start()
        known = len(acknowledged)
        until = time.monotonic() + 30
        while len(acknowledged) == known and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.25))
        process.kill(signal.SIGKILL)
        stop.set()
        for sender in senders:
            sender.join(60)
    store = open_store(f"sqlite:{tmp_path / 'data' / 'rca.db'}")
    try:
        stored = [row[0] for row in store.read("SELECT id FROM changes")]  # type: ignore[attr-defined]
        assert store.read("PRAGMA integrity_check") == [("ok",)]  # type: ignore[attr-defined]
    finally:
        store.close()
    assert len(acknowledged) >= 50 * LOOPS
    assert len(stored) == len(set(stored))
    assert acknowledged <= set(stored)
