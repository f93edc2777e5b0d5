"""Who may do what; that no secret is ever told; and that requests are limited."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from rca.service.auth import SCOPES, make_token
from rca.service.examples import WINDOW
from rca.service.gate import PUBLIC

ADMIN = "a-token-for-tests-0123456789-0123456789"  # as in conftest.py
NEEDED = {
    "POST /api/v1/incidents": "analyse",
    "POST /api/v1/evaluate": "analyse",
    "GET /api/v1/incidents": "read",
    "GET /metrics": "read",
    "GET /api/v1/audit": "admin",
    "POST /v1/traces": "ingest",
    "POST /api/v1/changes": "ingest",
    "POST /api/v1/incidents/x/feedback": "feedback",
    "DELETE /api/v1/jobs/x": "analyse",
}


def routes(server: Any) -> list[tuple[str, str]]:
    found = [("GET", "/openapi.json")]
    for route in server.app.routes:
        if isinstance(route, APIRoute):
            path = re.sub(r"\{\w+\}", "x", route.path)
            found += [(method, path) for method in sorted(route.methods)]
    return found


def grant(server: Any, *scopes: str, **facts: Any) -> str:
    token, text = make_token("test", scopes, now=time.time_ns(), **facts)
    server.service.store.add_token(token).result()
    return text


def test_every_route_but_health_is_refused_without_a_token(server: Any) -> None:
    found = routes(server)
    assert len(found) > 30
    with server.client(token="") as client:
        for method, path in found:
            answer = client.request(method, path)
            if path in PUBLIC:
                assert answer.status_code == 200, path
            else:
                assert answer.status_code == 401, (method, path)
                assert answer.headers["www-authenticate"].startswith("Bearer")
                assert answer.json()["status"] == 401
        assert client.get("/no/such/route").status_code == 401


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer x", "Bearer rca_00000000_" + "A" * 43, "Basic ???", "Digest x", "Bearer \xe4\xff"],
)
def test_what_is_no_token_is_refused(server: Any, authorization: str) -> None:
    raw = authorization.encode("latin-1")
    with server.client(token="") as client:
        assert client.get("/api/v1/rules", headers=[(b"authorization", raw)]).status_code == 401


@pytest.mark.parametrize("call", sorted(NEEDED))
def test_each_scope_opens_its_routes_and_no_others(server: Any, call: str) -> None:
    method, path = call.split()
    for scope in SCOPES:
        with server.client(grant(server, scope)) as client:
            status = client.request(method, path).status_code
            allowed = scope in (NEEDED[call], "admin")
            assert (status != 403) == allowed, (call, scope, status)
            assert status < 500


def test_a_token_may_be_the_password_of_basic_authentication(server: Any) -> None:
    pair = base64.b64encode(f"prometheus:{grant(server, 'read')}".encode()).decode()
    with server.client(token="") as client:
        assert client.get("/api/v1/rules", headers={"Authorization": f"Basic {pair}"}).status_code == 200


def test_a_revoked_and_an_expired_token_are_refused(server: Any) -> None:
    text = grant(server, "read")
    expired = grant(server, "read", expires=time.time_ns() - 1)
    with server.client(text) as client, server.client(expired) as late:
        assert client.get("/api/v1/rules").status_code == 200
        assert late.get("/api/v1/rules").status_code == 401
        server.service.store.revoke_token(text.split("_")[1], time.time_ns()).result()
        server.service.auth.forget()
        assert client.get("/api/v1/rules").status_code == 401


def test_a_token_with_another_secret_is_refused(server: Any) -> None:
    text = grant(server, "read")
    with server.client(text[:-2] + ("AA" if text[-2:] != "AA" else "BB")) as client:
        assert client.get("/api/v1/rules").status_code == 401


def test_the_store_holds_no_secret(server: Any) -> None:
    text = grant(server, "read")
    (token,) = [token for token in server.service.store.tokens() if token.id == text.split("_")[1]]
    assert token.digest == hashlib.sha256(text.split("_", 2)[2].encode()).digest()


def test_a_signed_webhook_needs_no_token_and_a_badly_signed_one_is_refused(server: Any) -> None:
    body = json.dumps({"zen": "keep it simple"}).encode()
    good = "sha256=" + hmac.new(b"a-shared-secret", body, hashlib.sha256).hexdigest()
    headers = {"X-GitHub-Event": "ping", "Content-Type": "application/json"}
    with server.client(token="") as client:
        path = "/api/v1/ingest/github"
        assert client.post(path, content=body, headers=headers | {"X-Hub-Signature-256": good}).status_code == 202
        bad = good[:-1] + ("0" if good[-1] != "0" else "1")
        assert client.post(path, content=body, headers=headers | {"X-Hub-Signature-256": bad}).status_code == 401
        assert client.post(path, content=body, headers=headers).status_code == 401
        assert client.post("/api/v1/changes", content=b"[]", headers={"X-Hub-Signature-256": good}).status_code == 401


def test_no_cors_header_is_sent(http: httpx.Client) -> None:
    answer = http.get("/api/v1/rules", headers={"Origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert http.options("/api/v1/rules", headers={"Origin": "https://evil.example"}).status_code == 405


def test_the_audit_log_says_who_did_what(server: Any, http: httpx.Client) -> None:
    posted = http.post("/api/v1/incidents?wait=60", json=WINDOW)
    incident = posted.headers["location"].rsplit("/", 1)[1]
    http.post(f"/api/v1/incidents/{incident}/feedback", json={"opinion": "confirmed", "component": "cart-db"})
    entries = http.get("/api/v1/audit").json()["entries"]
    told = [(entry["who"], entry["action"], entry["subject"]) for entry in entries]
    assert ("admin", "incident.post", incident) in told
    assert ("admin", "incident.feedback", incident) in told


def test_no_token_stands_in_any_log(serve: Callable[..., Any]) -> None:
    _, text = make_token("x", ["read"], now=0)
    process = serve(RCA_LOG_LEVEL="debug", RCA_GITHUB_SECRETS="the-secret-of-github")
    process.wait_until_ready()
    secret = text.split("_", 2)[2]
    pair = base64.b64encode(f"user:{text}".encode()).decode()
    with httpx.Client(base_url=process.url) as client:
        client.get("/api/v1/rules", headers={"Authorization": f"Bearer {text}"})
        client.get("/api/v1/rules", headers={"Authorization": f"Basic {pair}"})
        client.get(f"/api/v1/rules?token={text}", headers={"Authorization": f"Bearer {ADMIN}"})
        client.get(f"/api/v1/incidents/{text}", headers={"Authorization": f"Bearer {ADMIN}"})
        client.post("/api/v1/changes", content=text, headers={"Authorization": f"Bearer {ADMIN}"})
    process.kill(signal.SIGTERM)
    log = process.log.read_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert [line for line in lines if line["message"] == "request" and len(line["trace_id"]) == 32]
    for hidden in (secret, pair, ADMIN, "the-secret-of-github"):
        assert hidden not in log


def test_the_token_of_the_first_start_is_printed_once_and_works(
    serve: Callable[..., Any], run_service: Callable[..., Any], tmp_path: Path
) -> None:
    process = serve(RCA_ADMIN_TOKEN="")
    process.wait_until_ready()
    (text,) = re.findall(r"rca_\w+_[\w-]{43}", process.log.read_text())
    assert httpx.get(f"{process.url}/api/v1/rules", headers={"Authorization": f"Bearer {text}"}).status_code == 200
    assert process.kill(signal.SIGTERM) == 0
    again = run_service(data=str(tmp_path / "data"), admin_token="")
    assert again.service.printed_token == ""
    assert httpx.get(f"{again.url}/api/v1/rules", headers={"Authorization": f"Bearer {text}"}).status_code == 200
