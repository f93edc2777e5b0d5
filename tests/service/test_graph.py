"""The service and its knowledge graph: analyses read topology from it and go into its history, whatever dies."""

from __future__ import annotations

import importlib.util
import json
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from rca.knowledge import Knowledge
from rca.knowledge.neo4j_store import Neo4jStore
from rca.service.examples import WINDOW
from rca.topology import Topology
from rca.types import MINUTE, SECOND, to_text

KNOWLEDGE = Path(__file__).resolve().parents[1] / "knowledge" / "conftest.py"
NOBODY = "bolt://127.0.0.1:1"  # a port that nothing listens on
POST = "/api/v1/incidents?wait=60"
# Three services that only tell how long they take; who calls whom stands in the graph alone.
LEVELS = {"web": (50.0, 450.0), "cart": (20.0, 420.0), "cart-db": (4.0, 400.0), "mail": (9.0, 9.0)}
INVENTORY = Topology.from_edges(
    [("web", "cart"), ("cart", "cart-db"), ("web", "mail")], attributes={"cart-db": {"owner": "storage"}}
)
HOSTILE = (
    "a'b",
    'a"b',
    "a`b",
    "a}) DETACH DELETE n //",
    "'; DROP TABLE incidents; --",
    "\\u0027}) MATCH (n) DETACH DELETE n //",
    "a\u2028b",
    "$tenant",
)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is noticed is written at once."""
    monkeypatch.setattr("rca.service.graph.FLUSH_SECONDS", 0.2)


def window(id: str, **more: Any) -> dict[str, Any]:
    return {**WINDOW, "id": id, **more}


def wait_until(look: Callable[[], Any], seconds: float = 90.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)
    return found


def settled(knowledge: Knowledge) -> list[tuple[str, str, str]]:
    return [(each.id, each.settled.state, each.settled.component) for each in knowledge.incidents()]


def gauges(detected: int) -> dict[str, Any]:
    """Latencies of 40 minutes, high since five minutes before an alert; and the pool of the database, full since."""
    times = [detected - (40 - minute) * MINUTE for minute in range(42)]
    resources = []
    for component, (healthy, faulty) in LEVELS.items():
        metrics = [("latency_ms", healthy, faulty)]
        metrics += [("connections", 20.0, 100.0)] if component == "cart-db" else []
        named = []
        for metric, low, high in metrics:
            points = [
                {
                    "timeUnixNano": str(at),
                    "asDouble": (high if at >= detected - 5 * MINUTE else low) * (1 + 0.02 * ((i * 7) % 5 - 2)),
                }
                for i, at in enumerate(times)
            ]
            named.append({"name": metric, "gauge": {"dataPoints": points}})
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": component}}]}
        resources.append({"resource": resource, "scopeMetrics": [{"metrics": named}]})
    return {"resourceMetrics": resources}


def alert(detected: int, component: str = "web") -> dict[str, Any]:
    return {
        "version": "4",
        "groupKey": f"{{}}:{{alertname='HighLatency', n='{detected}'}}",
        "status": "firing",
        "alerts": [
            {
                "status": "firing",
                "labels": {"alertname": "HighLatency", "service": component, "n": str(detected)},
                "annotations": {"summary": f"{component} is slow"},
                "startsAt": to_text(detected),
                "endsAt": "0001-01-01T00:00:00Z",
                "fingerprint": f"{detected:x}"[-16:],
            }
        ],
    }


def report_of_alert(http: httpx.Client, detected: int, known: set[str]) -> tuple[str, dict[str, Any]]:
    """The incident that an alert opens, and its report."""
    assert http.post("/v1/metrics", json=gauges(detected)).status_code == 200
    assert http.post("/api/v1/ingest/alertmanager", json=alert(detected)).status_code == 200

    def look() -> str:
        rows = http.get("/api/v1/incidents").json()["incidents"]
        return next((row["id"] for row in rows if row["verdict"] and row["id"] not in known), "")

    incident = wait_until(look)
    return incident, http.get(f"/api/v1/incidents/{incident}/report").json()


# -- the file in the data folder, which every service has ---------------------------------------------


def test_an_analysis_and_what_is_said_of_it_go_into_the_history_once(run_service: Callable[..., Any]) -> None:
    service = run_service()
    with service.client() as http:
        assert http.post("/api/v1/incidents/w1/feedback", json={"opinion": "note", "note": "x"}).status_code == 404
        for title in ("first", "second"):
            assert http.post(POST, json=window("w1", title=title)).json()["degraded"] == []
        knowledge = service.service.graph.knowledge
        found = knowledge.incident("w1")
        assert (found.title, found.settled.state, found.settled.component) == ("second", "believed", "cart-db")
        assert found.events
        assert found.links
        assert json.loads(found.report)["root_causes"][0]["component"] == "cart-db"
        said = {
            "opinion": "confirmed",
            "component": "cart",
            "kind": "pool",
            "resolution": "a larger pool",
            "who": "ada",
        }
        assert http.post("/api/v1/incidents/w1/feedback", json=said).status_code == 201
        assert http.post(POST, json=window("w1", title="third")).status_code == 200
        found = knowledge.incident("w1")
        assert (found.title, found.settled.state, found.settled.component) == ("third", "confirmed", "cart")
        assert [(each.by, each.kind) for each in found.feedback] == [("ada (token configured)", "pool")]
        assert [each.text for each in found.resolutions] == ["a larger pool"]
        assert len(settled(knowledge)) == 1
        answer = http.get("/api/v1/history/causes").json()
        assert [(row["component"], row["confirmed"]) for row in answer["rows"]] == [("cart", 1)]
        assert http.get("/readyz").json() == {"status": "ok", "problems": [], "graph": "ok"}


def test_what_expires_leaves_the_history_too(run_service: Callable[..., Any]) -> None:
    service = run_service(incident_days=1.0)
    with service.client() as http:
        for name in ("old", "older"):
            assert http.post(POST, json=window(name)).status_code == 200
        service.service.maintain(time.time_ns())
        assert len(settled(service.service.graph.knowledge)) == 2
        service.service.maintain(time.time_ns() + 2 * 86_400 * SECOND)
        assert http.get("/api/v1/incidents").json()["incidents"] == []
        assert settled(service.service.graph.knowledge) == []


def test_the_history_is_asked_over_the_api(run_service: Callable[..., Any]) -> None:
    service = run_service()
    with service.client() as http:
        assert http.post(POST, json=window("w1")).status_code == 200
        change = {"time": "2026-01-01T00:29:30Z", "component": "web", "kind": "deployment", "name": "web 7"}
        assert http.post("/api/v1/changes", json=change).status_code == 202
        wait_until(lambda: http.get("/api/v1/history/teams").json()["rows"][0]["changes"] == 2)
        broke = http.get("/api/v1/history/deployments?change=pool").json()["rows"]
        assert [(row["component"], row["incident"]) for row in broke] == [("cart-db", "w1")]
        assert broke[0]["time"] == "2026-01-01T00:29:00Z"
        rules = http.get("/api/v1/history/rules?limit=1000").json()["rows"]
        assert rules[0]["incidents"] == 0
        assert rules[-1]["incidents"] == 1
        assert http.get("/api/v1/history/rules?limit=2").json()["more"] is True
        weeks = http.get("/api/v1/history/blast-radius?days=7").json()["rows"]
        assert [(row["period"], row["incidents"]) for row in weeks] == [("2025-12-29T00:00:00Z", 1)]
        assert http.get("/api/v1/history/causes?until=2025-01-01T00:00:00Z").json()["rows"] == []
        assert http.get("/api/v1/history/causes?since=yesterday").status_code == 422
        assert http.get("/api/v1/history/weather").status_code == 404
    with service.client(token="") as nobody:
        assert nobody.get("/api/v1/history/causes").status_code == 401


def test_what_telemetry_shows_of_the_topology_is_learnt_with_its_source_and_time(
    run_service: Callable[..., Any],
) -> None:
    service = run_service()
    labels = [("web", "cart", 1), ("cart", "cart-db", 2)]
    spans = []
    for caller, callee, number in labels:
        for name, own, parent in ((caller, number * 10, ""), (callee, number * 10 + 1, f"{number * 10:016x}")):
            told = {
                "traceId": f"{number:032x}",
                "spanId": f"{own:016x}",
                "parentSpanId": parent,
                "name": "get",
                "kind": 2,
                "startTimeUnixNano": "1767225600000000000",
                "endTimeUnixNano": "1767225600050000000",
            }
            resource = {"attributes": [{"key": "service.name", "value": {"stringValue": name}}]}
            spans.append({"resource": resource, "scopeSpans": [{"spans": [told]}]})
    before = to_text(time.time_ns() - MINUTE)
    with service.client() as http:
        assert http.post("/v1/traces", json={"resourceSpans": spans}).status_code == 200
        near = {"component": "cart", "hops": 1, "callers": 0}
        wait_until(lambda: http.get("/api/v1/graph/near", params=near).is_success)
        found = http.get("/api/v1/graph/near", params=near).json()
        assert [node["id"] for node in found["nodes"]] == ["cart", "cart-db"]
        [edge] = found["edges"]
        assert (edge["source"], edge["target"]) == ("cart", "cart-db")
        assert (edge["facts"]["confidence"], edge["facts"]["known by"]) == (0.95, "spans")
        assert http.get("/api/v1/graph/near", params={**near, "at": before}).status_code == 404
        assert http.get("/api/v1/graph/near", params={**near, "hops": 11}).status_code == 422
        drawn = http.get("/api/v1/graph/near", params={**near, "format": "graphml"})
        assert drawn.headers["content-type"] == "application/graphml+xml"
        assert "cart-db" in drawn.text


def test_a_window_keeps_its_own_topology_and_gets_what_the_graph_knows_besides(
    run_service: Callable[..., Any],
) -> None:
    service = run_service()
    known = Topology.from_edges(
        [("cart-db", "disk")], kinds={"cart-db": "cache"}, attributes={"cart-db": {"owner": "storage"}}
    )
    service.service.graph.knowledge.record_topology(known, source="cmdb", at=0)
    posted = window("w1", kinds={"cart-db": "database"})
    with service.client() as http:
        report = http.post(POST, json=posted).json()
        assert report["root_causes"][0]["component"] == "cart-db"
        assert "storage" in json.dumps(report["contacts"])
        kept = service.service.graph.knowledge.ask("teams").rows
        assert [row["team"] for row in kept] == ["storage"]


def test_without_a_graph_the_service_works_and_says_so(run_service: Callable[..., Any]) -> None:
    service = run_service(graph="none")
    with service.client() as http:
        assert http.post(POST, json=window("w1")).json()["verdict"] == "cause"
        assert http.get("/healthz").json()["graph"] == "off"
        refused = http.get("/api/v1/history/causes")
        assert (refused.status_code, "graph" in refused.json()["remedy"]) == (404, True)
        said = {"opinion": "confirmed", "component": "cart"}
        assert http.post("/api/v1/incidents/w1/feedback", json=said).status_code == 201
    assert not (Path(service.configuration.data) / "graph.sqlite").exists()


def test_what_is_acknowledged_stands_in_the_history_after_a_kill(serve: Callable[..., Any], tmp_path: Path) -> None:
    first = serve()
    first.wait_until_ready()
    admin = {"Authorization": "Bearer a-token-for-tests-0123456789-0123456789"}
    assert httpx.post(f"{first.url}{POST}", json=window("w1"), headers=admin, timeout=60).status_code == 200
    said = {"opinion": "confirmed", "component": "cart"}
    told = httpx.post(f"{first.url}/api/v1/incidents/w1/feedback", json=said, headers=admin, timeout=60)
    assert told.status_code == 201
    first.kill(signal.SIGKILL)
    from rca.knowledge import open_knowledge

    with open_knowledge(tmp_path / "data" / "graph.sqlite") as knowledge:
        assert settled(knowledge) == [("w1", "confirmed", "cart")]


# -- a server that is away, or hangs ------------------------------------------------------------------


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        taken: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    taken.append(listening.accept()[0])
                except OSError:
                    return

        taking = threading.Thread(target=take)
        taking.start()
        yield f"bolt://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        taking.join()
        for each in taken:
            each.close()


@pytest.mark.parametrize("hangs", [False, True])
def test_a_server_that_is_away_or_hangs_degrades_the_report_and_nothing_else(
    run_service: Callable[..., Any], silent: str, hangs: bool
) -> None:
    service = run_service(graph=silent if hangs else NOBODY)
    with service.client() as http:
        report = http.post(POST, json=window("w1")).json()
        assert report["root_causes"][0]["component"] == "cart-db"
        assert [text for text in report["degraded"] if "Neo4j" in text or "knowledge graph" in text]
        assert set(report["degraded"]) <= set(report["warnings"])
        wait_until(lambda: http.get("/readyz").json()["graph"] == "degraded")
        assert http.get("/readyz").status_code == 200
        wait_until(lambda: "rca_graph_waiting_batches 0.0" not in http.get("/metrics").text)
        assert "rca_graph_degraded 1.0" in http.get("/metrics").text
        answer = http.get("/api/v1/history/causes")
        assert answer.json()["degraded"]
        assert answer.headers["x-rca-degraded"]
        assert [row["component"] for row in answer.json()["rows"]] == ["cart-db"]


# -- Neo4j --------------------------------------------------------------------------------------------


def _knowledge_conftest() -> Any:
    spec = importlib.util.spec_from_file_location("knowledge_conftest", KNOWLEDGE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def neo4j(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server that may be killed."""
    module = _knowledge_conftest()
    if reason := module.missing():
        pytest.skip(reason)
    server = module.Server(tmp_path_factory.mktemp("neo4j") / "data")
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture
def remote(neo4j: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Knowledge]:
    """What the server knows of a tenant that is new."""
    monkeypatch.setenv("RCA_NEO4J_PASSWORD", neo4j.password)
    store = Neo4jStore(neo4j.uri, password=neo4j.password, tenant=uuid.uuid4().hex)
    yield Knowledge(store)
    store.close()


def test_an_alert_is_analysed_with_the_topology_of_neo4j_and_the_death_of_neo4j_loses_nothing(
    remote: Knowledge, neo4j: Any, run_service: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    detected = time.time_ns() // SECOND * SECOND - 3 * MINUTE
    remote.record_topology(INVENTORY, source="cmdb", at=detected - 60 * MINUTE)
    facts = {"settle_seconds": 0.2, "follow_up_seconds": 600.0, "baseline_minutes": 30, "join_minutes": 0.5}
    monkeypatch.setattr("rca.service.graph.PATIENCE", 60.0)  # the machine of a test is slower than any server may be
    service = run_service(graph=neo4j.uri, tenant=remote.store.tenant, **facts)
    store = service.service.graph.knowledge.store
    store._patience = 60.0
    wait_until(lambda: not store.catch_up(first=True).reason)
    with service.client() as http:
        first, report = report_of_alert(http, detected, set())
        assert http.get("/api/v1/topology").json()["edges"] == []
        assert report["root_causes"][0]["component"] == "cart-db"
        assert "storage" in json.dumps(report["contacts"])
        assert report["degraded"] == []
        wait_until(lambda: settled(remote) == [(first, "believed", "cart-db")])

        neo4j.kill()
        second, report = report_of_alert(http, detected - 45 * MINUTE, {first})
        assert any("Neo4j" in text for text in report["degraded"])
        assert report["root_causes"][0]["component"] == "cart-db"
        said = {"opinion": "confirmed", "component": "cart-db", "resolution": "a larger pool"}
        assert http.post(f"/api/v1/incidents/{first}/feedback", json=said).status_code == 201
        wait_until(lambda: http.get("/readyz").json()["graph"] == "degraded")  # looked at once a second

        neo4j.start()
        expected = sorted([(first, "confirmed", "cart-db"), (second, "believed", "cart-db")])
        wait_until(lambda: sorted(settled(remote)) == expected)
        assert [each.text for each in remote.incident(first).resolutions] == ["a larger pool"]
        wait_until(lambda: http.get("/readyz").json()["graph"] == "ok")
        assert "rca_graph_waiting_batches 0.0" in http.get("/metrics").text


def test_what_waits_for_neo4j_outlives_the_service(
    remote: Knowledge, neo4j: Any, serve: Callable[..., Any], tmp_path: Path
) -> None:
    neo4j.kill()
    settings = {"RCA_GRAPH": neo4j.uri, "RCA_TENANT": remote.store.tenant}
    admin = {"Authorization": "Bearer a-token-for-tests-0123456789-0123456789"}
    first = serve(**settings)
    first.wait_until_ready()
    answer = httpx.post(f"{first.url}{POST}", json=window("w1"), headers=admin, timeout=60)
    assert any("Neo4j" in text for text in answer.json()["degraded"])
    first.kill(signal.SIGKILL)
    neo4j.start()
    second = serve(**settings)
    second.wait_until_ready()
    wait_until(lambda: settled(remote) == [("w1", "believed", "cart-db")])
    assert second.kill(signal.SIGTERM) == 0


@pytest.mark.parametrize("kept_in", ["sqlite", "neo4j"])
def test_names_that_try_to_inject_something_are_names(
    request: pytest.FixtureRequest, run_service: Callable[..., Any], kept_in: str
) -> None:
    if kept_in == "neo4j":
        remote = request.getfixturevalue("remote")
        address = request.getfixturevalue("neo4j").uri
        service = run_service(graph=address, tenant=remote.store.tenant)
    else:
        service = run_service()
    before = window("innocent")
    with service.client() as http:
        assert http.post(POST, json=before).status_code == 200
        series = [{**each, "component": HOSTILE[i]} for i, each in enumerate(WINDOW["telemetry"]["metrics"]["series"])]
        posted = {
            **window("hostile", title=HOSTILE[4]),
            "symptoms": [{"component": HOSTILE[0]}],
            "topology": {"edges": [[HOSTILE[0], HOSTILE[1]], [HOSTILE[1], HOSTILE[2]], [HOSTILE[2], HOSTILE[3]]]},
            "telemetry": {
                "metrics": {**WINDOW["telemetry"]["metrics"], "series": series},
                "changes": [
                    {
                        "time": "2026-01-01T00:29:00Z",
                        "component": HOSTILE[2],
                        "kind": "change.config",
                        "name": HOSTILE[5],
                    }
                ],
            },
        }
        assert http.post(POST, json=posted).status_code == 200
        for name in HOSTILE:
            change = {"time": to_text(time.time_ns()), "component": name, "kind": "deployment", "name": name}
            assert http.post("/api/v1/changes", json=change).status_code == 202
            said = {"opinion": "confirmed", "component": name, "resolution": name, "note": name, "who": name}
            assert http.post("/api/v1/incidents/hostile/feedback", json=said).status_code == 201
            for asked in ({"change": name}, {"change": name, "since": "2026-01-01T00:00:00Z"}):
                assert http.get("/api/v1/history/deployments", params=asked).status_code == 200
            assert http.get("/api/v1/graph/near", params={"component": name}).status_code in (200, 404)
            assert http.get("/api/v1/history/causes", params={"since": name}).status_code == 422
        knowledge = service.service.graph.knowledge
        wait_until(lambda: len(knowledge.incident("hostile").feedback) == len(HOSTILE))
        assert sorted(each.id for each in knowledge.incidents()) == ["hostile", "innocent"]
        assert knowledge.incident("hostile").settled.component == HOSTILE[-1]
        assert knowledge.incident("innocent").settled.component == "cart-db"
        broke = http.get("/api/v1/history/deployments", params={"change": HOSTILE[5]}).json()["rows"]
        assert [row["component"] for row in broke] == [HOSTILE[2]]


def test_the_environment_names_the_graph(tmp_path: Path) -> None:
    from rca.service.configuration_reading import load_configuration

    found = load_configuration(environment={"RCA_GRAPH": "bolt://h", "RCA_TENANT": "shop"})
    assert (found.graph_address, found.tenant) == ("bolt://h", "shop")
    assert load_configuration(environment={"RCA_DATA": "d"}).graph_address == str(Path("d") / "graph.sqlite")
    assert load_configuration(environment={"RCA_GRAPH": "none"}).graph_address == ""
    assert load_configuration(environment={"RCA_STORE": "postgresql://h/d"}).graph_address == ""
