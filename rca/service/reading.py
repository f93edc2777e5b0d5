"""Bodies that hold a window: inflated within bounds, decoded, and turned into a case."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from rca.cases.description import (
    Description,
    case_from_description,
    decode_description,
    incident_window_from_json,
)
from rca.errors import CaseError, InputError, TelemetryError
from rca.formats.native_json import PARSERS, Grid, decode_json, frame_of
from rca.sources.bodies import Limits, inflate
from rca.sources.errors import TooLargeError, UnsupportedError
from rca.stores.snapshots import table_to_telemetry, unpack_case
from rca.telemetry import Telemetry
from rca.types import Case, Window

if TYPE_CHECKING:
    import pyarrow as pa

JSON = "application/json"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
ZIP = "application/zip"
MEDIA = (JSON, ARROW, PARQUET, ZIP)
# Beyond it, a document holds telemetry, and looking for it twice costs time.
_SMALL = 1 << 16
_BATCH = 16_384  # rows: how much of a Parquet file is in memory before its size is looked at
_WIDTH = 8  # bytes of a value, at most, as long as it is no text


_NULL = msgspec.Raw(b"null")


class Reference(msgspec.Struct, forbid_unknown_fields=True):
    """A window over telemetry that was ingested before.

    ``components`` are looked at first (they are the symptoms where none are given); ``labels`` are
    those of an alert, which name the component in the usual ways.
    """

    id: str = ""
    title: str = ""
    window: msgspec.Raw = _NULL
    baseline: msgspec.Raw = _NULL
    detected_at: str | int | float | None = None
    onset: str | int | float | None = None
    symptoms: msgspec.Raw = _NULL
    components: list[str] = []
    labels: dict[str, str] = {}


class _Telemetry(msgspec.Struct, forbid_unknown_fields=True):
    metrics: Grid
    logs: msgspec.Raw = _NULL
    spans: msgspec.Raw = _NULL
    changes: msgspec.Raw = _NULL
    alerts: msgspec.Raw = _NULL


class _Whole(Description, forbid_unknown_fields=True, kw_only=True):
    """A window in its usual form, decoded in one pass."""

    telemetry: _Telemetry  # type: ignore[assignment] # narrower than a piece of JSON


class _Peek(msgspec.Struct):
    telemetry: msgspec.Raw = msgspec.Raw()


def read_window(
    body: bytes, media: str, encoding: str, query: Mapping[str, Any], *, max_json: int, max_bytes: int
) -> Case | Reference:
    """The case that a body holds, or the reference to telemetry that was ingested.

    Args:
        media: one of ``MEDIA``.
        encoding: the Content-Encoding.
        query: what the query says of an Arrow or Parquet table: the fields of ``case.json``.
        max_json, max_bytes: the largest JSON, and the largest of any other form, inflated.

    Raises:
        InputError: malformed. SourceError: too large, or of a form that is not read.
    """
    limit = max_json if media == JSON else max_bytes
    content = inflate(body, encoding, where="body", limits=Limits(inflated=limit))
    if media == JSON:
        return _read_json(content, max_json)
    if media == ZIP:
        return unpack_case(content, where="body", max_bytes=max_bytes)
    if media == ARROW:
        table = _read_arrow(content, max_bytes)
    elif media == PARQUET:
        table = _read_parquet(content, max_bytes)
    else:
        raise UnsupportedError(f"the media type {media[:60]!r}", where="body", remedy=f"Send {', '.join(MEDIA)}")
    told = (table.schema.metadata or {}).get(b"rca.case")
    described = (
        decode_description(told, where="body, rca.case")
        if told is not None and not query
        else msgspec.convert(dict(query), Description, strict=False)
    )
    if described.topology_file:
        raise CaseError("names a file", where="body, rca.case, topology", remedy="Spell the topology out")
    telemetry = table_to_telemetry(table, where="body")
    return case_from_description(described, telemetry, described.own_topology("body"), name="incident", where="body")


def describe_reference(
    reference: Reference, *, window: Window | None = None, known: Container[str] | None = None
) -> Description:
    """The description that a reference makes.

    Args:
        window: the window, where it is settled.
        known: components that telemetry or topology know; symptoms of others are left out.
    """
    fields = {name: getattr(reference, name) for name in ("id", "title", "detected_at", "onset")}
    document: dict[str, Any] = {name: value for name, value in fields.items() if value not in ("", None)}
    document |= {
        name: msgspec.json.decode(bytes(raw))
        for name in ("window", "baseline", "symptoms")
        if bytes(raw := getattr(reference, name)) not in (b"", b"null")
    }
    document.setdefault("symptoms", [{"component": name} for name in reference.components])
    if window is not None:
        document["window"] = {"start": window.start, "end": window.end}
    described = decode_description(msgspec.json.encode(document), where="body")
    if known is not None:
        described.symptoms = [symptom for symptom in described.symptoms if symptom.component in known]
    return described


def _read_json(content: bytes, max_json: int) -> Case | Reference:
    if len(content) < _SMALL:
        peek = decode_json(content, _Peek, where="body", max_bytes=max_json, error=CaseError)
        if not bytes(peek.telemetry):
            reference: Reference = decode_json(content, Reference, where="body", max_bytes=max_json, error=CaseError)
            return reference
    try:
        whole = msgspec.json.decode(content, type=_Whole)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # Another form, or a mistake, which the thorough reader names.
        return incident_window_from_json(content, where="body", max_bytes=max_json)
    return _case_of(whole)


def _case_of(whole: _Whole) -> Case:
    if whole.topology_file:
        raise CaseError("names a file", where="body, topology", remedy="Spell the topology out in the document")
    told = whole.telemetry
    parts: dict[str, Any] = {"metrics": frame_of(told.metrics, where="body.telemetry.metrics")}
    for name in ("logs", "spans", "changes", "alerts"):
        raw = bytes(getattr(told, name))
        if raw != b"null":
            parts[name] = PARSERS[name](raw, where=f"body.telemetry.{name}")
    return case_from_description(whole, Telemetry(**parts), whole.own_topology("body"), name="incident", where="body")


def _read_arrow(content: bytes, max_bytes: int) -> pa.Table:
    """The table of an Arrow stream, its size looked at batch by batch."""
    import pyarrow as pa

    try:
        with pa.ipc.open_stream(pa.BufferReader(content)) as reader:
            batches, size = [], 0
            for batch in reader:
                size += batch.get_total_buffer_size()
                _check_size(size, max_bytes)
                batches.append(batch)
            table = pa.Table.from_batches(batches, reader.schema)
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, MemoryError) as bad:
        raise _damaged("no Arrow stream", bad) from bad
    return table


def _read_parquet(content: bytes, max_bytes: int) -> pa.Table:
    """The table of a Parquet file: its claims are looked at first, then its size while it is read.

    Texts are read as dictionaries: a long one that repeats is in memory once, however often it repeats.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            metadata = file.metadata
            for group in range(metadata.num_row_groups):
                columns = metadata.row_group(group)
                values = sum(columns.column(i).num_values for i in range(columns.num_columns))
                _check_size(max(values * _WIDTH // 2, columns.total_byte_size // 2), max_bytes)
            _check_size(metadata.num_rows * _WIDTH // 2, max_bytes)
            texts = [field.name for field in file.schema_arrow if pa.types.is_string(field.type)]
        with pq.ParquetFile(pa.BufferReader(content), read_dictionary=texts) as file:
            batches, size = [], 0
            for batch in file.iter_batches(_BATCH):
                size += sum(_inflated(column) for column in batch.columns)
                _check_size(size, max_bytes)
                batches.append(batch)
            table = pa.Table.from_batches(batches, batches[0].schema if batches else file.schema_arrow)
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, MemoryError) as bad:
        raise _damaged("no Parquet file", bad) from bad
    return table


def _inflated(column: pa.Array) -> int:
    """Bytes of a column with its dictionary written out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    lengths = pc.binary_length(column.dictionary).take(column.indices)
    return int(pc.sum(lengths).as_py() or 0) + 4 * len(column)


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise TooLargeError(f"more than {most >> 20} MiB inflated", where="body", remedy="Send a shorter window")


def _damaged(what: str, bad: Exception) -> InputError:
    if isinstance(bad, MemoryError) or "malloc" in str(bad):
        return TelemetryError("needs more memory than is taken", where="body", remedy="Send a shorter window")
    line = str(bad).splitlines()[0][:160] if str(bad) else type(bad).__name__
    return TelemetryError(f"{what}: {line}", where="body", remedy="Write it again")
