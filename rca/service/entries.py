"""Changes and alerts as the store keeps them."""

from __future__ import annotations

import time

import msgspec

from rca.sources.received import AlertNotice
from rca.stores.records import Entry
from rca.types import Change


def change_entry(change: Change, source: str) -> Entry:
    """A change, at the time when it was done."""
    return Entry(
        id=change.id,
        time=change.time,
        component=change.component,
        kind=change.kind,
        source=source,
        body=_json(change),
    )


def alert_entry(notice: AlertNotice, source: str) -> Entry:
    """An alert, at the time when it fired."""
    alert = notice.alert
    return Entry(
        id=notice.id,
        time=time.time_ns() if alert.time is None else alert.time,
        component=alert.component,
        kind=alert.kind,
        source=source,
        body=_json(notice),
    )


def _json(value: Change | AlertNotice) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:  # half surrogate pairs, which UTF-8 cannot hold
        import json

        return json.dumps(msgspec.to_builtins(value))
