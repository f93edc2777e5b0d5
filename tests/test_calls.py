"""Calls from both ends, on the shop of ``conftest.py``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rca.calls import SEPARATOR, CallTable, find_orphans
from rca.spans import link_spans, readable
from rca.telemetry import SPAN_CLIENT, SpanBatch
from rca.tracing import cut_requests

MS = 1_000_000
INTO_CART = "shop call cart > cart GET /cart"
INTO_PAY = "shop call pay > pay POST /pay"
INTO_STORE = "cart SELECT > store SELECT"


def cut(spans: SpanBatch, known: tuple[str, ...] = (), replica_of: dict[str, str] | None = None) -> CallTable:
    return cut_requests(link_spans(spans), np.zeros(0, object), known, replica_of).calls


def by_edge(calls: CallTable) -> dict[str, np.ndarray]:
    names = [readable(edge).replace(SEPARATOR, " > ") for edge in calls.edges]
    return {name: np.flatnonzero(calls.edge == code) for code, name in enumerate(names)}


def test_each_request_makes_three_calls_and_two_of_them_are_seen_at_both_ends(shop) -> None:
    calls = cut(shop.spans())
    rows = by_edge(calls)
    assert {name: len(at) for name, at in rows.items()} == {INTO_CART: 400, INTO_PAY: 400, INTO_STORE: 400}
    assert calls.seen[rows[INTO_CART]].all()
    assert calls.seen[rows[INTO_PAY]].all()
    assert not calls.seen[rows[INTO_STORE]].any()
    assert calls.timed.all()
    assert not calls.lost.any()


def test_the_gap_is_the_time_on_the_way_or_all_of_the_call_where_the_callee_is_not_instrumented(shop) -> None:
    calls = cut(shop.spans())
    rows = by_edge(calls)
    assert {name: set(calls.gap[at].tolist()) for name, at in rows.items()} == {
        INTO_CART: {10 * MS},
        INTO_PAY: {10 * MS},
        INTO_STORE: {20 * MS},
    }


def test_a_slow_network_widens_the_gap_into_the_component_called(shop) -> None:
    calls = cut(replace(shop, fault="network").spans())
    rows = by_edge(calls)
    late = calls.start >= shop.onset
    assert set(calls.gap[rows[INTO_CART]][late[rows[INTO_CART]]].tolist()) == {50 * MS}
    assert set(calls.gap[rows[INTO_PAY]].tolist()) == {10 * MS}


def test_clocks_that_differ_do_not_change_the_gap(shop) -> None:
    spans = shop.spans()
    cart = spans.component == spans.components.index("cart")
    skewed = replace(spans, start=spans.start + np.where(cart, 3_000 * MS, 0))
    assert sorted(cut(skewed).gap.tolist()) == sorted(cut(spans).gap.tolist())


def test_a_lost_call_belongs_to_the_callee_of_the_same_operation_in_other_requests(shop) -> None:
    calls = cut(replace(shop, fault="lost").spans())
    rows = by_edge(calls)
    assert len(rows[INTO_PAY]) == 400
    lost = calls.lost[rows[INTO_PAY]]
    assert int(lost.sum()) == 80
    assert not calls.timed[rows[INTO_PAY]][lost].any()
    assert not calls.lost[rows[INTO_CART]].any()


def test_a_lost_call_is_told_by_edges_that_health_knows(shop) -> None:
    lost_only = replace(shop, fault="lost").spans()
    lost_only = lost_only.take(lost_only.start >= shop.onset)
    assert INTO_PAY not in by_edge(cut(lost_only))
    known = cut(shop.spans()).edges
    assert len(by_edge(cut(lost_only, known))[INTO_PAY]) == 80


def test_a_call_that_failed_at_the_callee_as_well_was_not_lost(shop) -> None:
    spans = shop.spans()
    failed = np.isin(spans.operation, [spans.operations.index(name) for name in ("call pay", "POST /pay")])
    calls = cut(replace(spans, status=np.where(failed, 2, spans.status).astype(np.int8)))
    assert not calls.lost.any()


@pytest.mark.parametrize(
    ("replica_of", "found"),
    [({}, 0), ({"pay-0": "pay", "pay-1": "pay"}, 1), ({"pay-0": "pay", "pay-1": "other"}, 0)],
)
def test_of_several_replicas_the_service_is_named_and_of_strangers_none(replica_of: dict[str, str], found: int) -> None:
    def row(component: str, operation: str, span: str, parent: str, status: int) -> tuple[str, str, str, str, int]:
        return component, operation, span, parent, status

    rows = [
        row("shop", "call", "1", "", 1),
        row("pay-0", "post", "2", "1", 1),
        row("shop", "call", "3", "", 1),
        row("pay-1", "post", "4", "3", 1),
        row("shop", "call", "5", "", 2),
    ]
    component, operation, span, parent, status = zip(*rows, strict=True)
    spans = SpanBatch.build(
        start=np.arange(5),
        duration=np.ones(5, np.int64),
        component=component,
        operation=operation,
        trace=["t"] * 5,
        span=span,
        parent=parent,
        kind=np.full(5, SPAN_CLIENT),
        status=np.array(status),
    )
    parents, tops = np.array([-1, 0, -1, 2, -1]), np.arange(5)
    orphans, edges = find_orphans(spans, parents, tops, (), replica_of)
    assert len(orphans) == found
    assert [readable(edge).replace(SEPARATOR, " > ") for edge in edges] == ["shop call > pay post"] * found


def test_without_spans_there_are_no_calls() -> None:
    calls = cut(SpanBatch.empty())
    assert calls.edges == ()
    assert len(calls.edge) == len(calls.gap) == 0
