"""Spans: joined to their parents, freed of repeats, and named by component and operation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.telemetry import Codes, LogBatch, SpanBatch
from rca.types import Window

# Between component and operation in the name of a request type: a character that neither contains.
WITHIN = "\x1e"

Rows = npt.NDArray[np.int64]


def component_of(request_type: str) -> str:
    """The component of a request type or call target."""
    return request_type.split(WITHIN, 1)[0]


def readable(name: str) -> str:
    """A request type or call target for people: ``cart /get``."""
    return name.replace(WITHIN, " ")


@dataclass(frozen=True, kw_only=True)
class LinkedSpans:
    """Spans without repeats, joined to the spans that caused them and to their log lines.

    Attributes:
        spans: in order of start, then of trace and span id.
        caller: row of the span that each names as its parent, -1 where none was seen; shape (spans,).
        sender: row of the span that each is linked to (a message's producer), -1 where none was seen.
        trace: int64 code of each span's trace, shape (spans,).
        line: row of the span of each log line, -1 where it was not seen; shape (lines,).
        line_trace: code of each log line's trace, shape (lines,).
    """

    spans: SpanBatch
    caller: Rows
    sender: Rows
    trace: Rows
    line: Rows
    line_trace: Rows

    @cached_property
    def parent(self) -> Rows:
        """The caller of each span, else its sender, else -1; shape (spans,)."""
        return np.where(self.caller < 0, self.sender, self.caller)

    @cached_property
    def logged(self) -> npt.NDArray[np.bool_]:
        """Whether any log line belongs to the span's trace, shape (spans,)."""
        seen = np.zeros(1 + max(self.trace.max(initial=0), self.line_trace.max(initial=0)), bool)
        seen[self.line_trace] = True
        return np.asarray(seen[self.trace], np.bool_)

    def slice(self, window: Window, lines: npt.NDArray[np.bool_]) -> LinkedSpans:
        """The spans that start in [start, end), and the lines of a mask; what they refer to outside is unseen."""
        a, b = np.searchsorted(self.spans.start, [window.start, window.end])

        def moved(rows: Rows) -> Rows:
            return np.where((rows >= a) & (rows < b), rows - a, -1)

        return LinkedSpans(
            spans=self.spans.take(np.arange(a, b)),
            caller=moved(self.caller[a:b]),
            sender=moved(self.sender[a:b]),
            trace=self.trace[a:b],
            line=moved(self.line[lines]),
            line_trace=self.line_trace[lines],
        )


def link_spans(spans: SpanBatch, logs: LogBatch | None = None) -> LinkedSpans:
    """Spans in any order and the lines that name them. Of spans that were sent twice the first counts."""
    logs = LogBatch.empty() if logs is None else logs
    linked = np.flatnonzero(spans.link_span != "")
    size = len(spans)
    trace, _ = _codes(spans.trace, spans.link_trace[linked], logs.trace)
    span, blank = _codes(spans.span, spans.parent, spans.link_span[linked], logs.span)
    rows = _in_order(spans, _first_sent(trace[:size], span[:size], blank))
    ids = _Ids(trace=trace[:size][rows], span=span[:size][rows], blank=blank)
    parts = np.cumsum([size, size, len(linked)])
    named, sent, said = span[parts[0] : parts[1]][rows], span[parts[1] : parts[2]], span[parts[2] :]
    sender = np.full(size, -1, np.int64)
    sender[linked] = ids.find(trace[size : size + len(linked)], sent)
    own = np.arange(len(rows))
    caller, sender = ids.find(ids.trace, named), sender[rows]
    return LinkedSpans(
        spans=spans.take(rows),
        caller=np.where(caller == own, -1, caller),
        sender=np.where(sender == own, -1, sender),
        trace=ids.trace,
        line=ids.find(trace[size + len(linked) :], said),
        line_trace=trace[size + len(linked) :],
    )


def _codes(*columns: npt.NDArray[Any]) -> tuple[Rows, int]:
    """Equal texts of all columns, one after the other, get equal codes; and the code of "" (-1: there is none)."""
    import pandas as pd

    codes, distinct = pd.factorize(np.concatenate(columns))
    blank = np.flatnonzero(distinct == "")
    return codes.astype(np.int64), int(blank[0]) if len(blank) else -1


def _first_sent(trace: Rows, span: Rows, blank: int) -> Rows:
    """Rows whose ids did not come before, in order; spans without an id are all kept."""
    if np.bincount(span, minlength=1).max() <= 1:
        return np.arange(len(span))
    _, first = np.unique(trace * (span.max(initial=0) + 1) + span, return_index=True)
    kept = span == blank
    kept[first] = True
    return np.flatnonzero(kept)


def _in_order(spans: SpanBatch, rows: Rows) -> Rows:
    """Rows by start; only where it is equal, by trace and span id."""
    rows = rows[np.argsort(spans.start[rows], kind="stable")]
    same = np.diff(spans.start[rows]) == 0
    if same.any():
        tied = np.flatnonzero(np.concatenate([same, [False]]) | np.concatenate([[False], same]))
        start, trace, span = spans.start, spans.trace, spans.span
        rows[tied] = sorted(rows[tied].tolist(), key=lambda row: (start[row], trace[row], span[row]))
    return rows


@dataclass(frozen=True, kw_only=True)
class _Ids:
    """Codes of the ids of spans, shape (spans,), no pair of them twice; ``blank`` is the code of no id."""

    trace: Rows
    span: Rows
    blank: int

    def find(self, trace: Rows, span: Rows) -> Rows:
        """The row of the span with each pair of ids, -1 where there is none; shape (ids,)."""
        size = 1 + max(self.span.max(initial=-1), span.max(initial=-1), self.blank)
        row_of = np.full(size + 1, -1, np.int64)
        row_of[self.span] = np.arange(len(self.span))
        row_of[self.blank] = -1
        rows = row_of[span]
        hit = (rows >= 0) & (self.trace[rows] == trace) if len(self.span) else rows >= 0
        rows[~hit] = -1
        missed = np.flatnonzero(~hit & (span != self.blank))
        if len(missed) and not self._is_unique:
            rows[missed] = self._search(trace[missed], span[missed], size)
        return rows

    @cached_property
    def _is_unique(self) -> bool:
        """Whether no two traces use the same span id."""
        return int(np.bincount(self.span[self.span != self.blank], minlength=1).max()) <= 1

    def _search(self, trace: Rows, span: Rows, size: int) -> Rows:
        known = self.trace * size + self.span
        order = np.argsort(known, kind="stable")
        wanted = trace * size + span
        found = order[np.minimum(np.searchsorted(known[order], wanted), len(known) - 1)]
        return np.where(known[found] == wanted, found, -1)


def join_names(spans: SpanBatch, rows: Rows, whose: Codes | None = None) -> npt.NDArray[Any]:
    """``component operation`` of each row, object array of str, shape (rows,).

    ``whose`` gives another component than the span's own: codes, shape (spans,).
    """
    if not len(rows):
        return np.zeros(0, object)
    width = max(len(spans.operations), 1)
    whose = spans.component if whose is None else whose
    distinct, code = np.unique(whose[rows].astype(np.int64) * width + spans.operation[rows], return_inverse=True)
    names = np.empty(len(distinct), object)
    names[:] = [f"{spans.components[p // width]}{WITHIN}{spans.operations[p % width]}" for p in distinct.tolist()]
    return names[code]
