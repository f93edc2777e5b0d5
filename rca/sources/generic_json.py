"""Changes and alerts in our own form, for whatever has no format of its own.

``POST /changes`` and the JSON topic of Kafka take one object, a list of them, or
``{"changes": [...], "alerts": [...]}``; the fields are those of the tables in docs/telemetry.md:

    {"component": "cart", "kind": "deployment", "name": "cart 1.4.2", "time": "2026-01-31T12:00:00Z",
     "attributes": {"version": "1.4.2", "author": "ada"}}

An object with ``alert`` or without ``kind`` and with ``name`` is an alert. Without a time it happened
now; without an id its content is its id, so that sending it again has no effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from rca.errors import SourceError, TelemetryError
from rca.formats.records import alerts_from_rows, changes_from_rows, rows_from_plain
from rca.kinds import find_kind
from rca.sources.bodies import DEFAULT_LIMITS, Limits, decode_json, digest, header, inflate, plain_text
from rca.sources.notices import clock_now
from rca.sources.received import AlertNotice, Received
from rca.types import Alert

OVERLOADED = 503  # whoever writes a sender knows 503 and Retry-After
ACCEPTED = 202
_WHERE = "changes"
_ENVELOPE = frozenset(("changes", "alerts"))
_NOTICE = ("id", "key", "status", "links")
_Record = dict[str, Any]


def decode_generic(
    body: bytes,
    *,
    headers: Mapping[str, str] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    now: Callable[[], int] = clock_now,
) -> Received:
    """Changes and alerts of one body.

    Raises:
        SourceError: malformed, an unknown field or an unknown kind; nothing of it is taken then.
    """
    content = inflate(body, header(headers or {}, "content-encoding"), where=_WHERE, limits=limits)
    document = decode_json(content, Any, where=_WHERE)
    if isinstance(document, dict) and document and set(document) <= _ENVELOPE:
        changes, alerts = (_records(document.get(name, []), name) for name in ("changes", "alerts"))
    else:
        records = _records(document if isinstance(document, list) else [document], _WHERE)
        alerts = [record for record in records if "kind" not in record and "name" in record]
        changes = [record for record in records if record not in alerts]
    return read_events(changes, alerts, where=_WHERE, limits=limits, now=now)


def read_events(
    changes: Sequence[_Record], alerts: Sequence[_Record], *, where: str, limits: Limits, now: Callable[[], int]
) -> Received:
    """Changes and alerts of plain records.

    Raises:
        SourceError: malformed, an unknown field or an unknown kind.
    """
    limits.check_records(len(changes) + len(alerts), where)
    try:
        told = {
            record["id"]: record for record in (_change(one, f"{where}[{i}]", now) for i, one in enumerate(changes))
        }
        parsed = changes_from_rows(rows_from_plain("changes", list(told.values()), where=where)) if told else ()
        return Received(changes=parsed, alerts=_notices(alerts, where, now))
    except TelemetryError as bad:
        raise SourceError(bad.problem, where=bad.where, remedy=bad.remedy) from bad


def _records(document: Any, where: str) -> list[_Record]:
    if not isinstance(document, list) or not all(isinstance(record, dict) for record in document):
        raise SourceError("no object and no list of objects", where=where, remedy="Send one change, or a list of them")
    return document


def _change(given: _Record, where: str, now: Callable[[], int]) -> _Record:
    record = dict(given)
    kind = record.get("kind")
    if not isinstance(kind, str) or not kind:
        raise SourceError("no kind", where=where, remedy="Send a kind, such as deployment")
    record["kind"] = find_kind(kind, where=where, activity=True)
    record["id"] = _id(record.get("id"), "change", given)
    if record.get("time", record.get("timestamp")) in (None, "") and not any(key.startswith("time_") for key in record):
        record.pop("timestamp", None)
        record["time"] = now()
    return record


def _notices(alerts: Sequence[_Record], where: str, now: Callable[[], int]) -> tuple[AlertNotice, ...]:
    if not alerts:
        return ()
    records, told = [], []
    for i, given in enumerate(alerts):
        record = {key: value for key, value in given.items() if key not in _NOTICE}
        if record.get("time") in (None, "") and not any(key.startswith("time_") for key in record):
            record["time"] = now()
        records.append(record)
        told.append(_told(given, f"{where}[{i}]"))
    parsed = alerts_from_rows(rows_from_plain("alerts", records, where=where))
    notices = [_notice(alert, *rest) for alert, rest in zip(parsed, told, strict=True)]
    return tuple({notice.id: notice for notice in notices}.values())


def _told(given: _Record, where: str) -> tuple[str, str, Literal["firing", "resolved"], dict[str, str]]:
    """Id, key, status and links of an alert."""
    status = given.get("status", "firing")
    if status not in ("firing", "resolved"):
        raise SourceError(f"the status {str(status)[:40]!r}", where=where, remedy="Send firing or resolved")
    links = given.get("links") or {}
    if not isinstance(links, dict):
        raise SourceError("links are no object", where=where, remedy="Send name: URL")
    same = {name: given.get(name) for name in ("component", "name", "peer", "operation", "labels")}
    key = plain_text(given.get("key") or "", 300) or digest("alert", _canonical(same))
    found = {str(name): plain_text(url, 2_000) for name, url in links.items()}
    return _id(given.get("id"), f"alert {status}", given), f"generic:{key}", status, found


def _notice(
    alert: Alert, id: str, key: str, status: Literal["firing", "resolved"], links: dict[str, str]
) -> AlertNotice:
    return AlertNotice(id=id, key=key, status=status, group=alert.group, links=links, alert=alert)


def _id(given: Any, what: str, record: _Record) -> str:
    if given in (None, ""):
        return digest(what, _canonical(record))
    if not isinstance(given, str) or len(given) > 300:
        raise SourceError("an id is no text of at most 300 characters", where=_WHERE, remedy="Send a text")
    return given


def _canonical(record: _Record) -> str:
    return msgspec.json.encode(record, order="sorted").decode()
