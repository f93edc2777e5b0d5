"""Each receiver's form of a message: method, path, headers and body, within its limits.

Sources: PagerDuty's REST API, Events API v2 and Change Events; Slack's incoming webhooks and Block Kit;
Grafana's HTTP API for annotations; Opsgenie's and Jira Service Management's alert notes; CDEvents 0.4
in CloudEvents 1.0.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import msgspec

from rca.notify.summary import Summary
from rca.sources.instants import parse_instant

_JSON = {"Content-Type": "application/json"}
# What the receivers take at most, with room for their own additions.
_NOTE, _EVENT_SUMMARY, _SLACK_SECTION, _SLACK_HEADER, _OPSGENIE_NOTE = 24_000, 1_024, 3_000, 150, 24_000
_SIGNATURE = "X-RCA-Signature-256"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One request to be sent: to ``path`` below the target's URL ("" where the URL is complete)."""

    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """What a form needs to know beside the summary.

    Attributes:
        secret: the receiver's token, key or signing secret.
        sender: the address of a user that PagerDuty knows, the name that Opsgenie shows.
        page: the receiver's own id of the page: PagerDuty's incident, Opsgenie's alias.
        group: the key that joins the page (SHA-256 of Alertmanager's group key), "" where there is none.
        now: RFC 3339.
    """

    secret: str = ""
    sender: str = ""
    page: str = ""
    group: str = ""
    now: str = ""


def pagerduty_note(summary: Summary, on: Occasion) -> Outgoing:
    """A note on the PagerDuty incident that paged."""
    headers = {
        **_JSON,
        "Authorization": f"Token token={on.secret}",
        "Accept": "application/vnd.pagerduty+json;version=2",
        "From": on.sender,
    }
    note = {"note": {"content": _cut("\n".join(summary.lines()), _NOTE)}}
    return Outgoing(path=f"/incidents/{quote(on.page, safe='')}/notes", headers=headers, body=_json(note))


def pagerduty_event(summary: Summary, on: Occasion) -> Outgoing:
    """An event that opens an alert, or joins the one of the same group."""
    event = {
        "routing_key": on.secret,
        "event_action": "trigger",
        "dedup_key": on.group or f"rca-{summary.incident}"[:255],
        "payload": {
            "summary": _cut(f"{summary.title}: {summary.headline}", _EVENT_SUMMARY),
            "source": summary.component or "rca",
            "severity": "critical" if summary.verdict == "cause" else "warning",
            **({"timestamp": summary.onset} if summary.onset else {}),
            **({"component": summary.component} if summary.component else {}),
            "class": "root cause",
            "custom_details": _facts(summary),
        },
        "links": _links(summary),
        "client": "rca",
        **({"client_url": summary.url} if summary.url else {}),
    }
    return Outgoing(path="/v2/enqueue", headers=_JSON, body=_json(event))


def pagerduty_change(summary: Summary, on: Occasion) -> Outgoing:
    """A change event: what changed stands on the service's own timeline."""
    event = {
        "routing_key": on.secret,
        "payload": {
            "summary": _cut(summary.change or summary.headline, _EVENT_SUMMARY),
            "source": summary.component or "rca",
            "timestamp": summary.onset or on.now,
            "custom_details": _facts(summary),
        },
        "links": _links(summary),
    }
    return Outgoing(path="/v2/change/enqueue", headers=_JSON, body=_json(event))


def slack(summary: Summary, on: Occasion) -> Outgoing:
    """Blocks for an incoming webhook; the URL is the secret."""
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _cut(summary.subject, _SLACK_HEADER)}},
        _section(f"*{_mrkdwn(summary.title)}*\n{_mrkdwn(summary.headline)}"),
    ]
    for name, lines in (
        ("Why", summary.reasons),
        ("What changed", (summary.change,) if summary.change else ()),
        ("How it travelled", (" → ".join(summary.chain),) if summary.chain else ()),
        ("Do first", summary.steps),
        ("Missing", summary.missing),
        ("Degraded", summary.degraded),
    ):
        if lines:
            blocks.append(_section("\n".join([f"*{name}*", *(f"• {_mrkdwn(line)}" for line in lines)])))
    context = [f"owner {summary.owner}"] * bool(summary.owner) + [f"runbook {summary.runbook}"] * bool(summary.runbook)
    context += [f"also {name} ({share:.0%})" for name, share in summary.others]
    if context:
        elements = [{"type": "mrkdwn", "text": _cut(_mrkdwn(each), _SLACK_SECTION)} for each in context[:10]]
        blocks.append({"type": "context", "elements": elements})
    if summary.url:
        button = {"type": "button", "text": {"type": "plain_text", "text": "Open incident"}, "url": summary.url}
        blocks.append({"type": "actions", "elements": [button]})
    text = _mrkdwn(_cut(f"{summary.subject}. {summary.headline}", _SLACK_SECTION))
    return Outgoing(headers=_JSON, body=_json({"text": text, "blocks": blocks}))


def grafana(summary: Summary, on: Occasion) -> Outgoing:
    """An annotation from the onset to the alert, on every dashboard that shows the tag ``rca``."""
    begin, end = summary.onset or summary.detected or on.now, summary.detected or on.now
    tags = ["rca", f"incident:{summary.incident}", *([f"component:{summary.component}"] * bool(summary.component))]
    times = sorted((_milliseconds(begin), _milliseconds(end)))
    body = {"time": times[0], "timeEnd": times[1], "tags": tags, "text": "\n".join(summary.lines())}
    return Outgoing(
        path="/api/annotations", headers={**_JSON, "Authorization": f"Bearer {on.secret}"}, body=_json(body)
    )


def opsgenie(summary: Summary, on: Occasion) -> Outgoing:
    """A note on the alert with this alias, of Opsgenie or Jira Service Management."""
    body = {"note": _cut("\n".join(summary.lines()), _OPSGENIE_NOTE), "source": "rca", "user": on.sender or "rca"}
    path = f"/v2/alerts/{quote(on.page or on.group, safe='')}/notes?identifierType=alias"
    return Outgoing(path=path, headers={**_JSON, "Authorization": f"GenieKey {on.secret}"}, body=_json(body))


def webhook(summary: Summary, on: Occasion) -> Outgoing:
    """The summary as JSON, signed: HMAC-SHA256 of the body with the shared secret, as ``sha256=HEX``."""
    body = _json({"schema": "rca.summary/1", **_document(summary)})
    headers = dict(_JSON)
    if on.secret:
        headers[_SIGNATURE] = f"sha256={hmac.new(on.secret.encode(), body, hashlib.sha256).hexdigest()}"
    return Outgoing(headers=headers, body=body)


def cdevents(summary: Summary, on: Occasion) -> Outgoing:
    """CDEvents' ``incident.detected`` as a structured CloudEvent."""
    kind = "dev.cdevents.incident.detected.0.3.0"
    id = hashlib.sha256(_json(_document(summary))).hexdigest()[:32]
    source = summary.url or "/rca"
    subject = {
        "id": summary.incident,
        "source": source,
        "type": "incident",
        "content": {
            "description": "\n".join(summary.lines()),
            "environment": {"id": "production", "source": source},
            **({"service": {"id": summary.component, "source": source}} if summary.component else {}),
        },
    }
    context = {"version": "0.4.1", "id": id, "source": source, "type": kind, "timestamp": on.now}
    event = {
        "specversion": "1.0",
        "id": id,
        "source": source,
        "type": kind,
        "subject": summary.incident,
        "time": on.now,
        "datacontenttype": "application/json",
        "data": {"context": context, "subject": subject},
    }
    return Outgoing(headers={"Content-Type": "application/cloudevents+json"}, body=_json(event))


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One kind of receiver.

    Attributes:
        render: makes the request.
        url: where it is sent where the target names no URL, "" where it has to.
        pages: whether it needs the receiver's own id of the page.
        verdicts: what is worth telling there.
        accepted: statuses of success; what is not among them and not 408, 425, 429 or 5xx is final.
    """

    render: Callable[[Summary, Occasion], Outgoing]
    url: str = ""
    pages: bool = False
    verdicts: frozenset[str] = frozenset({"cause", "inconclusive", "healthy"})
    accepted: frozenset[int] = frozenset({200, 201, 202, 204})


FORMS: Mapping[str, Form] = MappingProxyType(
    {
        "pagerduty-note": Form(render=pagerduty_note, url="https://api.pagerduty.com", pages=True),
        "pagerduty-event": Form(render=pagerduty_event, url="https://events.pagerduty.com"),
        "pagerduty-change": Form(
            render=pagerduty_change, url="https://events.pagerduty.com", verdicts=frozenset({"cause"})
        ),
        "slack": Form(render=slack),
        "grafana": Form(render=grafana),
        "opsgenie": Form(render=opsgenie, url="https://api.opsgenie.com", pages=True),
        "webhook": Form(render=webhook),
        "cdevents": Form(render=cdevents),
    }
)


def render(form: str, summary: Summary, on: Occasion) -> Outgoing:
    """The request that tells a receiver of an incident; ``form`` is one of ``FORMS``."""
    return FORMS[form].render(summary, on)


def _facts(summary: Summary) -> dict[str, Any]:
    return {
        "cause": summary.component,
        "confidence": round(summary.confidence, 3),
        "verdict": summary.verdict,
        "why": list(summary.reasons),
        "change": summary.change,
        "chain": list(summary.chain),
        "do_first": list(summary.steps),
        "owner": summary.owner,
        "runbook": summary.runbook,
        "missing": list(summary.missing),
    }


def _document(summary: Summary) -> dict[str, Any]:
    return {
        "incident": summary.incident,
        "title": summary.title,
        "url": summary.url,
        "headline": summary.headline,
        "onset": summary.onset,
        "detected": summary.detected,
        "others": [{"component": name, "confidence": round(share, 3)} for name, share in summary.others],
        "degraded": list(summary.degraded),
        **_facts(summary),
    }


def _links(summary: Summary) -> list[dict[str, str]]:
    links = [{"href": summary.url, "text": "Incident page"}] if summary.url else []
    return [*links, {"href": summary.runbook, "text": "Runbook"}] if _is_link(summary.runbook) else links


def _is_link(text: str) -> bool:
    return text.startswith(("https://", "http://"))


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": _cut(text, _SLACK_SECTION)}}


def _mrkdwn(text: str) -> str:
    """Slack's three escapes: nothing in telemetry becomes a link or a mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _milliseconds(time: str) -> int:
    return (parse_instant(time, where="time") or 0) // 1_000_000


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)
