"""Spans joined to their parents, senders and log lines, freed of repeats, and named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rca.spans import component_of, join_names, link_spans, readable
from rca.telemetry import LogBatch, SpanBatch, texts
from rca.types import Window

IDS = st.sampled_from(["", "a", "b", "c", "d"])
TRACES = st.sampled_from(["", "t", "u"])
SPANS = st.lists(st.tuples(st.integers(0, 5), TRACES, IDS, IDS, TRACES, IDS), max_size=12)
LINES = st.lists(st.tuples(TRACES, IDS), max_size=6)

Row = tuple[int, str, str, str, str, str]


def spans_of(rows: list[Row]) -> SpanBatch:
    start, trace, span, parent, link_trace, link_span = (list(column) for column in zip(*rows, strict=True))
    return SpanBatch.build(
        start=np.array(start, np.int64),
        duration=np.arange(len(rows), dtype=np.int64),
        component=["c"] * len(rows),
        operation=["o"] * len(rows),
        trace=trace,
        span=span,
        parent=parent,
        link_trace=link_trace,
        link_span=link_span,
    )


def lines_of(rows: list[tuple[str, str]]) -> LogBatch:
    return LogBatch(
        components=("c",),
        times=np.arange(len(rows), dtype=np.int64),
        component=np.zeros(len(rows), np.int32),
        level=np.zeros(len(rows), np.int8),
        message=texts(["said"] * len(rows)),
        trace=texts([trace for trace, _ in rows]),
        span=texts([span for _, span in rows]),
    )


def first_sent(rows: list[Row]) -> list[Row]:
    seen: set[tuple[str, str]] = set()
    kept = []
    for row in rows:
        if row[2] == "" or row[1:3] not in seen:
            kept.append(row)
        seen.add(row[1:3])
    return sorted(kept, key=lambda row: row[:3])


@settings(deadline=None)
@given(SPANS.filter(bool), LINES)
def test_every_span_and_line_finds_what_a_dictionary_of_ids_finds(
    rows: list[Row], lines: list[tuple[str, str]]
) -> None:
    linked = link_spans(spans_of(rows), lines_of(lines))
    kept = first_sent(rows)
    place = {row[1:3]: i for i, row in enumerate(kept) if row[2]}

    def find(i: int, trace: str, span: str) -> int:
        found = place.get((trace, span), -1)
        return -1 if found == i else found

    assert linked.spans.start.tolist() == [row[0] for row in kept]
    assert linked.spans.span.tolist() == [row[2] for row in kept]
    assert linked.caller.tolist() == [find(i, row[1], row[3]) for i, row in enumerate(kept)]
    assert linked.sender.tolist() == [find(i, row[4], row[5]) for i, row in enumerate(kept)]
    assert linked.line.tolist() == [find(-1, *line) for line in lines]
    traces = {trace for trace, _ in lines}
    assert linked.logged.tolist() == [row[1] in traces for row in kept]


@settings(deadline=None)
@given(SPANS.filter(bool), LINES, st.integers(0, 5), st.integers(0, 5))
def test_a_part_in_time_is_what_its_own_spans_and_lines_would_be_joined_to(
    rows: list[Row], lines: list[tuple[str, str]], start: int, length: int
) -> None:
    # With ids of its own, no span is hidden by a repeat that lies outside of the part.
    rows = [(row[0], row[1], f"{row[2]}{i}", *row[3:]) for i, row in enumerate(rows)]
    window = Window(start=start, end=start + length)
    batch = lines_of(lines)
    inside = (batch.times >= window.start) & (batch.times < window.end)
    whole = link_spans(spans_of(rows), batch).slice(window, inside)
    part = link_spans(spans_of(rows).slice(window), batch.take(inside))
    assert whole.spans.span.tolist() == part.spans.span.tolist()
    for name in ("caller", "sender", "line", "logged"):
        assert getattr(whole, name).tolist() == getattr(part, name).tolist()


def test_a_consumer_that_names_no_parent_is_caused_by_whom_it_is_linked_to() -> None:
    linked = link_spans(
        spans_of([(0, "t", "a", "", "", ""), (1, "u", "b", "", "t", "a"), (2, "u", "c", "b", "t", "a")])
    )
    assert linked.parent.tolist() == [-1, 0, 1]


@pytest.mark.parametrize("size", [0, 1])
def test_few_spans_or_none_are_joined_to_nothing(size: int) -> None:
    spans = SpanBatch.empty() if size == 0 else spans_of([(0, "t", "a", "z", "", "")])
    linked = link_spans(spans, lines_of([("t", "q")]))
    assert linked.parent.tolist() == [-1] * size
    assert linked.line.tolist() == [-1]


def test_no_spans_have_no_names() -> None:
    assert join_names(SpanBatch.empty(), np.zeros(0, np.int64)).shape == (0,)


def test_names_are_component_and_operation() -> None:
    spans = SpanBatch.build(
        start=np.zeros(2),
        duration=np.zeros(2),
        component=["cart", "pay"],
        operation=["/get", "/put it"],
        trace=["t", "t"],
        span=["1", "2"],
        parent=["", ""],
    )
    names = join_names(spans, np.array([1, 0, 1]))
    assert [component_of(name) for name in names] == ["pay", "cart", "pay"]
    assert [readable(name) for name in names] == ["pay /put it", "cart /get", "pay /put it"]
