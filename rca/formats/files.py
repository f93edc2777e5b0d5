"""Tables in files: which form a file has, and the readers and writers of each table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rca.errors import TelemetryError
from rca.formats import native_json
from rca.formats.arrow import dump_arrow, load_arrow
from rca.formats.batches import logs_from_rows, logs_to_table, spans_from_rows, spans_to_table
from rca.formats.csv import dump_csv, load_csv
from rca.formats.metrics import frame_from_grid, frame_from_rows, frame_from_wide, frame_to_grid, frame_to_rows
from rca.formats.parquet import dump_parquet, load_parquet
from rca.formats.records import alerts_from_rows, changes_from_rows, plain_alerts, plain_changes, table_from_plain
from rca.formats.rows import Rows, Table
from rca.telemetry import LogBatch, MetricFrame, SpanBatch
from rca.types import Alert, Change

if TYPE_CHECKING:
    import pyarrow as pa

FORMS = ("parquet", "arrow", "csv", "json")
"""Endings of table files."""

_LOAD: dict[str, Callable[..., pa.Table]] = {"arrow": load_arrow, "parquet": load_parquet, "csv": load_csv}
_DUMP: dict[str, Callable[[Any, Path], None]] = {"arrow": dump_arrow, "parquet": dump_parquet, "csv": dump_csv}


def form_of(path: str | Path) -> str:
    """The form that a file's ending names.

    Raises:
        TelemetryError: it names none.
    """
    form = Path(path).suffix.lower().removeprefix(".")
    if form not in FORMS:
        raise TelemetryError("no table of a known form", where=path, remedy=f"End the name in .{', .'.join(FORMS)}")
    return form


def read_metrics(path: str | Path, *, components: Sequence[str] = ()) -> MetricFrame:
    """Metrics from long rows, from one row per series, or from a wide table (see docs/telemetry.md).

    ``components`` are names that help to part the columns of a wide table.

    Raises:
        TelemetryError: the file is unreadable or malformed.
    """
    if form_of(path) == "json":
        return native_json.metrics_from_json(_content(path), where=str(path))
    table = _load(path)
    names = set(table.column_names)
    if "values" in names:
        return frame_from_grid(table, where=str(path))
    columns = {name: table.column(name) for name in table.column_names}
    if {"component", "metric", "value"} & names:
        return frame_from_rows(Rows.of("metrics", columns, where=str(path)))
    return frame_from_wide(columns, components=components, where=str(path))


def read_logs(path: str | Path) -> LogBatch:
    """Log lines in order of time.

    Raises:
        TelemetryError: the file is unreadable or malformed.
    """
    if form_of(path) == "json":
        return native_json.logs_from_json(_content(path), where=str(path))
    return logs_from_rows(_rows("logs", path))


def read_spans(path: str | Path) -> SpanBatch:
    """Spans in order of their start.

    Raises:
        TelemetryError: the file is unreadable or malformed.
    """
    if form_of(path) == "json":
        return native_json.spans_from_json(_content(path), where=str(path))
    return spans_from_rows(_rows("spans", path))


def read_changes(path: str | Path) -> tuple[Change, ...]:
    """Changes in order of time.

    Raises:
        TelemetryError: the file is unreadable or malformed.
    """
    if form_of(path) == "json":
        return native_json.changes_from_json(_content(path), where=str(path))
    return changes_from_rows(_rows("changes", path))


def read_alerts(path: str | Path) -> tuple[Alert, ...]:
    """Alerts in the order of their rows.

    Raises:
        TelemetryError: the file is unreadable or malformed.
    """
    if form_of(path) == "json":
        return native_json.alerts_from_json(_content(path), where=str(path))
    return alerts_from_rows(_rows("alerts", path))


def write_metrics(frame: MetricFrame, path: str | Path) -> None:
    """Writes one row per series (Arrow, Parquet, JSON) or per sample (CSV)."""
    table = frame_to_rows if form_of(path) == "csv" else frame_to_grid
    _write(path, lambda: table(frame), lambda: native_json.metrics_to_json(frame))


def write_logs(batch: LogBatch, path: str | Path) -> None:
    """Writes one row per line."""
    _write(path, lambda: logs_to_table(batch), lambda: native_json.logs_to_json(batch))


def write_spans(batch: SpanBatch, path: str | Path) -> None:
    """Writes one row per span."""
    _write(path, lambda: spans_to_table(batch), lambda: native_json.spans_to_json(batch))


def write_changes(changes: Sequence[Change], path: str | Path) -> None:
    """Writes one row per change."""
    rows = plain_changes(changes)
    _write(path, lambda: table_from_plain("changes", rows), lambda: native_json.changes_to_json(tuple(changes)))


def write_alerts(alerts: Sequence[Alert], path: str | Path) -> None:
    """Writes one row per alert."""
    rows = plain_alerts(alerts)
    _write(path, lambda: table_from_plain("alerts", rows), lambda: native_json.alerts_to_json(tuple(alerts)))


def _write(path: str | Path, table: Callable[[], pa.Table], text: Callable[[], bytes]) -> None:
    form = form_of(path)
    try:
        if form == "json":
            Path(path).write_bytes(text())
        else:
            _DUMP[form](table(), Path(path))
    except UnicodeEncodeError as bad:  # half of a surrogate pair: bytes that were decoded with surrogateescape
        raise TelemetryError("a text is not Unicode", where=path, remedy="Decode it with errors='replace'") from bad
    except OSError as bad:
        raise TelemetryError(
            f"cannot be written: {bad.strerror or bad}", where=path, remedy="Check the folder"
        ) from bad


def _content(path: str | Path) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(native_json.MAX_BYTES + 1)
    except OSError as bad:
        raise TelemetryError(f"cannot be read: {bad.strerror}", where=path, remedy="Check the path") from bad


def _load(path: str | Path) -> pa.Table:
    table = _LOAD[form_of(path)](Path(path), where=str(path))
    names = table.column_names
    for i, name in enumerate(names):
        if name in names[:i]:
            raise TelemetryError(f"the column {name[:80]!r} stands twice", where=path, remedy="Rename or remove one")
    return table


def _rows(table: Table, path: str | Path) -> Rows:
    loaded = _load(path)
    return Rows.of(table, {name: loaded.column(name) for name in loaded.column_names}, where=str(path))
