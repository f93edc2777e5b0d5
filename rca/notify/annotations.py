"""Notes at the side of what people look at: Grafana's annotations, Opsgenie's and Jira Service Management's notes."""

from __future__ import annotations

from urllib.parse import quote

from rca.notify.message import JSON, Occasion, Outgoing, cut, to_json
from rca.notify.summary import Summary
from rca.sources.instants import parse_instant

_OPSGENIE_NOTE = 24_000


def grafana(summary: Summary, on: Occasion) -> Outgoing:
    """An annotation from the onset to the alert, on every dashboard that shows the tag ``rca``."""
    begin, end = summary.onset or summary.detected or on.now, summary.detected or on.now
    tags = ["rca", f"incident:{summary.incident}", *([f"component:{summary.component}"] * bool(summary.component))]
    times = sorted((_milliseconds(begin), _milliseconds(end)))
    body = {"time": times[0], "timeEnd": times[1], "tags": tags, "text": "\n".join(summary.lines())}
    return Outgoing(
        path="/api/annotations", headers={**JSON, "Authorization": f"Bearer {on.secret}"}, body=to_json(body)
    )


def opsgenie(summary: Summary, on: Occasion) -> Outgoing:
    """A note on the alert with this alias, of Opsgenie or Jira Service Management."""
    body = {"note": cut("\n".join(summary.lines()), _OPSGENIE_NOTE), "source": "rca", "user": on.sender or "rca"}
    path = f"/v2/alerts/{quote(on.page or on.group, safe='')}/notes?identifierType=alias"
    return Outgoing(path=path, headers={**JSON, "Authorization": f"GenieKey {on.secret}"}, body=to_json(body))


def _milliseconds(time: str) -> int:
    return (parse_instant(time, where="time") or 0) // 1_000_000
