"""Tables as CSV: UTF-8, commas, a header, texts in double quotes where they need them.

Cells come as texts: what they mean is decided by the column, never by how the first rows look.
"""

from __future__ import annotations

import io
from csv import Error as CSVError
from csv import reader
from pathlib import Path
from typing import IO, TYPE_CHECKING

from rca.errors import TelemetryError
from rca.formats.rows import first_line

if TYPE_CHECKING:
    import pyarrow as pa

# One block has to hold one line, and one log line can be a whole stack trace.
BLOCK = 1 << 24
REMEDY = "Save it as UTF-8 with commas, one header and rows of equal length"


def load_csv(source: Path | bytes, *, where: str) -> pa.Table:
    """The table with every cell as text ("" where empty).

    Raises:
        TelemetryError: not UTF-8, rows of different length, or a header that names a column twice.
    """
    import pyarrow as pa
    from pyarrow import csv

    names = _read_header(source, where)
    content = pa.BufferReader(source) if isinstance(source, bytes) else str(source)
    types = {name: pa.string() for name in names}
    try:
        return csv.read_csv(
            content,
            read_options=csv.ReadOptions(block_size=BLOCK, column_names=names, skip_rows_after_names=1),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(column_types=types, strings_can_be_null=False),
        )
    except (pa.ArrowException, OSError, ValueError, KeyError, MemoryError) as bad:
        raise TelemetryError(f"no CSV table: {first_line(bad)}", where=where, remedy=REMEDY) from bad


def dump_csv(table: pa.Table, target: Path) -> None:
    """Writes a header and one line per row; times as ISO 8601 in UTC, missing numbers empty."""
    import pyarrow as pa
    from pyarrow import csv

    columns = {name: _printable(table.column(name)) for name in table.column_names}
    csv.write_csv(pa.table(columns), str(target), csv.WriteOptions(quoting_style="needed"))


def _read_header(source: Path | bytes, where: str) -> list[str]:
    try:
        raw: IO[bytes] = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
        with io.TextIOWrapper(raw, "utf-8-sig", newline="") as text:
            names = next(reader(text, strict=True), [])
    except (OSError, UnicodeDecodeError, CSVError) as bad:
        raise TelemetryError(f"no CSV table: {first_line(bad)}", where=where, remedy=REMEDY) from bad
    if not names:
        raise TelemetryError("no header in the first line", where=where, remedy=REMEDY)
    for i, name in enumerate(names):
        if name in names[:i]:
            raise TelemetryError(
                f"the column {name[:80]!r} stands twice in the header", where=where, remedy="Rename or remove one"
            )
    return names


def _printable(column: pa.ChunkedArray) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    from rca.formats.rows import plain
    from rca.formats.times import times_to_texts

    cells = plain(column)
    if not pa.types.is_timestamp(cells.type):
        return cells
    return pa.array(times_to_texts(np.asarray(cells.cast(pa.int64()))), pa.string())
