"""Times in payloads of other systems, as nanoseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from rca.sources.errors import SourceError
from rca.types import SECOND

LARGEST = 9_200_000_000_000_000_000  # int64 nanoseconds end at 9.22e18, in the year 2262
_TEXT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,12}))?\s*(?:([Zz])|([+-])(\d\d):?(\d\d))", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_REMEDY = "Write ISO 8601 with a zone, such as 2026-01-31T12:00:00Z"


def parse_instant(value: Any, *, where: str) -> int | None:
    """Nanoseconds of an RFC 3339 text, exact to the nanosecond; None for null, "" and Go's zero time.

    Raises:
        SourceError: no time, no zone, or beyond the years 1678 to 2261.
    """
    if value is None or value == "":
        return None
    found = _TEXT.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise SourceError(f"{str(value)[:60]!r} is no time with a zone", where=where, remedy=_REMEDY)
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    if year == 1:  # Go's zero time: nobody has set it
        return None
    fraction = int((found[7] or "").ljust(9, "0")[:9])
    offset = timedelta(hours=int(found[10] or 0), minutes=int(found[11] or 0)) * (-1 if found[9] == "-" else 1)
    try:
        zone = timezone(offset)
        moment = datetime(
            year, month, day, hour, minute, min(second, 59), tzinfo=zone
        )  # a leap second is the one before
    except ValueError as bad:
        raise SourceError(f"{str(value)[:60]!r} is no time", where=where, remedy=_REMEDY) from bad
    delta = moment - _EPOCH
    time = (delta.days * 86_400 + delta.seconds) * SECOND + fraction
    if abs(time) > LARGEST:
        raise SourceError("a time lies beyond the years 1678 to 2261", where=where, remedy=_REMEDY)
    return time
