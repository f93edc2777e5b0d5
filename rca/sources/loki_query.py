"""Asking Loki for lines: ``/loki/api/v1/query_range``, piece by piece from the oldest line on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from rca.sources.asking import Server
from rca.sources.bodies import DEFAULT_LIMITS, Limits
from rca.sources.errors import SourceError
from rca.sources.loki import LokiLines
from rca.sources.naming import DEFAULT_NAMING, Naming
from rca.sources.received import Received
from rca.types import Window, to_text

PAGE = 5_000  # Loki's default max_entries_limit_per_query


class _Stream(msgspec.Struct):
    stream: dict[str, str] = {}
    values: list[list[Any]] = []


class _Data(msgspec.Struct, rename="camel"):
    result_type: str
    result: list[_Stream] = []


class _Answer(msgspec.Struct):
    status: str
    data: _Data


def query_logs(
    server: Server,
    query: str,
    window: Window,
    *,
    most: int = 100_000,
    naming: Naming = DEFAULT_NAMING,
    limits: Limits = DEFAULT_LIMITS,
) -> Received:
    """The lines of a LogQL query in [start, end), oldest first, at most ``most``.

    A page that fails after the first, and lines beyond ``most``, are warnings.

    Raises:
        UnavailableError: the first page failed; SourceError: the query gives no lines.
    """
    reader = LokiLines(naming, limits, server.name)
    warnings: list[str] = []
    start, taken = window.start, 0
    edge: set[tuple[str, str, str]] = set()  # what was taken at the time where the next page begins
    while start < window.end:
        size = min(PAGE, most - taken)
        if size <= 0:
            warnings.append(f"more than {most} lines: none after {to_text(start)} were read")
            break
        try:
            page = _ask(server, query, Window(start=start, end=window.end), min(PAGE, size + len(edge)))
        except SourceError as bad:
            if not taken:
                raise
            warnings.append(f"no lines after {to_text(start)}: {bad}")
            break
        times = [row[0] for stream in page for row in stream.values if row and isinstance(row[0], str)]
        last = max((time for time in times if time.isdecimal()), key=int, default="")
        fresh: set[tuple[str, str, str]] = set()
        new = 0
        for stream in page:
            name = str(sorted(stream.stream.items()))
            known = [(name, str(row[0]), str(row[1])) if len(row) > 1 else ("", "", "") for row in stream.values]
            rows = [row for row, mark in zip(stream.values, known, strict=True) if mark not in edge]
            fresh |= {mark for mark in known if mark[1] == last}
            new += len(rows)
            reader.add_stream(stream.stream, rows)
        taken += new
        if not last or len(times) < min(PAGE, size + len(edge)):
            break
        if not new:  # a page full of one nanosecond: go on behind it
            fresh, start = set(), int(last) + 1
        else:
            start = int(last)
        edge = fresh
    return replace(reader.received(), warnings=tuple(warnings))


def _ask(server: Server, query: str, window: Window, limit: int) -> list[_Stream]:
    params = {
        "query": query,
        "start": str(window.start),
        "end": str(window.end),
        "limit": str(limit),
        "direction": "forward",
    }
    answer = server.ask("GET", "/loki/api/v1/query_range", _Answer, params=params)
    if answer.data.result_type != "streams":
        raise SourceError(
            f"the query gives a {answer.data.result_type[:40]}",
            where=server.name,
            remedy="Ask for lines, not for rates",
        )
    return answer.data.result
