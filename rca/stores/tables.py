"""Telemetry as Parquet files, one per signal, and back."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rca.formats.batches import logs_from_rows, logs_to_table, spans_from_rows, spans_to_table
from rca.formats.parquet import load_parquet
from rca.formats.rows import Rows, Table
from rca.sources.received import Received
from rca.sources.samples import samples_from_table, samples_to_table
from rca.telemetry import Bools, LogBatch

if TYPE_CHECKING:
    import pyarrow as pa

_LINE = ("times", "message", "trace", "span")
SIGNALS = ("samples", "logs", "spans")


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """One signal as the content of a file: its rows, and the times of the first and the last of them in ns."""

    signal: str
    content: bytes
    rows: int
    start: int
    end: int


def pack(received: Received) -> list[Packed]:
    """What was received of each signal, as files; nothing for signals that hold nothing."""
    packed = []
    if len(received.samples):
        packed.append(_pack("samples", samples_to_table(received.samples), received.samples.times))
    if len(received.logs):
        packed.append(_pack("logs", logs_to_table(received.logs), received.logs.times))
    if len(received.spans):
        packed.append(_pack("spans", spans_to_table(received.spans), received.spans.start))
    return packed


def unpack(signal: str, content: bytes, *, where: str) -> Received:
    """What ``pack`` made a file of.

    Raises:
        TelemetryError: the file is damaged.
    """
    table = load_parquet(content, where=where)
    if signal == "samples":
        return Received(samples=samples_from_table(table, where=where))
    if signal == "logs":
        return Received(logs=logs_from_rows(_rows("logs", table, where)))
    return Received(spans=spans_from_rows(_rows("spans", table, where)))


def unpack_all(files: Sequence[tuple[str, bytes]]) -> Received:
    """All of several files, as one; a line that a file holds and another one as well is one line.

    Senders deliver lines again in other batches (Kafka after a rebalance). Equal lines within one file
    stay: they were written so often.
    """
    parts = [unpack(signal, content, where=f"{signal}, file {i + 1}") for i, (signal, content) in enumerate(files)]
    if not parts:
        return Received()
    logs = [i for i, part in enumerate(parts) if len(part.logs)]
    if len(logs) > 1:
        for i, kept in zip(logs, _first_deliveries([parts[i].logs for i in logs]), strict=True):
            if not kept.all():
                parts[i] = Received(logs=parts[i].logs.take(kept))
    return Received.merge(parts)


def _first_deliveries(batches: Sequence[LogBatch]) -> list[Bools]:
    """Of each batch, which lines no earlier batch holds."""
    import pandas as pd

    sizes = [len(batch) for batch in batches]
    columns = {name: np.concatenate([getattr(batch, name) for batch in batches]) for name in _LINE}
    columns["component"] = np.concatenate([np.array(b.components, object)[b.component] for b in batches])
    rows = pd.DataFrame(columns)
    again = rows.duplicated(keep=False).to_numpy()  # few are: only these are looked at closely
    kept = np.ones(len(rows), bool)
    if again.any():
        batch = np.repeat(np.arange(len(batches)), sizes)[again]
        doubtful = rows[again].assign(batch=batch)
        kept[again] = doubtful.groupby(list(columns), sort=False)["batch"].transform("min").to_numpy() == batch
    return np.split(kept, np.cumsum(sizes)[:-1])


def components_of(received: Received) -> set[str]:
    """Every component that something was received about."""
    names = {key.component for key in received.samples.keys} | {key.peer for key in received.samples.keys}
    names |= {received.logs.components[code] for code in np.unique(received.logs.component)}
    names |= {received.spans.components[code] for code in np.unique(received.spans.component)}
    names |= {received.spans.components[code] for code in np.unique(received.spans.peer) if code >= 0}
    names |= {notice.alert.component for notice in received.alerts}
    names |= {change.component for change in received.changes}
    return names - {""}


def _pack(signal: str, table: pa.Table, times: Any) -> Packed:
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    # Level 1: the write has to keep up with what comes in; compaction writes again.
    pq.write_table(table, sink, compression="zstd", compression_level=1)
    return Packed(
        signal=signal, content=sink.getvalue(), rows=table.num_rows, start=int(times.min()), end=int(times.max())
    )


def _rows(name: Table, table: pa.Table, where: str) -> Rows:
    columns: Mapping[str, Any] = {column: table.column(column) for column in table.column_names}
    return Rows.of(name, columns, where=where)
