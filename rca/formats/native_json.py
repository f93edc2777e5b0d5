"""Native JSON: telemetry as columns, metrics as one list of values per series.

    {"metrics": {"times": ["2026-01-31T12:00:00Z"],
                 "series": [{"component": "cart", "metric": "cpu", "values": [0.5]}]},
     "logs": {"time": ["2026-01-31T12:00:00Z"], "component": ["cart"], "message": ["started"]},
     "spans": {"start": …, "duration_ms": …, "component": …, "operation": …, "trace": …, "span": …},
     "changes": [{"time": "2026-01-31T11:59:00Z", "component": "cart", "kind": "change.deployment"}],
     "alerts": [{"component": "cart", "name": "HighLatency"}]}

Every part may be left out. Metrics may also come as long columns (time, component, metric, value).
Nothing nests deeper than the form itself: what does is of the wrong type, and refused.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from rca.errors import InputError, TelemetryError
from rca.formats.batches import logs_from_rows, logs_to_table, spans_from_rows, spans_to_table
from rca.formats.metrics import frame_from_rows, frame_from_series, series_names, series_rows, to_float32_grid
from rca.formats.records import alerts_from_rows, changes_from_rows, plain_alerts, plain_changes, rows_from_plain
from rca.formats.rows import Rows, Table
from rca.formats.tables import UNITS
from rca.formats.times import ZONE_REMEDY, parse_times
from rca.telemetry import LogBatch, MetricFrame, SpanBatch, Telemetry, Times
from rca.types import Alert, Change

# What OTLP receivers take as one body, too.
MAX_BYTES = 64 << 20

_Cell = str | int | float | None
_Columns = dict[str, list[_Cell]]
_Label = str | int | float | bool | None
_Records = list[dict[str, str | int | float | list[str] | dict[str, _Label] | None]]


class _Series(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    component: str
    metric: str
    values: list[float | None]
    peer: str = ""


class Grid(msgspec.Struct, forbid_unknown_fields=True):
    """Metrics as one list of values per series, over one of the five forms of times."""

    series: list[_Series]
    times: list[str | int | float] | None = None
    times_s: list[int | float] | None = None
    times_ms: list[int | float] | None = None
    times_us: list[int | float] | None = None
    times_ns: list[int] | None = None


_ABSENT = msgspec.Raw()


class _Parts(msgspec.Struct, forbid_unknown_fields=True):
    metrics: msgspec.Raw = _ABSENT
    logs: msgspec.Raw = _ABSENT
    spans: msgspec.Raw = _ABSENT
    changes: msgspec.Raw = _ABSENT
    alerts: msgspec.Raw = _ABSENT


def telemetry_from_json(content: bytes, *, where: str = "telemetry", max_bytes: int = MAX_BYTES) -> Telemetry:
    """Telemetry from one JSON document; errors name the part, the column and the row.

    Raises:
        TelemetryError: no JSON, more than ``max_bytes`` of it, or a part that is malformed.
    """
    parts = decode_json(content, _Parts, where=where, max_bytes=max_bytes)
    read = {
        name: parse(part, where=f"{where}.{name}", max_bytes=max_bytes)
        for name, parse in PARSERS.items()
        if (part := bytes(getattr(parts, name))) not in (b"", b"null")
    }
    return Telemetry(**read)


def telemetry_to_json(telemetry: Telemetry) -> bytes:
    """One JSON document, which ``telemetry_from_json`` reads back; parts that hold nothing are left out."""
    parts: dict[str, msgspec.Raw] = {}
    if telemetry.metrics.values.shape != (0, 0):
        parts["metrics"] = msgspec.Raw(metrics_to_json(telemetry.metrics))
    if len(telemetry.logs):
        parts["logs"] = msgspec.Raw(logs_to_json(telemetry.logs))
    if len(telemetry.spans):
        parts["spans"] = msgspec.Raw(spans_to_json(telemetry.spans))
    if telemetry.changes:
        parts["changes"] = msgspec.Raw(changes_to_json(telemetry.changes))
    if telemetry.alerts:
        parts["alerts"] = msgspec.Raw(alerts_to_json(telemetry.alerts))
    return msgspec.json.encode(parts)


def metrics_from_json(content: bytes, *, where: str, max_bytes: int = MAX_BYTES) -> MetricFrame:
    """A frame from ``{"times": [...], "series": [...]}`` or from long columns."""
    keys = decode_json(content, dict[str, msgspec.Raw], where=where, max_bytes=max_bytes)
    if "series" not in keys:
        return frame_from_rows(_column_rows("metrics", content, where, max_bytes))
    return frame_of(decode_json(content, Grid, where=where, max_bytes=max_bytes), where=where)


def frame_of(grid: Grid, *, where: str) -> MetricFrame:
    """The frame that a decoded grid describes.

    Raises:
        TelemetryError: times are missing or malformed, or a series has another number of values.
    """
    times = _grid_times(grid, where)
    names = {name: [getattr(series, name) for series in grid.series] for name in ("component", "metric", "peer")}
    values = to_float32_grid([series.values for series in grid.series], len(times), where=f"{where}.series")
    return frame_from_series(series_rows(names, where=f"{where}.series"), times, values)


def logs_from_json(content: bytes, *, where: str, max_bytes: int = MAX_BYTES) -> LogBatch:
    """Log lines from columns."""
    return logs_from_rows(_column_rows("logs", content, where, max_bytes))


def spans_from_json(content: bytes, *, where: str, max_bytes: int = MAX_BYTES) -> SpanBatch:
    """Spans from columns."""
    return spans_from_rows(_column_rows("spans", content, where, max_bytes))


def changes_from_json(content: bytes, *, where: str, max_bytes: int = MAX_BYTES) -> tuple[Change, ...]:
    """Changes from a list of objects."""
    records = decode_json(content, _Records, where=where, max_bytes=max_bytes)
    return changes_from_rows(rows_from_plain("changes", records, where=where)) if records else ()


def alerts_from_json(content: bytes, *, where: str, max_bytes: int = MAX_BYTES) -> tuple[Alert, ...]:
    """Alerts from a list of objects."""
    records = decode_json(content, _Records, where=where, max_bytes=max_bytes)
    return alerts_from_rows(rows_from_plain("alerts", records, where=where)) if records else ()


PARSERS: dict[str, Any] = {
    "metrics": metrics_from_json,
    "logs": logs_from_json,
    "spans": spans_from_json,
    "changes": changes_from_json,
    "alerts": alerts_from_json,
}


def metrics_to_json(frame: MetricFrame) -> bytes:
    """``{"times_ns": [...], "series": [...]}``; missing samples are null."""
    names = {
        column: [known[code] if code >= 0 else "" for code in codes]
        for column, (known, codes) in series_names(frame).items()
    }
    series = [
        _Series(**{column: values[i] for column, values in names.items()}, values=frame.values[i].tolist())
        for i in range(len(frame.values))
    ]
    return msgspec.json.encode({"times_ns": frame.times.tolist(), "series": series})


def logs_to_json(batch: LogBatch) -> bytes:
    """Columns of log lines."""
    return _columns_to_json(logs_to_table(batch))


def spans_to_json(batch: SpanBatch) -> bytes:
    """Columns of spans."""
    return _columns_to_json(spans_to_table(batch))


def changes_to_json(changes: tuple[Change, ...]) -> bytes:
    """A list of objects."""
    return msgspec.json.encode(plain_changes(changes))


def alerts_to_json(alerts: tuple[Alert, ...]) -> bytes:
    """A list of objects."""
    return msgspec.json.encode(plain_alerts(alerts))


def decode_json(
    content: bytes, kind: Any, *, where: str, max_bytes: int = MAX_BYTES, error: type[InputError] = TelemetryError
) -> Any:
    """What JSON says, as ``kind``; every failure is an ``error`` that names the place in the document.

    Raises:
        InputError: (or ``error``) no UTF-8, no JSON, too large, nested too deep, or of another type than ``kind``.
    """
    if len(content) > max_bytes:
        raise error(f"{len(content)} bytes of JSON, more than {max_bytes}", where=where, remedy="Send Arrow or Parquet")
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as bad:
        problem, _, place = str(bad).partition(" - at `$")
        place = place.rstrip("`")
        raise error(problem, where=f"{where}{place}", remedy="Send the documented names and types") from bad
    except (msgspec.DecodeError, UnicodeDecodeError) as bad:
        raise error(f"no JSON: {bad}", where=where, remedy="Send one JSON document in UTF-8") from bad
    except RecursionError as bad:
        raise error("JSON nested too deep", where=where, remedy="Send the documented columns") from bad


def _column_rows(table: Table, content: bytes, where: str, max_bytes: int) -> Rows:
    import pyarrow as pa

    columns = decode_json(content, _Columns, where=where, max_bytes=max_bytes)
    raw: dict[str, Any] = {}
    for name, cells in columns.items():
        try:
            raw[name] = pa.array(cells)
        except (pa.ArrowException, OverflowError, UnicodeEncodeError) as bad:
            raise TelemetryError(
                "mixes texts and numbers, or has a number too large",
                where=f"{where}, column {name[:80]}",
                remedy="Send one type per column",
            ) from bad
    if not raw:
        return Rows(where=where, raw={}, found={}, length=0)
    return Rows.of(table, raw, where=where)


def _grid_times(grid: Grid, where: str) -> Times:
    import pyarrow as pa

    fields = {"times": "", **{f"times_{unit}": unit for unit in UNITS}}
    given = [name for name in fields if getattr(grid, name) is not None]
    if len(given) != 1:
        raise TelemetryError(
            "series need exactly one of times, times_s, times_ms, times_us, times_ns", where=where, remedy=ZONE_REMEDY
        )
    values = getattr(grid, given[0])
    place = f"{where}.{given[0]}"
    try:
        column = pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError) as bad:
        raise TelemetryError("mixes texts and numbers", where=place, remedy=ZONE_REMEDY) from bad
    return parse_times(column, fields[given[0]], where=place)[0] if values else np.zeros(0, np.int64)


def _columns_to_json(table: Any) -> bytes:
    import pyarrow as pa

    columns: dict[str, list[Any]] = {}
    for name in table.column_names:
        cells = table.column(name)
        if pa.types.is_timestamp(cells.type):
            name, cells = f"{name}_ns", cells.cast(pa.int64())
        columns[name] = cells.to_pylist()
    return msgspec.json.encode(columns)
