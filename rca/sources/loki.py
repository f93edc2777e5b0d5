"""Loki's push API: ``POST /loki/api/v1/push`` with JSON, or a snappy-compressed PushRequest.

Promtail, Alloy, Vector, Fluent Bit and the Docker driver send it. They send again after 429 and 5xx,
with growing pauses, and drop after other 4xx.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from rca.errors import SourceError
from rca.sources.bodies import DEFAULT_LIMITS, Limits, decode_json, header, inflate, inflate_snappy, media_type
from rca.sources.errors import UnsupportedError
from rca.sources.instants import LARGEST
from rca.sources.messages import parse_message
from rca.sources.naming import DEFAULT_NAMING, Naming, Origin
from rca.sources.otlp_resources import topology_of
from rca.sources.received import Received
from rca.sources.records import LineCollector, level_in, level_of
from rca.types import SECOND

OVERLOADED = 503
ACCEPTED = 204
_WHERE = "Loki push"
_LABEL = re.compile(r'\s*([a-zA-Z_:][a-zA-Z0-9_:.]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(,|$)')
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_LEVELS = ("detected_level", "level", "severity", "severity_text", "lvl")
_TRACES = ("trace_id", "traceID", "traceid", "trace")
_SPANS = ("span_id", "spanID", "spanid", "span")
_Value = str | int | float | bool | None


class _Stream(msgspec.Struct):
    stream: dict[str, _Value] = {}
    values: list[list[Any]] = []


class _Push(msgspec.Struct):
    streams: list[_Stream]


def decode_loki(
    body: bytes,
    *,
    headers: Mapping[str, str] | None = None,
    naming: Naming = DEFAULT_NAMING,
    limits: Limits = DEFAULT_LIMITS,
) -> Received:
    """The lines of one push.

    Raises:
        SourceError: malformed or too large; UnsupportedError: another content type.
    """
    headers = headers or {}
    media = media_type(headers)
    reader = LokiLines(naming, limits, _WHERE)
    if media == "application/json":
        content = inflate(body, header(headers, "content-encoding"), where=_WHERE, limits=limits)
        push = decode_json(content, _Push, where=_WHERE)
        for stream in push.streams:
            labels = {name: _text(value) for name, value in stream.stream.items()}
            reader.add_stream(labels, stream.values)
    elif media in ("", "application/x-protobuf"):
        content = inflate_snappy(body, where=_WHERE, limits=limits)
        request: Any = parse_message("logproto.PushRequest", content, where=_WHERE)
        for proto in request.streams:
            rows = (
                (
                    entry.timestamp.seconds * SECOND + entry.timestamp.nanos,
                    entry.line,
                    {pair.name: pair.value for pair in entry.structured_metadata},
                )
                for entry in proto.entries
            )
            reader.add_entries(parse_labels(proto.labels), rows)
    else:
        raise UnsupportedError(
            f"the content type {media[:60]!r}", where=_WHERE, remedy="Send application/json or application/x-protobuf"
        )
    return reader.received()


class LokiLines:
    """Lines of streams, as pushes and answers to queries hold them."""

    def __init__(self, naming: Naming, limits: Limits, where: str) -> None:
        self._naming, self._limits, self._where = naming, limits, where
        self._out = LineCollector()
        self._origins: dict[Origin, None] = {}
        self._rejected, self._problem = 0, ""

    def add_stream(self, labels: Mapping[str, str], values: Iterable[Any]) -> None:
        """Lines as JSON writes them: [time in ns as a text, line, structured metadata (optional)]."""
        self.add_entries(labels, (self._entry(value) for value in values))

    def add_entries(self, labels: Mapping[str, str], entries: Iterable[tuple[int, str, Mapping[str, str]]]) -> None:
        """Lines of one stream: time in ns, line, metadata."""
        origin = self._naming.origin(labels)
        self._origins.setdefault(origin)
        usual = level_of(_pick(labels, _LEVELS))
        for time, line, facts in entries:
            if not 0 < time <= LARGEST or not line:
                self._rejected += 1
                self._problem = self._problem or "a line is empty, or its time is no text of nanoseconds"
                continue
            line = line[: self._limits.text]
            level = level_of(_pick(facts, _LEVELS)) or usual or level_in(line)
            trace, span = (_pick(facts, names) or _pick(labels, names) for names in (_TRACES, _SPANS))
            self._out.add(time, origin.component, level, line, trace, span)
        self._limits.check_records(len(self._out), self._where)

    def received(self) -> Received:
        """All that was added."""
        return Received(
            logs=self._out.batch(),
            topology=topology_of(list(self._origins)),
            rejected=self._rejected,
            problem=self._problem,
        )

    def _entry(self, value: Any) -> tuple[int, str, Mapping[str, str]]:
        if not isinstance(value, list) or len(value) < 2 or not isinstance(value[1], str):
            return 0, "", {}
        time = int(value[0]) if isinstance(value[0], str) and re.fullmatch(r"\d{1,19}", value[0], re.ASCII) else 0
        given = value[2] if len(value) > 2 and isinstance(value[2], dict) else {}
        return time, value[1], {str(name): _text(fact) for name, fact in given.items()}


def parse_labels(text: str) -> dict[str, str]:
    """Labels as ``{name="value", …}``.

    Raises:
        SourceError: another text.
    """
    inner = text.strip()
    if not (inner.startswith("{") and inner.endswith("}")):
        raise SourceError(f"{text[:60]!r} are no labels", where=_WHERE, remedy='Write {name="value"}')
    inner = inner[1:-1]
    labels, at = {}, 0
    while inner[at:].strip():
        found = _LABEL.match(inner, at)
        if found is None:
            raise SourceError(f"{text[:60]!r} are no labels", where=_WHERE, remedy='Write {name="value"}')
        labels[found[1]] = _ESCAPE.sub(lambda escape: _ESCAPES.get(escape[1], escape[1]), found[2])
        at = found.end()
    return labels


def _pick(facts: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((value for name in names if (value := facts.get(name, ""))), "")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None or isinstance(value, (list, dict)) else str(value)
