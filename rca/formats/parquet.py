"""Tables as Parquet files, compressed with Zstandard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rca.errors import TelemetryError
from rca.formats.rows import first_line

if TYPE_CHECKING:
    import pyarrow as pa

# Runs of one value compress ten-thousandfold: a small file can claim more rows than memory holds.
MAX_ROWS = 250_000_000


def load_parquet(source: Path | bytes, *, where: str) -> pa.Table:
    """The table of a Parquet file.

    Raises:
        TelemetryError: not Parquet, damaged, or of more rows than ``MAX_ROWS``.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(pa.BufferReader(source) if isinstance(source, bytes) else str(source)) as file:
            rows = file.metadata.num_rows
            table = file.read() if rows <= MAX_ROWS else None
        if table is not None:
            table.validate(full=True)  # texts are not checked for UTF-8 when they are read
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, MemoryError) as bad:
        raise TelemetryError(
            f"no Parquet file: {first_line(bad)}", where=where, remedy="Write it again, or send Arrow or CSV"
        ) from bad
    if table is None:
        raise TelemetryError(f"{rows} rows, more than {MAX_ROWS}", where=where, remedy="Send a shorter window")
    return table


def dump_parquet(table: pa.Table, target: Path) -> None:
    """Writes a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Samples hardly repeat: a dictionary of them costs twice the time and saves nothing.
    repeating = [field.name for field in table.schema if not pa.types.is_nested(field.type)]
    pq.write_table(table, str(target), compression="zstd", use_dictionary=repeating)
