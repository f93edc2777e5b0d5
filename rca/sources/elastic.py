"""Asking OpenSearch and Elasticsearch for log lines, and writing reports into an index of theirs.

``_search`` over a point in time, so that pages fit together whatever is written meanwhile; plain HTTP,
for the clients of each refuse the servers of the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from rca.errors import SourceError
from rca.sources.asking import Server
from rca.sources.bodies import DEFAULT_LIMITS, Limits
from rca.sources.elastic_fields import FIELDS, LogDocument, read_document
from rca.sources.errors import UnavailableError
from rca.sources.naming import DEFAULT_NAMING, Naming, Origin
from rca.sources.otlp_resources import topology_of
from rca.sources.received import Received
from rca.sources.records import LineCollector
from rca.types import Window, to_text

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = 2_000
_KEEP = "1m"
_BULK = 500
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """Which documents are lines.

    Attributes:
        index: names or patterns, parted by commas: ``logs-*,filebeat-*``.
        query: further conditions in Lucene's syntax: ``service.name:cart AND log.level:(warn OR error)``.
        time_field: by which documents are found and ordered.
        most: lines that are read at most, the oldest first.
    """

    index: str = "logs-*"
    query: str = ""
    time_field: str = "@timestamp"
    most: int = 100_000


class _Hit(msgspec.Struct):
    id: str = msgspec.field(name="_id", default="")
    index: str = msgspec.field(name="_index", default="")
    source: dict[str, Any] = msgspec.field(name="_source", default={})
    sort: list[Any] = []


class _Hits(msgspec.Struct):
    hits: list[_Hit] = []


class _Failure(msgspec.Struct):
    reason: dict[str, Any] = {}


class _Shards(msgspec.Struct):
    total: int = 0
    failed: int = 0
    failures: list[_Failure] = []


class _Found(msgspec.Struct):
    hits: _Hits
    pit_id: str = ""
    timed_out: bool = False
    shards: _Shards = msgspec.field(name="_shards", default_factory=_Shards)


def query_logs(
    server: Server,
    query: LogQuery,
    window: Window,
    *,
    naming: Naming = DEFAULT_NAMING,
    limits: Limits = DEFAULT_LIMITS,
) -> Received:
    """The lines of a window, oldest first, from documents of the Elastic Common Schema or OpenTelemetry.

    Shards that failed, pages that failed after the first, and lines beyond ``most`` are warnings.

    Raises:
        UnavailableError: no answer, or an error as answer; SourceError: an answer of another form.
    """
    try:
        return _read_pages(server, query, window, _Lines(naming, limits))
    except UnavailableError as bad:
        if bad.answered != _NOT_FOUND:
            raise
        return Received(warnings=(f"{server.name}: there is no index {query.index}",))


def _read_pages(server: Server, query: LogQuery, window: Window, reader: _Lines) -> Received:
    warnings: dict[str, None] = {}
    with _point_in_time(server, query.index) as point:
        after: list[Any] | None = None
        edge: set[tuple[str, str]] = set()
        while True:
            try:
                found = _search(server, query, window, point, after)
                if found.shards.failed and not found.hits.hits and not len(reader):
                    raise UnavailableError(_failures(found), where=server.name, remedy="Check the query")
            except SourceError as bad:
                if not len(reader):
                    raise
                warnings[f"{server.name}: not all lines were read: {bad}"] = None
                break
            point = found.pit_id or point
            if found.shards.failed or found.timed_out:
                warnings[f"{server.name}: {_failures(found)}"] = None
            fresh = [hit for hit in found.hits.hits if (hit.index, hit.id) not in edge]
            room = query.most - len(reader)
            for hit in fresh[:room]:
                reader.add(hit, server.name)
            if len(fresh) > room:
                warnings[f"{server.name}: more than {query.most} lines: the last were not read"] = None
                break
            if len(found.hits.hits) < PAGE or not fresh:
                break
            after, edge = _behind(found.hits.hits, server.name)
    return reader.received(tuple(warnings))


def write_documents(
    server: Server, index: str, documents: Iterable[tuple[str, Mapping[str, Any]]], *, refresh: bool = False
) -> int:
    """Writes documents under their ids, by ``_bulk``: written twice, they are there once. How many were written.

    Raises:
        UnavailableError: no answer, or a document was refused; the error says why.
    """
    written = 0
    rows = list(documents)
    for begin in range(0, len(rows), _BULK):
        part = rows[begin : begin + _BULK]
        lines = [
            line
            for id, document in part
            for line in (msgspec.json.encode({"index": {"_index": index, "_id": id}}), msgspec.json.encode(document))
        ]
        answer = server.ask(
            "POST",
            "/_bulk",
            dict[str, Any],
            params={"refresh": "true"} if refresh else None,
            content=b"\n".join(lines) + b"\n",
            content_type="application/x-ndjson",
        )
        if answer.get("errors"):
            raise UnavailableError(
                _first_error(answer), where=f"{server.name}, {index}", remedy="Check mapping and rights"
            )
        written += len(part)
    return written


@contextmanager
def _point_in_time(server: Server, index: str) -> Iterator[str]:
    """A point in time, by OpenSearch's API or Elasticsearch's; closed at the end."""
    info = server.ask("GET", "/", dict[str, Any])
    version = info.get("version")
    is_opensearch = isinstance(version, dict) and version.get("distribution") == "opensearch"
    path = f"/{quote(index, safe='*,-_.')}"
    if is_opensearch:
        options = {"keep_alive": _KEEP, "allow_no_indices": "false"}  # without an index it fails over its own answer
        opened = server.ask("POST", f"{path}/_search/point_in_time", dict[str, Any], params=options)
        point = opened.get("pit_id")
    else:
        opened = server.ask("POST", f"{path}/_pit", dict[str, Any], params={"keep_alive": _KEEP})
        point = opened.get("id")
    if not isinstance(point, str):
        raise SourceError(
            "gives no point in time", where=server.name, remedy="Use OpenSearch 2.4 or Elasticsearch 7.10"
        )
    try:
        yield point
    finally:
        with suppress(SourceError):  # it ends by itself after a minute
            if is_opensearch:
                server.ask("DELETE", "/_search/point_in_time", dict[str, Any], json={"pit_id": [point]})
            else:
                server.ask("DELETE", "/_pit", dict[str, Any], json={"id": point})


def _search(server: Server, query: LogQuery, window: Window, point: str, after: list[Any] | None) -> _Found:
    bounds = {"gte": to_text(window.start), "lt": to_text(window.end), "format": "strict_date_optional_time_nanos"}
    conditions: list[dict[str, Any]] = [{"range": {query.time_field: bounds}}]
    if query.query:
        conditions.append({"query_string": {"query": query.query}})
    # In nanoseconds whatever the field's resolution is; a document's number in its shard parts equal times.
    order = {"order": "asc", "numeric_type": "date_nanos", "unmapped_type": "date"}
    body: dict[str, Any] = {
        "size": PAGE,
        "query": {"bool": {"filter": conditions}},
        "pit": {"id": point, "keep_alive": _KEEP},
        "sort": [{query.time_field: order}, {"_seq_no": {"order": "asc"}}],
        "_source": list(FIELDS),
        "track_total_hits": False,
    }
    if after is not None:
        body["search_after"] = after
    return server.ask("POST", "/_search", _Found, json=body)


def _behind(hits: Sequence[_Hit], where: str) -> tuple[list[Any], set[tuple[str, str]]]:
    """Where the next page begins, and what of it was read already.

    Documents of several shards may share time and number, and a page may end among them: the next
    one begins with that number again, and what was read is left out.
    """
    last = hits[-1].sort
    if len(last) != 2 or not all(isinstance(value, int) for value in last):
        raise SourceError("hits without time and number", where=where, remedy="Use an index with sequence numbers")
    return [last[0], last[1] - 1], {(hit.index, hit.id) for hit in hits if hit.sort == last}


class _Lines:
    """Lines of documents."""

    def __init__(self, naming: Naming, limits: Limits) -> None:
        self._naming, self._limits = naming, limits
        self._out = LineCollector()
        self._origins: dict[Origin, None] = {}
        self._rejected, self._read = 0, 0

    def __len__(self) -> int:
        return self._read

    def add(self, hit: _Hit, where: str) -> None:
        """One document; one without a message is rejected."""
        self._read += 1
        self._limits.check_records(self._read, where)
        line: LogDocument = read_document(hit.source, self._limits.text)
        time = hit.sort[0] if hit.sort and isinstance(hit.sort[0], int) else 0
        if not line.message or time <= 0:
            self._rejected += 1
            return
        origin = self._naming.origin(line.facts)
        self._origins.setdefault(origin)
        self._out.add(time, origin.component, line.level, line.message, line.trace, line.span)

    def received(self, warnings: tuple[str, ...]) -> Received:
        """All that was added."""
        problem = "documents without a message" if self._rejected else ""
        told = Received(logs=self._out.batch(), topology=topology_of(list(self._origins)), warnings=warnings)
        return replace(told, rejected=self._rejected, problem=problem)


def _failures(found: _Found) -> str:
    if found.timed_out and not found.shards.failed:
        return "the search timed out, not all lines were read"
    reasons = [str(failure.reason.get("reason", ""))[:200] for failure in found.shards.failures[:1]]
    return f"{found.shards.failed} of {found.shards.total} shards failed: {' '.join(reasons)}".rstrip(": ")


def _first_error(answer: Mapping[str, Any]) -> str:
    for item in answer.get("items") or ():
        for result in item.values() if isinstance(item, dict) else ():
            error = result.get("error") if isinstance(result, dict) else None
            if error:
                reason = error.get("reason", error) if isinstance(error, dict) else error
                return f"a document was refused: {str(reason)[:300]}"
    return "a document was refused"
