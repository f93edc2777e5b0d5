"""Requests cut out of traces, on the shop of ``conftest.py``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rca.health.requests import split_item
from rca.spans import link_spans, readable
from rca.telemetry import SpanBatch
from rca.tracing import CALL, ENTRY, LAST, LOG, SPAN, RequestTable, cut_requests

MS = 1_000_000
BUY, CART, PAY = "shop GET /buy", "cart GET /cart", "pay POST /pay"


def cut(shop, logs: bool = True) -> RequestTable:
    lines = shop.logs()
    return cut_requests(
        link_spans(shop.spans(), lines if logs else None), lines.message if logs else np.zeros(0, object)
    )


def steps(table: RequestTable, kind: str) -> set[tuple[str, str]]:
    keys = [split_item(item) for item in table.items]
    return {(what, readable(name)) for of, what, name in keys if readable(of) == kind}


def rows_of(table: RequestTable, kind: str) -> np.ndarray:
    names = [readable(name) for name in table.types]
    return np.flatnonzero(table.type_of == names.index(kind))


def test_a_trace_of_three_components_is_three_requests(shop) -> None:
    table = cut(shop)
    assert [readable(name) for name in table.types] == [CART, PAY, BUY]
    assert len(table) == 3 * 400
    assert {len(rows_of(table, kind)) for kind in (BUY, CART, PAY)} == {400}


def test_a_request_is_called_by_the_request_above_it(shop) -> None:
    table = cut(shop)
    buy = rows_of(table, BUY)
    assert (table.parent[buy] == -1).all()
    for kind in (CART, PAY):
        assert sorted(table.parent[rows_of(table, kind)].tolist()) == buy.tolist()


def test_the_own_time_leaves_out_calls(shop) -> None:
    table = cut(shop)
    assert {kind: set(table.own_time[rows_of(table, kind)].tolist()) for kind in (BUY, CART, PAY)} == {
        BUY: {30 * MS},
        CART: {10 * MS},
        PAY: {20 * MS},
    }


def test_waiting_for_a_lost_call_is_no_own_time(shop) -> None:
    table = cut(replace(shop, fault="lost"))
    assert set(table.own_time[rows_of(table, BUY)].tolist()) == {30 * MS}


def test_calls_side_by_side_do_not_make_the_own_time_negative(shop) -> None:
    spans = shop.spans()
    call = np.isin(spans.operation, [spans.operations.index(name) for name in ("call cart", "call pay")])
    table = cut_requests(
        link_spans(replace(spans, duration=np.where(call, 90 * MS, spans.duration))), np.zeros(0, object)
    )
    assert set(table.own_time[rows_of(table, BUY)].tolist()) == {0}


def test_steps_are_the_entry_own_spans_calls_the_last_of_them_and_lines(shop) -> None:
    table = cut(shop)
    assert steps(table, BUY) == {
        (ENTRY, ""),
        (SPAN, "GET /buy"),
        (SPAN, "call cart"),
        (SPAN, "call pay"),
        (CALL, CART),
        (CALL, PAY),
        (LAST, PAY),
        (LOG, "order received"),
    }
    assert steps(table, CART) == {
        (ENTRY, ""),
        (SPAN, "GET /cart"),
        (SPAN, "SELECT"),
        (CALL, "store SELECT"),
        (LAST, "store SELECT"),
        (LOG, "cart was read"),
    }
    assert table.covered.all()
    assert set(table.occurs.data.tolist()) == {1.0}


def test_a_request_that_breaks_off_has_another_last_call(shop) -> None:
    table = cut(replace(shop, fault="breaks off"))
    column = next(
        i for i, item in enumerate(table.items) if (k := split_item(item))[1] == LAST and readable(k[2]) == CART
    )
    ends = np.flatnonzero(table.occurs.toarray()[:, column])
    assert len(ends) == 80
    assert (table.start[ends] >= shop.onset).all()


def test_without_logs_no_request_is_covered(shop) -> None:
    table = cut(shop, logs=False)
    assert not table.covered.any()
    assert LOG not in {what for what, _ in steps(table, BUY)}


def test_the_order_of_spans_does_not_matter(shop) -> None:
    spans = shop.spans()
    shuffled = spans.take(np.random.default_rng(0).permutation(len(spans)))
    one, two = (cut_requests(link_spans(batch), np.zeros(0, object)) for batch in (spans, shuffled))
    assert one.items == two.items
    assert one.start.tolist() == two.start.tolist()
    assert (one.occurs != two.occurs).nnz == 0


def test_spans_sent_twice_count_once(shop) -> None:
    spans = shop.spans()
    twice = spans.take(np.repeat(np.arange(len(spans)), 2))
    assert len(cut_requests(link_spans(twice), np.zeros(0, object))) == 1200


def test_parents_that_go_in_a_circle_end_somewhere() -> None:
    spans = SpanBatch.build(
        start=np.arange(3),
        duration=np.ones(3, np.int64),
        component=["a"] * 3,
        operation=["x"] * 3,
        trace=["t"] * 3,
        span=["1", "2", "3"],
        parent=["3", "1", "2"],
    )
    table = cut_requests(link_spans(spans), np.zeros(0, object))
    assert len(table) == len(table.own_time)
    assert table.with_ancestors(np.ones(len(table), bool)).all()


def test_a_part_of_the_requests_forgets_parents_that_were_left_out(shop) -> None:
    table = cut(shop)
    part = table.take(rows_of(table, CART))
    assert (part.parent == -1).all()
    assert part.occurs.shape == (400, len(table.items))
    one_trace = table.take(np.flatnonzero(table.start < shop.health.start + shop.every))
    assert sorted(one_trace.parent.tolist()) == [-1, 0, 0]


def test_marks_go_up_to_every_request_above(shop) -> None:
    table = cut(shop)
    marked = np.zeros(len(table), bool)
    marked[rows_of(table, PAY)[7]] = True
    above = table.with_ancestors(marked)
    assert set(np.flatnonzero(above).tolist()) == {int(rows_of(table, PAY)[7]), int(rows_of(table, BUY)[7])}
    assert int(marked.sum()) == 1


def test_without_spans_there_are_no_requests(shop) -> None:
    lines = shop.logs()
    table = cut_requests(link_spans(SpanBatch.empty(), lines), lines.message)
    assert len(table) == 0
    assert table.items == ()
    assert table.calls.edges == ()
