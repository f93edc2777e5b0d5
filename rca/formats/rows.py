"""Rows of one table with checked access: raw Arrow columns in, arrays that can be trusted out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from rca.errors import TelemetryError
from rca.formats.tables import match_columns
from rca.formats.times import parse_durations, parse_times
from rca.telemetry import Bools, Codes, Texts, Times, texts

if TYPE_CHECKING:
    import pyarrow as pa

Table = Literal["metrics", "logs", "spans", "changes", "alerts"]
# What spreadsheets, pandas, R and databases write for a missing number.
MISSING = ("", "NaN", "nan", "NA", "N/A", "null", "NULL", "None", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of one table.

    Attributes:
        where: what errors name, such as the file.
        raw: name in the file -> its cells, one Arrow array each, all of ``length``.
        found: column -> (name in the file, unit).
    """

    where: str
    raw: Mapping[str, pa.Array]
    found: Mapping[str, tuple[str, str]]
    length: int

    @classmethod
    def of(cls, table: Table, raw: Mapping[str, pa.Array], *, where: str) -> Rows:
        """Checks the columns against the table's schema.

        Raises:
            TelemetryError: unknown, repeated or missing columns, or columns of different length.
        """
        found = match_columns(table, raw, where=where)
        lengths = {name: len(column) for name, column in raw.items()}
        length = max(lengths.values(), default=0)
        for name, rows in lengths.items():
            if rows != length:
                raise TelemetryError(
                    f"the column {name[:80]!r} has {rows} rows where others have {length}",
                    where=where,
                    remedy="Give every column the same number of rows",
                )
        return cls(where=where, raw={name: plain(column) for name, column in raw.items()}, found=found, length=length)

    def place(self, column: str) -> str:
        """File and column, for errors."""
        name = self.found[column][0] if column in self.found else column
        return f"{self.where}, column {name}"

    def cells(self, column: str) -> pa.Array | None:
        """The raw cells; None where the file has no such column."""
        return self.raw[self.found[column][0]] if column in self.found else None

    def times(self, column: str) -> Times:
        """Nanoseconds, shape (rows,); every row must have a time."""
        times, given = self.optional_times(column)
        if not given.all():
            row = int(np.argmin(given)) + 1
            raise TelemetryError(f"row {row} has no time", where=self.place(column), remedy="Drop the row or time it")
        return times

    def optional_times(self, column: str) -> tuple[Times, Bools]:
        """Nanoseconds and which rows have a time, each of shape (rows,)."""
        cells = self.cells(column)
        if cells is None:
            return np.zeros(self.length, np.int64), np.zeros(self.length, bool)
        return parse_times(cells, self.found[column][1], where=self.place(column))

    def durations(self, column: str) -> Times:
        """Nanoseconds, shape (rows,)."""
        cells = self.cells(column)
        assert cells is not None  # noqa: S101 - asked for only where the column was found
        return parse_durations(cells, self.found[column][1], where=self.place(column))

    def texts(self, column: str, *, required: bool = False) -> Texts:
        """Texts, shape (rows,); null is "", which ``required`` refuses."""
        cells = self._text_cells(column)
        if cells is None:
            return texts([""] * self.length)
        values = texts(cells.to_numpy(zero_copy_only=False))
        if required:
            self._refuse_empty(column, np.asarray(values == "", dtype=bool))
        return values

    def codes(self, column: str, *, required: bool = False) -> tuple[tuple[str, ...], Codes]:
        """Distinct texts in sorted order and the code of each row, shape (rows,); null is ""."""
        cells = self._text_cells(column)
        if cells is None:
            return ((), np.zeros(0, np.int32)) if not self.length else (("",), np.zeros(self.length, np.int32))
        encoded = cells.dictionary_encode()
        names = [str(name) for name in encoded.dictionary.to_pylist()]
        order = sorted(range(len(names)), key=names.__getitem__)
        rank = np.empty(len(names), np.int32)
        rank[order] = np.arange(len(names), dtype=np.int32)
        codes = rank[encoded.indices.to_numpy(zero_copy_only=False)]
        if required and "" in names:
            self._refuse_empty(column, codes == rank[names.index("")])
        return tuple(names[i] for i in order), codes

    def numbers(self, column: str) -> npt.NDArray[np.float64]:
        """Numbers, shape (rows,); missing ones are NaN, infinite ones and texts are refused."""
        import pyarrow as pa
        import pyarrow.compute as pc

        cells = self.cells(column)
        if cells is None or pa.types.is_null(cells.type):
            return np.full(self.length, np.nan)
        if _is_text(cells.type):
            missing = pc.is_in(cells, value_set=pa.array(MISSING, cells.type))
            cells = pc.if_else(missing, pa.scalar(None, cells.type), cells)
        try:
            values = cells.cast(pa.float64(), safe=False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as bad:
            raise TelemetryError(
                f"holds something that is no number: {first_line(bad)}",
                where=self.place(column),
                remedy="Send numbers",
            ) from bad
        numbers = np.asarray(values.to_numpy(zero_copy_only=False), np.float64)
        infinite = np.isinf(numbers)
        if infinite.any():
            raise TelemetryError(
                f"row {int(np.argmax(infinite)) + 1} is infinite",
                where=self.place(column),
                remedy="Leave samples that are missing empty",
            )
        return numbers

    def words(self, column: str, words: Mapping[str, int]) -> npt.NDArray[np.int8]:
        """Numbers for words (in any case, null: 0), shape (rows,); numbers pass where a word has them."""
        import pyarrow as pa

        cells = self.cells(column)
        if cells is None:
            return np.zeros(self.length, np.int8)
        if not _is_text(cells.type):
            numbers = np.nan_to_num(self.numbers(column))
            known = np.isin(numbers, sorted({0, *words.values()}))
            if not known.all():
                self._refuse_word(column, f"{numbers[int(np.argmin(known))]:g}", int(np.argmin(known)), words)
            return numbers.astype(np.int8)
        encoded = cells.fill_null("").cast(pa.string()).dictionary_encode()
        meanings = {"": 0, **words, **{str(number): number for number in {0, *words.values()}}}
        table = np.zeros(max(len(encoded.dictionary), 1), np.int8)
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        for code, word in enumerate(encoded.dictionary.to_pylist()):
            if word.strip().lower() not in meanings:
                self._refuse_word(column, word, int(np.argmax(codes == code)), words)
            table[code] = meanings[word.strip().lower()]
        return np.asarray(table[codes], np.int8)

    def _text_cells(self, column: str) -> pa.Array | None:
        import pyarrow as pa

        cells = self.cells(column)
        if cells is None or pa.types.is_null(cells.type):
            return None
        if not _is_text(cells.type):
            raise TelemetryError(f"holds {cells.type}, not texts", where=self.place(column), remedy="Send texts")
        return cells.fill_null("")

    def _refuse_empty(self, column: str, empty: npt.NDArray[np.bool_]) -> None:
        if empty.any():
            row = int(np.argmax(empty)) + 1
            raise TelemetryError(f"row {row} is empty", where=self.place(column), remedy=f"Give each row a {column}")

    def _refuse_word(self, column: str, word: str, row: int, words: Mapping[str, int]) -> None:
        raise TelemetryError(
            f"row {row + 1}: {word[:60]!r} is no {column}",
            where=self.place(column),
            remedy=f"Use one of {', '.join(dict.fromkeys(words))}",
        )


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def plain(column: Any) -> pa.Array:
    """One contiguous array, dictionaries and views decoded."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # more than 2 GiB of texts stay in chunks
            column = pa.concat_arrays([chunk.cast(pa.large_string()) for chunk in column.chunks])
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string_view(column.type):
        column = column.cast(pa.string())
    return column


def first_line(error: Exception) -> str:
    """The first line of an error's text, short enough to be part of a clause."""
    return str(error).splitlines()[0][:160] if str(error) else type(error).__name__
