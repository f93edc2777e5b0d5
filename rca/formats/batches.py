"""Log lines and spans from and to tables of rows.

Late rows are sorted in by time; equal times keep the order of their rows. Two equal log lines are
two lines. A span that was delivered twice (same trace, id, component and kind) is one: the last wins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rca.errors import TelemetryError
from rca.formats.metrics import join_names, name_column
from rca.formats.rows import Rows
from rca.telemetry import (
    DEBUG,
    ERROR,
    FATAL,
    INFO,
    SPAN_CLIENT,
    SPAN_CONSUMER,
    SPAN_INTERNAL,
    SPAN_PRODUCER,
    SPAN_SERVER,
    SPAN_UNSPECIFIED,
    TRACE,
    UNKNOWN,
    WARN,
    LogBatch,
    SpanBatch,
    Times,
    texts,
)

if TYPE_CHECKING:
    import pyarrow as pa

# The names that log libraries of Java, Python, Go, JavaScript, .NET and syslog use.
LEVELS = {
    "trace": TRACE,
    "debug": DEBUG,
    "info": INFO,
    "warn": WARN,
    "error": ERROR,
    "fatal": FATAL,
    "unknown": UNKNOWN,
    "verbose": TRACE,
    "finest": TRACE,
    "finer": TRACE,
    "fine": DEBUG,
    "config": INFO,
    "information": INFO,
    "informational": INFO,
    "notice": INFO,
    "warning": WARN,
    "err": ERROR,
    "severe": ERROR,
    "critical": FATAL,
    "crit": FATAL,
    "alert": FATAL,
    "emerg": FATAL,
    "emergency": FATAL,
    "panic": FATAL,
}
_KINDS = {
    "internal": SPAN_INTERNAL,
    "server": SPAN_SERVER,
    "client": SPAN_CLIENT,
    "producer": SPAN_PRODUCER,
    "consumer": SPAN_CONSUMER,
    "unspecified": SPAN_UNSPECIFIED,
}
_STATUS = {"unset": 0, "ok": 1, "error": 2}
KINDS = {**_KINDS, **{f"span_kind_{name}": number for name, number in _KINDS.items()}}
STATUS = {**_STATUS, **{f"status_code_{name}": number for name, number in _STATUS.items()}}


def logs_from_rows(rows: Rows) -> LogBatch:
    """Log lines in order of time.

    Raises:
        TelemetryError: a cell is missing or of the wrong type.
    """
    components, component = rows.codes("component", required=True)
    batch = LogBatch(
        components=components,
        times=rows.times("time"),
        component=component,
        level=rows.words("level", LEVELS),
        message=rows.texts("message"),
        trace=rows.texts("trace"),
        span=rows.texts("span"),
    )
    return batch if _in_order(batch.times) else batch.take(np.argsort(batch.times, kind="stable"))


def spans_from_rows(rows: Rows) -> SpanBatch:
    """Spans in order of their start.

    Raises:
        TelemetryError: a cell is missing or of the wrong type, or a span ends before it starts.
    """
    start = rows.times("start")
    duration = rows.durations("duration") if "duration" in rows.found else rows.times("end") - start
    if duration.size and int(duration.min()) < 0:
        raise TelemetryError(
            f"row {int(np.argmin(duration)) + 1} ends before it starts",
            where=rows.place("end"),
            remedy="Send start and end of one clock",
        )
    components, component = rows.codes("component", required=True)
    names, (component, peer) = join_names((components, component), rows.codes("peer"))
    operations, operation = rows.codes("operation")
    batch = SpanBatch(
        components=names,
        operations=operations,
        start=start,
        duration=duration,
        component=component,
        operation=operation,
        peer=peer,
        kind=rows.words("kind", KINDS),
        status=rows.words("status", STATUS),
        trace=rows.texts("trace", required=True),
        span=rows.texts("span", required=True),
        parent=rows.texts("parent"),
        link_trace=rows.texts("link_trace"),
        link_span=rows.texts("link_span"),
        text=rows.texts("text"),
    )
    kept = _last_deliveries(batch)
    batch = batch if kept.all() else batch.take(kept)
    return batch if _in_order(batch.start) else batch.take(np.argsort(batch.start, kind="stable"))


def logs_to_table(batch: LogBatch) -> pa.Table:
    """One row per line; columns that hold nothing are left out."""
    import pyarrow as pa

    columns: dict[str, Any] = {"time": _instants(batch.times)}
    columns["component"] = name_column(batch.component, batch.components)
    columns["level"] = pa.array(batch.level)
    columns["message"] = _text_column(batch.message)
    columns |= _filled({"trace": batch.trace, "span": batch.span})
    return pa.table(columns)


def spans_to_table(batch: SpanBatch) -> pa.Table:
    """One row per span; columns that hold nothing are left out."""
    import pyarrow as pa

    columns: dict[str, Any] = {"start": _instants(batch.start), "duration_ns": pa.array(batch.duration)}
    columns["component"] = name_column(batch.component, batch.components)
    columns["operation"] = name_column(batch.operation, batch.operations)
    if bool((batch.peer >= 0).any()):
        columns["peer"] = name_column(batch.peer, batch.components)
    columns |= {"kind": pa.array(batch.kind), "status": pa.array(batch.status)}
    columns |= {"trace": _text_column(batch.trace), "span": _text_column(batch.span)}
    optional = ("parent", "link_trace", "link_span", "text")
    return pa.table(columns | _filled({name: getattr(batch, name) for name in optional}))


def _in_order(times: Times) -> bool:
    return times.size < 2 or bool((np.diff(times) >= 0).all())


def _last_deliveries(batch: SpanBatch) -> np.ndarray[Any, np.dtype[np.bool_]]:
    import pandas as pd

    columns = {name: getattr(batch, name) for name in ("trace", "span", "component", "kind")}
    return ~pd.DataFrame(columns).duplicated(keep="last").to_numpy()


def _instants(times: Times) -> pa.Array:
    import pyarrow as pa

    return pa.array(times, pa.int64()).cast(pa.timestamp("ns", "UTC"))


def _text_column(values: Any) -> pa.Array:
    import pyarrow as pa

    return pa.array(texts(values), pa.large_string() if sum(map(len, values)) > 1 << 29 else pa.string())


def _filled(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: _text_column(values) for name, values in columns.items() if bool((values != "").any())}
