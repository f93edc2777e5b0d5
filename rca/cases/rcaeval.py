"""RCAEval: metrics, logs and spans of microservice systems with an injected fault each (Pham et al., WWW 2025).

Layout, at any depth below the folder that is given: ``<service>_<fault>/<number>/`` with

- ``inject_time.txt``: the time of the injection, seconds;
- metrics, one column per ``<component>_<metric>`` and a column ``time``: ``simple_metrics.csv`` (RE2, RE3) or
  ``simple_data.csv`` or ``data.csv`` (RE1), else the raw ``metrics.csv``;
- ``logs.csv`` (timestamp in ns, container_name, message, level) and ``traces.csv`` (traceID, spanID,
  parentSpanID, serviceName, methodName, operationName, startTime in µs, duration in µs, statusCode), RE2 and RE3 only.

Times may be in seconds, milliseconds, microseconds or nanoseconds: their size tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rca.cases.alerting import alert_delay
from rca.cases.labelled import LabelledCase, Onset
from rca.errors import CaseError
from rca.telemetry import (
    DEBUG,
    ERROR,
    FATAL,
    INFO,
    NO_PEER,
    TRACE,
    UNKNOWN,
    WARN,
    LogBatch,
    MetricFrame,
    SpanBatch,
    Telemetry,
    encode,
    texts,
)
from rca.topology import Topology
from rca.types import MINUTE, SECOND, Answer, Case, Incident, Window

if TYPE_CHECKING:
    import pandas as pd

METRIC_FILES = ("simple_metrics.csv", "simple_data.csv", "data.csv", "metrics.csv")
# Who is paged reads five minutes back and the five minutes that follow while he looks.
LOOKBACK, LOOKAHEAD = 5 * MINUTE, 5 * MINUTE
TIME_COLUMNS = ("time", "timestamp")
LEVELS = {
    "TRACE": TRACE,
    "DEBUG": DEBUG,
    "INFO": INFO,
    "WARN": WARN,
    "WARNING": WARN,
    "ERROR": ERROR,
    "CRITICAL": FATAL,
    "FATAL": FATAL,
}
_DIGITS = re.compile(r"(\d+)")
# Status codes of spans: 0 and 200 to 399 are well, gRPC's 1 to 16 and HTTP's from 500 on are errors.
_SERVER_ERROR = 500
_GRPC_CODES = 16


def load(path: Path, *, onset: Onset = "estimated") -> Iterator[LabelledCase]:
    """The incidents below ``path`` in natural order of their folders.

    Raises:
        CaseError: there is none, or a file is missing or malformed.
    """
    root = Path(path)
    folders = sorted({file.parent for file in root.rglob("inject_time.txt")}, key=_natural_order)
    if not folders:
        raise CaseError(
            "there is no inject_time.txt below the folder",
            where=root,
            remedy="Give the folder that holds <service>_<fault>/<number>/",
        )
    for index, folder in enumerate(folders):
        yield _read_incident(folder, root, alert_delay(index), onset)


def _natural_order(path: Path) -> list[tuple[int, str]]:
    return [(int(part) if part.isdigit() else -1, part) for part in _DIGITS.split(path.as_posix())]


def _read_incident(folder: Path, root: Path, delay: int, onset: Onset) -> LabelledCase:
    service, fault = _label(folder)
    injected = _injection(folder / "inject_time.txt")
    telemetry, hosts = _read_telemetry(folder)
    start, end = _extent(telemetry, folder)
    if not start < injected < end:
        raise CaseError(
            "the injection lies outside the telemetry", where=folder / "inject_time.txt", remedy="Unpack the set anew"
        )
    detected = min(injected + delay, end)
    begin = injected if onset == "given" else max(detected - LOOKBACK, start + (detected - start) // 4)
    incident = Incident(
        id=folder.relative_to(root).as_posix() if folder != root else folder.name,
        window=Window(start=begin, end=min(detected + LOOKAHEAD, end)),
        baseline=Window(start=start, end=begin),
        detected_at=detected,
        onset=injected if onset == "given" else None,
    )
    topology = Topology.from_edges([], components=hosts, kinds=dict.fromkeys(hosts, "host")) if hosts else None
    return LabelledCase(
        Case(incident=incident, telemetry=telemetry, topology=topology), Answer(components=(service,), kind=fault)
    )


def _label(folder: Path) -> tuple[str, str]:
    """Service and fault by the nearest folder called <service>_<fault>."""
    for name in (folder.parent.name, folder.name):
        service, _, fault = name.rpartition("_")
        if service and fault and not fault.isdigit():
            return service, fault
    raise CaseError(
        "the folder is not called <service>_<fault>/<number>",
        where=folder,
        remedy="Keep the names of the published set",
    )


def _injection(path: Path) -> int:
    try:
        return int(_nanoseconds(np.array([float(path.read_text(encoding="utf-8").split()[0])]))[0])
    except (OSError, UnicodeDecodeError, ValueError, IndexError, OverflowError) as error:
        raise CaseError(f"holds no time ({error})", where=path, remedy="Write seconds since the epoch") from error


def _nanoseconds(times: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Times in s, ms, µs or ns as ns; up to the year 5138 the size of a time tells its unit."""
    if not np.isfinite(times).all():
        raise ValueError("a time is not finite")
    largest = float(np.abs(times).max()) if times.size else 0.0
    unit = next((unit for limit, unit in ((1e11, SECOND), (1e14, 1_000_000), (1e17, 1_000)) if largest < limit), 1)
    whole = np.floor(times)
    return whole.astype(np.int64) * unit + np.round((times - whole) * unit).astype(np.int64)


def _read_telemetry(folder: Path) -> tuple[Telemetry, tuple[str, ...]]:
    source = next((folder / name for name in METRIC_FILES if (folder / name).is_file()), None)
    if source is None:
        raise CaseError("there are no metrics", where=folder, remedy=f"Give one of {', '.join(METRIC_FILES)}")
    metrics, hosts = _read_metrics(source)
    logs = _read_logs(folder / "logs.csv") if (folder / "logs.csv").is_file() else LogBatch.empty()
    spans = _read_spans(folder / "traces.csv") if (folder / "traces.csv").is_file() else SpanBatch.empty()
    return Telemetry(metrics=metrics, logs=logs, spans=spans), hosts


def _extent(telemetry: Telemetry, folder: Path) -> tuple[int, int]:
    times = telemetry.metrics.times
    if times.size < 2:
        raise CaseError("there are fewer than two samples", where=folder, remedy="Unpack the set anew")
    return int(times[0]), int(times[-1]) + telemetry.metrics.step


def _read_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        with path.open(encoding="utf-8") as file:
            header = file.readline()
        separator = max((",", ";", "\t"), key=header.count)
        return pd.read_csv(path, sep=separator, low_memory=False)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise CaseError(f"cannot be read as a table ({error})", where=path, remedy="Unpack the set anew") from error


def _times(table: pd.DataFrame, names: tuple[str, ...], path: Path) -> npt.NDArray[np.int64]:
    by_name = {str(column).lower(): column for column in reversed(table.columns)}
    column = next((by_name[name.lower()] for name in names if name.lower() in by_name), None)
    if column is None:
        raise CaseError(f"has no column {' or '.join(names)}", where=path, remedy="Unpack the set anew")
    values = table[column].to_numpy()
    try:
        if values.dtype.kind == "i":  # nanoseconds do not fit into a float
            largest = int(np.abs(values).max()) if values.size else 0
            if largest >= 1e17:
                return values.astype(np.int64)
        return _nanoseconds(values.astype(np.float64))
    except (ValueError, TypeError) as error:
        raise CaseError(f"holds something else than times ({error})", where=f"{path}, {column}") from error


def _read_metrics(path: Path) -> tuple[MetricFrame, tuple[str, ...]]:
    """The frame, and the components that are hosts."""
    table = _read_csv(path)
    times = _times(table, TIME_COLUMNS, path)
    named = {column: _split(str(column)) for column in table.columns if str(column).lower() not in TIME_COLUMNS}
    found = [(column, pair) for column, pair in named.items() if pair is not None]
    if not found:
        raise CaseError("has no column <component>_<metric>", where=path, remedy="Unpack the set anew")
    order = np.argsort(times, kind="stable")
    last = np.append(np.diff(times[order]) > 0, True)  # of samples at one time the last one holds
    rows = order[last]
    values = _numbers(table, [column for column, _ in found])[:, rows]
    pairs = [pair for _, pair in found]
    names, component = encode([pair[0] for pair in pairs])
    metrics, metric = encode([pair[1] for pair in pairs])
    frame = MetricFrame(
        components=names,
        metrics=metrics,
        component=component,
        metric=metric,
        peer=np.full(len(found), NO_PEER, np.int32),
        times=times[rows],
        values=values,
    )
    return frame, tuple(sorted({pair[0] for pair in pairs if pair[1].startswith("node-")}))


def _split(column: str) -> tuple[str, str] | None:
    """Component and metric of ``cart_latency-50``, ``carts_lat_50``, ``cart_container-cpu-usage``: names have no _."""
    component, _, metric = column.partition("_")
    return (component, metric) if component and metric else None


def _numbers(table: pd.DataFrame, columns: list[Any]) -> npt.NDArray[np.float32]:
    """Float32, shape (series, time); what is no finite number is missing."""
    import pandas as pd

    grid = np.empty((len(columns), len(table)), np.float32)
    for i, column in enumerate(columns):
        values = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=np.float64)
        largest = float(np.finfo(np.float32).max)
        grid[i] = np.where(np.abs(values) <= largest, values, np.nan)
    return grid


def _column(table: pd.DataFrame, name: str, path: Path, default: str | None = None) -> list[str]:
    if name in table.columns:
        return [str(value) for value in table[name].fillna("").tolist()]
    if default is None:
        raise CaseError(f"has no column {name}", where=path, remedy="Unpack the set anew")
    return [default] * len(table)


def _read_logs(path: Path) -> LogBatch:
    table = _read_csv(path)
    if table.empty:
        return LogBatch.empty()
    times = _times(table, ("timestamp", "time"), path)
    order = np.argsort(times, kind="stable")
    names, component = encode(_column(table, "container_name", path))
    levels = [LEVELS.get(level.upper(), UNKNOWN) for level in _column(table, "level", path, "")]
    none = texts([""] * len(table))
    batch = LogBatch(
        components=names,
        times=times,
        component=component,
        level=np.array(levels, np.int8),
        message=texts(_column(table, "message", path)),
        trace=none,
        span=none,
    )
    return batch.take(order)


def _read_spans(path: Path) -> SpanBatch:
    table = _read_csv(path)
    if table.empty:
        return SpanBatch.empty()
    start = _times(table, ("startTime", "startTimeMillis"), path)
    methods, operations = _column(table, "methodName", path, ""), _column(table, "operationName", path, "")
    codes = np.array([_code(text) for text in _column(table, "statusCode", path, "")])
    failed = (codes >= _SERVER_ERROR) | ((codes >= 1) & (codes <= _GRPC_CODES))
    order = np.argsort(start, kind="stable")
    batch = SpanBatch.build(
        start=start,
        duration=_durations(table, path),
        component=_column(table, "serviceName", path),
        operation=[method or operation for method, operation in zip(methods, operations, strict=True)],
        trace=_column(table, "traceID", path),
        span=_column(table, "spanID", path),
        parent=_column(table, "parentSpanID", path, ""),
        status=np.where(failed, 2, 0),
    )
    return batch.take(order)


def _durations(table: pd.DataFrame, path: Path) -> npt.NDArray[np.int64]:
    import pandas as pd

    if "duration" not in table.columns:
        raise CaseError("has no column duration", where=path, remedy="Unpack the set anew")
    microseconds = pd.to_numeric(table["duration"], errors="coerce").to_numpy(dtype=np.float64)
    if not np.isfinite(microseconds).all() or (microseconds < 0).any():
        raise CaseError("a duration is no number, or negative", where=path, remedy="Give microseconds")
    return (microseconds * 1_000).round().astype(np.int64)


def _code(text: str) -> int:
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        return 0
