"""Times as they come in, and the nanoseconds they mean.

A number without a unit is read by its size: below 1e11 it is seconds (until the year 5138), below
1e14 milliseconds, below 1e17 microseconds, else nanoseconds (since March 1973). A column that
carries its unit in its name is never guessed at. Texts are ISO 8601 with a zone; a text of digits
is a number. Floats are rounded to the microsecond where a double holds no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rca.errors import TelemetryError
from rca.formats.tables import UNITS
from rca.telemetry import Bools, Times

if TYPE_CHECKING:
    import pyarrow as pa

ZONE_REMEDY = "Write ISO 8601 with a zone, such as 2026-01-31T12:00:00Z, or a number of s, ms, us or ns"
_LARGEST = 9_200_000_000_000_000_000  # int64 nanoseconds end at 9.22e18; room is left for rounding


def parse_times(column: pa.Array, unit: str, *, where: str) -> tuple[Times, Bools]:
    """Nanoseconds, and which rows have a time at all; each of shape (rows,). Rows without one hold 0.

    Args:
        column: texts, integers, floats or zoned timestamps; null is no time.
        unit: "s", "ms", "us", "ns", or "" to tell it by the size of each number.

    Raises:
        TelemetryError: something is no time, has no zone, or lies beyond the years 1678 to 2261.
    """
    import pyarrow as pa

    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column = _texts_to_times(column, where)
        kind = column.type
    given = np.asarray(column.is_valid(), dtype=bool)
    if pa.types.is_timestamp(kind):
        return _instants(column, where), given
    if pa.types.is_null(kind):
        return np.zeros(len(column), np.int64), given
    if pa.types.is_integer(kind):
        whole = column.fill_null(0).to_numpy(zero_copy_only=False)
        if whole.dtype == np.uint64 and whole.size and int(whole.max()) > _LARGEST:
            raise _beyond(where, int(np.argmax(whole)))
        return _scaled(whole.astype(np.int64), unit, where), given
    if pa.types.is_floating(kind):
        parts = column.fill_null(0).to_numpy(zero_copy_only=False).astype(np.float64)
        return _scaled(parts, unit, where), given
    raise TelemetryError(f"a column of {kind} is no column of times", where=where, remedy=ZONE_REMEDY)


def parse_durations(column: pa.Array, unit: str, *, where: str) -> Times:
    """Durations in nanoseconds, shape (rows,), from numbers of ``unit``.

    Raises:
        TelemetryError: a duration is missing, negative or no number.
    """
    import pyarrow as pa

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = _numbers(column, where, "Send numbers")
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind):
        times, given = parse_times(column, unit, where=where)
        for bad, problem in ((~given, "has no duration"), (times < 0, "has a negative duration")):
            if bad.any():
                raise TelemetryError(f"row {int(np.argmax(bad)) + 1} {problem}", where=where, remedy="Send end - start")
        return times
    raise TelemetryError(f"a column of {kind} is no column of durations", where=where, remedy="Send numbers")


def times_to_texts(times: Times) -> npt.NDArray[Any]:
    """ISO 8601 texts in UTC with nine digits after the point, shape (times,)."""
    return np.char.add(np.datetime_as_string(times.astype("M8[ns]"), unit="ns"), "Z")


def _numbers(column: pa.Array, where: str, remedy: str) -> pa.Array:
    """Texts of digits as integers, where that is exact, else as floats; "" is null."""
    import pyarrow as pa

    for kind in (pa.int64(), pa.float64()):
        try:
            return _blank_to_null(column).cast(kind)
        except pa.ArrowInvalid:
            continue
    raise _first_failure(column, pa.float64(), "number", where, remedy)


def _texts_to_times(column: pa.Array, where: str) -> pa.Array:
    import pyarrow as pa

    column = _blank_to_null(column)
    present = column.drop_null()
    if not len(present):
        return pa.nulls(len(column))
    if present[0].as_py()[:20].strip("-+.0123456789eE") == "":  # what the first is, all have to be
        return _numbers(column, where, ZONE_REMEDY)
    try:
        return column.cast(pa.timestamp("ns", "UTC"))
    except pa.ArrowInvalid:
        raise _first_failure(column, pa.timestamp("ns", "UTC"), "time with a zone", where, ZONE_REMEDY) from None


def _blank_to_null(column: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column)


def _first_failure(column: pa.Array, kind: Any, expected: str, where: str, remedy: str) -> TelemetryError:
    import pyarrow as pa

    for row, cell in enumerate(_blank_to_null(column)):
        try:
            cell.cast(kind)
        except pa.ArrowInvalid:
            return TelemetryError(f"row {row + 1}: {cell.as_py()[:60]!r} is no {expected}", where=where, remedy=remedy)
    return TelemetryError(f"a text is no {expected}", where=where, remedy=remedy)


def _instants(column: pa.Array, where: str) -> Times:
    import pyarrow as pa

    if column.type.tz is None:
        raise TelemetryError(
            "timestamps have no time zone", where=where, remedy="Localise them, such as tz_localize('UTC') in pandas"
        )
    try:
        exact = column.cast(pa.timestamp("ns", "UTC")).cast(pa.int64())
    except pa.ArrowInvalid as bad:
        raise _beyond(where, None) from bad
    return np.asarray(exact.fill_null(0).to_numpy(zero_copy_only=False), np.int64)


def _scaled(numbers: npt.NDArray[Any], unit: str, where: str) -> Times:
    """Numbers (int64 or float64) times their unit, refused where the result does not fit into int64."""
    if not bool(np.isfinite(numbers).all()):
        row = int(np.argmin(np.isfinite(numbers)))
        raise TelemetryError(f"row {row + 1} has the time {numbers[row]}", where=where, remedy=ZONE_REMEDY)
    size = np.abs(numbers.astype(np.float64))
    if unit:
        scale = np.full(numbers.shape, UNITS[unit], np.int64)
    else:
        scale = np.select([size < 1e11, size < 1e14, size < 1e17], [UNITS["s"], UNITS["ms"], UNITS["us"]], 1)
    too_large = size * scale >= _LARGEST
    if too_large.any():
        raise _beyond(where, int(np.argmax(too_large)))
    if numbers.dtype == np.int64:
        return np.asarray(numbers * scale, np.int64)
    nanoseconds = numbers * scale
    rounded = np.rint(numbers * (scale / 1_000)).astype(np.int64) * 1_000
    return np.asarray(np.where(np.abs(nanoseconds) < 2.0**53, np.rint(nanoseconds).astype(np.int64), rounded), np.int64)


def _beyond(where: str, row: int | None) -> TelemetryError:
    place = "a time" if row is None else f"row {row + 1}: the time"
    return TelemetryError(f"{place} lies beyond the years 1678 to 2261", where=where, remedy="Check its unit")
