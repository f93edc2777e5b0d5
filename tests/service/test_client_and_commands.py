"""The client and the commands against a running service."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import rca
from rca.cli import app
from rca.client import ServiceError
from rca.errors import SettingsError
from rca.resources import bundled
from rca.service.examples import WINDOW

DEMO = bundled("datasets", "demo-shop/01-bad-deployment")
ADMIN = "a-token-for-tests-0123456789-0123456789"  # as in conftest.py


@pytest.fixture
def client(server: Any) -> Any:
    with rca.Client(server.url, ADMIN) as opened:
        yield opened


@pytest.fixture
def run(server: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setenv("RCA_URL", server.url)
    monkeypatch.setenv("RCA_TOKEN", ADMIN)

    def command(*arguments: object) -> Any:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return command


def test_the_client_posts_a_case_and_gets_everything_about_it(client: rca.Client) -> None:
    report = client.analyze(rca.read_case(DEMO))
    incident = report["incident"]["id"]
    cause = report["root_causes"][0]["component"]
    assert client.report(incident) == report
    assert client.incident(incident)["cause"] == cause
    assert "<html" in client.page(incident)
    assert "graphml" in client.graph(incident, "graphml")
    assert client.feedback(incident, "confirmed", component=cause)["component"] == cause
    assert client.evaluate([incident])["measures"]["AC@1"] == 1.0
    assert incident in [found["id"] for found in client.incidents(verdict="cause")]


def test_the_client_takes_a_window_as_a_dict_and_does_not_need_to_wait(client: rca.Client) -> None:
    job = client.submit(WINDOW)
    assert client.wait(job["id"])["state"] == "done"
    assert client.report(job["incident"])["root_causes"][0]["component"] == "cart-db"
    assert client.push_changes({"component": "cart", "kind": "deployment", "name": "1.2"})["accepted"] == 1


def test_the_client_says_what_the_service_said(client: rca.Client, server: Any) -> None:
    with pytest.raises(ServiceError, match="no incident") as caught:
        client.report("none")
    assert caught.value.status == 404
    with pytest.raises(ServiceError, match="Unauthorized"), rca.Client(server.url, "wrong") as stranger:
        stranger.incident("none")
    with pytest.raises(ServiceError, match="does not answer"), rca.Client("http://127.0.0.1:9", "x", retries=0) as lost:
        lost.incident("none")


def test_a_client_without_a_token_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RCA_TOKEN", raising=False)
    with pytest.raises(SettingsError, match="rca token create"):
        rca.Client()


def test_incidents_are_posted_shown_and_judged_by_command(run: Callable[..., Any], tmp_path: Path) -> None:
    posted = run("incident", "post", DEMO)
    assert posted.exit_code == 0, posted.output
    (incident,) = re.findall(r"Incident (\S+),", posted.output)
    page = tmp_path / "page.html"
    shown = run("incident", "show", incident, "--html", page)
    assert shown.exit_code == 0
    cause = rca.analyze(rca.read_case(DEMO)).root_causes[0].component
    assert cause in shown.output
    assert "<html" in page.read_text()
    assert incident in run("incident", "show").output
    assert '"schema": "rca.report/1"' in run("incident", "show", incident, "--format", "json").output
    assert run("incident", "feedback", incident, "confirmed", "--component", cause).exit_code == 0
    refused = run("incident", "feedback", incident, "confirmed")
    assert refused.exit_code == 2
    assert "Traceback" not in refused.output


def test_tokens_are_made_listed_and_revoked_by_command(run: Callable[..., Any], server: Any) -> None:
    data = ("--data", server.configuration.data)
    made = run("token", "create", "alertmanager", "--scope", "ingest", "--days", 3, *data)
    assert made.exit_code == 0, made.output
    (text,) = re.findall(r"rca_\w{8}_[\w-]{43}", made.output)
    with server.client(text) as client:
        assert client.post("/api/v1/changes", json=[]).status_code == 202
        assert client.get("/api/v1/rules").status_code == 403
        listed = run("token", "list", *data)
        assert "alertmanager" in listed.output
        assert text not in listed.output
        number = text.split("_")[1]
        assert run("token", "revoke", number, *data).exit_code == 0
        time.sleep(2.1)  # as long as a running service remembers a token
        assert client.post("/api/v1/changes", json=[]).status_code == 401
    assert run("token", "revoke", number, *data).exit_code == 2
    assert run("token", "create", "x", "--scope", "everything", *data).exit_code == 2


def test_a_second_service_on_one_folder_is_refused(server: Any) -> None:
    from rca.errors import StoreError
    from rca.service.state import _lock

    with pytest.raises(StoreError, match="another service"):
        _lock(Path(server.configuration.data) / "rca.db")


def test_a_service_over_tls_answers_clients_that_trust_it(run_service: Callable[..., Any], tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run(command, check=True, capture_output=True, env={**os.environ})
    except FileNotFoundError:
        pytest.skip("there is no openssl to make a certificate with")
    running = run_service(tls_certificate=str(certificate), tls_key=str(key))
    url = running.url.replace("http:", "https:")
    with rca.Client(url, ADMIN, verify=certificate) as client:
        assert client.incident
        assert list(client.incidents()) == []
    with pytest.raises(ServiceError, match="does not answer"), rca.Client(url, ADMIN, retries=0) as stranger:
        stranger.incident("none")


def test_tls_files_that_do_not_fit_are_refused_before_the_start(tmp_path: Path) -> None:
    from rca.service.configuration import Configuration
    from rca.service.server import make_server

    nothing = tmp_path / "none.pem"
    nothing.write_text("nothing")
    with pytest.raises(SettingsError, match="do not fit"):
        make_server(Configuration(tls_certificate=str(nothing), tls_key=str(nothing)))
    with pytest.raises(SettingsError, match="no file"):
        make_server(Configuration(tls_certificate="none", tls_key="none"))
