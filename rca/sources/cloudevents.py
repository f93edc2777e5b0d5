"""CloudEvents 1.0 over HTTP: structured, binary and in batches; CDEvents among them become changes.

Senders differ in what they send again; 503 is what all of them understand, and a delivery comes
again under the same source and id (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from rca.errors import SourceError
from rca.sources.bodies import DEFAULT_LIMITS, Limits, decode_json, digest, header, inflate, media_type
from rca.sources.cdevents import cdevent_change, is_cdevent
from rca.sources.errors import UnsupportedError
from rca.sources.generic_json import read_events
from rca.sources.instants import parse_instant
from rca.sources.naming import DEFAULT_NAMING, Naming
from rca.sources.notices import clock_now
from rca.sources.received import Received

OVERLOADED = 503
ACCEPTED = 202
STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
# Events of our own making: a change or an alert in the generic form as data.
CHANGE_TYPE, ALERT_TYPE = "rca.change", "rca.alert"
_WHERE = "CloudEvent"
_JSON = re.compile(r"application/([a-z0-9.+-]+\+)?json", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudEvent:
    """One event: ``source`` and ``id`` together are unique; ``data`` is what JSON says, or None."""

    id: str
    source: str
    type: str
    subject: str = ""
    time: int | None = None
    data: Any = None

    @property
    def key(self) -> str:
        """A stable id of the event: the same for every delivery."""
        return digest("cloudevent", self.source, self.id)


def decode_cloudevents(
    body: bytes,
    *,
    headers: Mapping[str, str] | None = None,
    naming: Naming = DEFAULT_NAMING,
    limits: Limits = DEFAULT_LIMITS,
    now: Callable[[], int] = clock_now,
) -> Received:
    """Changes of CDEvents, and changes and alerts of types ``rca.change`` and ``rca.alert``.

    Events of other types are ignored, and counted.

    Raises:
        SourceError: malformed; UnsupportedError: another version than 1.
    """
    events = parse_cloudevents(body, headers=headers, limits=limits)
    parts = [_read(event, naming, limits, now) for event in events]
    return Received.merge(parts) if parts else Received()


def parse_cloudevents(
    body: bytes, *, headers: Mapping[str, str] | None = None, limits: Limits = DEFAULT_LIMITS
) -> list[CloudEvent]:
    """The events of one request, of any type.

    Raises:
        SourceError: malformed; UnsupportedError: another version than 1.
    """
    headers = headers or {}
    content = inflate(body, header(headers, "content-encoding"), where=_WHERE, limits=limits)
    media = media_type(headers)
    if media == BATCH:
        listed: list[dict[str, Any]] = decode_json(content, list[dict[str, Any]], where=_WHERE)
        limits.check_records(len(listed), _WHERE)
        return [_structured(event, f"{_WHERE}[{i}]") for i, event in enumerate(listed)]
    if media == STRUCTURED:
        return [_structured(decode_json(content, dict[str, Any], where=_WHERE), _WHERE)]
    if header(headers, "ce-id") or header(headers, "ce-specversion"):
        return [_binary(content, headers)]
    raise UnsupportedError(
        f"the content type {media[:60]!r} without ce- headers", where=_WHERE, remedy=f"Send {STRUCTURED} or {BATCH}"
    )


def _structured(fields: Mapping[str, Any], where: str) -> CloudEvent:
    data = fields.get("data")
    encoded = fields.get("data_base64")
    if data is None and isinstance(encoded, str):
        try:
            data = decode_json(base64.b64decode(encoded, validate=True), Any, where=f"{where}.data_base64")
        except (binascii.Error, ValueError) as bad:
            raise SourceError("no base64", where=f"{where}.data_base64", remedy="Send JSON in data") from bad
    return _event(fields, data, where)


def _binary(content: bytes, headers: Mapping[str, str]) -> CloudEvent:
    names = ("id", "source", "type", "specversion", "subject", "time")
    fields = {name: unquote(header(headers, f"ce-{name}")) for name in names}
    media = media_type(headers)
    data = decode_json(content, Any, where=f"{_WHERE} data") if content and _JSON.fullmatch(media) else None
    return _event({name: value for name, value in fields.items() if value}, data, _WHERE)


def _event(fields: Mapping[str, Any], data: Any, where: str) -> CloudEvent:
    for name in ("id", "source", "type", "specversion"):
        if not isinstance(fields.get(name), str) or not fields[name]:
            raise SourceError(f"no {name}", where=where, remedy="Send id, source, type and specversion as texts")
    if not fields["specversion"].startswith("1."):
        raise UnsupportedError(f"version {fields['specversion'][:20]!r}", where=where, remedy="Send version 1.0")
    subject = fields.get("subject")
    return CloudEvent(
        id=fields["id"],
        source=fields["source"],
        type=fields["type"],
        subject=subject if isinstance(subject, str) else "",
        time=parse_instant(fields.get("time"), where=f"{where}.time"),
        data=data,
    )


def _read(event: CloudEvent, naming: Naming, limits: Limits, now: Callable[[], int]) -> Received:
    if is_cdevent(event.type):
        change = cdevent_change(
            event.type, event.data, id=event.key, subject=event.subject, time=event.time, source=event.source, now=now
        )
        return Received(ignored=1) if change is None else Received(changes=(change,))
    if event.type in (CHANGE_TYPE, ALERT_TYPE):
        if not isinstance(event.data, dict):
            raise SourceError("no object as data", where=_WHERE, remedy="Send the change or alert as JSON in data")
        record = {"id": event.key, **event.data}
        if event.time is not None:
            record.setdefault("time", event.time)
        changes, alerts = ([record], []) if event.type == CHANGE_TYPE else ([], [record])
        return read_events(changes, alerts, where=_WHERE, limits=limits, now=now)
    return Received(ignored=1)
