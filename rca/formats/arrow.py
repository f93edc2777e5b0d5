"""Tables as Arrow IPC: streams are written; streams and files are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rca.errors import TelemetryError
from rca.formats.rows import first_line

if TYPE_CHECKING:
    import pyarrow as pa


def load_arrow(source: Path | bytes, *, where: str) -> pa.Table:
    """The one table of an Arrow stream or file, every buffer checked.

    Raises:
        TelemetryError: not Arrow, or damaged.
    """
    import pyarrow as pa

    try:
        content = pa.py_buffer(source) if isinstance(source, bytes) else pa.memory_map(str(source)).read_buffer()
        of_files = bytes(content[:6]) == b"ARROW1"
        reader = pa.ipc.open_file(content) if of_files else pa.ipc.open_stream(content)
        table = reader.read_all()
        table.validate(full=True)  # offsets of a damaged stream point anywhere
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, MemoryError) as bad:
        raise TelemetryError(
            f"no Arrow stream: {first_line(bad)}", where=where, remedy="Write it again, as an Arrow IPC stream"
        ) from bad
    return table


def dump_arrow(table: pa.Table, target: Path) -> None:
    """Writes an Arrow IPC stream."""
    import pyarrow as pa

    with pa.OSFile(str(target), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
