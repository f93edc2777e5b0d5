"""The graph's word is added to a window's own, and of many components those near the symptoms are looked at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rca.knowledge import Knowledge
from rca.knowledge.memory import MemoryStore
from rca.service.surrounding import MANY, Scene, look_around, look_near, scene_of, situated, supplement
from rca.stores.snapshots import pack_case
from rca.telemetry import NO_PEER, MetricFrame, Telemetry
from rca.topology import Topology
from rca.topology_files import topology_from_json
from rca.types import MINUTE, SECOND, Case, Incident, Symptom, Window

AT = 1_770_000_000 * SECOND
OWN = Topology.from_edges([("web", "cart", 40.0)], kinds={"cart": "service"}, attributes={"cart": {"zone": "a"}})
KNOWN = Topology.from_edges(
    [("web", "cart", 7.0), ("cart", "cart-db")],
    kinds={"cart": "cache", "cart-db": "database"},
    attributes={"cart": {"zone": "b", "owner": "basket"}, "cart-db": {"owner": "storage"}},
)


def flat(names: list[str]) -> Telemetry:
    """One metric of each component."""
    times = AT + MINUTE * np.arange(20, dtype=np.int64)
    return Telemetry(
        metrics=MetricFrame(
            times=times,
            values=np.ones((len(names), 20)),
            components=tuple(names),
            component=np.arange(len(names), dtype=np.int32),
            metrics=("latency_ms",),
            metric=np.zeros(len(names), np.int32),
            peer=np.full(len(names), NO_PEER, np.int32),
        )
    )


def case_of(names: list[str], topology: Topology | None, *symptoms: str) -> Case:
    incident = Incident(
        id="i",
        window=Window(start=AT + 10 * MINUTE, end=AT + 20 * MINUTE),
        detected_at=AT + 15 * MINUTE,
        symptoms=tuple(Symptom(component=name) for name in symptoms),
    )
    return Case(incident=incident, telemetry=flat(names), topology=topology)


def knowledge_of(topology: Topology) -> Knowledge:
    knowledge = Knowledge(MemoryStore())
    knowledge.record_topology(topology, source="cmdb", at=AT)
    return knowledge


def test_own_facts_and_counts_win_and_the_same_again_changes_nothing() -> None:
    both = supplement(OWN, KNOWN)
    assert list(zip(both.caller.tolist(), both.callee.tolist(), both.weight.tolist(), strict=True)) == [
        (both.index["cart"], both.index["cart-db"], 1.0),
        (both.index["web"], both.index["cart"], 40.0),
    ]
    assert both.kinds == {"cart": "service", "cart-db": "database"}
    assert both.attributes == {"cart": {"zone": "a", "owner": "basket"}, "cart-db": {"owner": "storage"}}
    again = supplement(both, KNOWN)
    assert again.weight.tolist() == both.weight.tolist()
    assert (again.components, again.attributes) == (both.components, both.attributes)


def test_what_is_known_is_found_from_the_symptoms_and_from_what_the_window_knows_near_them() -> None:
    beside = Topology.from_edges([("cart", "cart-db"), ("cart-db", "disk"), ("elsewhere", "nowhere")])
    found = look_around(knowledge_of(beside), Scene(symptoms=("web",), at=AT, own=OWN))
    topology = topology_from_json(found.topology, where="test")
    assert topology.components == ("cart", "cart-db")
    assert found.degraded == ()
    assert look_around(knowledge_of(beside), Scene(symptoms=("web",), at=AT)).topology == b""
    assert look_around(knowledge_of(beside), Scene(symptoms=("web",), at=AT - 1, own=OWN)).topology == b""


def test_a_snapshot_says_where_and_when_and_its_own_topology() -> None:
    scene = scene_of(pack_case(case_of(["web", "cart"], OWN, "web")))
    assert (scene.symptoms, scene.at) == (("web",), AT + 15 * MINUTE)
    assert scene.own is not None
    assert scene.own.components == OWN.components
    assert scene_of(pack_case(case_of(["web"], None))) == Scene(at=AT + 15 * MINUTE)
    assert scene_of(b"no archive") == Scene()


def test_of_many_components_those_known_to_be_far_are_left_out() -> None:
    chain = Topology.from_edges([(f"s{i:03}", f"s{i + 1:03}") for i in range(MANY)])
    unknown, foreign = ["nobody-knows"], ["far-away"]
    names = [*chain.components, *unknown, *foreign]
    case, notes = situated(case_of(names, chain, "s010"), {"far": foreign})
    kept = {case.telemetry.metrics.components[code] for code in case.telemetry.metrics.component}
    assert kept == {*(f"s{i:03}" for i in range(7, 14)), *unknown}
    assert notes == (f"{len(names) - 8} components lie more than 3 calls from the symptoms and were not looked at",)


@pytest.mark.parametrize("symptoms", [(), ("nobody-knows",)])
def test_nothing_is_left_out_where_the_symptoms_are_nowhere(symptoms: tuple[str, ...]) -> None:
    chain = Topology.from_edges([(f"s{i:03}", f"s{i + 1:03}") for i in range(MANY)])
    telemetry = flat([*chain.components, "nobody-knows"])
    assert look_near(telemetry, chain, symptoms) == (telemetry, ())


def test_few_components_are_all_looked_at() -> None:
    telemetry = flat(["a", "b", "c", "d", "e", "f"])
    chain = Topology.from_edges([("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "f")])
    assert look_near(telemetry, chain, ["a"], ["f"]) == (telemetry, ())


def test_replicas_and_hosts_of_what_is_near_are_near() -> None:
    chain = Topology.from_edges(
        [(f"s{i:03}", f"s{i + 1:03}") for i in range(MANY)],
        components=["s001-a", "s200-a"],
        hosts={"s001-a": "node-1", "s200-a": "node-2"},
        replica_of={"s001-a": "s001", "s200-a": "s200"},
    )
    telemetry = flat([*chain.components, "node-1", "node-2"])
    narrowed, _ = look_near(telemetry, chain, ["s000"])
    kept = {narrowed.metrics.components[code] for code in narrowed.metrics.component}
    assert kept == {"s000", "s001", "s002", "s003", "s001-a", "node-1"}


def test_a_case_without_any_topology_stays_as_it_is() -> None:
    case = case_of(["web"], None, "web")
    assert situated(case, {}) == (case, ())
    assert situated(replace(case, topology=OWN), {"known": b"", "far": []})[1] == ()
