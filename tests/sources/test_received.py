"""What several requests gave is put together: nothing is lost, and what came twice counts once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rca.sources.received import AlertNotice, Received
from rca.sources.records import LineCollector, SpanCollector
from rca.telemetry import LogBatch, SpanBatch
from rca.topology import Topology
from rca.types import Alert, Change, Window


def lines(component: str, times: list[int]) -> LogBatch:
    out = LineCollector()
    for time in times:
        out.add(time, component, 3, f"{component} at {time}")
    return out.batch()


def spans(component: str, start: int, peer: str = "") -> SpanBatch:
    return SpanBatch.build(
        start=np.array([start]),
        duration=np.array([1]),
        component=[component],
        operation=[f"GET /{component}"],
        trace=["t"],
        span=[f"s{start}"],
        parent=[""],
        peer=[peer],
    )


def change(id: str, name: str = "") -> Change:
    return Change(id=id, component="cart", kind="change.config", name=name, time=1)


def test_lines_and_spans_of_several_requests_keep_their_names() -> None:
    parts = [
        Received(logs=lines("cart", [3, 1]), spans=spans("cart", 5, "db")),
        Received(),
        Received(logs=lines("api", [2]), spans=spans("api", 4)),
    ]
    merged = Received.merge(parts)
    told = [merged.logs.components[code] for code in merged.logs.component]
    assert list(zip(told, merged.logs.times.tolist(), strict=True)) == [("cart", 1), ("cart", 3), ("api", 2)]
    names = [merged.spans.components[code] for code in merged.spans.component]
    peers = [merged.spans.components[code] if code >= 0 else "" for code in merged.spans.peer]
    operations = [merged.spans.operations[code] for code in merged.spans.operation]
    assert list(zip(names, peers, operations, strict=True)) == [("cart", "db", "GET /cart"), ("api", "", "GET /api")]


def test_a_change_and_a_notice_that_came_twice_count_once_and_the_last_delivery_wins() -> None:
    notice = AlertNotice(id="n", key="k", alert=Alert(component="cart", name="Slow"))
    first = Received(changes=(change("c", "old"),), alerts=(notice,), rejected=1, problem="first", ignored=2)
    again = Received(changes=(change("c", "new"), change("d")), alerts=(notice,), rejected=2, problem="second")
    merged = Received.merge([first, again])
    assert [(one.id, one.name) for one in merged.changes] == [("c", "new"), ("d", "")]
    assert merged.alerts == (notice,)
    assert (merged.rejected, merged.problem, merged.ignored, merged.accepted) == (3, "first", 2, 3)


def test_topologies_are_added_up_and_the_last_says_where_a_component_runs() -> None:
    one = Topology.from_edges(
        [("shop", "cart", 2.0)], hosts={"cart": "old"}, attributes={"cart": {"zone": "a", "team": "x"}}
    )
    two = Topology.from_edges([("shop", "cart", 3.0)], hosts={"cart": "new"}, attributes={"cart": {"zone": "b"}})
    merged = Received.merge([Received(topology=one), Received(topology=two)]).topology
    assert merged.weight.tolist() == [5.0]
    assert merged.hosts == {"cart": "new"}
    assert merged.attributes == {"cart": {"zone": "b", "team": "x"}}


def test_a_window_of_it_is_what_the_engine_reads() -> None:
    received = Received(logs=lines("cart", [1, 2, 3]), changes=(change("c"), replace(change("d"), time=2)))
    told = received.telemetry(window=Window(start=2, end=3))
    assert told.logs.message.tolist() == ["cart at 2"]
    assert [one.id for one in told.changes] == ["d"]


def test_nothing_is_nothing() -> None:
    assert Received.merge([]).accepted == 0
    assert Received().telemetry().components == ()
    assert len(SpanCollector().batch()) == len(LineCollector().batch()) == 0
