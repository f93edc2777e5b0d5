"""GitHub's webhook ``deployment_status``: deployments that reached an environment.

GitHub does not send again by itself: a delivery that failed is redelivered by hand or over its API,
under the same X-GitHub-Delivery (https://docs.github.com/en/webhooks/webhook-events-and-payloads#deployment_status).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from rca.errors import SourceError
from rca.sources.bodies import DEFAULT_LIMITS, Limits, decode_json, digest, header, inflate, plain_text
from rca.sources.instants import parse_instant
from rca.sources.received import Received
from rca.sources.signatures import check_signature
from rca.types import Change

OVERLOADED = 503
ACCEPTED = 202
SIGNATURE = "X-Hub-Signature-256"
_WHERE = "GitHub webhook"
# States of a deployment after which other code runs, or may run.
_DONE = frozenset(("success", "failure", "error", "inactive"))
_EVENT = "deployment_status"


class _User(msgspec.Struct):
    login: str | None = None


class _Status(msgspec.Struct):
    state: str
    id: int = 0
    environment: str | None = None
    description: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    environment_url: str | None = None
    log_url: str | None = None
    creator: _User | None = None


class _Deployment(msgspec.Struct):
    id: int = 0
    sha: str = ""
    ref: str | None = None
    task: str | None = None
    environment: str | None = None
    description: str | None = None
    payload: Any = None
    created_at: str | None = None


class _Repository(msgspec.Struct):
    full_name: str


class _Body(msgspec.Struct):
    deployment_status: _Status
    deployment: _Deployment
    repository: _Repository
    sender: _User | None = None


def decode_github(
    body: bytes,
    *,
    headers: Mapping[str, str] | None = None,
    secrets: Sequence[bytes],
    limits: Limits = DEFAULT_LIMITS,
) -> Received:
    """The deployment of one webhook, once it succeeded, failed or was withdrawn; other events are ignored.

    The component is the payload's ``component`` or ``service`` where the deployment was made with
    one, else the repository's name.

    Raises:
        SignatureError: not signed with one of the secrets; SourceError: malformed.
    """
    headers = headers or {}
    check_signature(body, header(headers, SIGNATURE), secrets, prefix="sha256=", where=_WHERE)
    if header(headers, "X-GitHub-Event") not in (_EVENT, ""):
        return Received(ignored=1)
    content = inflate(body, header(headers, "content-encoding"), where=_WHERE, limits=limits)
    hook = decode_json(content, _Body, where=_WHERE)
    status, deployment = hook.deployment_status, hook.deployment
    if status.state not in _DONE:
        return Received(ignored=1)
    time = parse_instant(status.created_at or status.updated_at or deployment.created_at, where=f"{_WHERE}.created_at")
    if time is None:
        raise SourceError("no time", where=_WHERE, remedy="Send created_at of the deployment status")
    component = _component(deployment.payload) or hook.repository.full_name.rsplit("/", 1)[-1]
    environment = status.environment or deployment.environment or ""
    facts = {
        "repository": hook.repository.full_name,
        "commit": deployment.sha,
        "version": deployment.ref or "",
        "environment": environment,
        "state": status.state,
        "author": (status.creator.login if status.creator else None) or (hook.sender.login if hook.sender else None),
        "url": status.environment_url or status.log_url,
        "delivery": header(headers, "X-GitHub-Delivery"),
    }
    rollback = (deployment.task or "").startswith("rollback") or status.state == "inactive"
    verb = {"success": "deployed", "inactive": "withdrawn"}.get(status.state, "deployment failed")
    version = (deployment.ref or deployment.sha)[:40]
    change = Change(
        id=digest("github", hook.repository.full_name, str(deployment.id), str(status.id), status.state),
        component=component,
        kind="change.rollback" if rollback else "change.deployment",
        name=f"{component} {verb} {version} in {environment}".strip(),
        time=time,
        attributes={name: plain_text(fact, 500) for name, fact in facts.items() if fact},
    )
    return Received(changes=(change,))


def _component(payload: Any) -> str:
    """What the deployment's own payload, free to its maker, names as its service."""
    if isinstance(payload, dict):
        for name in ("component", "service"):
            if isinstance(payload.get(name), str) and payload[name]:
                return str(payload[name])[:300]
    return ""
