"""Alertmanager's webhook, version 4, and its list of alerts.

Alertmanager sends a group again after 5xx and when nobody answers, within seconds; every 4xx, 429
included, makes it drop the notification until the group's next interval. The same group comes again
at each interval, so an alert is told apart by fingerprint, begin and status.
(https://prometheus.io/docs/alerting/latest/configuration/#webhook_config)
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from rca.errors import SourceError
from rca.sources.bodies import DEFAULT_LIMITS, Limits, decode_json, digest, header, inflate, plain_text
from rca.sources.errors import UnsupportedError
from rca.sources.instants import parse_instant
from rca.sources.naming import DEFAULT_NAMING, Naming
from rca.sources.notices import kind_of_labels, links_of, severity_of, text_of
from rca.sources.received import AlertNotice, Received
from rca.types import Alert

OVERLOADED = 503  # never 429: the notification would be dropped
ACCEPTED = 200
_WHERE = "Alertmanager webhook"


class AlertBody(msgspec.Struct, rename="camel"):
    """One alert of a webhook, of Alertmanager or Grafana."""

    status: Any = ""
    labels: dict[str, Any] = {}
    annotations: dict[str, Any] = {}
    starts_at: str | None = None
    ends_at: str | None = None
    generator_url: str | None = msgspec.field(default=None, name="generatorURL")
    fingerprint: str = ""
    dashboard_url: str | None = msgspec.field(default=None, name="dashboardURL")
    panel_url: str | None = msgspec.field(default=None, name="panelURL")
    value_string: str | None = None


class Webhook(msgspec.Struct, rename="camel"):
    """A webhook's body; what else it holds is ignored."""

    alerts: list[AlertBody]
    version: str = ""
    group_key: str = ""
    status: str = ""
    external_url: str | None = msgspec.field(default=None, name="externalURL")
    truncated_alerts: int = 0


def decode_alertmanager(
    body: bytes,
    *,
    headers: Mapping[str, str] | None = None,
    naming: Naming = DEFAULT_NAMING,
    limits: Limits = DEFAULT_LIMITS,
) -> Received:
    """The alerts of one notification; a group may mix firing and resolved ones.

    ``group`` of each is SHA-256 of the group's key: the ``dedup_key`` under which Alertmanager's
    PagerDuty integration opens its incident, and the alias that its Opsgenie integration uses.

    Raises:
        SourceError: malformed; UnsupportedError: another version than 4.
    """
    content = inflate(body, header(headers or {}, "content-encoding"), where=_WHERE, limits=limits)
    hook = decode_json(content, Webhook, where=_WHERE)
    if hook.version not in ("4", ""):
        raise UnsupportedError(f"version {hook.version[:20]!r}", where=_WHERE, remedy="Send version 4")
    return read_webhook(hook, sender="alertmanager", naming=naming, limits=limits, where=_WHERE)


def decode_alert_list(
    body: bytes, *, naming: Naming = DEFAULT_NAMING, limits: Limits = DEFAULT_LIMITS, where: str = "Alertmanager alerts"
) -> Received:
    """The alerts that ``GET /api/v2/alerts`` lists; silenced and inhibited ones are ignored.

    Raises:
        SourceError: malformed.
    """
    listed: list[AlertBody] = decode_json(body, list[AlertBody], where=where)
    active = [alert for alert in listed if not (isinstance(alert.status, dict) and _is_hushed(alert.status))]
    notices = [_notice(alert, "alertmanager", "", {}, naming, f"{where}[{i}]") for i, alert in enumerate(active)]
    limits.check_records(len(listed), where)
    return Received(alerts=_distinct(notices), ignored=len(listed) - len(active))


def read_webhook(hook: Webhook, *, sender: str, naming: Naming, limits: Limits, where: str) -> Received:
    """The alerts of a webhook's body, each told apart by sender, fingerprint, begin and status."""
    limits.check_records(len(hook.alerts), where)
    group = hashlib.sha256(hook.group_key.encode()).hexdigest() if hook.group_key else ""
    urls = {"sender": hook.external_url or ""}
    notices, rejected, problem = [], 0, ""
    for i, alert in enumerate(hook.alerts):
        try:
            notices.append(_notice(alert, sender, group, urls, naming, f"{where}.alerts[{i}]"))
        except SourceError as bad:
            rejected, problem = rejected + 1, problem or str(bad)
    if rejected and not notices:
        raise SourceError(problem, where=where, remedy="Send alerts with labels and RFC 3339 times")
    warnings = (f"{hook.truncated_alerts} alerts of the group were not sent (max_alerts)",)
    return Received(
        alerts=_distinct(notices),
        rejected=rejected,
        problem=problem,
        warnings=warnings if hook.truncated_alerts > 0 else (),
    )


def _notice(
    body: AlertBody, sender: str, group: str, urls: Mapping[str, str], naming: Naming, where: str
) -> AlertNotice:
    labels = {name: plain_text(value) for name, value in sorted(body.labels.items()) if value not in (None, "")}
    annotations = {name: plain_text(value) for name, value in body.annotations.items()}
    if not labels:
        raise SourceError("an alert without labels", where=where, remedy="Send its labels")
    start = parse_instant(body.starts_at, where=f"{where}.startsAt")
    end = parse_instant(body.ends_at, where=f"{where}.endsAt")
    status: Literal["firing", "resolved"] = "resolved" if body.status == "resolved" else "firing"
    if start is not None and end is not None:
        end = max(start, end)
    key = body.fingerprint or digest(*(part for pair in labels.items() for part in pair))
    name = labels.get("alertname", "") or labels.get("rule", "") or "alert"
    return AlertNotice(
        id=digest(sender, key, str(start), status),
        key=f"{sender}:{key}",
        status=status,
        group=group,
        links=links_of(
            annotations,
            source=body.generator_url or "",
            dashboard=body.dashboard_url or "",
            panel=body.panel_url or "",
            **urls,
        ),
        alert=Alert(
            component=naming.origin(labels).component,
            name=name,
            kind=kind_of_labels(labels),
            time=start,
            end=end if status == "resolved" else None,  # while it fires: when it would be forgotten
            severity=severity_of(labels.get("severity", "") or labels.get("priority", "")),
            text=text_of(annotations) or (body.value_string or "")[:2_000],
            labels=labels,
        ),
    )


def _distinct(notices: list[AlertNotice]) -> tuple[AlertNotice, ...]:
    return tuple({notice.id: notice for notice in notices}.values())


def _is_hushed(status: Mapping[str, Any]) -> bool:
    return bool(status.get("silencedBy") or status.get("inhibitedBy") or status.get("state") == "suppressed")
