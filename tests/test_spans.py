"""Spans joined to parents, freed of repeats, and named."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rca.spans import component_of, drop_repeated, find_parents, find_spans, join_names, readable
from rca.telemetry import SpanBatch, texts


def batch(rows: list[tuple[str, str, str]], **columns: object) -> SpanBatch:
    """(trace, span, parent) of each span; all of component a, one second after the other."""
    return SpanBatch.build(
        start=np.arange(len(rows)),
        duration=np.ones(len(rows), np.int64),
        component=["a"] * len(rows),
        operation=["get"] * len(rows),
        trace=[row[0] for row in rows],
        span=[row[1] for row in rows],
        parent=[row[2] for row in rows],
        **columns,
    )


def test_parents_are_found_in_the_same_trace_only() -> None:
    spans = batch([("t", "1", ""), ("t", "2", "1"), ("u", "3", "1"), ("u", "1", "")])
    assert find_parents(spans).tolist() == [-1, 0, 3, -1]


def test_a_parent_that_was_not_seen_is_none_and_a_span_is_no_parent_of_its_own() -> None:
    assert find_parents(batch([("t", "1", "9"), ("t", "2", "2")])).tolist() == [-1, -1]


def test_a_consumer_of_a_message_has_its_producer_as_parent_across_traces() -> None:
    spans = batch(
        [("t", "1", ""), ("u", "2", ""), ("u", "3", "2")],
        link_trace=["", "t", "t"],
        link_span=["", "1", "1"],
    )
    assert find_parents(spans).tolist() == [-1, 0, 1]


def test_of_spans_sent_twice_the_first_is_the_parent_and_the_first_stays() -> None:
    spans = batch([("t", "1", ""), ("t", "1", ""), ("t", "2", "1")])
    assert find_parents(spans).tolist() == [-1, -1, 0]
    kept = drop_repeated(spans)
    assert kept.start.tolist() == [0, 2]


def test_spans_without_an_id_are_no_repeats_of_each_other() -> None:
    assert len(drop_repeated(batch([("t", "", ""), ("t", "", "")]))) == 2


def test_no_spans_have_no_parents() -> None:
    none = SpanBatch.empty()
    assert find_parents(none).shape == (0,)
    assert len(drop_repeated(none)) == 0
    assert find_spans(none, texts(["t"]), texts(["1"])).tolist() == [-1]
    assert join_names(none, np.zeros(0, np.int64)).shape == (0,)


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


ids = st.sampled_from(["", "1", "2", "3", "4"])


@given(st.lists(st.tuples(st.sampled_from("tu"), ids, ids), max_size=12))
def test_the_row_of_a_span_is_that_of_a_search_by_hand(rows: list[tuple[str, str, str]]) -> None:
    spans = batch(rows)
    first: dict[tuple[str, str], int] = {}
    for place, (trace, span, _) in enumerate(rows):
        first.setdefault((trace, span), place)
    expected = [first.get((trace, parent), -1) if parent else -1 for trace, _, parent in rows]
    assert find_spans(spans, spans.trace, spans.parent).tolist() == expected
