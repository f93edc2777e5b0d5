"""An analysis sees what lies near its symptoms; what is said about the rest is true."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from rca.knowledge import Knowledge
from rca.knowledge.asynchronous import AsyncKnowledge
from rca.knowledge.memory import MemoryStore
from rca.knowledge.window import situate
from rca.topology import Topology
from rca.types import Symptom

_spec = spec_from_file_location("history", Path(__file__).with_name("history.py"))
assert _spec is not None
assert _spec.loader is not None
history = module_from_spec(_spec)
_spec.loader.exec_module(history)


@pytest.fixture
def knowledge(shop) -> Knowledge:
    known = Knowledge(MemoryStore())
    known.record_topology(shop.topology, source="yaml", at=shop.start)
    return known


def test_the_topology_of_the_graph_joins_the_case(shop, knowledge: Knowledge) -> None:
    situation = situate(knowledge, replace(shop.case(), topology=None))
    assert situation.case.topology is not None
    assert situation.case.topology.components == shop.topology.components
    assert situation.case.topology.kinds == shop.topology.kinds
    assert situation.warnings == ()
    assert situation.case.telemetry is not None


def test_telemetry_of_what_is_known_to_be_far_is_left_out_and_counted(shop, knowledge: Knowledge) -> None:
    far = Topology.from_edges([("shop", "cart"), ("cart", "store"), ("store", "deep"), ("deep", "pay")])
    knowledge.record_topology(far, source="yaml", at=shop.start + 1)
    situation = situate(knowledge, replace(shop.case(), topology=None), hops=2)
    telemetry = situation.case.telemetry
    frame = telemetry.metrics
    assert {frame.components[code] for code in frame.component} == {"shop", "cart"}
    assert {telemetry.logs.components[code] for code in telemetry.logs.component} == {"shop", "cart"}
    assert len(telemetry.spans) == len(shop.spans())  # every trace comes near
    assert situation.warnings[0].startswith("1 components with telemetry are known to lie more than 2 dependencies")
    assert situate(knowledge, replace(shop.case(), topology=None), hops=0).warnings == ()


def test_telemetry_of_what_the_graph_does_not_know_stays(shop) -> None:
    knowledge = Knowledge(MemoryStore())
    knowledge.record_topology(Topology.from_edges([("shop", "cart")]), source="yaml", at=shop.start)
    situation = situate(knowledge, replace(shop.case(), topology=None), hops=1)
    assert set(situation.case.telemetry.components) >= {"shop", "cart", "pay"}
    assert situation.warnings == ()


def test_a_symptom_that_the_graph_does_not_know_is_said(shop) -> None:
    knowledge = Knowledge(MemoryStore())
    case = shop.case()
    situation = situate(knowledge, case)
    assert situation.warnings[0].startswith("the graph knows nothing of shop at ")
    assert situation.case is case


def test_of_a_symptom_that_the_graph_does_not_know_nothing_is_left_out_and_the_rest_is_used(
    shop, knowledge: Knowledge
) -> None:
    case = replace(shop.case(), topology=None)
    stranger = replace(case.incident, symptoms=(*case.incident.symptoms, Symptom(component="stranger")))
    situation = situate(knowledge, replace(case, incident=stranger), hops=1)
    assert situation.warnings[0].startswith("the graph knows nothing of stranger at ")
    assert situation.case.topology is not None
    assert set(situation.case.topology.components) >= {"shop", "cart"}
    assert situation.case.telemetry is case.telemetry


@pytest.mark.parametrize("late", [False, True])
def test_inventories_are_recorded_in_order_and_sightings_in_any(late: bool) -> None:
    from rca.errors import InputError

    knowledge = Knowledge(MemoryStore())
    one, two = Topology.from_edges([("a", "b")]), Topology.from_edges([("a", "c")])
    knowledge.record_topology(one, source="spans", at=200)
    knowledge.record_topology(two, source="spans", at=100 if late else 300)
    assert list(knowledge.topology_at(150).confidence) == ([("a", "c")] if late else [])
    assert list(knowledge.topology_at(350).confidence) == [("a", "b"), ("a", "c")]
    knowledge.record_topology(one, source="yaml", at=200)
    if late:
        with pytest.raises(InputError, match="again later"):
            knowledge.record_topology(two, source="yaml", at=100)


def test_what_spans_have_not_shown_for_long_ended_when_it_was_last_seen() -> None:
    knowledge = Knowledge(MemoryStore())
    knowledge.record_topology(Topology.from_edges([("a", "b")]), source="spans", at=100)
    knowledge.record_topology(Topology.from_edges([("a", "c")]), source="spans", at=500, expires=300)
    edges = {at: list(knowledge.topology_at(at).confidence) for at in (100, 101, 500)}
    assert edges == {100: [("a", "b")], 101: [], 500: [("a", "c")]}


def test_facts_that_change_begin_a_new_claim() -> None:
    knowledge = Knowledge(MemoryStore())
    for at, team in ((100, "one"), (200, "one"), (300, "two")):
        named = Topology.from_edges([("a", "b")], attributes={"a": {"team": team}})
        knowledge.record_topology(named, source="yaml", at=at)
    teams = {at: knowledge.topology_at(at).topology.attributes["a"]["team"] for at in (150, 299, 300)}
    assert teams == {150: "one", 299: "one", 300: "two"}
    assert len([claim for claim in knowledge.store.claims(0, later=True).components if claim.name == "a"]) == 2


def test_an_event_loop_awaits_the_same_answers() -> None:
    import asyncio

    async def ask() -> tuple[list[str], int]:
        async with AsyncKnowledge(Knowledge(MemoryStore())) as known:
            await known.run(known.knowledge.record_topology, history.SHOP, source="yaml", at=history.START)
            for report in history.REPORTS:
                await known.run(known.knowledge.record_incident, report)
            near = await known.run(known.knowledge.topology_near, ["cart"], history.START)
            return [incident.id async for incident in known.incidents()], len(near.topology.components)

    assert asyncio.run(ask()) == (["one", "two", "three"], 4)
