"""Asking Prometheus, VictoriaMetrics, Thanos or Mimir for ranges: ``/api/v1/query_range``.

A server answers at most 11,000 points per series, so long windows are asked for in pieces, which are
joined without a gap or a repetition (https://prometheus.io/docs/prometheus/latest/querying/api/#range-queries).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from rca.sources.asking import Server
from rca.sources.bodies import DEFAULT_LIMITS, Limits, decode_json
from rca.sources.errors import SourceError, UnavailableError
from rca.sources.naming import DEFAULT_NAMING, Naming
from rca.sources.prometheus_labels import PrometheusSeries, to_number
from rca.sources.received import Received
from rca.sources.samples import SampleBatch, Series
from rca.types import SECOND, Window, to_text

MAX_POINTS = 11_000
_METHOD_NOT_ALLOWED = 405
_POINT = tuple[float, str]


class _Row(msgspec.Struct):
    metric: dict[str, str] = {}
    values: list[_POINT] = []


class _Data(msgspec.Struct, rename="camel"):
    result_type: str
    result: list[Any]


class _Answer(msgspec.Struct, rename="camel"):
    status: str
    data: _Data | None = None
    error: str = ""
    error_type: str = ""
    warnings: list[str] = []


def query_range(
    server: Server,
    queries: Mapping[str, str] | Sequence[str],
    window: Window,
    *,
    step: int,
    naming: Naming = DEFAULT_NAMING,
    limits: Limits = DEFAULT_LIMITS,
) -> Received:
    """The samples of queries in [start, end), every ``step`` ns.

    Args:
        queries: PromQL, or a name for each: what a series is called whose query dropped its name
            (``{"requests": "sum by (service) (rate(http_requests_total[1m]))"}``).
        step: ns, at least a millisecond.

    Returns:
        What was answered; a query or piece that failed is a warning.

    Raises:
        UnavailableError: every query failed.
    """
    if step < 1_000_000:
        raise SourceError("the step is shorter than a millisecond", where=server.name, remedy="Ask in seconds")
    named = dict(queries) if isinstance(queries, Mapping) else {query: query for query in queries}
    reader = PrometheusSeries(naming)
    batches: list[SampleBatch] = []
    warnings: list[str] = []
    failures: list[SourceError] = []
    asked = seen = 0
    for name, query in named.items():
        for piece in cut_window(window, step):
            asked += 1
            try:
                answer = _ask(server, query, piece, step)
                batch = _samples(answer, reader, "" if name == query else name, f"{server.name}, {query[:80]}")
            except SourceError as bad:
                failures.append(bad)
                warnings.append(f"{query[:120]} from {to_text(piece.start)} to {to_text(piece.end)}: {bad}")
                continue
            seen += len(batch)
            if seen > limits.records:
                warnings.append(f"more than {limits.records} samples: the rest was not asked for")
                break
            batches.append(batch)
            warnings += [f"{server.name} warns: {text[:200]}" for text in answer.warnings]
        else:
            continue
        break
    if asked and len(failures) == asked:
        raise UnavailableError(failures[0].problem, where=failures[0].where, remedy=failures[0].remedy)
    return Received(
        samples=SampleBatch.concat(batches), topology=reader.topology(), warnings=tuple(dict.fromkeys(warnings))
    )


def cut_window(window: Window, step: int) -> Iterator[Window]:
    """Pieces of fewer than 11,000 steps each, on one grid of steps, together the window."""
    length = (MAX_POINTS - 1) * step
    start = window.start
    while start < window.end:
        yield Window(start=start, end=min(start + length, window.end))
        start += length


def parse_matrix(content: bytes, *, naming: Naming = DEFAULT_NAMING, where: str = "query_range") -> Received:
    """The samples of one answer of ``query_range`` or ``query``.

    Raises:
        SourceError: another answer; UnavailableError: it is an error.
    """
    reader = PrometheusSeries(naming)
    answer = _checked(decode_json(content, _Answer, where=where), where)
    batch = _samples(answer, reader, "", where)
    return Received(samples=batch, topology=reader.topology(), warnings=tuple(answer.warnings))


def _ask(server: Server, query: str, piece: Window, step: int) -> _Answer:
    last = piece.start + (piece.end - 1 - piece.start) // step * step  # the end is included, ours is not
    form = {"query": query, "start": _seconds(piece.start), "end": _seconds(last), "step": _seconds(step)}
    try:
        answer = server.ask("POST", "/api/v1/query_range", _Answer, form=form)
    except UnavailableError as bad:
        if bad.answered != _METHOD_NOT_ALLOWED:
            raise
        answer = server.ask("GET", "/api/v1/query_range", _Answer, params=form)  # behind a proxy that only reads
    return _checked(answer, server.name)


def _checked(answer: _Answer, where: str) -> _Answer:
    if answer.status != "success" or answer.data is None:
        raise UnavailableError(f"{answer.error_type}: {answer.error}"[:300], where=where, remedy="Check the query")
    return answer


def _seconds(time: int) -> str:
    """Exactly, as decimal seconds."""
    return f"{time // SECOND}.{time % SECOND:09d}".rstrip("0").rstrip(".")


def _samples(answer: _Answer, reader: PrometheusSeries, name: str, where: str) -> SampleBatch:
    data = answer.data
    if data is None or data.result_type not in ("matrix", "vector"):
        kind = data.result_type[:40] if data else "nothing"
        raise SourceError(f"the query gives a {kind}", where=where, remedy="Ask for series")
    keys: dict[Series, int] = {}
    codes: list[int] = []
    lengths: list[int] = []
    points: list[_POINT] = []
    for i, row in enumerate(data.result):
        labels, values = _row(row, data.result_type, f"{where}, series {i + 1}")
        key = reader.read(labels, name=name or "value")
        if key is None:
            continue
        codes.append(keys.setdefault(key, len(keys)))
        lengths.append(len(values))
        points += values
    times = np.array([point[0] for point in points], np.float64)
    if times.size and not bool((np.isfinite(times) & (times > 0) & (times < 9.2e9)).all()):
        raise SourceError("a time is no number of seconds since 1970", where=where, remedy="Ask a Prometheus API")
    # Milliseconds are what Prometheus keeps; a double holds them exactly.
    nanoseconds = np.rint(times * 1_000).astype(np.int64) * 1_000_000
    values_read = np.fromiter((to_number(point[1]) for point in points), np.float64, len(points))
    values_read[np.isinf(values_read)] = np.nan
    return SampleBatch(
        keys=tuple(keys),
        series=np.repeat(np.array(codes, np.int32), np.array(lengths, np.int64)),
        times=nanoseconds,
        starts=np.zeros(len(points), np.int64),
        values=values_read,
    )


def _row(row: Any, kind: str, where: str) -> tuple[dict[str, str], list[_POINT]]:
    if kind == "vector" and isinstance(row, dict):
        row = {"metric": row.get("metric", {}), "values": [row["value"]] if "value" in row else []}
    try:
        read = msgspec.convert(row, _Row)
    except msgspec.ValidationError as bad:
        raise SourceError(str(bad), where=where, remedy="Ask a Prometheus API") from bad
    return read.metric, read.values
