"""Telemetry as columns: metrics, logs and spans in arrays, changes and alerts as short tuples.

Names are held once in a tuple and referred to by int32 codes; times are int64 nanoseconds, UTC.
NaN in a metric means that the sample is missing, never zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rca.errors import TelemetryError
from rca.types import Alert, Change, Window

Codes = npt.NDArray[np.int32]
Times = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Texts = npt.NDArray[Any]  # object array of str

NO_PEER = -1

# Severity of a log line, in OpenTelemetry's ranges (SeverityNumber / 4): 0 is unknown.
UNKNOWN, TRACE, DEBUG, INFO, WARN, ERROR, FATAL = 0, 1, 2, 3, 4, 5, 6
# Kind of a span, as OpenTelemetry numbers them.
SPAN_UNSPECIFIED, SPAN_INTERNAL, SPAN_SERVER, SPAN_CLIENT, SPAN_PRODUCER, SPAN_CONSUMER = range(6)


def encode(values: Sequence[str] | Texts) -> tuple[tuple[str, ...], Codes]:
    """The distinct texts in sorted order, and the code of each value: shape (n,), int32."""
    words = [str(value) for value in values]
    names = sorted(set(words))
    place = {name: code for code, name in enumerate(names)}
    return tuple(names), np.fromiter(map(place.__getitem__, words), np.int32, len(words))


def texts(values: Sequence[str] | Texts) -> Texts:
    """An object array of str, shape (n,)."""
    array = np.empty(len(values), dtype=object)
    array[:] = list(values)
    return array


def _check_columns(what: str, columns: dict[str, npt.NDArray[Any]], length: int) -> None:
    for name, column in columns.items():
        if column.shape != (length,):
            raise TelemetryError(
                f"{what}.{name} has shape {column.shape} where {length} rows are expected",
                where=what,
                remedy="Give every column the same number of rows",
            )


def _check_codes(what: str, codes: Codes, names: tuple[str, ...], lowest: int = 0) -> None:
    if codes.size and (int(codes.min()) < lowest or int(codes.max()) >= len(names)):
        raise TelemetryError(f"a code lies outside the {len(names)} names", where=what)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFrame:
    """Metrics of many components on one time axis.

    Attributes:
        components, metrics: names that the codes refer to.
        component, metric, peer: int32 codes, shape (series,). A series with a ``peer`` (code into
            ``components``; -1: none) describes calls between the two: measured on ``component``.
        times: strictly increasing nanoseconds, shape (time,).
        values: float32, shape (series, time); NaN is a missing sample, infinities are refused.
    """

    components: tuple[str, ...]
    metrics: tuple[str, ...]
    component: Codes
    metric: Codes
    peer: Codes
    times: Times
    values: Floats

    def __post_init__(self) -> None:
        series = self.values.shape[0] if self.values.ndim == 2 else -1
        if self.values.ndim != 2 or self.values.shape[1] != self.times.shape[0]:
            raise TelemetryError(
                f"values have shape {self.values.shape} for {self.times.shape[0]} times",
                where="metrics",
                remedy="Give one row per series and one column per time",
            )
        _check_columns("metrics", {"component": self.component, "metric": self.metric, "peer": self.peer}, series)
        _check_codes("metrics.component", self.component, self.components)
        _check_codes("metrics.metric", self.metric, self.metrics)
        _check_codes("metrics.peer", self.peer, self.components, NO_PEER)
        if self.times.size > 1 and not bool((np.diff(self.times) > 0).all()):
            raise TelemetryError(
                "times do not increase strictly", where="metrics.times", remedy="Sort the samples and merge duplicates"
            )
        if bool(np.isinf(self.values).any()):
            raise TelemetryError(
                "a value is infinite", where="metrics.values", remedy="Send NaN (null) for samples that are missing"
            )

    @classmethod
    def empty(cls) -> Self:
        """No series, no times."""
        none = np.zeros(0, np.int32)
        return cls(
            components=(),
            metrics=(),
            component=none,
            metric=none,
            peer=none,
            times=np.zeros(0, np.int64),
            values=np.zeros((0, 0), np.float32),
        )

    @classmethod
    def from_rows(
        cls,
        *,
        times: Times,
        components: Sequence[str] | Texts,
        metrics: Sequence[str] | Texts,
        values: npt.NDArray[Any],
        peers: Sequence[str] | Texts | None = None,
    ) -> Self:
        """A frame from long rows in any order, one sample each.

        Late samples are sorted in; of several samples of one series at one time the last row wins;
        uneven sampling gives a time axis of all times, NaN where a series has no sample.
        """
        rows = len(times)
        peer_texts = texts([""] * rows) if peers is None else np.asarray(peers, dtype=object)
        component_values = np.asarray(components, dtype=object).astype(str)
        peer_values = peer_texts.astype(str) if rows else component_values
        names, codes = encode(np.concatenate([component_values, peer_values]))
        names = tuple(name for name in names)
        component, peer = codes[:rows], codes[rows:].copy()
        if "" in names:
            blank = names.index("")
            peer[peer == blank] = NO_PEER
        metric_names, metric = encode(metrics)
        axis, column = np.unique(np.asarray(times, np.int64), return_inverse=True)
        key = (component.astype(np.int64) * (len(names) + 1) + peer + 1) * max(len(metric_names), 1) + metric
        _, first, series = np.unique(key, return_index=True, return_inverse=True)
        grid = np.full((len(first), len(axis)), np.nan, np.float32)
        grid[series, column] = np.asarray(values, np.float32)
        return cls(
            components=names,
            metrics=metric_names,
            component=component[first],
            metric=metric[first],
            peer=peer[first],
            times=axis,
            values=grid,
        )

    def slice(self, window: Window) -> Self:
        """The samples in [start, end)."""
        a, b = np.searchsorted(self.times, [window.start, window.end])
        return replace(self, times=self.times[a:b], values=self.values[:, a:b])

    def select(self, series: npt.NDArray[Any]) -> Self:
        """The series of a mask or of indices."""
        return replace(
            self,
            component=self.component[series],
            metric=self.metric[series],
            peer=self.peer[series],
            values=self.values[series],
        )

    @property
    def step(self) -> int:
        """Median distance between samples in nanoseconds; 0 with fewer than two."""
        return int(np.median(np.diff(self.times))) if self.times.size > 1 else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogBatch:
    """Log lines as columns, each of shape (lines,).

    ``component`` int32 codes into ``components``; ``level`` int8 (0 unknown … 6 fatal);
    ``message``, ``trace``, ``span`` object arrays of str ("" = none).
    """

    components: tuple[str, ...]
    times: Times
    component: Codes
    level: npt.NDArray[np.int8]
    message: Texts
    trace: Texts
    span: Texts

    def __post_init__(self) -> None:
        columns = {name: getattr(self, name) for name in ("component", "level", "message", "trace", "span")}
        _check_columns("logs", columns, len(self.times))
        _check_codes("logs.component", self.component, self.components)

    @classmethod
    def empty(cls) -> Self:
        """No lines."""
        return cls(
            components=(),
            times=np.zeros(0, np.int64),
            component=np.zeros(0, np.int32),
            level=np.zeros(0, np.int8),
            message=texts([]),
            trace=texts([]),
            span=texts([]),
        )

    def take(self, rows: npt.NDArray[Any]) -> Self:
        """The lines of a mask or of indices."""
        names = ("times", "component", "level", "message", "trace", "span")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def slice(self, window: Window) -> Self:
        """The lines in [start, end)."""
        return self.take((self.times >= window.start) & (self.times < window.end))

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanBatch:
    """Spans as columns, each of shape (spans,).

    ``start`` and ``duration`` in nanoseconds; ``component`` and ``operation`` int32 codes;
    ``peer`` int32 code of an uninstrumented component that the span calls (-1: none);
    ``kind`` and ``status`` int8 as OpenTelemetry numbers them (status 2 = error); ``trace``,
    ``span``, ``parent`` object arrays of str (parent "" = root); ``link_trace``/``link_span`` the
    span that caused this one over a message, "" where there is none; ``text`` what else the span
    says (error message, statement, attributes as ``key=value``), "" where it says nothing.
    """

    components: tuple[str, ...]
    operations: tuple[str, ...]
    start: Times
    duration: Times
    component: Codes
    operation: Codes
    peer: Codes
    kind: npt.NDArray[np.int8]
    status: npt.NDArray[np.int8]
    trace: Texts
    span: Texts
    parent: Texts
    link_trace: Texts
    link_span: Texts
    text: Texts

    def __post_init__(self) -> None:
        names = ("duration", "component", "operation", "peer", "kind", "status", "trace", "span", "parent")
        columns = {name: getattr(self, name) for name in (*names, "link_trace", "link_span", "text")}
        _check_columns("spans", columns, len(self.start))
        _check_codes("spans.component", self.component, self.components)
        _check_codes("spans.operation", self.operation, self.operations)
        _check_codes("spans.peer", self.peer, self.components, NO_PEER)
        if self.duration.size and int(self.duration.min()) < 0:
            raise TelemetryError(
                "a span ends before it starts", where="spans.duration", remedy="Send start and end of one clock"
            )

    @classmethod
    def empty(cls) -> Self:
        """No spans."""
        return cls.build(
            start=np.zeros(0, np.int64),
            duration=np.zeros(0, np.int64),
            component=[],
            operation=[],
            trace=[],
            span=[],
            parent=[],
        )

    @classmethod
    def build(
        cls,
        *,
        start: Times,
        duration: Times,
        component: Sequence[str] | Texts,
        operation: Sequence[str] | Texts,
        trace: Sequence[str] | Texts,
        span: Sequence[str] | Texts,
        parent: Sequence[str] | Texts,
        kind: npt.NDArray[Any] | None = None,
        status: npt.NDArray[Any] | None = None,
        peer: Sequence[str] | Texts | None = None,
        link_trace: Sequence[str] | Texts | None = None,
        link_span: Sequence[str] | Texts | None = None,
        text: Sequence[str] | Texts | None = None,
    ) -> Self:
        """A batch from columns of names."""
        rows = len(start)
        none = texts([""] * rows)
        peers = none if peer is None else np.asarray(peer, dtype=object)
        names, codes = encode(np.concatenate([np.asarray(component, dtype=object), peers]))
        peer_codes = codes[rows:].copy()
        if "" in names:
            peer_codes[peer_codes == names.index("")] = NO_PEER
        operations, operation_codes = encode(operation)
        zeros = np.zeros(rows, np.int8)
        return cls(
            components=names,
            operations=operations,
            start=np.asarray(start, np.int64),
            duration=np.asarray(duration, np.int64),
            component=codes[:rows],
            operation=operation_codes,
            peer=peer_codes,
            kind=zeros if kind is None else np.asarray(kind, np.int8),
            status=zeros if status is None else np.asarray(status, np.int8),
            trace=np.asarray(texts(trace), dtype=object),
            span=texts(span),
            parent=texts(parent),
            link_trace=none if link_trace is None else texts(link_trace),
            link_span=none if link_span is None else texts(link_span),
            text=none if text is None else texts(text),
        )

    def take(self, rows: npt.NDArray[Any]) -> Self:
        """The spans of a mask or of indices."""
        fixed = {"components", "operations"}
        return replace(
            self, **{name: getattr(self, name)[rows] for name in self.__dataclass_fields__ if name not in fixed}
        )

    def slice(self, window: Window) -> Self:
        """The spans that start in [start, end)."""
        return self.take((self.start >= window.start) & (self.start < window.end))

    def __len__(self) -> int:
        return len(self.start)


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """Everything that was measured, logged, traced, changed and alerted in a stretch of time."""

    metrics: MetricFrame = field(default_factory=MetricFrame.empty)
    logs: LogBatch = field(default_factory=LogBatch.empty)
    spans: SpanBatch = field(default_factory=SpanBatch.empty)
    changes: tuple[Change, ...] = ()
    alerts: tuple[Alert, ...] = ()

    def slice(self, window: Window) -> Self:
        """What falls into [start, end); alerts without a time stay."""
        return replace(
            self,
            metrics=self.metrics.slice(window),
            logs=self.logs.slice(window),
            spans=self.spans.slice(window),
            changes=tuple(change for change in self.changes if window.start <= change.time < window.end),
            alerts=tuple(
                alert for alert in self.alerts if alert.time is None or window.start <= alert.time < window.end
            ),
        )

    @property
    def components(self) -> tuple[str, ...]:
        """Every component that something is known about, sorted."""
        names: set[str] = set()
        frame = self.metrics
        names.update(frame.components[code] for code in np.unique(frame.component))
        names.update(frame.components[code] for code in np.unique(frame.peer) if code >= 0)
        names.update(self.logs.components[code] for code in np.unique(self.logs.component))
        spans = self.spans
        names.update(spans.components[code] for code in np.unique(spans.component))
        names.update(spans.components[code] for code in np.unique(spans.peer) if code >= 0)
        names.update(alert.component for alert in self.alerts)
        names.discard("")
        return tuple(sorted(names))
