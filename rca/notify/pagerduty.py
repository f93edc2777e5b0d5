"""PagerDuty: a note on the incident that paged, an event of Events API v2, a change event.

Posting a note twice makes two of them, so each carries a reference by which an earlier attempt is
found again; events are known by their ``dedup_key``.
"""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from rca.errors import SourceError
from rca.notify.message import JSON, Occasion, Outgoing, cut, facts_of, links_of, mark, to_json
from rca.notify.summary import Summary

# What is taken at most, with room for what PagerDuty adds.
_NOTE, _EVENT_SUMMARY, _KEY = 24_000, 1_024, 255


def pagerduty_note(summary: Summary, on: Occasion) -> Outgoing:
    """A note on the PagerDuty incident that paged."""
    content = "\n".join([cut("\n".join(summary.lines()), _NOTE), *([mark(on)] * bool(on.reference))])
    return Outgoing(path=_notes(on), headers={**_rest(on), **JSON}, body=to_json({"note": {"content": content}}))


def list_notes(on: Occasion) -> Outgoing:
    """Asks for the notes that an incident has."""
    return Outgoing(method="GET", path=_notes(on), headers=_rest(on))


def holds_reference(answer: bytes, on: Occasion) -> bool:
    """Whether a note of an earlier attempt is among the notes."""
    try:
        notes = msgspec.json.decode(answer, type=_Notes).notes
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return bool(on.reference) and any(mark(on) in note.content for note in notes)


def list_alerts(page: str, on: Occasion) -> Outgoing:
    """Asks for the alerts that an incident groups."""
    return Outgoing(method="GET", path=f"/incidents/{quote(page, safe='')}/alerts", headers=_rest(on))


def read_alert_keys(answer: bytes) -> tuple[str, ...]:
    """The keys of an incident's alerts: SHA-256 of the group key where Alertmanager sent them.

    Raises:
        SourceError: an answer of another form.
    """
    try:
        alerts = msgspec.json.decode(answer, type=_Alerts).alerts
    except (msgspec.MsgspecError, UnicodeDecodeError) as bad:
        raise SourceError(f"no list of alerts: {bad}"[:200], where="PagerDuty", remedy="Check the URL") from bad
    return tuple(dict.fromkeys(alert.alert_key for alert in alerts if alert.alert_key))


def pagerduty_event(summary: Summary, on: Occasion) -> Outgoing:
    """An event that opens an alert, or joins the one of the same group."""
    event = {
        "routing_key": on.secret,
        "event_action": "trigger",
        "dedup_key": _key(summary, on),
        "payload": {
            "summary": cut(f"{summary.title}: {summary.headline}", _EVENT_SUMMARY),
            "source": summary.component or "rca",
            "severity": "critical" if summary.verdict == "cause" else "warning",
            **({"timestamp": summary.onset} if summary.onset else {}),
            **({"component": summary.component} if summary.component else {}),
            "class": "root cause",
            "custom_details": facts_of(summary),
        },
        "links": links_of(summary),
        "client": "rca",
        **({"client_url": summary.url} if summary.url else {}),
    }
    return Outgoing(path="/v2/enqueue", headers=JSON, body=to_json(event))


def pagerduty_change(summary: Summary, on: Occasion) -> Outgoing:
    """A change event: what changed stands on the service's own timeline."""
    event = {
        "routing_key": on.secret,
        "payload": {
            "summary": cut(summary.change or summary.headline, _EVENT_SUMMARY),
            "source": summary.component or "rca",
            "timestamp": summary.onset or on.now,
            "custom_details": facts_of(summary),
        },
        "links": links_of(summary),
    }
    return Outgoing(path="/v2/change/enqueue", headers=JSON, body=to_json(event))


def pagerduty_resolve(summary: Summary, on: Occasion) -> Outgoing:
    """Ends the alert that ``pagerduty_event`` opened; one that its sender ended already stays as it is."""
    event = {"routing_key": on.secret, "event_action": "resolve", "dedup_key": _key(summary, on)}
    return Outgoing(path="/v2/enqueue", headers=JSON, body=to_json(event))


class _Note(msgspec.Struct):
    content: str = ""


class _Notes(msgspec.Struct):
    notes: list[_Note] = []


class _Alert(msgspec.Struct):
    alert_key: str | None = None


class _Alerts(msgspec.Struct):
    alerts: list[_Alert]


def _key(summary: Summary, on: Occasion) -> str:
    return on.group or f"rca-{summary.incident}"[:_KEY]


def _notes(on: Occasion) -> str:
    return f"/incidents/{quote(on.page, safe='')}/notes"


def _rest(on: Occasion) -> dict[str, str]:
    headers = {"Authorization": f"Token token={on.secret}", "Accept": "application/vnd.pagerduty+json;version=2"}
    return headers | ({"From": on.sender} if on.sender else {})
