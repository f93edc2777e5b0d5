"""An alert becomes one incident, its telemetry is pulled, and each page is told the cause once."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from rca.notify.endpoints import Source, Target
from rca.types import SECOND, to_text

ADMIN = "a-token-for-tests-0123456789-0123456789"
SLOW = {"web": (50.0, 450.0), "cart": (20.0, 420.0), "cart-db": (4.0, 400.0), "mail": (9.0, 9.0)}
CALLS = [("web", "cart"), ("cart", "cart-db"), ("web", "mail")]
QUERIES = {"latency": "latency_ms", "calls": "traces_service_graph_request_total"}
TIMES = {"settle_seconds": 0.2, "follow_up_seconds": 600.0, "baseline_minutes": 20, "decoders": 1}


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Outside:
    """PagerDuty, Slack, a webhook and Prometheus, all on loopback."""

    detected: list[float] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    alert_keys: tuple[str, ...] = ()
    refuse: dict[str, list[int]] = field(default_factory=dict)
    prometheus_is_down: bool = False

    def __post_init__(self) -> None:
        outside = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer("GET", None)

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                is_form = "form" in self.headers.get("Content-Type", "")
                self._answer("POST", parse_qs(content.decode()) if is_form else json.loads(content))

            def _answer(self, method: str, body: Any) -> None:
                status, answer = outside.answer(Asked(method, self.path, dict(self.headers.items()), body))
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, asked: Asked) -> tuple[int, Any]:
        if asked.path.endswith("/query_range"):
            return (500, {}) if self.prometheus_is_down else (200, self.samples(asked.body))
        self.asked.append(asked)
        if (wanted := self.refuse.get(asked.path)) and asked.method == "POST":
            return wanted.pop(0), {"error": "later"}
        if asked.path.endswith("/alerts"):
            return 200, {"alerts": [{"id": "A", "alert_key": key} for key in self.alert_keys]}
        if asked.path.endswith("/notes"):
            if asked.method == "GET":
                return 200, {"notes": [{"id": "n", "content": text} for text in self.notes]}
            self.notes.append(asked.body["note"]["content"])
        return 200, {"status": "success"}

    def samples(self, form: dict[str, list[str]]) -> dict[str, Any]:
        """Latencies every 15 s, high from five minutes before each alert on; and who calls whom."""
        start, end, step = (float(form[name][0]) for name in ("start", "end", "step"))
        times = [start + step * i for i in range(int((end - start) / step) + 1)]
        rows = []
        if "latency" in form["query"][0]:
            for component, (healthy, slow) in SLOW.items():
                values = [
                    [t, str((slow if self.is_faulty(t) else healthy) * (1 + 0.02 * (i * 7 % 5 - 2)))]
                    for i, t in enumerate(times)
                ]
                rows.append({"metric": {"__name__": "latency_ms", "service": component}, "values": values})
            full = [[t, str(100 if self.is_faulty(t) else 20 + i % 3)] for i, t in enumerate(times)]
            rows.append({"metric": {"__name__": "connections", "service": "cart-db"}, "values": full})
        else:
            for caller, callee in CALLS:
                labels = {"__name__": "traces_service_graph_request_total", "client": caller, "server": callee}
                rows.append({"metric": labels, "values": [[t, str(10 * i)] for i, t in enumerate(times)]})
        return {"status": "success", "data": {"resultType": "matrix", "result": rows}}

    def is_faulty(self, at: float) -> bool:
        return any(detected - 300 <= at <= detected + 300 for detected in self.detected)

    def fail_again(self) -> float:
        """When an alert fires of a failure that is 45 minutes before any other."""
        self.detected.append(min(self.detected, default=time.time() + 2_670) - 2_700)
        return self.detected[-1]

    def told(self, path: str, method: str = "POST") -> list[Asked]:
        return [each for each in self.asked if each.path == path and each.method == method]

    def endpoints(self) -> dict[str, Any]:
        own = {"allow_http": True, "seconds": 5.0}
        targets = (
            Target(
                name="notes", form="pagerduty-note", url=self.url, secret="pd-token", sender="ada@shop.example", **own
            ),
            Target(name="chat", form="slack", url=f"{self.url}/slack", **own),
            Target(name="hook", form="webhook", url=f"{self.url}/hook", secret="hook-secret", **own),
            Target(name="events", form="pagerduty-event", url=self.url, secret="routing", **own),
        )
        source = Source(name="metrics", kind="prometheus", url=self.url, queries=QUERIES, **own)
        return {
            "targets": targets,
            "sources": (source,),
            "allowed_networks": ("127.0.0.0/8",),
            "public_url": "https://rca.example",
            "pagerduty_secrets": ("webhook-secret",),
            **TIMES,
        }


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    made = Outside()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def patient(
    outside: Outside, start: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A service that looks into an incident once."""
    with start(tmp_path_factory.mktemp("patient"), **outside.endpoints()) as running, running.client() as client:
        yield client


@pytest.fixture(scope="module")
def eager(
    outside: Outside, start: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A service that looks into an incident a second time after a second."""
    facts = {**outside.endpoints(), "follow_up_seconds": 1.0, "most_analyses": 2}
    with start(tmp_path_factory.mktemp("eager"), **facts) as running, running.client() as client:
        yield client


def alertmanager(detected: float, *components: str, status: str = "firing", group: str) -> dict[str, Any]:
    begin = to_text(int(detected * SECOND))
    ended = to_text(int((detected + 20) * SECOND)) if status == "resolved" else "0001-01-01T00:00:00Z"
    alerts = [
        {
            "status": status,
            "labels": {"alertname": "HighLatency", "service": name, "severity": "critical", "team": "shop"},
            "annotations": {"summary": f"{name} is slow", "runbook_url": "https://runbooks.example/latency"},
            "startsAt": begin,
            "endsAt": ended,
            "fingerprint": f"f-{name}",
        }
        for name in components
    ]
    return {"version": "4", "groupKey": group, "status": status, "alerts": alerts}


def page(id: str, key: str) -> dict[str, Any]:
    data = {
        "id": id,
        "title": "[FIRING:1] HighLatency",
        "incident_key": key,
        "service": {"id": "S", "summary": "Shop"},
    }
    now = to_text(time.time_ns())
    return {
        "event": {
            "id": f"event-{id}",
            "event_type": "incident.triggered",
            "occurred_at": now,
            "data": data | {"created_at": now},
        }
    }


def post_page(http: httpx.Client, body: dict[str, Any]) -> None:
    content = json.dumps(body).encode()
    signature = hmac.new(b"webhook-secret", content, hashlib.sha256).hexdigest()
    headers = {"X-PagerDuty-Signature": f"v1={signature}", "Content-Type": "application/json"}
    assert http.post("/api/v1/ingest/pagerduty", content=content, headers=headers).status_code == 202


def post_alerts(http: httpx.Client, body: dict[str, Any]) -> None:
    answer = http.post("/api/v1/ingest/alertmanager", json=body)
    assert answer.status_code == 200, answer.text


def wait_for(what: Callable[[], Any], seconds: float = 120.0) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def key_of(group: str) -> str:
    return hashlib.sha256(group.encode()).hexdigest()


def incidents(http: httpx.Client, about: float) -> list[dict[str, Any]]:
    """Those whose alert fired then."""
    found = http.get("/api/v1/incidents", params={"limit": 200}).json()["incidents"]
    return [each for each in found if each["detected_at"] == to_text(int(about * SECOND))]


def jobs(http: httpx.Client, incident: dict[str, Any]) -> list[str]:
    told = http.get(f"/api/v1/incidents/{incident['id']}").json()["jobs"]
    return [job["state"] for job in told]


def test_an_alert_becomes_an_enriched_page_and_no_repetition_of_anything_tells_it_twice(
    patient: httpx.Client, outside: Outside
) -> None:
    http, detected, group = patient, outside.fail_again(), '{}:{alertname="HighLatency"}'
    outside.alert_keys = (key_of(group),)
    body = alertmanager(detected, "web", "cart", group=group)
    post_alerts(http, body)
    post_page(http, page("PD1", key_of(group)))
    note = wait_for(lambda: outside.told("/incidents/PD1/notes"))[0]
    wait_for(lambda: outside.told("/slack") and outside.told("/hook") and outside.told("/v2/enqueue"))
    lines = note.body["note"]["content"].splitlines()
    assert lines[0].startswith("ROOT CAUSE  cart-db")
    assert lines[-1].startswith("Reference: dlv-")
    assert "cart-db" in lines[1]
    (incident,) = incidents(http, detected)
    link = f"https://rca.example/api/v1/incidents/{incident['id']}/page"
    assert link in lines
    assert (note.headers["From"], note.headers["Authorization"]) == ("ada@shop.example", "Token token=pd-token")
    assert (incident["verdict"], incident["cause"], incident["state"]) == ("cause", "cart-db", "open")
    assert incident["title"] == "HighLatency on cart and 1 more"
    shown = http.get(f"/api/v1/incidents/{incident['id']}").json()["alerts"]
    assert [(each["component"], each["page"]) for each in shown] == [("cart", ""), ("web", ""), ("Shop", "PD1")]
    (event,) = outside.told("/v2/enqueue")
    assert (event.body["dedup_key"], event.body["event_action"]) == (key_of(group), "trigger")
    (hook,) = outside.told("/hook")
    assert (hook.body["cause"], hook.body["url"]) == ("cart-db", link)

    for _ in range(2):
        post_alerts(http, body)
        post_page(http, page("PD1", key_of(group)))
    post_alerts(http, alertmanager(detected, "cart", "web", group=group))
    time.sleep(1.5)
    assert [len(outside.told(path)) for path in ("/incidents/PD1/notes", "/slack", "/hook", "/v2/enqueue")] == [1] * 4
    assert len(incidents(http, detected)) == 1
    assert jobs(http, incident) == ["done"]

    post_page(http, page("PD2", key_of(group)))  # a second page of the same group is told as well, and only it
    wait_for(lambda: outside.told("/incidents/PD2/notes"))
    assert len(outside.told("/incidents/PD1/notes")) == 1

    post_alerts(http, alertmanager(detected, "web", "cart", status="resolved", group=group))
    wait_for(lambda: len(outside.told("/v2/enqueue")) == 2)
    resolve = {"routing_key": "routing", "event_action": "resolve", "dedup_key": key_of(group)}
    assert outside.told("/v2/enqueue")[1].body == resolve
    assert incidents(http, detected)[0]["state"] == "closed"
    metrics = http.get("/metrics").text
    assert 'rca_deliveries_total{outcome="sent",target="chat"} 1.0' in metrics
    assert 'rca_alert_incidents_total{what="opened"} 1.0' in metrics


def test_a_page_that_comes_first_and_knows_its_alerts_only_by_asking_is_joined(
    patient: httpx.Client, outside: Outside
) -> None:
    detected, group = outside.fail_again(), "the group of a page that comes first"
    outside.alert_keys = (key_of(group),)
    post_page(patient, page("PD3", "another key than the group's"))
    post_alerts(patient, alertmanager(detected, "web", group=group))
    wait_for(lambda: outside.told("/incidents/PD3/notes"))
    (asked,) = outside.told("/incidents/PD3/alerts", "GET")
    assert asked.headers["Authorization"] == "Token token=pd-token"


def test_alerts_of_one_failure_in_several_groups_are_one_incident_and_of_another_two(
    patient: httpx.Client, outside: Outside
) -> None:
    detected = outside.fail_again()
    wait_for(lambda: len(patient.get("/api/v1/topology").json()["edges"]) == 3)  # surveyed at the start
    for name in ("web", "cart-db", "cart"):
        post_alerts(patient, alertmanager(detected, name, group=f"group of {name}"))
    assert len(incidents(patient, detected)) == 1
    post_alerts(patient, alertmanager(detected, "printer", group="elsewhere"))
    assert len(incidents(patient, detected)) == 2


def test_events_of_senders_that_page_nobody_open_no_incident(patient: httpx.Client, outside: Outside) -> None:
    before = patient.get("/metrics").text
    alert = {"component": "web", "name": "Slow", "time": to_text(int((time.time() - 90_000) * SECOND))}
    assert patient.post("/api/v1/changes", json={"alerts": [alert]}).status_code == 202
    opened = 'rca_alert_incidents_total{what="opened"}'
    now = patient.get("/metrics").text
    assert [line for line in before.splitlines() if opened in line] == [
        line for line in now.splitlines() if opened in line
    ]


def test_alerts_that_join_later_are_looked_into_once_more_with_what_is_known_then(
    eager: httpx.Client, outside: Outside
) -> None:
    detected, group = outside.fail_again(), "a group that grows"
    post_alerts(eager, alertmanager(detected, "web", group=group))
    (found,) = wait_for(lambda: [each for each in incidents(eager, detected) if each["verdict"]])
    post_alerts(eager, alertmanager(detected, "web", "cart", group=group))
    wait_for(lambda: jobs(eager, found) == ["done", "done"])
    post_alerts(eager, alertmanager(detected, "web", "cart", "cart-db", group=group))
    time.sleep(1.5)
    assert jobs(eager, found) == ["done", "done"]
    told = [each for each in outside.told("/slack") if found["id"] in json.dumps(each.body)]
    assert len(told) == 1  # the same answer is not told again
    replayed = eager.post(f"/api/v1/incidents/{found['id']}/analyses", params={"wait": 30})
    assert replayed.json()["root_causes"][0]["component"] == "cart-db"


def test_a_source_that_is_down_costs_its_part_and_the_report_says_so(eager: httpx.Client, outside: Outside) -> None:
    detected = outside.fail_again()
    outside.prometheus_is_down = True
    post_alerts(eager, alertmanager(detected, "web", group="while Prometheus is down"))
    message = wait_for(lambda: [each for each in outside.told("/hook") if each.body["degraded"]])[0].body
    outside.prometheus_is_down = False
    assert any("metrics gave nothing" in each for each in message["degraded"])
    assert message["verdict"] == "inconclusive"
    (incident,) = incidents(eager, detected)
    wait_for(lambda: jobs(eager, incident) == ["done", "done"])  # what it was not sure of, it looks into again
    report = eager.get(f"/api/v1/incidents/{incident['id']}/report").json()
    assert report["root_causes"][0]["component"] == "cart-db"
    assert not any("metrics gave nothing" in each for each in report["warnings"])


def test_what_a_killed_service_was_to_do_the_next_one_does_once(
    serve: Callable[..., Any], outside: Outside, tmp_path: Path
) -> None:
    detected = outside.fail_again()
    plain = {"allow_http": True, "seconds": 5.0}
    facts = {
        "allowed_networks": ["127.0.0.0/8"],
        "settle_seconds": 1.0,
        "baseline_minutes": 20,
        "targets": [
            {"name": "hook", "form": "webhook", "url": f"{outside.url}/killed", **plain},
            {"name": "late", "form": "webhook", "url": f"{outside.url}/late", **plain},
        ],
        "sources": [{"name": "m", "kind": "prometheus", "url": outside.url, "queries": QUERIES, **plain}],
    }
    path = tmp_path / "rca.yaml"
    path.write_text(json.dumps(facts))  # which is YAML as well
    outside.refuse = {"/late": [503] * 100}

    first = serve(config=path)
    first.wait_until_ready()
    headers = {"Authorization": f"Bearer {ADMIN}"}
    with httpx.Client(base_url=first.url, headers=headers, timeout=60) as http:
        post_alerts(http, alertmanager(detected, "web", "cart", group="of a service that is killed"))
        time.sleep(1.3)
        first.kill()  # about when the analysis begins

    second = serve(config=path)
    second.wait_until_ready()
    wait_for(lambda: outside.told("/killed") and outside.told("/late"))
    second.kill()  # one message is sent, the other waits
    outside.refuse = {}
    refused = len(outside.told("/late"))

    third = serve(config=path)
    wait_for(lambda: len(outside.told("/late")) > refused)
    third.wait_until_ready()
    with httpx.Client(base_url=third.url, headers=headers, timeout=60) as http:
        assert [each["verdict"] for each in incidents(http, detected)] == ["cause"]
    for path_told in ("/killed", "/late"):
        assert len({each.headers["Idempotency-Key"] for each in outside.told(path_told)}) == 1
