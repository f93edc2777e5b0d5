"""Two incidents that a later alert connects become one, with one page, and can be split again."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rca.cli import app
from rca.notify.endpoints import Target
from rca.service.telling import read_message
from rca.types import SECOND, to_text

NOBODY = {"url": "http://127.0.0.1:9", "allow_http": True, "seconds": 0.5, "networks": ("127.0.0.0/8",)}
NOTES = Target(name="notes", form="pagerduty-note", secret="s", sender="ada@shop.example", **NOBODY)
CALLS = "edges: [[web, cart], [cart, cart-db], [cart-db, disk]]\n"


def alert_of(component: str, page: str, began: float, status: str = "firing") -> dict[str, Any]:
    alert = {
        "status": status,
        "labels": {"alertname": "Slow", "service": component, "pagerduty_incident": page},
        "startsAt": to_text(int(began * SECOND)),
        "endsAt": to_text(int((began + 5) * SECOND)) if status == "resolved" else "0001-01-01T00:00:00Z",
        "fingerprint": component,
    }
    return {"version": "4", "groupKey": f"of {component}", "status": status, "alerts": [alert]}


def wait_for(found: Callable[[], Any], seconds: float = 60) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if value := found():
            return value
        time.sleep(0.05)
    raise AssertionError("it does not come")


def test_an_alert_between_two_incidents_makes_them_one_with_one_page_until_they_are_split(
    run_service: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topology = tmp_path / "topology.yaml"
    topology.write_text(CALLS)
    running = run_service(
        targets=(NOTES,),
        topology=str(topology),
        settle_seconds=0.1,
        follow_up_seconds=0.1,
        most_analyses=1,
        public_url="https://rca.example",
    )
    began = time.time() - 5
    with running.client() as client:

        def state_of(incident: str) -> dict[str, Any]:
            shown: dict[str, Any] = client.get(f"/api/v1/incidents/{incident}").json()
            return shown

        def tell(component: str, page: str, status: str = "firing") -> None:
            body = alert_of(component, page, began, status)
            assert client.post("/api/v1/ingest/alertmanager", json=body).is_success

        def told(page: str) -> set[str]:
            """The links that a page was told."""
            return {
                m.summary.url for one in running.service.store.deliveries() if (m := read_message(one)).page == page
            }

        tell("web", "PD-web")
        tell("disk", "PD-disk")
        later, earlier = (each["id"] for each in client.get("/api/v1/incidents").json()["incidents"])
        wait_for(lambda: state_of(earlier)["verdict"] and state_of(later)["verdict"])
        page_of_its_own = client.get(f"/api/v1/incidents/{later}/page").text
        tell("cart", "PD-cart")

        assert state_of(later)["merged_into"] == earlier
        assert state_of(later)["state"] == "merged"
        assert {each["component"] for each in state_of(earlier)["alerts"]} == {"web", "disk", "cart"}
        (merger,) = state_of(earlier)["merged"]
        assert merger["incident"] == later
        assert "Slow of cart" in merger["reason"]
        page = f"https://rca.example/api/v1/incidents/{earlier}/page"
        for paged in ("PD-web", "PD-disk", "PD-cart"):
            wait_for(lambda paged=paged: page in told(paged))
        wait_for(lambda: [job["state"] for job in state_of(earlier)["jobs"]] == ["done", "done"])
        assert (
            client.get(f"/api/v1/incidents/{later}/page").text == client.get(f"/api/v1/incidents/{earlier}/page").text
        )
        assert client.get("/api/v1/incidents", params={"state": "open"}).json()["incidents"][0]["id"] == earlier
        assert [each["subject"] for each in client.get("/api/v1/audit").json()["entries"][:1]] == [later]
        assert 'rca_alert_incidents_total{what="merged"} 1.0' in client.get("/metrics").text

        monkeypatch.setenv("RCA_TOKEN", running.configuration.admin_token)
        said = CliRunner().invoke(app, ["incident", "split", later, "--url", running.url])
        assert said.exit_code == 0, said.output
        assert (state_of(later)["state"], state_of(later)["merged_into"]) == ("open", None)
        assert [each["component"] for each in state_of(later)["alerts"]] == ["disk"]
        assert client.get(f"/api/v1/incidents/{earlier}/page").text != page_of_its_own
        assert client.post(f"/api/v1/incidents/{later}/split").status_code == 409
        tell("disk", "PD-disk", "resolved")
        assert state_of(later)["state"] == "closed"
