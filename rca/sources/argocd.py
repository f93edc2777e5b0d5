"""Argo CD's notifications, by the template that follows: Argo CD has no body of its own.

    service.webhook.rca: |
      url: https://rca.example/api/v1/ingest/argocd
      headers: [{name: Content-Type, value: application/json}, {name: Authorization, value: Bearer $rca-token}]
    template.rca-sync: |
      webhook:
        rca:
          method: POST
          body: |
            {"app": {{ .app.metadata.name | toJson }}, "namespace": {{ .app.spec.destination.namespace | toJson }},
             "revision": {{ .app.status.sync.revision | toJson }},
             "phase": {{ .app.status.operationState.phase | toJson }},
             "finishedAt": {{ .app.status.operationState.finishedAt | toJson }}}

It sends again after 5xx and network errors, three times within seconds, and never after 4xx.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from rca.errors import SourceError
from rca.sources.bodies import DEFAULT_LIMITS, Limits, decode_json, digest, header, inflate
from rca.sources.instants import parse_instant
from rca.sources.notices import clock_now
from rca.sources.received import Received
from rca.types import Change

OVERLOADED = 503
ACCEPTED = 202
_WHERE = "Argo CD webhook"
_DONE = frozenset(("Succeeded", "Failed", "Error"))


class _Body(msgspec.Struct, rename="camel"):
    app: str
    namespace: str | None = None
    revision: str | None = None
    phase: str | None = None
    finished_at: str | None = None
    initiated_by: str | None = None
    component: str | None = None


def decode_argocd(
    body: bytes,
    *,
    headers: Mapping[str, str] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    now: Callable[[], int] = clock_now,
) -> Received:
    """The sync of one notification, once it is over; the component is the application, or ``component``.

    Raises:
        SourceError: malformed.
    """
    content = inflate(body, header(headers or {}, "content-encoding"), where=_WHERE, limits=limits)
    sync = decode_json(content, _Body, where=_WHERE)
    if not sync.app:
        raise SourceError("no app", where=_WHERE, remedy="Use the template of docs/sources.md")
    if sync.phase and sync.phase not in _DONE:
        return Received(ignored=1)
    finished = parse_instant(sync.finished_at, where=f"{_WHERE}.finishedAt")
    facts = {
        "revision": sync.revision,
        "namespace": sync.namespace,
        "phase": sync.phase,
        "author": sync.initiated_by,
    }
    component = sync.component or sync.app
    verb = "synced" if sync.phase in (None, "", "Succeeded") else "sync failed"
    change = Change(
        id=digest("argocd", sync.namespace or "", sync.app, sync.revision or "", sync.phase or "", str(finished)),
        component=component,
        kind="change.deployment",
        name=f"{component} {verb} {(sync.revision or '')[:12]}".strip(),
        time=now() if finished is None else finished,
        attributes={name: fact[:500] for name, fact in facts.items() if fact},
    )
    return Received(changes=(change,))
