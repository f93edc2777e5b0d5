"""Notes at the side of what people look at: Grafana's annotations, Opsgenie's and Jira Service Management's notes.

Posting either twice makes two of them, so an annotation carries its reference as a tag and a note in its last
line, by which an earlier attempt is found again.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from rca.notify.message import JSON, Occasion, Outgoing, cut, mark, to_json
from rca.notify.summary import Summary
from rca.sources.instants import parse_instant

_OPSGENIE_NOTE = 24_000  # of 25,000, with room for the reference


def grafana(summary: Summary, on: Occasion) -> Outgoing:
    """An annotation from the onset to the alert, on every dashboard that shows the tag ``rca``."""
    begin, end = summary.onset or summary.detected or on.now, summary.detected or on.now
    tags = ["rca", f"incident:{summary.incident}", *([f"component:{summary.component}"] * bool(summary.component))]
    tags += [_tag(on)] * bool(on.reference)
    times = sorted((_milliseconds(begin), _milliseconds(end)))
    body = {"time": times[0], "timeEnd": times[1], "tags": tags, "text": "\n".join(summary.lines())}
    return Outgoing(
        path="/api/annotations", headers={**JSON, "Authorization": f"Bearer {on.secret}"}, body=to_json(body)
    )


def find_annotation(on: Occasion) -> Outgoing:
    """Asks for the annotations that carry this reference."""
    asked = urlencode([("tags", "rca"), ("tags", _tag(on)), ("limit", 1)])
    return Outgoing(method="GET", path=f"/api/annotations?{asked}", headers={"Authorization": f"Bearer {on.secret}"})


def holds_annotation(answer: bytes, on: Occasion) -> bool:
    """Whether an annotation of an earlier attempt is among those found."""
    found: list[_Annotation] = _read(answer, list[_Annotation]) or []
    return any(_tag(on) in (each.tags or ()) for each in found)


def opsgenie(summary: Summary, on: Occasion) -> Outgoing:
    """A note on the alert with this alias, of Opsgenie or Jira Service Management."""
    note = "\n".join([cut("\n".join(summary.lines()), _OPSGENIE_NOTE), *([mark(on)] * bool(on.reference))])
    body = {"note": note, "source": "rca", "user": on.sender or "rca"}
    path = f"{_alert(on)}/notes?identifierType=alias"
    return Outgoing(path=path, headers={**JSON, "Authorization": f"GenieKey {on.secret}"}, body=to_json(body))


def list_opsgenie_notes(on: Occasion) -> Outgoing:
    """Asks for the latest notes that an alert has."""
    path = f"{_alert(on)}/notes?identifierType=alias&order=desc&limit=100"
    return Outgoing(method="GET", path=path, headers={"Authorization": f"GenieKey {on.secret}"})


def holds_opsgenie_note(answer: bytes, on: Occasion) -> bool:
    """Whether a note of an earlier attempt is among the notes."""
    found: _Notes | None = _read(answer, _Notes)
    return found is not None and any(mark(on) in each.note for each in found.data)


class _Annotation(msgspec.Struct):
    tags: list[str] | None = None


class _Note(msgspec.Struct):
    note: str = ""


class _Notes(msgspec.Struct):
    data: list[_Note] = []


def _read(answer: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(answer, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _tag(on: Occasion) -> str:
    return f"delivery:{on.reference}"


def _alert(on: Occasion) -> str:
    return f"/v2/alerts/{quote(on.page or on.group, safe='')}"


def _milliseconds(time: str) -> int:
    return (parse_instant(time, where="time") or 0) // 1_000_000
