"""PagerDuty's webhooks, version 3: incidents that were triggered and resolved.

PagerDuty waits five seconds and sends again after 5xx, 429 and timeouts, for two days; three
events in a row that were dropped disable the subscription. One event per request, at least once.
It carries no labels of alerts: whoever needs them asks ``/incidents/{id}/alerts``
(https://developer.pagerduty.com/docs/webhooks-overview).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from rca.errors import SourceError
from rca.sources.bodies import DEFAULT_LIMITS, Limits, decode_json, digest, header, inflate, plain_text
from rca.sources.instants import parse_instant
from rca.sources.naming import UNKNOWN
from rca.sources.notices import links_of, severity_of
from rca.sources.received import AlertNotice, Received
from rca.sources.signatures import check_signature
from rca.types import Alert

OVERLOADED = 503
ACCEPTED = 202
SIGNATURE = "X-PagerDuty-Signature"
_WHERE = "PagerDuty webhook"
# What begins an incident and what ends it; the others (acknowledged, annotated, reassigned …) change nothing.
_BEGINS = frozenset(("incident.triggered", "incident.reopened"))
_ENDS = frozenset(("incident.resolved",))
_NAMESPACE = "pagerduty"


class _Reference(msgspec.Struct):
    id: str = ""
    summary: str | None = None


class _Incident(msgspec.Struct):
    id: str = ""
    title: str | None = None
    html_url: str | None = None
    incident_key: str | None = None
    created_at: str | None = None
    urgency: str | None = None
    status: str | None = None
    number: int | None = None
    service: _Reference | None = None
    priority: _Reference | None = None


class _Event(msgspec.Struct):
    id: str
    event_type: str
    occurred_at: str | None = None
    data: dict[str, Any] = {}


class _Body(msgspec.Struct):
    event: _Event


def decode_pagerduty(
    body: bytes,
    *,
    headers: Mapping[str, str] | None = None,
    secrets: Sequence[bytes],
    limits: Limits = DEFAULT_LIMITS,
) -> Received:
    """The incident of one webhook, as an alert on its service; what is no begin or end is ignored.

    ``group`` is the incident's key (where Alertmanager opened it: SHA-256 of its group key), and
    the labels ``pagerduty_incident``, ``pagerduty_service`` are the ids to write back to.

    Args:
        secrets: of the subscription; without any nothing is taken.

    Raises:
        SignatureError: not signed with one of the secrets; SourceError: malformed.
    """
    check_signature(body, header(headers or {}, SIGNATURE), secrets, prefix="v1=", where=_WHERE)
    content = inflate(body, header(headers or {}, "content-encoding"), where=_WHERE, limits=limits)
    event = decode_json(content, _Body, where=_WHERE).event
    if event.event_type not in _BEGINS | _ENDS:
        return Received(ignored=1)
    try:
        incident = msgspec.convert(event.data, _Incident)
    except msgspec.ValidationError as bad:
        raise SourceError(str(bad), where=f"{_WHERE}.event.data", remedy="Send webhooks of version 3") from bad
    return Received(alerts=(_notice(event, incident),))


def _notice(event: _Event, incident: _Incident) -> AlertNotice:
    resolved = event.event_type in _ENDS
    occurred = parse_instant(event.occurred_at, where=f"{_WHERE}.event.occurred_at")
    created = parse_instant(incident.created_at, where=f"{_WHERE}.event.data.created_at")
    # An incident that was opened again began when it was opened again.
    start = created if event.event_type != "incident.reopened" or occurred is None else occurred
    start = occurred if start is None else start
    service = incident.service or _Reference()
    labels = {
        "pagerduty_incident": incident.id,
        "pagerduty_key": incident.incident_key or "",
        "pagerduty_service": service.id,
        "service": service.summary or "",
        "priority": (incident.priority.summary or "") if incident.priority else "",
        "urgency": incident.urgency or "",
    }
    end = occurred if resolved else None
    return AlertNotice(
        id=digest(_NAMESPACE, event.id),
        key=f"{_NAMESPACE}:{incident.id or event.id}",
        status="resolved" if resolved else "firing",
        group=incident.incident_key or "",
        links=links_of({}, page=incident.html_url or ""),
        alert=Alert(
            component=service.summary or service.id or UNKNOWN,
            name=plain_text(incident.title or "incident", 300),
            time=start,
            end=max(end, start) if end is not None and start is not None else end,
            severity=severity_of(labels["priority"] or labels["urgency"]),
            text=plain_text(incident.title or ""),
            labels={name: value for name, value in labels.items() if value},
        ),
    )
