"""What is noticed of the topology is written once, kept against flapping, and lost by no failure of the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rca.errors import StoreError
from rca.knowledge import Knowledge
from rca.knowledge.memory import MemoryStore
from rca.knowledge.rows import LONGEST_KEY, Batch
from rca.service.entries import change_entry
from rca.service.noticing import AGAIN_SECONDS, Noticing
from rca.topology import Topology
from rca.types import SECOND, Change

AT = 1_770_000_000 * SECOND
DAY = 86_400 * SECOND


class Counting(MemoryStore):
    """A store that counts what is written, and may be away."""

    away = False

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Batch] = []

    def write(self, batch: Batch) -> None:
        if self.away:
            raise StoreError("the disk is full")
        self.batches.append(batch)
        super().write(batch)


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def noticing(clock: Clock) -> Noticing:
    return Noticing(keep=DAY, now=clock)


@pytest.fixture
def store() -> Counting:
    return Counting()


@contextmanager
def away(store: Counting) -> Iterator[None]:
    store.away = True
    yield
    store.away = False


def deployed(id: str, component: str = "cart", **more: Any) -> Change:
    return Change(id=id, component=component, kind="change.deployment", name=id, time=AT, **more)


def edges(knowledge: Knowledge, at: int) -> list[tuple[str, str]]:
    return sorted(knowledge.topology_at(at).confidence)


def test_the_same_again_is_written_once_an_hour(noticing: Noticing, store: Counting, clock: Clock) -> None:
    knowledge, seen = Knowledge(store), Topology.from_edges([("web", "cart")])
    for second in range(30):
        clock.now += 1
        noticing.topology(seen, "otlp_traces")
        noticing.write(knowledge, AT + second * SECOND)
    assert len(store.batches) == 1
    clock.now += AGAIN_SECONDS
    noticing.topology(seen, "otlp_traces")
    noticing.write(knowledge, AT + 7_200 * SECOND)
    assert len(store.batches) == 2
    [claim] = store.claims(AT + 7_200 * SECOND).dependencies
    assert (claim.source, claim.valid_from, claim.last_seen) == ("spans", AT, AT + 7_200 * SECOND)


def test_each_sender_speaks_for_its_own_kind_of_source(noticing: Noticing, store: Counting) -> None:
    knowledge = Knowledge(store)
    for sender in ("otlp_traces", "remote_write", "pull", "kubernetes"):
        noticing.topology(Topology.from_edges([("web", "cart")]), sender)
    noticing.write(knowledge, AT)
    known = knowledge.topology_at(AT)
    assert known.sources["web", "cart"] == ("metrics", "spans", "telemetry")
    assert known.confidence["web", "cart"] == pytest.approx(1 - 0.05 * 0.1 * 0.2)


def test_a_fact_that_changes_with_every_push_is_kept_as_it_was_first(
    noticing: Noticing, store: Counting, clock: Clock
) -> None:
    knowledge = Knowledge(store)
    for second in range(20):
        clock.now += 1
        on = Topology.from_edges([], components=["cart"], hosts={"cart": f"node-{second % 3}"})
        noticing.topology(on, "otlp_metrics")
        noticing.write(knowledge, AT + second * SECOND)
    assert [claim.host for claim in store.claims(AT, later=True).components] == ["node-0"]
    clock.now += 2 * AGAIN_SECONDS
    noticing.topology(Topology.from_edges([], components=["cart"], hosts={"cart": "node-9"}), "otlp_metrics")
    noticing.write(knowledge, AT + 3 * 3_600 * SECOND)
    assert knowledge.topology_at(AT).topology.hosts == {"cart": "node-0"}
    assert knowledge.topology_at(AT + 3 * 3_600 * SECOND).topology.hosts == {"cart": "node-9"}


def test_a_process_that_starts_again_does_not_take_facts_for_gone(store: Counting, clock: Clock) -> None:
    knowledge = Knowledge(store)
    first, second = Noticing(keep=DAY, now=clock), Noticing(keep=DAY, now=clock)
    first.topology(Topology.from_edges([("web", "cart")], kinds={"cart": "cache"}), "otlp_traces")
    first.write(knowledge, AT)
    second.topology(Topology.from_edges([("web", "cart")]), "otlp_traces")
    second.write(knowledge, AT + SECOND)
    assert len(store.claims(AT, later=True).components) == 2
    assert knowledge.topology_at(AT + SECOND).topology.kinds == {"cart": "cache"}


def test_what_is_not_seen_any_more_is_over_after_a_time(noticing: Noticing, store: Counting, clock: Clock) -> None:
    knowledge = Knowledge(store)
    noticing.topology(Topology.from_edges([("web", "cart"), ("web", "mail")]), "otlp_traces")
    noticing.write(knowledge, AT)
    clock.now += 2 * AGAIN_SECONDS
    noticing.topology(Topology.from_edges([("web", "cart")]), "otlp_traces")
    noticing.write(knowledge, AT + 2 * DAY)
    assert edges(knowledge, AT) == [("web", "cart"), ("web", "mail")]
    assert edges(knowledge, AT + 2 * DAY) == [("web", "cart")]


def test_what_cannot_be_written_is_written_the_next_time(noticing: Noticing, store: Counting) -> None:
    knowledge = Knowledge(store)
    noticing.topology(Topology.from_edges([("web", "cart")]), "otlp_traces")
    noticing.changes([change_entry(deployed("d1"), "changes")])
    with away(store), pytest.raises(StoreError):
        noticing.write(knowledge, AT)
    noticing.write(knowledge, AT + SECOND)
    assert edges(knowledge, AT + SECOND) == [("web", "cart")]
    assert [row["id"] for row in store.rows("changes", ["d1"]).rows] == ["d1"]


def test_changes_belong_to_the_team_that_says_so_or_owns_the_component(noticing: Noticing, store: Counting) -> None:
    knowledge = Knowledge(store)
    owned = Topology.from_edges([("web", "cart")], attributes={"cart": {"owner": "basket"}})
    knowledge.record_topology(owned, source="cmdb", at=AT)
    changes = [deployed("d1"), deployed("d2", attributes={"team": "other"}), deployed("d3", "web")]
    noticing.changes([change_entry(each, "changes") for each in changes])
    noticing.write(knowledge, AT)
    teams = {row["id"]: row["team"] for row in store.rows("changes", ["d1", "d2", "d3"]).rows}
    assert teams == {"d1": "basket", "d2": "other", "d3": ""}


@given(names=st.lists(st.text(max_size=LONGEST_KEY + 2), min_size=2, max_size=6), kind=st.text(max_size=5))
def test_no_name_that_a_sender_makes_up_keeps_the_rest_from_being_written(names: list[str], kind: str) -> None:
    noticing, store = Noticing(keep=DAY, now=Clock()), Counting()
    made_up = list(pairwise(names))
    noticing.topology(Topology.from_edges([*made_up, ("x" * 2_000, "web")], kinds={names[0]: kind}), "otlp_traces")
    noticing.topology(Topology.from_edges([("web", "cart")]), "otlp_traces")
    entries = [change_entry(deployed(f"d {name}", name), "changes") for name in names if name.isprintable()]
    noticing.changes([entry for entry in entries if msgspec.json.decode(entry.body)])
    noticing.write(Knowledge(store), AT)
    assert ("web", "cart") in edges(Knowledge(store), AT)
