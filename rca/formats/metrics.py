"""MetricFrames from and to tables: long rows, one row per series, or one column per series.

Samples may come late, twice, unevenly or with gaps: the time axis holds every time that any series
was sampled at, a series without a sample there is NaN, and of several samples of one series at one
time the last row wins (a last row without a value says that the sample is missing).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from rca.errors import TelemetryError
from rca.formats.rows import Rows, plain
from rca.formats.tables import known_names
from rca.formats.times import ZONE_REMEDY, parse_times, times_to_texts
from rca.telemetry import NO_PEER, Codes, Floats, MetricFrame, Times

if TYPE_CHECKING:
    import pyarrow as pa

# A gigabyte of float32: 50,000 series of a week by half minutes. Beyond it, somebody's times do not line up.
MAX_CELLS = 250_000_000
AXIS = b"rca.times_ns"
GRID = frozenset({"component", "metric", "peer", "values"})


def frame_from_rows(rows: Rows) -> MetricFrame:
    """A frame from long rows: one sample each, in any order.

    Raises:
        TelemetryError: a cell is of the wrong type, infinite, or the grid would not fit into memory.
    """
    times = rows.times("time")
    components, component = rows.codes("component", required=True)
    metrics, metric = rows.codes("metric", required=True)
    peers, peer = rows.codes("peer")
    names, (component, peer) = join_names((components, component), (peers, peer))
    values = _to_float32(rows.numbers("value"), rows.place("value"))
    axis, column = np.unique(times, return_inverse=True)
    key = _series_key(component, metric, peer, len(names), len(metrics))
    _, first, series = np.unique(key, return_index=True, return_inverse=True)
    _check_size(len(first), len(axis), rows.where)
    grid = np.full((len(first), len(axis)), np.nan, np.float32)
    grid[series, column] = values  # numpy assigns in order: the last row of a sample wins
    return MetricFrame(
        components=names,
        metrics=metrics,
        component=component[first],
        metric=metric[first],
        peer=peer[first],
        times=axis,
        values=grid,
    )


def frame_from_series(names: Rows, times: Times, values: Floats) -> MetricFrame:
    """A frame from one row of ``names`` (component, metric and peer) and of ``values`` per series.

    Args:
        names: one row per series.
        times: their one axis, nanoseconds, shape (time,).
        values: shape (series, time).

    Raises:
        TelemetryError: times that do not increase, infinities, empty names, or a series that is given twice.
    """
    components, component = names.codes("component", required=True)
    metrics, metric = names.codes("metric", required=True)
    every, (component, peer) = join_names((components, component), names.codes("peer"))
    key = _series_key(component, metric, peer, len(every), len(metrics))
    _, first, counts = np.unique(key, return_index=True, return_counts=True)
    if len(first) < len(key):
        twice = int(first[np.argmax(counts > 1)])
        label = (every[component[twice]], metrics[metric[twice]], every[peer[twice]] if peer[twice] >= 0 else "")
        raise TelemetryError(
            f"the series {'/'.join(part for part in label if part)[:120]} is given twice",
            where=names.where,
            remedy="Merge the two, or send long rows, of which the last wins",
        )
    try:
        return MetricFrame(
            components=every, metrics=metrics, component=component, metric=metric, peer=peer, times=times, values=values
        )
    except TelemetryError as bad:
        raise TelemetryError(f"{bad.where}: {bad.problem}", where=names.where, remedy=bad.remedy) from bad


def frame_from_wide(raw: Mapping[str, pa.Array], *, components: Sequence[str] = (), where: str) -> MetricFrame:
    """A frame from a time column and one column per series, named ``component/metric`` or ``component_metric``.

    A name is parted at its last slash; without one after the longest of the known ``components``
    that it begins with; else at its first underscore.
    """
    known = {name: unit for name, (column, unit) in known_names("metrics").items() if column == "time"}
    clocks = [name for name in raw if name in known]
    if len(clocks) != 1:
        problem = "has no time column" if not clocks else f"has several time columns: {', '.join(clocks)}"
        raise TelemetryError(
            problem,
            where=where,
            remedy="A wide table has one column time and columns component/metric; a long one has"
            " time, component, metric, value",
        )
    clock = clocks[0]
    place = f"{where}, column {clock}"
    cells = {name: plain(column) for name, column in raw.items()}
    rows = Rows(where=where, raw=cells, found={}, length=len(cells[clock]))
    times, given = parse_times(cells[clock], known[clock], where=place)
    if not given.all():
        raise TelemetryError(f"row {int(np.argmin(given)) + 1} has no time", where=place, remedy=ZONE_REMEDY)
    names = [name for name in raw if name != clock]
    parts = [_part(name, components, where) for name in names]
    _check_size(len(names), rows.length, where)
    grid = np.empty((len(names), rows.length), np.float32)
    for i, name in enumerate(names):
        grid[i] = _to_float32(Rows.numbers(_one(rows, name), name), f"{where}, column {name}")
    axis, last = np.unique(times[::-1], return_index=True)  # the last row of a time wins
    labels = {"component": [component for component, _ in parts], "metric": [metric for _, metric in parts]}
    return frame_from_series(series_rows(labels, where=where), axis, grid[:, rows.length - 1 - last])


def frame_from_grid(table: pa.Table, *, where: str) -> MetricFrame:
    """A frame from one row per series; its times stand in the schema's metadata under ``rca.times_ns``."""
    unknown = sorted(set(table.column_names) - GRID)
    missing = sorted(GRID - {"peer"} - set(table.column_names))
    if unknown or missing:
        problem = f"unknown column {unknown[0]!r}" if unknown else f"the column {missing[0]!r} is missing"
        raise TelemetryError(problem, where=where, remedy=f"A table of series has {', '.join(sorted(GRID))}")
    times = _read_axis((table.schema.metadata or {}).get(AXIS), where)
    names = {name: table.column(name) for name in ("component", "metric", "peer") if name in table.column_names}
    values = _read_lists(table.column("values"), len(times), f"{where}, column values")
    return frame_from_series(series_rows(names, where=where), times, values)


def series_rows(names: Mapping[str, Any], *, where: str) -> Rows:
    """The names of series, one row each, from Arrow columns or lists of texts."""
    import pyarrow as pa

    raw = {
        name: pa.array(column, pa.string()) if isinstance(column, list) else plain(column)
        for name, column in names.items()
    }
    return Rows(where=where, raw=raw, found={name: (name, "") for name in raw}, length=len(raw["component"]))


def frame_to_grid(frame: MetricFrame) -> pa.Table:
    """One row per series; ``values`` a fixed-size list of float32, null where a sample is missing."""
    import pyarrow as pa

    series, length = frame.values.shape
    flat = pa.array(np.ascontiguousarray(frame.values).reshape(-1), from_pandas=True)
    values = (
        pa.FixedSizeListArray.from_arrays(flat, length)
        if length  # parquet knows no lists of fixed size 0
        else pa.array([[]] * series, pa.list_(pa.float32()))
    )
    columns = {name: name_column(codes, names) for name, (names, codes) in series_names(frame).items()}
    return pa.table(
        {**columns, "values": values}, metadata={AXIS: msgspec.json.encode(frame.times.tolist())} if columns else None
    )


def frame_to_rows(frame: MetricFrame) -> pa.Table:
    """One row per sample, series by series; missing samples are rows without a value."""
    import pyarrow as pa

    series, length = frame.values.shape
    columns: dict[str, Any] = {"time": pa.array(np.tile(times_to_texts(frame.times), series), pa.string())}
    for name, (names, codes) in series_names(frame).items():
        columns[name] = name_column(np.repeat(codes, length), names).dictionary_decode()
    columns["value"] = pa.array(frame.values.reshape(-1), from_pandas=True)
    return pa.table(columns)


def series_names(frame: MetricFrame) -> dict[str, tuple[tuple[str, ...], Codes]]:
    """The columns that name a series, peers only where there are any: column -> (names, codes)."""
    columns = {"component": (frame.components, frame.component), "metric": (frame.metrics, frame.metric)}
    if bool((frame.peer >= 0).any()):
        columns["peer"] = (frame.components, frame.peer)
    return columns


def to_float32_grid(values: Sequence[Sequence[float | None]], length: int, *, where: str) -> Floats:
    """float32 of shape (series, length) from lists; None is NaN.

    Raises:
        TelemetryError: a list has another length, or a number does not fit into 32 bits.
    """
    for i, row in enumerate(values):
        if len(row) != length:
            raise TelemetryError(
                f"series {i + 1} has {len(row)} values for {length} times",
                where=where,
                remedy="Give one value per time, null where there is none",
            )
    try:
        flat = np.fromiter(chain.from_iterable(values), np.float64, len(values) * length)
    except TypeError:  # None, which costs numpy a third more to look out for
        flat = np.array(values, np.float64)
    return _to_float32(flat.reshape(len(values), length), where)


def name_column(codes: Codes, names: tuple[str, ...]) -> pa.Array:
    """A dictionary-encoded column of names, null where the code is -1."""
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), pa.array(names, pa.string()))


def _series_key(component: Codes, metric: Codes, peer: Codes, components: int, metrics: int) -> npt.NDArray[np.int64]:
    """One number per (component, peer, metric)."""
    return (component.astype(np.int64) * (components + 1) + peer + 1) * max(metrics, 1) + metric


def _one(rows: Rows, name: str) -> Rows:
    return Rows(where=rows.where, raw=rows.raw, found={name: (name, "")}, length=rows.length)


def _read_axis(metadata: bytes | None, where: str) -> Times:
    if metadata is None:
        raise TelemetryError(
            "a table of series without its times", where=where, remedy="Write it with write_metrics, or send long rows"
        )
    try:
        return np.array(msgspec.json.decode(metadata, type=list[int]), np.int64)
    except (msgspec.MsgspecError, UnicodeDecodeError, OverflowError) as bad:
        raise TelemetryError(
            "rca.times_ns is no JSON list of nanoseconds", where=where, remedy="Write it with write_metrics"
        ) from bad


def _read_lists(column: Any, length: int, where: str) -> Floats:
    import pyarrow as pa

    lists = plain(column)
    kind = lists.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        raise TelemetryError(f"holds {kind}, not lists of numbers", where=where, remedy="Send one list per series")
    if not (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)):
        raise TelemetryError(f"holds lists of {kind.value_type}, not of numbers", where=where, remedy="Send numbers")
    _check_size(len(lists), length, where)
    lengths = lists.value_lengths().fill_null(-1).to_numpy(zero_copy_only=False) if len(lists) else np.zeros(0)
    if (lengths != length).any():
        series = int(np.argmax(lengths != length))
        raise TelemetryError(
            f"series {series + 1} has {max(int(lengths[series]), 0)} values for {length} times",
            where=where,
            remedy="Give one value per time, null where there is none",
        )
    flat = lists.flatten().to_numpy(zero_copy_only=False)
    return _to_float32(np.asarray(flat).reshape(len(lists), length), where)


def _to_float32(values: npt.NDArray[Any], where: str) -> Floats:
    if values.dtype == np.float32:
        return values
    wide = values.astype(np.float64)
    with np.errstate(over="ignore"):
        narrow = wide.astype(np.float32)
    if bool((np.isinf(narrow) & np.isfinite(wide)).any()):
        raise TelemetryError("a value is beyond 3.4e38", where=where, remedy="Send it in a larger unit")
    return narrow


def join_names(*columns: tuple[tuple[str, ...], Codes]) -> tuple[tuple[str, ...], list[Codes]]:
    """One sorted tuple of names for several columns, and their codes into it; "" becomes -1."""
    names = tuple(sorted({name for column, _ in columns for name in column} - {""}))
    code = {name: i for i, name in enumerate(names)} | {"": NO_PEER}
    return names, [
        np.array([code[name] for name in column] or [0], np.int32)[codes] if len(codes) else np.zeros(0, np.int32)
        for column, codes in columns
    ]


def _check_size(series: int, times: int, where: str) -> None:
    if series * times > MAX_CELLS:
        raise TelemetryError(
            f"{series} series at {times} distinct times make more than {MAX_CELLS} samples",
            where=where,
            remedy="Round the times to the sampling interval, or send a shorter window",
        )


def _part(name: str, components: Sequence[str], where: str) -> tuple[str, str]:
    component, slash, metric = name.rpartition("/")
    if not slash:
        longest = max((c for c in components if name.startswith(f"{c}_")), key=len, default="")
        component, metric = (
            (longest, name[len(longest) + 1 :]) if longest else name.split("_", 1) if "_" in name else ("", "")
        )
    if not component or not metric:
        raise TelemetryError(
            f"the column {name[:80]!r} names no component and metric",
            where=where,
            remedy="Name it component/metric, or use long rows: time, component, metric, value",
        )
    return component, metric
