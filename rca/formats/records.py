"""Changes and alerts: short tables, read row by row.

Both go through one list of plain rows (dicts), which JSON has already and which the other forms
give: there lists and objects are JSON texts, and ``labels.<name>`` or ``attributes.<name>`` columns
add to them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec

from rca.errors import TelemetryError
from rca.formats.rows import Rows, Table
from rca.formats.tables import TABLES
from rca.kinds import find_kind
from rca.telemetry import Bools, Times
from rca.types import Alert, Change, Direction, to_text

if TYPE_CHECKING:
    import pyarrow as pa

DIRECTIONS = ("up", "down", "none")
_Row = dict[str, Any]


def changes_from_rows(rows: Rows) -> tuple[Change, ...]:
    """Changes in order of time.

    Raises:
        TelemetryError: a cell is missing or of the wrong type, a kind is unknown, or two changes have one id.
    """
    columns = {name: rows.texts(name, required=name == "kind") for name in _TEXTS["changes"]}
    kinds = [
        find_kind(kind, where=f"{rows.place('kind')}, row {i + 1}", activity=True)
        for i, kind in enumerate(columns["kind"])
    ]
    times = rows.times("time")
    files, facts = _file_lists(rows), _labels(rows, "attributes")
    changes = [
        Change(
            id=columns["id"][i] or f"{kinds[i]}:{columns['component'][i]}:{i + 1}",
            component=columns["component"][i],
            kind=kinds[i],
            name=columns["name"][i],
            time=int(times[i]),
            files=files[i],
            diff=columns["diff"][i],
            attributes=facts[i],
        )
        for i in range(rows.length)
    ]
    seen: dict[str, int] = {}
    for i, change in enumerate(changes):
        if change.id in seen:
            raise TelemetryError(
                f"rows {seen[change.id] + 1} and {i + 1} are both the change {change.id[:80]!r}",
                where=rows.place("id"),
                remedy="Give each change its own id",
            )
        seen[change.id] = i
    return tuple(sorted(changes, key=lambda change: change.time))


def alerts_from_rows(rows: Rows) -> tuple[Alert, ...]:
    """Alerts in the order of their rows.

    Raises:
        TelemetryError: a cell is missing, of the wrong type or out of its range.
    """
    columns = {name: rows.texts(name, required=name in ("component", "name")) for name in _TEXTS["alerts"]}
    start, end = (_optional(*rows.optional_times(name)) for name in ("time", "end"))
    severity = rows.numbers("severity")
    labels = _labels(rows, "labels")
    alerts = []
    for i in range(rows.length):
        place = f"{rows.where}, alert {i + 1}"
        direction = columns["direction"][i] or "none"
        if direction not in DIRECTIONS:
            raise TelemetryError(
                f"the direction {direction[:40]!r} is unknown",
                where=place,
                remedy=f"Use one of {', '.join(DIRECTIONS)}",
            )
        degree = 0.5 if math.isnan(severity[i]) else float(severity[i])
        if not 0.0 <= degree <= 1.0:
            raise TelemetryError(f"the severity is {degree:g}, outside [0, 1]", where=place, remedy="Scale it")
        first, last = start[i], end[i]
        if first is not None and last is not None and last < first:
            raise TelemetryError("ends before it starts", where=place, remedy="Leave the end of a firing alert empty")
        texts = {name: columns[name][i] for name in _TEXTS["alerts"] if columns[name][i]}
        if "kind" in texts:
            texts["kind"] = find_kind(texts["kind"], where=place)
        texts["direction"] = cast(Direction, direction)
        alerts.append(Alert(**texts, time=first, end=last, severity=degree, labels=labels[i]))
    return tuple(alerts)


def plain_changes(changes: Sequence[Change]) -> list[_Row]:
    """Rows for JSON; what is empty is left out."""
    return [_filled(change, "changes", {"time": to_text(change.time)}) for change in changes]


def plain_alerts(alerts: Sequence[Alert]) -> list[_Row]:
    """Rows for JSON; what is empty is left out."""
    rows = []
    for alert in alerts:
        times = {name: to_text(time) for name in ("time", "end") if (time := getattr(alert, name)) is not None}
        rows.append(_filled(alert, "alerts", {**times, "severity": alert.severity}))
    return rows


def rows_from_plain(table: Table, records: Sequence[Mapping[str, Any]], *, where: str) -> Rows:
    """Checked rows from a list of dicts, as JSON holds them.

    Raises:
        TelemetryError: unknown names, or cells of mixed or wrong types.
    """
    import pyarrow as pa

    names = sorted({name for record in records for name in record})
    if not records:
        return Rows(where=where, raw={}, found={}, length=0)
    raw: dict[str, Any] = {}
    for name in names:
        cells = [record.get(name) for record in records]
        encoded = [_cell(cell, f"{where}[{i}].{name}") for i, cell in enumerate(cells)]
        try:
            raw[name] = pa.array(encoded)
        except (pa.ArrowException, OverflowError) as bad:
            raise TelemetryError(
                "mixes texts and numbers, or has a number too large", where=f"{where}, {name}", remedy="Use one type"
            ) from bad
    return Rows.of(table, raw, where=where)


def table_from_plain(table: Table, records: Sequence[_Row]) -> pa.Table:
    """A table of texts and numbers; lists and objects as JSON texts, as ``rows_from_plain`` reads them."""
    import pyarrow as pa

    if not records:
        return pa.table(
            {name: pa.array([], pa.string()) for name in (column.name for column in TABLES[table] if column.required)}
        )
    names = list(dict.fromkeys(name for record in records for name in record))
    return pa.table({name: pa.array([_cell(record.get(name), name) for record in records]) for name in names})


_TEXTS: dict[str, tuple[str, ...]] = {
    "changes": ("id", "component", "kind", "name", "diff"),
    "alerts": ("component", "name", "kind", "direction", "group", "peer", "operation", "text"),
}
# What a reader takes an absent cell for.
_UNSAID = {"direction": "none"}


def _filled(record: Change | Alert, table: str, row: _Row) -> _Row:
    row |= {name: value for name in _TEXTS[table] if (value := getattr(record, name)) not in ("", _UNSAID.get(name))}
    if isinstance(record, Change):
        if record.files:
            row["files"] = list(record.files)
        if record.attributes:
            row["attributes"] = dict(record.attributes)
    elif record.labels:
        row["labels"] = dict(record.labels)
    return row


def _cell(cell: Any, where: str) -> str | int | float | None:
    if isinstance(cell, bool):
        raise TelemetryError(f"is {str(cell).lower()}", where=where, remedy="Send a text or a number")
    return msgspec.json.encode(cell).decode() if isinstance(cell, (dict, list)) else cell


def _optional(times: Times, given: Bools) -> list[int | None]:
    return [int(time) if there else None for time, there in zip(times, given, strict=True)]


def _file_lists(rows: Rows) -> list[tuple[str, ...]]:
    lists = []
    for i, text in enumerate(rows.texts("files")):
        if text.startswith("["):
            lists.append(tuple(_decode(text, list[str], f"{rows.place('files')}, row {i + 1}", "a list of texts")))
        else:
            lists.append(tuple(part.strip() for part in text.split(";") if part.strip()))
    return lists


def _labels(rows: Rows, column: str) -> list[Mapping[str, str]]:
    """The object in ``column`` and the columns ``labels.*`` and ``attributes.*`` of each row."""
    import pyarrow as pa

    labels: list[dict[str, str]] = [{} for _ in range(rows.length)]
    for name in sorted(rows.raw):
        prefix, dot, key = name.partition(".")
        if not dot or prefix not in ("labels", "attributes"):
            continue
        cells = rows.raw[name]
        for i, cell in enumerate(cells.cast(pa.string()) if not pa.types.is_null(cells.type) else ()):
            if cell.is_valid and cell.as_py() != "":
                labels[i][key] = cell.as_py()
    for i, text in enumerate(rows.texts(column)):
        if text:
            place = f"{rows.place(column)}, row {i + 1}"
            given = _decode(text, dict[str, str | int | float | bool | None], place, "an object of texts")
            labels[i] |= {key: _text(value, place) for key, value in given.items() if value is not None}
    return list(labels)


def _text(value: str | float | bool, where: str) -> str:
    if isinstance(value, int) and abs(value) >= 1 << 64:  # Python refuses to print thousands of digits
        raise TelemetryError("a number has more than 64 bits", where=where, remedy="Send it as a text")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _decode(text: str, kind: Any, where: str, expected: str) -> Any:
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as bad:
        raise TelemetryError(f"is not {expected} in JSON", where=where, remedy=f"Write {expected}") from bad
