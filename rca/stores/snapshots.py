"""A case as one file: a zip archive of a case folder, its tables as Arrow streams.

Unpacked, it is a folder that ``rca analyze`` reads: whatever was answered can be asked again.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rca.cases.description import case_from_description, decode_description, describe, encode_description
from rca.errors import CaseError
from rca.formats.arrow import load_arrow
from rca.formats.batches import logs_from_rows, logs_to_table, spans_from_rows, spans_to_table
from rca.formats.metrics import frame_from_grid, frame_from_rows, frame_to_grid
from rca.formats.native_json import PARSERS, alerts_to_json, changes_to_json
from rca.formats.parquet import load_parquet
from rca.formats.rows import Rows, Table
from rca.telemetry import Telemetry
from rca.topology_files import topology_from_json, topology_to_json
from rca.types import Case

if TYPE_CHECKING:
    import pyarrow as pa

MAX_BYTES = 256 << 20
_TABLES = ("metrics", "logs", "spans", "changes", "alerts")
_LOADERS: dict[str, Callable[..., pa.Table]] = {"arrow": load_arrow, "parquet": load_parquet}
_FROM_ROWS: dict[str, Callable[[Rows], Any]] = {"logs": logs_from_rows, "spans": spans_from_rows}


def pack_case(case: Case) -> bytes:
    """The case as a zip archive; a health profile is not part of it."""
    telemetry = case.telemetry
    files: dict[str, bytes] = {"case.json": encode_description(describe(case))}
    if case.topology is not None:
        files["topology.json"] = topology_to_json(case.topology)
    if telemetry.metrics.values.shape != (0, 0):
        files["metrics.arrow"] = _stream(frame_to_grid(telemetry.metrics))
    if len(telemetry.logs):
        files["logs.arrow"] = _stream(logs_to_table(telemetry.logs))
    if len(telemetry.spans):
        files["spans.arrow"] = _stream(spans_to_table(telemetry.spans))
    if telemetry.changes:
        files["changes.json"] = changes_to_json(telemetry.changes)
    if telemetry.alerts:
        files["alerts.json"] = alerts_to_json(telemetry.alerts)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as target:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)  # without the time of writing: equal cases are equal bytes
            entry.external_attr = 0o644 << 16
            target.writestr(entry, content)
    return archive.getvalue()


def unpack_case(content: bytes, *, where: str = "case", max_bytes: int = MAX_BYTES) -> Case:
    """The case of a zip archive of a case folder.

    Raises:
        InputError: no archive, more than ``max_bytes`` in it, unknown files, or a malformed one.
    """
    files = _read_archive(content, where, max_bytes)
    if "case.json" not in files:
        raise CaseError("case.json is missing", where=where, remedy="Pack the folder's files, not the folder")
    described = decode_description(files.pop("case.json"), where=f"{where}, case.json")
    if described.topology_file:
        raise CaseError("names a file", where=f"{where}, case.json, topology", remedy="Pack it as topology.json")
    topology = described.own_topology(where)
    if (raw := files.pop("topology.json", None)) is not None:
        read = topology_from_json(raw, where=f"{where}, topology.json")
        topology = read if topology is None else topology.merge(read)
    tables: dict[str, Any] = {}
    for name, raw in files.items():
        table, _, form = name.partition(".")
        if table in tables:
            raise CaseError(f"{table} stand there several times", where=where, remedy="Keep one form per table")
        tables[table] = _read_table(table, form, raw, f"{where}, {name}")
    return case_from_description(described, Telemetry(**tables), topology, name="incident", where=where)


def table_to_telemetry(table: pa.Table, *, where: str) -> Telemetry:
    """Metrics, log lines or spans, whichever the columns of a table say it holds.

    Raises:
        TelemetryError: malformed.
    """
    names = set(table.column_names)
    if "message" in names:
        return Telemetry(logs=_parse("logs", table, where))
    if {"span", "span_id"} & names:
        return Telemetry(spans=_parse("spans", table, where))
    return Telemetry(metrics=_parse("metrics", table, where))


def _read_archive(content: bytes, where: str, max_bytes: int) -> dict[str, bytes]:
    allowed = {"case.json", "topology.json"}
    allowed |= {f"{table}.{form}" for table in _TABLES for form in ("arrow", "parquet", "json")}
    files: dict[str, bytes] = {}
    left = max_bytes
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.infolist()[: len(allowed) + 1]:
                if entry.filename not in allowed or entry.filename in files:
                    raise CaseError(
                        f"unknown file {entry.filename[:80]!r}",
                        where=where,
                        remedy="Pack case.json, topology.json and tables as .arrow, .parquet or .json",
                    )
                with archive.open(entry) as file:
                    files[entry.filename] = file.read(left + 1)
                left -= len(files[entry.filename])
                if left < 0:
                    raise CaseError(f"more than {max_bytes} bytes", where=where, remedy="Send a shorter window")
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as bad:
        raise CaseError(f"no zip archive: {str(bad)[:120]}", where=where, remedy="Pack it again") from bad
    except Exception as bad:
        if type(bad).__module__ in ("zlib", "_lzma", "lzma"):
            raise CaseError("a damaged zip archive", where=where, remedy="Pack it again") from bad
        raise
    return files


def _read_table(table: str, form: str, content: bytes, where: str) -> Any:
    if form == "json":
        return PARSERS[table](content, where=where)
    if table in ("changes", "alerts"):
        raise CaseError("is no JSON", where=where, remedy="Pack changes and alerts as .json")
    return _parse(table, _LOADERS[form](content, where=where), where)


def _parse(name: str, table: pa.Table, where: str) -> Any:
    columns = {column: table.column(column) for column in table.column_names}
    if name == "metrics":
        if "values" in columns:
            return frame_from_grid(table, where=where)
        if {"component", "metric", "value"} & set(columns):
            return frame_from_rows(Rows.of("metrics", columns, where=where))
        from rca.formats.metrics import frame_from_wide

        return frame_from_wide(columns, where=where)
    kind: Table = "logs" if name == "logs" else "spans"
    return _FROM_ROWS[name](Rows.of(kind, columns, where=where))


def _stream(table: pa.Table) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    # LZ4 costs next to nothing and halves most windows.
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content
