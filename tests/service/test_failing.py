"""An analysis that fails outright is told like any answer, shown, and tried again so often and no more."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from rca.notify.endpoints import Target
from rca.notify.forms import FORMS, render
from rca.notify.message import Occasion
from rca.notify.summary import Summary, summarize_failure
from rca.service.telling import read_message
from rca.types import SECOND, to_text

NOBODY = {"url": "http://127.0.0.1:9", "allow_http": True, "seconds": 0.5, "networks": ("127.0.0.0/8",)}
TARGETS = (
    Target(name="notes", form="pagerduty-note", secret="s", sender="ada@shop.example", **NOBODY),
    Target(name="chat", form="slack", **NOBODY),
    Target(name="only-causes", form="webhook", verdicts=("cause",), **NOBODY),
)


def alerts(detected: float) -> dict[str, Any]:
    alert = {
        "status": "firing",
        "labels": {"alertname": "Slow", "service": "web", "pagerduty_incident": "PD1"},
        "startsAt": to_text(int(detected * SECOND)),
        "fingerprint": "f",
    }
    return {"version": "4", "groupKey": "g", "status": "firing", "alerts": [alert]}


def wait_for(found: Callable[[], Any], seconds: float = 30) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if value := found():
            return value
        time.sleep(0.1)
    raise AssertionError("it does not come")


def test_whoever_is_paged_hears_that_an_analysis_failed_and_that_it_is_given_up(
    run_service: Callable[..., Any],
) -> None:
    running = run_service(
        targets=TARGETS,
        analysis_seconds=0.001,
        settle_seconds=0.1,
        follow_up_seconds=0.2,
        most_analyses=2,
        public_url="https://rca.example",
    )
    store = running.service.store

    def messages(target: str) -> list[Summary]:
        return [read_message(one).summary for one in reversed(store.deliveries()) if one.target == target]

    with running.client() as client:
        assert client.post("/api/v1/ingest/alertmanager", json=alerts(time.time() - 5)).is_success
        wait_for(lambda: len(messages("chat")) == 2)
        (incident,) = client.get("/api/v1/incidents", params={"verdict": "failed"}).json()["incidents"]
        first, second = messages("chat")
        assert "longer than 0.001 s" in first.headline
        assert "tried again in 0.2 s" in first.headline
        assert "not tried again by itself" in second.headline
        assert any("by hand" in step for step in second.steps)
        assert messages("notes") == [first, second]
        assert messages("only-causes") == []
        shown = client.get(f"/api/v1/incidents/{incident['id']}").json()
        assert [job["state"] for job in shown["jobs"]] == ["failed", "failed"]

        report = client.get(incident["links"]["report"])
        assert report.status_code == 404
        assert "longer than 0.001 s" in report.json()["detail"]
        assert "raise analysis_seconds" in report.json()["remedy"]
        page = client.get(incident["links"]["page"])
        assert page.status_code == 200
        assert "Analysis failed" in page.text
        assert "longer than 0.001 s" in page.text
        time.sleep(0.7)
        assert len(client.get(f"/api/v1/incidents/{incident['id']}").json()["jobs"]) == 2


def failure(**facts: Any) -> Summary:
    plain = {"incident": "i1", "title": "Slow on web", "problem": "no memory", "where": "", "remedy": "", "again": 90}
    return summarize_failure(**plain | facts)


@pytest.mark.parametrize("form", [name for name, form in FORMS.items() if not form.of_change])
def test_every_receiver_can_be_told_of_a_failure(form: str) -> None:
    told = failure(where="metrics <b>", remedy="Raise worker_memory", url="https://rca.example/i1")
    body = render(form, told, Occasion(page="P", group="g", now="2026-01-31T12:00:00Z", reference="r")).body.decode()
    assert "no memory (metrics" in body
    assert "tried again in 90 s" in body


def test_the_same_failure_is_one_message_and_giving_up_is_another() -> None:
    assert failure().gist == failure().gist
    assert len({failure().gist, failure(again=0).gist, failure(problem="no time").gist}) == 3
    assert failure().subject == "Analysis failed: the cause is not known"
    assert failure().lines()[0] == "ANALYSIS FAILED"


@pytest.mark.parametrize(("verdicts", "told"), [((), True), (("inconclusive",), True), (("cause", "healthy"), False)])
def test_a_failure_is_told_to_whom_an_inconclusive_answer_is(verdicts: tuple[str, ...], *, told: bool) -> None:
    target = Target(name="t", form="webhook", verdicts=verdicts, **NOBODY)
    assert target.wants("failed", ["web"], [{}], from_alerts=True) == told
