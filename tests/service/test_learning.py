"""The service learns from what people confirmed, uses it, says so, and goes back."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from rca.cli import app
from rca.errors import ModelError
from rca.service.experience import Experience
from rca.service.recalling import learned_weights, precedents_for
from rca.service.workers import WorkerPool
from rca.stores import open_store

SERVICES = ("ads", "bank", "cart", "desk", "edge", "feed")
SIGN = {"pool": "pool_wait", "leak": "heap_used"}
MINUTES, FAULT, BEGIN = 40, 30, 1_767_225_600
OFF: dict[str, Any] = {"learn_hours": 0.0, "decoders": 1}
ADMIN = "a-token-for-tests-0123456789-0123456789"  # as in conftest.py


def series(component: str, metric: str, healthy: float, faulty: float, rng: np.random.Generator) -> dict[str, Any]:
    levels = [faulty if minute >= FAULT else healthy for minute in range(MINUTES)]
    values = [round(level * (1 + 0.02 * float(rng.standard_normal())), 4) for level in levels]
    return {"component": component, "metric": metric, "values": values}


def window(number: int) -> tuple[dict[str, Any], str, str]:
    """A window, its cause and the kind: the cause shows one small sign, a bystander two large ones.

    The untrained answer is often wrong.
    """
    rng = np.random.default_rng(number)
    root, bystander = (SERVICES[i] for i in rng.choice(len(SERVICES), 2, replace=False))
    kind = sorted(SIGN)[number % 2]
    start = BEGIN + number * 86_400
    rows = []
    for name in SERVICES:
        rows.append(series(name, "latency_ms", 50, 80 if name == SERVICES[0] else 50, rng))
        rows.append(series(name, SIGN[kind], 5, 7 if name == root else 5, rng))
        rows += [series(name, metric, 10, 90 if name == bystander else 10, rng) for metric in ("disk_io", "net_in")]
    body = {
        "id": f"i-{number:03d}",
        "title": "checkout is slow",
        "detected_at": start + 60 * (FAULT + 3),
        "topology": {"edges": [list(pair) for pair in pairwise(SERVICES)]},
        "telemetry": {"metrics": {"times": [start + 60 * minute for minute in range(MINUTES)], "series": rows}},
    }
    return body, root, kind


def post(client: httpx.Client, number: int) -> dict[str, Any]:
    answer = client.post("/api/v1/incidents", params={"wait": 60}, json=window(number)[0])
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = answer.json()
    return report


def confirm(client: httpx.Client, number: int, component: str = "") -> None:
    _, root, kind = window(number)
    said = {"opinion": "confirmed", "component": component or root, "kind": kind, "resolution": f"mended {kind}"}
    assert client.post(f"/api/v1/incidents/i-{number:03d}/feedback", json=said).status_code == 201


def fill(client: httpx.Client, numbers: range) -> None:
    for number in numbers:
        post(client, number)
        confirm(client, number)


def finished(client: httpx.Client, job: str) -> dict[str, Any]:
    for _ in range(600):
        found: dict[str, Any] = client.get(f"/api/v1/jobs/{job}").json()
        if found["state"] in ("done", "failed", "cancelled"):
            return found
        time.sleep(0.1)
    raise AssertionError("the job does not end")


def learn(client: httpx.Client) -> dict[str, Any]:
    """Has the service learn; what it says of that."""
    queued = client.post("/api/v1/learn")
    assert queued.status_code == 202
    assert finished(client, queued.json()["id"])["state"] == "done"
    told: dict[str, Any] = client.get("/api/v1/learned").json()
    return told


@pytest.fixture(scope="module", autouse=True)
def lessons_in_threads(threads: Any) -> Iterator[None]:
    """Only the service that is killed in a lesson gives it in a process of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rca.service.lessons.WorkerPool", lambda *args, **named: threads(WorkerPool(*args, **named)))
        yield


@dataclass(frozen=True)
class Taught:
    """A service's folder with 26 confirmed incidents that taught version 0001, and what it said with 19."""

    folder: Path
    few: dict[str, Any]


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory, start: Any) -> Taught:
    folder = tmp_path_factory.mktemp("taught")
    with start(folder, **OFF) as running, running.client() as client:
        fill(client, range(19))
        few = learn(client)
        fill(client, range(19, 26))
        assert learn(client)["in_use"] == "0001"
    return Taught(folder, few)


@pytest.fixture(scope="module")
def served(taught: Taught, tmp_path_factory: pytest.TempPathFactory, start: Any) -> Iterator[Any]:
    """A service that goes on from there."""
    folder = tmp_path_factory.mktemp("served") / "data"
    shutil.copytree(taught.folder, folder)
    with start(folder, **OFF) as running:
        yield running


@pytest.fixture
def client(served: Any) -> Iterator[httpx.Client]:
    with served.client() as opened:
        yield opened


def execute(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "rca.db")) as database, database:
        for statement in statements:
            database.execute(statement)


def named(report: dict[str, Any]) -> str:
    """The version that the report says ranked; "" where it says none."""
    told = [each for each in report["warnings"] if each.startswith("ranked with learned weights")]
    return str(told[0].split(",")[0].rpartition(" ")[2]) if told else ""


def untrained_is_wrong(client: httpx.Client, number: int) -> bool:
    told = [each for each in post(client, number)["warnings"] if "without them the answer is" in each]
    return not told[0].endswith(f" {window(number)[1]}")


def wait_for(client: httpx.Client, version: str) -> dict[str, Any]:
    for _ in range(600):
        told: dict[str, Any] = client.get("/api/v1/learned").json()
        if told["in_use"] == version:
            return told
        time.sleep(0.1)
    raise AssertionError(told)


def test_below_twenty_confirmed_incidents_the_untrained_answer_stays(taught: Taught) -> None:
    assert (taught.few["in_use"], taught.few["versions"], taught.few["confirmed"]) == ("", [], 19)
    assert "20 are needed" in taught.few["result"]["reason"]


def test_the_next_page_names_the_version_and_what_ended_the_nearest_incident(client: httpx.Client) -> None:
    [version] = client.get("/api/v1/learned").json()["versions"]
    assert version["held_out"]["learned"]["AC@1"] > version["held_out"]["untrained"]["AC@1"]
    assert any("pool_wait" in row["what"] for row in version["moved"])

    number = next(n for n in range(101, 140) if untrained_is_wrong(client, n))
    incident = f"/api/v1/incidents/i-{number:03d}"
    report, page = client.get(f"{incident}/report").json(), client.get(f"{incident}/page").text
    _, root, kind = window(number)
    assert named(report) == "0001"
    assert report["root_causes"][0]["component"] == root
    assert report["root_causes"][0]["learned"]
    nearest = report["similar"][0]
    assert (nearest["kind"], nearest["resolutions"]) == (kind, [f"mended {kind}"])
    assert nearest["belief"] > 0.5
    assert "ranked with learned weights service 0001" in page
    assert f"mended {kind}" in page
    assert client.get(f"{incident}/similar").json()["similar"] == report["similar"]


def test_accuracy_is_measured_on_what_was_answered_before_people_said_what_it_was(client: httpx.Client) -> None:
    held = client.get("/api/v1/learned").json()["versions"][0]["held_out"]
    before = client.post("/api/v1/evaluate", json={}).json()
    for number in range(3):  # analysed again, by weights that know the answer
        again = client.post(f"/api/v1/incidents/i-{number:03d}/analyses", params={"wait": 60})
        assert named(again.json()) == "0001"
    measured = client.post("/api/v1/evaluate", json={}).json()
    assert measured == before
    assert measured["incidents"] == 26
    assert measured["measures"]["AC@1"] < held["learned"]["AC@1"]
    assert measured["held_out"] == {"version": "0001", "incidents": 26, **held}
    job = client.post("/api/v1/evaluate", json={"replay": True}).json()
    assert finished(client, job["id"])["state"] == "done"
    replayed = client.get(f"/api/v1/jobs/{job['id']}/result").json()["measures"]
    assert replayed["AC@1"] == pytest.approx(held["untrained"]["AC@1"], abs=1e-6)


def test_a_lesson_looks_at_snapshots_that_no_analysis_of_this_engine_saw(client: httpx.Client, served: Any) -> None:
    store = served.service.store
    before = store.learned_version(store.learned_versions()[-1].version)
    old = "UPDATE portraits SET engine = '0' WHERE incident = 'i-001'"
    execute(Path(served.configuration.data), "DELETE FROM portraits WHERE incident = 'i-000'", old)
    told = learn(client)
    assert (told["result"]["taught"], told["result"]["skipped"]) == (26, 0)
    assert len(store.portraits(["i-000", "i-001"])) == 2
    after = store.learned_version(told["result"]["version"])
    assert before.version < after.version
    assert before.kinds == after.kinds  # an analysis and a lesson see the same


def test_one_token_is_one_user_whoever_it_claims_to_be(client: httpx.Client, served: Any) -> None:
    words = ["token", "create", "eve", "--scope", "feedback", "--data", served.configuration.data]
    secret = CliRunner().invoke(app, words).stdout.split()[-1]
    with served.client(secret) as eve:
        for number in range(5):
            said = {"opinion": "confirmed", "component": "feed", "kind": "leak", "who": f"honest-{number}"}
            assert eve.post(f"/api/v1/incidents/i-{number:03d}/feedback", json=said).status_code == 201
    version = learn(client)["result"]["version"]
    card = json.loads(served.service.store.learned_version(version).card)
    assert card["users"] == sorted([secret.split("_")[1], "admin"])
    for number in range(5):
        confirm(client, number)


def test_what_a_service_learnt_is_shown_and_taken_back_by_command(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RCA_TOKEN", ADMIN)

    def run(*words: str) -> str:
        done = CliRunner().invoke(app, ["learn", *words, "--url", served.url])
        assert done.exit_code == 0, done.output
        return done.stdout

    assert "in use now" in run()
    shown = run("show")
    assert "26 incidents are confirmed" in shown
    assert "weight (log odds)" in shown
    assert "is in use; it learns again when it is told to" in run("rollback")
    assert "somebody went back" in run("show")
    assert "the untrained answer is in use" in run("rollback", "--untrained")
    refused = CliRunner().invoke(app, ["learn", "--url", served.url, "--data", "x"])
    assert refused.exit_code == 2


def test_who_goes_back_is_not_overruled_by_the_schedule(taught: Taught, tmp_path: Path, start: Any) -> None:
    shutil.copytree(taught.folder, tmp_path / "data")
    with start(tmp_path / "data", decoders=1, learn_hours=0.0003) as running, running.client() as client:
        time.sleep(1.5)
        assert len(client.get("/api/v1/learned").json()["uses"]) == 1  # nothing is new
        fill(client, range(26, 27))
        assert wait_for(client, "0002")["result"]["confirmed"] == 27
        back = client.post("/api/v1/learned/rollback").json()
        assert (back["in_use"], back["held"]) == ("0001", True)
        assert named(post(client, 200)) == "0001"
        fill(client, range(27, 28))
        time.sleep(2.5)
        assert client.get("/api/v1/learned").json()["in_use"] == "0001"
        off = client.post("/api/v1/learned/rollback", params={"untrained": True}).json()
        assert (off["in_use"], off["uses"][0]["action"]) == ("", "rollback")
        assert named(post(client, 201)) == ""
        assert client.post("/api/v1/learned/rollback").status_code == 409
        told = learn(client)
        assert (told["in_use"], told["held"]) == ("0003", False)


def test_damaged_weights_give_the_untrained_answer_and_say_so(taught: Taught, tmp_path: Path, start: Any) -> None:
    shutil.copytree(taught.folder, tmp_path / "data")
    execute(
        tmp_path / "data",
        "UPDATE learned_versions SET weights = CAST(substr(weights, 1, 900) || zeroblob(900) AS BLOB)",
        "UPDATE portraits SET content = x'00' WHERE incident = 'i-003'",
    )
    with start(tmp_path / "data", **OFF) as running, running.client() as client:
        report = post(client, 100)
        assert report["verdict"] != "healthy"
        assert not any(cause.get("learned") for cause in report["root_causes"])
        for place in ("warnings", "degraded"):
            assert any("learned version 0001 is missing or damaged" in each for each in report[place])
            assert any("1 of 26 confirmed incidents were not compared" in each for each in report[place])
        told = learn(client)
        assert (told["in_use"], told["result"]["taught"]) == ("0002", 26)
        report = post(client, 101)
        assert named(report) == "0002"


def test_a_version_that_is_gone_is_no_reason_to_fail(taught: Taught, tmp_path: Path) -> None:
    shutil.copytree(taught.folder, tmp_path / "data")
    execute(tmp_path / "data", "DELETE FROM learned_versions")
    store = open_store(f"sqlite:{tmp_path / 'data' / 'rca.db'}")
    experience = Experience(store)
    try:
        known = experience.recall()
        assert known["version"] == "0001"
        with pytest.raises(ModelError):
            learned_weights(known)
        shutil.rmtree(Path(known["precedents"]).parent)  # as who tidies up /tmp does
        store.add_feedback(replace(store.confirmed(limit=1)[0], id="fb-new", time=time.time_ns())).result()
        found, lost = precedents_for("i-100", experience.recall())
        assert (len(found or ()), lost) == (26, 0)
    finally:
        experience.close()
        store.close()


def test_a_service_killed_in_a_lesson_keeps_its_version_and_learns_again(
    taught: Taught, tmp_path: Path, serve: Callable[..., Any]
) -> None:
    shutil.copytree(taught.folder, tmp_path / "data")
    first = serve(tmp_path, RCA_LEARN_HOURS="0")
    first.wait_until_ready()
    headers = {"Authorization": f"Bearer {ADMIN}"}
    with httpx.Client(base_url=first.url, headers=headers, timeout=60) as client:
        job = client.post("/api/v1/learn").json()["id"]
        while client.get(f"/api/v1/jobs/{job}").json()["state"] == "queued":
            time.sleep(0.02)
        assert client.get(f"/api/v1/jobs/{job}").json()["state"] == "running"
    first.kill(signal.SIGKILL)
    second = serve(tmp_path, RCA_LEARN_HOURS="0")
    second.wait_until_ready()
    with httpx.Client(base_url=second.url, headers=headers, timeout=60) as client:
        assert client.get("/api/v1/learned").json()["in_use"] == "0001"
        assert named(post(client, 100)) == "0001"
        assert finished(client, job)["state"] == "done"
        assert client.get("/api/v1/learned").json()["in_use"] == "0002"


def test_two_replicas_learn_once_and_both_use_it(tmp_path: Path, postgres: Any, start: Any) -> None:
    store = {"store": postgres.database(), **OFF}
    with (
        start(tmp_path / "a", **store) as one,
        start(tmp_path / "b", **store) as two,
        one.client() as here,
        two.client() as there,
    ):
        fill(here, range(20))
        jobs = {client.post("/api/v1/learn").json()["id"] for client in (here, there)}
        assert len(jobs) == 1
        assert finished(there, jobs.pop())["state"] == "done"
        assert [client.get("/api/v1/learned").json()["in_use"] for client in (here, there)] == ["0001", "0001"]
        assert [named(post(client, 100 + i)) for i, client in enumerate((here, there))] == ["0001", "0001"]
        assert here.post("/api/v1/learned/rollback").status_code == 200
        assert named(post(there, 102)) == ""
