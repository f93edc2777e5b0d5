"""Samples of metrics as they come in: every series with all that tells it from others, none of it interpreted.

A counter's rate needs the sample before, which came with another request; so counters are kept as
they are, and become rates, means and quantiles when a window is read (``rca.sources.assembly``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import msgspec
import numpy as np
import numpy.typing as npt

from rca.errors import TelemetryError
from rca.telemetry import Codes, Times
from rca.types import Window

if TYPE_CHECKING:
    import pyarrow as pa

# What the values of a series are: as they stand, a total that only grows, or the growth since the start.
GAUGE, COUNTER, DELTA = "gauge", "counter", "delta"
SORTS = (GAUGE, COUNTER, DELTA)


_Key = tuple[str, str, str, str, str, str, str, str, bool]


class Series(NamedTuple):
    """What tells one series from another.

    ``part`` is "" for a plain series; of a histogram or summary "count", "sum", or "bucket" (values
    up to ``bound``, the upper edge; the count of all values up to it) or "quantile" (``bound`` in
    [0, 1]). ``labels`` is what else tells series apart, as ``name=value,...``; ``failed`` says that
    the labels tell of failures.
    """

    component: str
    metric: str
    sort: str = GAUGE
    peer: str = ""
    replica: str = ""
    labels: str = ""
    part: str = ""
    bound: float = 0.0
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleBatch:
    """Samples as columns, each of shape (samples,).

    Attributes:
        keys: the series, no one twice.
        series: int32 code into ``keys``.
        times: ns. ``starts``: ns since when a counter or delta has counted, 0 where nobody said.
        values: float64: growth of large counters is lost in fewer bits. NaN is a sample that is missing.
    """

    keys: tuple[Series, ...]
    series: Codes
    times: Times
    starts: Times
    values: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        if not self.series.shape == self.times.shape == self.starts.shape == self.values.shape:
            raise TelemetryError("columns differ in length", where="samples")
        if self.series.size and (int(self.series.min()) < 0 or int(self.series.max()) >= len(self.keys)):
            raise TelemetryError("a code lies outside the series", where="samples.series")

    @classmethod
    def empty(cls) -> Self:
        """No samples."""
        none = np.zeros(0, np.int64)
        return cls(keys=(), series=none.astype(np.int32), times=none, starts=none, values=np.zeros(0))

    def __len__(self) -> int:
        return len(self.times)

    def take(self, rows: npt.NDArray[Any]) -> Self:
        """The samples of a mask or of indices; series without samples are dropped."""
        used, codes = np.unique(self.series[rows], return_inverse=True)
        return type(self)(
            keys=tuple(self.keys[code] for code in used.tolist()),
            series=codes.astype(np.int32),
            times=self.times[rows],
            starts=self.starts[rows],
            values=self.values[rows],
        )

    def slice(self, window: Window) -> Self:
        """The samples in [start, end)."""
        return self.take((self.times >= window.start) & (self.times < window.end))

    @classmethod
    def concat(cls, batches: Sequence[Self]) -> Self:
        """All samples, in the order of the batches."""
        batches = [batch for batch in batches if len(batch)]
        if len(batches) == 1:
            return batches[0]
        place: dict[Series, int] = {}
        codes = []
        for batch in batches:
            table = np.array([place.setdefault(key, len(place)) for key in batch.keys], np.int32)
            codes.append(table[batch.series])
        if not batches:
            return cls.empty()
        return cls(
            keys=tuple(place),
            series=np.concatenate(codes),
            times=np.concatenate([batch.times for batch in batches]),
            starts=np.concatenate([batch.starts for batch in batches]),
            values=np.concatenate([batch.values for batch in batches]),
        )


@dataclass(slots=True)
class SampleCollector:
    """Collects samples one by one; equal series share one key."""

    _place: dict[Series, int] = field(default_factory=dict)
    _series: list[int] = field(default_factory=list)
    _times: list[int] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)
    _values: list[float] = field(default_factory=list)

    def code(self, key: Series) -> int:
        """The code of a series."""
        return self._place.setdefault(key, len(self._place))

    def add(self, code: int, time: int, value: float, start: int = 0) -> None:
        """One sample of a series."""
        self._series.append(code)
        self._times.append(time)
        self._starts.append(start)
        self._values.append(value)

    def __len__(self) -> int:
        return len(self._times)

    def batch(self) -> SampleBatch:
        """What was collected. Infinite values are samples that are missing."""
        values = np.array(self._values, np.float64)
        values[np.isinf(values)] = np.nan
        return SampleBatch(
            keys=tuple(self._place),
            series=np.array(self._series, np.int32),
            times=np.array(self._times, np.int64),
            starts=np.array(self._starts, np.int64),
            values=values,
        )


def samples_to_table(batch: SampleBatch) -> pa.Table:
    """An Arrow table with one row per sample, for a store; its schema's metadata holds the series."""
    import pyarrow as pa

    columns = {"series": batch.series, "time": batch.times, "start": batch.starts, "value": batch.values}
    keys = msgspec.json.encode([[*key[:-2], repr(key.bound), key.failed] for key in batch.keys])  # JSON has no infinity
    return pa.table({name: pa.array(column) for name, column in columns.items()}, metadata={b"rca.series": keys})


def samples_from_table(table: pa.Table, *, where: str) -> SampleBatch:
    """What ``samples_to_table`` wrote.

    Raises:
        TelemetryError: another table.
    """
    try:
        rows = msgspec.json.decode((table.schema.metadata or {})[b"rca.series"], type=list[_Key])
        keys = tuple(Series(*row[:-2], float(row[-2]), row[-1]) for row in rows)
        series, times, starts, values = (table.column(name).to_numpy() for name in ("series", "time", "start", "value"))
        return SampleBatch(
            keys=keys,
            series=series.astype(np.int32),
            times=times.astype(np.int64),
            starts=starts.astype(np.int64),
            values=values.astype(np.float64),
        )
    except (KeyError, ValueError, TypeError, msgspec.MsgspecError) as bad:
        raise TelemetryError("no table of samples", where=where, remedy="Write it with samples_to_table") from bad
