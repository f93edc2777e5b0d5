"""Copies of a history that can be read by component: made once, beside the checkpoints, where the files cannot.

Files of other forms are written as Parquet with one row per series. Long files that are not sorted by
component are parted by it in one pass: reading a few components would otherwise read all of the file.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from rca.errors import TrainingError
from rca.formats import FORMS, read_metrics
from rca.formats.files import form_of
from rca.formats.metrics import frame_to_grid
from rca.registry.durable import sync_folder
from rca.telemetry import MetricFrame
from rca.training.history import REMEDY, History, Part, reading

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

Progress = Callable[[int, int], None]
# Series per row group of a copy: a chunk of components reads little besides its own.
SERIES_PER_GROUP = 512
# Times that a file is read in all, above which a copy that is parted by component is cheaper.
MOST_READINGS = 3.0
# Files written at once while a file is parted, far below what systems allow to be open.
MOST_FILES = 256
BATCH_CELLS = 1 << 20


def parquet_files(path: Path, staged: Path, progress: Progress | None = None) -> list[Path]:
    """The Parquet files of a metrics file or of a folder of them, in order of their names; others are copied.

    Raises:
        TrainingError: there is no such file, or no metrics in the folder.
        TelemetryError: a file is malformed.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file() and _is_table(file.relative_to(path)))
        if not files:
            raise TrainingError("there are no metrics files in the folder", where=path, remedy=REMEDY)
    elif path.is_file():
        form_of(path)
        files = [path]
    else:
        raise TrainingError("there is no such file or folder", where=path, remedy=REMEDY)
    found = []
    for done, file in enumerate(files):
        if progress is not None:
            progress(done, len(files))
        found.append(file if form_of(file) == "parquet" else _copy(file, staged))
    return found


def _is_table(path: Path) -> bool:
    return path.suffix.lower().removeprefix(".") in FORMS and not any(
        part.startswith((".", "_")) for part in path.parts
    )


def _copy(file: Path, staged: Path) -> Path:
    state = file.stat()
    key = hashlib.sha256(msgspec.json.encode([str(file.resolve()), state.st_size, state.st_mtime_ns])).hexdigest()
    target = staged / f"{key[:16]}.parquet"
    if not target.is_file():
        write_part(read_metrics(file), target)
    return target


def write_part(frame: MetricFrame, target: Path) -> None:
    """Writes a frame, sorted by component, whole or not at all."""
    import pyarrow.parquet as pq

    order = np.argsort(np.array([*frame.components, ""])[frame.component], kind="stable")
    table = frame_to_grid(frame.select(order))
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.draft")
    pq.write_table(table, str(draft), compression="zstd", use_dictionary=False, row_group_size=SERIES_PER_GROUP)
    draft.replace(target)
    sync_folder(target.parent)


def part_by_component(history: History, chunks: Sequence[Sequence[str]], staged: Path) -> History:
    """The history with copies, parted by component, of those files that chunks would read again and again."""
    bounds = [(min(chunk), max(chunk)) for chunk in chunks]
    parts: list[Part] = []
    for number, part in enumerate(history.parts):
        if part.form == "wide" or _readings(part, bounds) <= MOST_READINGS:
            parts.append(part)
        else:
            parts += _divide(part, chunks, staged / f"{history.hash[:16]}-{number:05d}")
    return replace(history, parts=tuple(parts))


def _readings(part: Part, bounds: Sequence[tuple[str, str]]) -> float:
    """How often a file's rows are read when each chunk reads the row groups that may hold its components."""
    import pyarrow.parquet as pq

    with reading(part.path), pq.ParquetFile(part.path) as file:
        column = file.schema_arrow.names.index("component")
        rows = read = 0
        for i in range(file.metadata.num_row_groups):
            group = file.metadata.row_group(i)
            known = group.column(column).statistics
            low, high = (known.min, known.max) if known is not None and known.has_min_max else ("", "\U0010ffff")
            rows += group.num_rows
            read += group.num_rows * sum(first <= high and low <= last for first, last in bounds)
    return read / max(rows, 1)


def _divide(part: Part, chunks: Sequence[Sequence[str]], folder: Path) -> list[Part]:
    """Copies of a file, each with the components of some chunks."""
    import pyarrow.parquet as pq

    files = min(len(chunks), MOST_FILES)
    file_of = {name: i * files // len(chunks) for i, chunk in enumerate(chunks) for name in chunk}
    names: list[list[str]] = [[] for _ in range(files)]
    for name in part.components:
        names[file_of[name]].append(name)
    if not folder.is_dir():
        draft = folder.with_name(f".{folder.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        with reading(part.path), pq.ParquetFile(part.path) as file:
            _stream(file, file_of, max(BATCH_CELLS * file.metadata.num_rows // max(part.cells, 1), 1), draft)
        draft.rename(folder)
        sync_folder(folder.parent)
    share = max(part.cells // max(len(part.components), 1), 1)
    return [
        replace(part, path=str(folder / f"{i:05d}.parquet"), components=tuple(own), cells=share * len(own))
        for i, own in enumerate(names)
        if own
    ]


def _stream(file: pq.ParquetFile, file_of: dict[str, int], rows: int, folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writers: dict[int, pq.ParquetWriter] = {}
    try:
        for batch in file.iter_batches(batch_size=rows):
            table = pa.Table.from_batches([batch])
            for number, own in _split(table, file_of):
                if number not in writers:
                    writers[number] = pq.ParquetWriter(folder / f"{number:05d}.parquet", own.schema, compression="zstd")
                writers[number].write_table(own)
    finally:
        for writer in writers.values():
            writer.close()


def _split(table: pa.Table, file_of: dict[str, int]) -> list[tuple[int, pa.Table]]:
    names = table.column("component").combine_chunks().dictionary_encode()
    of_name = [file_of.get(name, -1) for name in names.dictionary.to_pylist()] + [-1]
    codes = names.indices.fill_null(len(of_name) - 1).to_numpy(zero_copy_only=False)
    target = np.array(of_name, np.int64)[codes]
    order = np.argsort(target, kind="stable")  # rows keep their order: of two samples the last counts
    numbers, starts = np.unique(target[order], return_index=True)
    ends = [*starts[1:].tolist(), len(order)]
    return [
        (number, table.take(order[start:end]))
        for number, start, end in zip(numbers.tolist(), starts.tolist(), ends, strict=True)
        if number >= 0
    ]
