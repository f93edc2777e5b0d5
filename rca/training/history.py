"""History larger than memory: Parquet files, read for some components at a time and never as a whole.

Files may be long rows, one row per series, or wide (see docs/telemetry.md). What reading some
components costs depends on the file: a wide one is read by its columns, the others by the row groups
that may hold them, so that files sorted by component are read once and others once per chunk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from rca.errors import TrainingError
from rca.formats.metrics import frame_from_grid, frame_from_rows, frame_from_wide
from rca.formats.rows import Rows, first_line
from rca.telemetry import MetricFrame, encode
from rca.types import Window

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

Form = Literal["rows", "grid", "wide"]
# The footer of a Parquet file, with the statistics of its columns, ends within these last bytes.
FOOTER = 1 << 16
REMEDY = "Give a metrics file, or a folder of Parquet files: see docs/training.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One Parquet file of a history.

    Attributes:
        components: those it has samples of, sorted.
        columns: of a wide file, the columns of each of them.
        cells: how many samples it holds at most.
    """

    path: str
    form: Form
    components: tuple[str, ...]
    columns: tuple[tuple[str, ...], ...] = ()
    cells: int

    def of(self, wanted: set[str]) -> Part:
        """The same for some of its components."""
        own = [i for i, name in enumerate(self.components) if name in wanted]
        names = tuple(self.components[i] for i in own)
        return replace(self, components=names, columns=tuple(self.columns[i] for i in own) if self.columns else ())

    def read(self) -> MetricFrame:
        """The samples of its components.

        Raises:
            TrainingError: the file cannot be read any more.
            TelemetryError: it is malformed.
        """
        if self.form == "wide":
            chosen = [column for own in self.columns for column in own]
            return frame_from_wide(_cells(_read(self.path, columns=[_clock(self.path), *chosen])), where=self.path)
        table = _read(self.path, filters=[("component", "in", list(self.components))])
        if self.form == "grid":
            return frame_from_grid(table, where=self.path)
        return frame_from_rows(Rows.of("metrics", _cells(table), where=self.path))


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Metrics of many components over a long time, as files.

    Attributes:
        parts: in the order of their names; where two hold one sample, the later counts.
        components: of all parts, sorted.
        window: what is outside of it is left out; None: nothing is.
        hash: SHA-256 that changes when a file does; it does not read them whole.
        source: where it came from, for people.
    """

    parts: tuple[Part, ...]
    components: tuple[str, ...]
    window: Window | None
    hash: str
    source: str

    @property
    def cells(self) -> int:
        """How many samples there are at most."""
        return sum(part.cells for part in self.parts)

    def of(self, components: Sequence[str]) -> History:
        """The same of some components, without the names of the others: what is sent to a worker."""
        wanted = set(components)
        parts = tuple(own for part in self.parts if (own := part.of(wanted)).components)
        return replace(self, parts=parts, components=tuple(components))

    def read(self) -> MetricFrame:
        """All samples of its components on one time axis.

        Raises:
            TrainingError, TelemetryError: a file cannot be read, or is malformed.
        """
        frames = (part.read() for part in self.parts)
        return join_frames(frame if self.window is None else frame.slice(self.window) for frame in frames)


def open_history(files: Sequence[Path], *, source: str, window: Window | None = None) -> History:
    """The history in Parquet files.

    Args:
        files: in the order in which they count.
        source: what people call it.
        window: the time to use; None: all of it.

    Raises:
        TrainingError: there are no files, or no series in them.
        TelemetryError: a file is malformed.
    """
    parts = [_open_part(file) for file in files]
    components = sorted({name for part in parts for name in part.components})
    if not components:
        raise TrainingError("there are no series", where=source, remedy=REMEDY)
    digest = hashlib.sha256(msgspec.json.encode((window.start, window.end) if window else None))
    for file in files:
        digest.update(_fingerprint(file))
    return History(
        parts=tuple(parts), components=tuple(components), window=window, hash=digest.hexdigest(), source=source
    )


def join_frames(frames: Iterable[MetricFrame]) -> MetricFrame:
    """One frame of several; where two have a sample of one series at one time, the later counts."""
    kept = [frame for frame in frames if frame.values.size]
    if len(kept) < 2:
        return kept[0] if kept else MetricFrame.empty()
    keys = [_keys(frame) for frame in kept]
    series = sorted({key for own in keys for key in own})
    place = {key: i for i, key in enumerate(series)}
    times = np.unique(np.concatenate([frame.times for frame in kept]))
    values = np.full((len(series), len(times)), np.nan, np.float32)
    for frame, own in zip(kept, keys, strict=True):
        rows = np.array([place[key] for key in own])
        at = np.ix_(rows, np.searchsorted(times, frame.times))
        values[at] = np.where(np.isnan(frame.values), values[at], frame.values)
    components, codes = encode([name for component, _, peer in series for name in (component, peer or component)])
    metrics, metric = encode([metric for _, metric, _ in series])
    peers = np.array([bool(peer) for _, _, peer in series])
    return MetricFrame(
        components=components,
        metrics=metrics,
        component=codes[::2].copy(),
        metric=metric,
        peer=np.where(peers, codes[1::2], -1).astype(np.int32),
        times=times,
        values=values,
    )


def _keys(frame: MetricFrame) -> list[tuple[str, str, str]]:
    names = (*frame.components, "")  # -1, no peer, is the last
    codes = zip(frame.component.tolist(), frame.metric.tolist(), frame.peer.tolist(), strict=True)
    return [(names[component], frame.metrics[metric], names[peer]) for component, metric, peer in codes]


def _open_part(file: Path) -> Part:
    import pyarrow.parquet as pq

    with reading(str(file)), pq.ParquetFile(str(file)) as opened:
        names = set(opened.schema_arrow.names)
        if {"component", "metric", "value", "values"} & names:
            return _open_long(file, opened, "grid" if "values" in names else "rows")
        return _open_wide(file, opened)


def _open_long(file: Path, opened: pq.ParquetFile, form: Form) -> Part:
    import pyarrow.compute as pc

    if "component" not in opened.schema_arrow.names:
        raise TrainingError("the column 'component' is missing", where=file, remedy=REMEDY)
    found: set[str] = set()
    for batch in opened.iter_batches(columns=["component"]):
        found.update(pc.unique(batch.column(0)).to_pylist())
    rows = int(opened.metadata.num_rows)
    length = 1
    if form == "grid":
        axis = (opened.schema_arrow.metadata or {}).get(b"rca.times_ns", b"")
        length = axis.count(b",") + 1
    if found & {None, ""}:
        raise TrainingError(
            "a row has no component", where=file, remedy="Drop the row, or name what it was measured on"
        )
    names = tuple(sorted(found))
    return Part(path=str(file), form=form, components=names, cells=rows * length)


def _open_wide(file: Path, opened: pq.ParquetFile) -> Part:
    table = opened.schema_arrow.empty_table()
    clock = _clock(str(file))
    frame = frame_from_wide(_cells(table), where=str(file))
    columns: dict[str, list[str]] = {}
    for name, code in zip(
        (name for name in table.column_names if name != clock), frame.component.tolist(), strict=True
    ):
        columns.setdefault(frame.components[code], []).append(name)
    names = tuple(sorted(columns))
    return Part(
        path=str(file),
        form="wide",
        components=names,
        columns=tuple(tuple(columns[name]) for name in names),
        cells=int(opened.metadata.num_rows) * len(frame.component),
    )


def _clock(path: str) -> str:
    """The name of a wide file's time column."""
    import pyarrow.parquet as pq

    from rca.formats.tables import known_names

    with reading(path):
        names: list[str] = pq.read_schema(path).names
    times = [name for name in names if known_names("metrics").get(name, ("",))[0] == "time"]
    if len(times) != 1:
        raise TrainingError(f"has {len(times)} columns of times", where=path, remedy=REMEDY)
    return times[0]


def _read(path: str, **choice: Any) -> pa.Table:
    import pyarrow.parquet as pq

    with reading(path):
        table = pq.read_table(path, partitioning=None, **choice)
        table.validate(full=True)  # texts are not checked for UTF-8 when they are read
    return table


def _cells(table: pa.Table) -> dict[str, Any]:
    return {name: table.column(name) for name in table.column_names}


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Says of what pyarrow raises which file it was."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, KeyError, TypeError) as bad:
        problem = f"no Parquet file that can be read: {first_line(bad)}"
        raise TrainingError(problem, where=path, remedy=REMEDY) from bad


def _fingerprint(file: Path) -> bytes:
    """What tells a file from a later state of it: name, size, time of change and footer."""
    state = file.stat()
    with file.open("rb") as content:
        content.seek(max(state.st_size - FOOTER, 0))
        footer = hashlib.sha256(content.read()).digest()
    return msgspec.json.encode([file.name, state.st_size, state.st_mtime_ns]) + footer
