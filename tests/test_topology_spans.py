from __future__ import annotations

import numpy as np
import pytest

from rca.telemetry import SPAN_CLIENT, SPAN_CONSUMER, SPAN_PRODUCER, SPAN_SERVER, SpanBatch
from rca.topology import Topology
from rca.topology_spans import guess_kind, topology_from_spans


def spans_of(*rows: dict[str, object]) -> SpanBatch:
    def column(name: str, default: object = "") -> list[object]:
        return [row.get(name, default) for row in rows]

    return SpanBatch.build(
        start=np.arange(len(rows), dtype=np.int64),
        duration=np.ones(len(rows), np.int64),
        component=column("c"),  # type: ignore[arg-type]
        operation=column("op", "GET /"),  # type: ignore[arg-type]
        trace=column("t", "t1"),  # type: ignore[arg-type]
        span=column("id"),  # type: ignore[arg-type]
        parent=column("parent"),  # type: ignore[arg-type]
        kind=np.array(column("kind", 0), np.int8),
        peer=column("peer"),  # type: ignore[arg-type]
        link_trace=column("link_t"),  # type: ignore[arg-type]
        link_span=column("link"),  # type: ignore[arg-type]
    )


def edges(topology: Topology) -> dict[tuple[str, str], float]:
    names = topology.components
    return {
        (names[a], names[b]): float(w)
        for a, b, w in zip(topology.caller, topology.callee, topology.weight, strict=True)
    }


def test_a_child_span_in_another_component_is_a_call_and_calls_are_counted() -> None:
    topology = topology_from_spans(
        spans_of(
            {"c": "web", "id": "1", "kind": SPAN_SERVER},
            {"c": "web", "id": "2", "parent": "1", "kind": SPAN_CLIENT},
            {"c": "cart", "id": "3", "parent": "2", "kind": SPAN_SERVER},
            {"c": "cart", "id": "4", "parent": "2", "kind": SPAN_SERVER},
            {"c": "lonely", "id": "5", "parent": "gone"},
        )
    )
    assert edges(topology) == {("web", "cart"): 2.0}
    assert topology.components == ("cart", "lonely", "web")
    assert topology.kinds == {}


def test_ids_of_spans_count_within_their_trace_only() -> None:
    topology = topology_from_spans(
        spans_of({"c": "web", "id": "1", "t": "t1"}, {"c": "cart", "id": "2", "parent": "1", "t": "t2"})
    )
    assert edges(topology) == {}


def test_peers_without_spans_become_components_of_a_guessed_kind() -> None:
    topology = topology_from_spans(
        spans_of(
            {"c": "cart", "id": "1", "peer": "cart-mysql", "kind": SPAN_CLIENT},
            {"c": "cart", "id": "2", "peer": "redis:6379", "kind": SPAN_CLIENT},
            {"c": "cart", "id": "3", "peer": "store", "op": "SELECT * FROM carts", "kind": SPAN_CLIENT},
            {"c": "cart", "id": "4", "peer": "orders", "op": "anything", "kind": SPAN_PRODUCER},
            {"c": "cart", "id": "5", "peer": "api.bank.example", "op": "DELETE /loan", "kind": SPAN_CLIENT},
        )
    )
    assert topology.kinds == {
        "cart-mysql": "database",
        "redis:6379": "cache",
        "store": "database",
        "orders": "queue",
        "api.bank.example": "external",
    }
    assert set(edges(topology)) == {("cart", peer) for peer in topology.kinds}


def test_a_peer_that_sent_the_callee_span_itself_is_counted_once_and_has_no_guessed_kind() -> None:
    topology = topology_from_spans(
        spans_of(
            {"c": "web", "id": "1", "peer": "cart", "kind": SPAN_CLIENT},
            {"c": "cart", "id": "2", "parent": "1", "kind": SPAN_SERVER},
        )
    )
    assert edges(topology) == {("web", "cart"): 1.0}
    assert topology.kinds == {}


@pytest.mark.parametrize("bound", ["parent", "link"])
def test_a_consumer_depends_on_the_queue_that_its_producer_names(bound: str) -> None:
    producer = {"c": "shop", "id": "1", "peer": "orders", "kind": SPAN_PRODUCER}
    tie = {"parent": "1"} if bound == "parent" else {"link": "1", "link_t": "t1", "t": "t2"}
    topology = topology_from_spans(spans_of(producer, {"c": "mailer", "id": "2", "kind": SPAN_CONSUMER, **tie}))
    assert edges(topology) == {("shop", "orders"): 1.0, ("mailer", "orders"): 1.0}
    assert topology.kinds == {"orders": "queue"}


def test_a_consumer_depends_on_its_producer_where_no_queue_is_named() -> None:
    topology = topology_from_spans(
        spans_of(
            {"c": "shop", "id": "1", "kind": SPAN_PRODUCER},
            {"c": "mailer", "id": "2", "parent": "1", "kind": SPAN_CONSUMER},
        )
    )
    assert edges(topology) == {("mailer", "shop"): 1.0}


def test_a_consumer_that_names_its_queue_itself_depends_on_that() -> None:
    topology = topology_from_spans(
        spans_of(
            {"c": "shop", "id": "1", "kind": SPAN_PRODUCER},
            {"c": "mailer", "id": "2", "link": "1", "link_t": "t1", "t": "t2", "kind": SPAN_CONSUMER, "peer": "orders"},
        )
    )
    assert edges(topology) == {("mailer", "orders"): 1.0}
    assert topology.kinds == {"orders": "queue"}


def test_no_spans_give_an_empty_topology() -> None:
    topology = topology_from_spans(SpanBatch.empty())
    assert topology.components == ()
    assert edges(topology) == {}


def test_the_order_of_spans_does_not_matter() -> None:
    rows = [
        {"c": "web", "id": "1"},
        {"c": "cart", "id": "2", "parent": "1"},
        {"c": "db", "id": "3", "parent": "2"},
        {"c": "cart", "id": "4", "peer": "kafka", "kind": SPAN_PRODUCER},
        {"c": "mail", "id": "5", "parent": "4", "kind": SPAN_CONSUMER},
    ]
    assert edges(topology_from_spans(spans_of(*rows))) == edges(topology_from_spans(spans_of(*reversed(rows))))


@pytest.mark.parametrize(
    ("name", "operations", "kind"),
    [
        ("postgres-0", [], "database"),
        ("ts-order-mongo", [], "database"),
        ("memcached", [], "cache"),
        ("my_queue", [], "queue"),
        ("kafka:9092", [], "queue"),
        ("store", ["UPDATE t SET a = 1"], "database"),
        ("store", ["HGETALL"], "cache"),
        ("orders", ["orders publish"], "queue"),
        ("www.example.com", ["GET", "POST /send"], "external"),
        ("dbus-gateway", ["call"], "external"),
    ],
)
def test_what_a_peer_is_shows_in_its_name_and_then_in_its_operations(
    name: str, operations: list[str], kind: str
) -> None:
    assert guess_kind(name, operations) == kind
