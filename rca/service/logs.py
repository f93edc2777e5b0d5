"""Logs as JSON, one object a line, each with the trace of the request that it belongs to. Never a token."""

from __future__ import annotations

import logging
import re
import secrets
import sys
import time
from contextvars import ContextVar
from typing import Any, TextIO

import msgspec

from rca.types import to_text

trace_id: ContextVar[str] = ContextVar("trace_id", default="")
LOGGER = logging.getLogger("rca.service")

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
# Whatever looks like a token or the password of a URL, wherever it may come from.
_SECRET = re.compile(
    r"(rca_[a-z0-9]{1,16}_)[A-Za-z0-9_-]{16,}|(?<=://)([^\s:/@]*):[^\s@]+(?=@)|((?:Bearer|Basic) )\S+", re.I
)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


def trace_of(traceparent: str) -> str:
    """The trace id of a W3C ``traceparent``; a new one where there is none."""
    found = _TRACEPARENT.fullmatch(traceparent.strip())
    return found[1] if found and found[1] != "0" * 32 else secrets.token_hex(16)


def redact(text: str) -> str:
    """The text without secrets."""
    return _SECRET.sub(lambda found: (found[1] or found[3] or found[2] or "") + "…", text)


class JSONFormatter(logging.Formatter):
    """One JSON object a line; what a record carries besides its message stands beside it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        fields: dict[str, Any] = {
            "time": to_text(time.time_ns()),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if trace := getattr(record, "trace", "") or trace_id.get():
            fields["trace_id"] = trace
        for name, value in vars(record).items():
            if name not in _STANDARD and name != "trace":
                fields[name] = value if isinstance(value, int | float | bool | None) else redact(str(value))
        if record.exc_info:
            fields["exception"] = redact(self.formatException(record.exc_info))
        try:
            return msgspec.json.encode(fields).decode()
        except UnicodeEncodeError:  # half of a surrogate pair that a client sent
            return msgspec.json.encode({k: ascii(v) for k, v in fields.items()}).decode()


def start_logging(level: str, stream: TextIO | None = None) -> None:
    """Sends all logs of the service and its server to a stream (default: standard error)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JSONFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name != "uvicorn.access"  # requests are logged by ourselves, with their trace
    # Each full pool of connections would be told twice.
    logging.getLogger("psycopg.pool").setLevel("WARNING")
