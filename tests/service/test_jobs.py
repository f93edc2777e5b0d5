"""Jobs: done once in effect, whatever dies; cancelled, stopped at their deadline, and handed over."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from rca.errors import InputError
from rca.service.examples import WINDOW
from rca.service.workers import TooLongError, WorkerDiedError, WorkerPool
from rca.stores import open_store

JSON = {"Content-Type": "application/json"}
BODY = json.dumps(WINDOW).encode()
ADMIN = {"Authorization": "Bearer a-token-for-tests-0123456789-0123456789"}


def children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(stat.parent.name))
    return found


def workers() -> dict[int, str]:
    """The worker processes of this process, and what state they are in."""
    found = {}
    for pid in children(os.getpid()):
        if b"rca.service.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
            found[pid] = "worker"
    return found


def post(client: httpx.Client, **query: Any) -> httpx.Response:
    return client.post("/api/v1/incidents", params=query, content=BODY, headers=JSON)


def finished(client: httpx.Client, job: str, seconds: float = 60) -> dict[str, Any]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        answer = client.get(f"/api/v1/jobs/{job}")
        if answer.status_code == 410:
            return {"state": "cancelled"}
        found: dict[str, Any] = answer.json()
        if found["state"] in ("done", "failed", "cancelled"):
            return found
        time.sleep(0.1)
    raise AssertionError("the job does not end")


def test_a_worker_that_dies_is_replaced_and_its_caller_hears_of_it() -> None:
    async def check() -> None:
        pool = WorkerPool(1, memory=4 << 30)
        await pool.start()
        try:
            before = set(workers())
            call = asyncio.ensure_future(pool.call("analyse", {"top_k": 1}, [b"x" * (8 << 20)], seconds=60))
            await asyncio.sleep(0)
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            with pytest.raises((WorkerDiedError, InputError)):
                await call
            with pytest.raises(InputError, match="no zip"):
                await pool.call("analyse", {"top_k": 1}, [b"nonsense"], seconds=60)
            assert not before & set(workers())
            with pytest.raises(TooLongError):
                await pool.call("analyse", {"top_k": 1}, [b"nonsense" * 100_000], seconds=0.0)
        finally:
            await pool.close()
        assert not workers()

    asyncio.run(check())


def test_a_job_whose_worker_is_killed_is_done_in_another_attempt(run_service: Callable[..., Any]) -> None:
    running = run_service(processes=True)
    with running.client() as client:
        job = post(client, wait=0).json()["id"]
        killed = False
        until = time.monotonic() + 20
        while not killed and time.monotonic() < until:
            if client.get(f"/api/v1/jobs/{job}").json()["state"] == "running":
                for pid in workers():
                    os.kill(pid, signal.SIGKILL)
                killed = True
        found = finished(client, job)
        assert found["state"] == "done"
        assert found["attempt"] >= 1
        reports = running.service.store.read("SELECT count(*) FROM reports WHERE job = ?", (job,))
        assert reports[0][0] == 1


def test_a_job_that_takes_too_long_is_stopped(run_service: Callable[..., Any]) -> None:
    running = run_service(analysis_seconds=0.001)
    with running.client() as client:
        answer = post(client, wait=30)
        assert answer.status_code == 422
        assert "longer than" in answer.json()["detail"]
        assert client.get("/healthz").status_code == 200


def test_a_waiting_job_can_be_cancelled_and_a_finished_one_can_not(server: Any) -> None:
    with server.client() as client:
        jobs = [post(client, wait=0).json()["id"] for _ in range(6)]
        cancelled = client.delete(f"/api/v1/jobs/{jobs[-1]}")
        assert cancelled.status_code == 200
        assert cancelled.json()["state"] == "cancelled"
        assert [finished(client, job)["state"] for job in jobs] == ["done"] * 5 + ["cancelled"]
        assert client.delete(f"/api/v1/jobs/{jobs[0]}").status_code == 409
        assert client.delete("/api/v1/jobs/job-none").status_code == 404
        incident = cancelled.json()["incident"]
        assert client.get(f"/api/v1/incidents/{incident}").json()["jobs"][0]["state"] == "cancelled"
        assert client.get(f"/api/v1/incidents/{incident}/report").status_code == 404


def test_feedback_measures_the_reports_and_their_replay(http: httpx.Client, server: Any) -> None:
    chosen = []
    for component in ("cart-db", "web", "nowhere"):
        incident = post(http, wait=60).headers["location"]
        said = {"opinion": "confirmed", "component": component, "who": "ada"}
        told = http.post(f"{incident}/feedback", json=said)
        assert told.status_code == 201
        assert told.json()["who"].startswith("ada")
        chosen.append(incident.rsplit("/", 1)[1])
    measured = http.post("/api/v1/evaluate", json={"incidents": chosen}).json()
    assert measured["incidents"] == 3
    assert measured["measures"]["AC@1"] == pytest.approx(1 / 3, abs=1e-6)
    ranks = {case["incident"]: case["rank"] for case in measured["cases"]}
    assert ranks[chosen[0]] == 1
    assert ranks[chosen[2]] is None
    job = http.post("/api/v1/evaluate", json={"incidents": chosen, "replay": True}).json()
    assert finished(http, job["id"])["state"] == "done"
    replayed = http.get(f"/api/v1/jobs/{job['id']}/result").json()
    assert replayed == measured | {"replayed": True}
    server.service.metrics.accuracy_due = 0.0
    assert 'rca_accuracy{k="1"}' in http.get("/metrics").text


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"opinion": "confirmed"}, 422),
        ({"opinion": "note"}, 422),
        ({"opinion": "perhaps"}, 422),
        ({"opinion": "wrong", "score": 1}, 422),
        ({"opinion": "wrong"}, 404),
    ],
)
def test_feedback_that_says_nothing_is_refused(http: httpx.Client, said: dict[str, Any], status: int) -> None:
    assert http.post("/api/v1/incidents/none/feedback", json=said).status_code == status


def test_incidents_are_listed_page_by_page(http: httpx.Client) -> None:
    for _ in range(3):
        post(http, wait=60)
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = http.get("/api/v1/incidents", params={"limit": 2, "cursor": cursor}).json()
        seen += [incident["id"] for incident in page["incidents"]]
        cursor = page["next"]
    assert len(seen) == len(set(seen)) >= 3
    assert http.get("/api/v1/incidents", params={"cursor": "bm9uc2Vuc2U"}).status_code == 404
    assert http.get("/api/v1/incidents", params={"verdict": "healthy"}).json()["incidents"] == []
    causes = http.get("/api/v1/incidents", params={"cause": "cart-db"}).json()["incidents"]
    assert {incident["cause"] for incident in causes} == {"cart-db"}


def test_a_stop_lets_running_requests_end(serve: Callable[..., Any]) -> None:
    process = serve()
    process.wait_until_ready()
    with httpx.Client(base_url=process.url, headers=ADMIN, timeout=60) as client:
        jobs = [post(client, wait=0).json()["id"] for _ in range(3)]
        started = time.monotonic()
        assert process.kill(signal.SIGTERM) == 0
        assert time.monotonic() - started < 40
    store = open_store(f"sqlite:{process.log.parent / 'data' / 'rca.db'}")
    states = {store.job(job).state for job in jobs}
    store.close()
    assert states <= {"done", "queued"}


def test_two_replicas_share_one_postgres_and_one_may_be_killed(serve: Callable[..., Any], postgres: Any) -> None:
    """Every job that was accepted is done, and has one report, although a replica is killed within its work."""
    url = postgres.database()
    shared = {"RCA_STORE": url, "RCA_LEASE_SECONDS": "2", "RCA_ATTEMPTS": "5"}
    first, second = serve(**shared), serve(**shared)
    for replica in (first, second):
        replica.wait_until_ready()
    with httpx.Client(headers=ADMIN, timeout=60) as client:
        jobs = []
        for number in range(12):
            replica = (first, second)[number % 2]
            keyed = ADMIN | JSON | {"Idempotency-Key": f"k{number}"}
            answer = client.post(f"{replica.url}/api/v1/incidents?wait=0", content=BODY, headers=keyed)
            assert answer.status_code in (200, 202), answer.text
            jobs.append(answer.json()["id"] if answer.status_code == 202 else answer.headers["x-rca-job"])
        first.kill(signal.SIGKILL)
        # What the client never heard of it sends again, to the other replica.
        again = client.post(
            f"{second.url}/api/v1/incidents?wait=0", content=BODY, headers=ADMIN | JSON | {"Idempotency-Key": "k0"}
        )
        assert again.status_code in (200, 202)
        with httpx.Client(base_url=second.url, headers=ADMIN, timeout=60) as other:
            assert {finished(other, job, 120)["state"] for job in jobs} == {"done"}
    store = open_store(url)
    rows = store.read("SELECT job, count(*) FROM reports GROUP BY job")  # type: ignore[attr-defined]
    states = store.count_jobs()
    store.close()
    assert dict.fromkeys(jobs, 1) == {job: int(count) for job, count in rows}
    assert states == {"done": 12}
