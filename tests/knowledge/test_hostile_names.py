"""Whatever a name says, it stays a name: nothing else changes, and it comes back as it was."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rca.errors import InputError
from rca.knowledge import Feedback, GraphStore, Knowledge, Resolution
from rca.knowledge.memory import MemoryStore
from rca.knowledge.rows import Batch, storable
from rca.topology import Topology

_spec = spec_from_file_location("history", Path(__file__).with_name("history.py"))
assert _spec is not None
assert _spec.loader is not None
history = module_from_spec(_spec)
_spec.loader.exec_module(history)
START = history.START

HOSTILE = (
    "x'}) DETACH DELETE n //",
    "x\"}) MATCH (n) DETACH DELETE n RETURN ('",
    "`) DETACH DELETE n //`",
    "'; DROP TABLE incidents; --",
    "' OR '1'='1",
    "\\u0027}) MATCH (n) DETACH DELETE n //",
    "\\u0060",
    "\u2019 \u02bc \uff07",
    "$tenant",
    "{tenant: 'default'}",
    "CALL db.labels() YIELD label RETURN label",
    "\N{NUL}",
    "\ud800",
    "\n\r\t/* */ -- //",
    "𝕬'`\\\"",
    "%s %(x)s :tenant ?",
)
NAMES = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(min_size=1, max_size=40),
    st.text(alphabet="'`\"\\{}()$;/u0027DELETdetach ", min_size=1, max_size=40),
)


def write_under(knowledge: Knowledge, name: str) -> None:
    """The name in every place that takes one."""
    topology = Topology.from_edges(
        [(name, f"{name} callee")],
        kinds={name: name},
        hosts={name: name},
        attributes={name: {"team": name, name: name}},
    )
    knowledge.record_topology(topology, source=name, at=START)
    change = replace(history.CHANGES[0], id=name, component=name, kind=name, name=name, attributes={name: name})
    knowledge.record_changes([change], topology=topology)
    knowledge.record_incident(
        replace(history.report(name, START, cause=name, symptom=name, culprit=name), missing=(name,))
    )
    knowledge.give_feedback(
        Feedback(
            incident=name, by=name, at=1, verdict="confirmed", component=name, kind=name, change=f"{name} 2", note=name
        )
    )
    knowledge.resolve(Resolution(incident=name, by=name, at=2, text=f"{name}!"))


def check_under(knowledge: Knowledge, name: str) -> None:
    kept = storable(name)
    known = knowledge.topology_near([name], START)
    assert set(known.topology.components) == {kept, f"{kept} callee"}
    assert known.topology.kinds == {kept: kept}
    assert known.topology.attributes[kept] == {kept: kept, "team": kept} or kept == "team"
    incident = knowledge.incident(name)
    assert incident.id == kept
    assert {event.component for event in incident.events} == {kept}
    assert incident.settled.component == kept
    assert incident.feedback[0].note == kept
    assert incident.missing == (kept,)
    assert knowledge.ask("deployments", change=storable(f"{name} 2")).rows[0]["incident"] == kept
    assert knowledge.ask("causes").rows[0]["component"] == kept


@pytest.fixture
def bystander(store: GraphStore) -> Knowledge:
    """Another tenant of the same store, whose rows nothing may touch."""
    knowledge = Knowledge(store.for_tenant(f"bystander {uuid.uuid4()}"))
    knowledge.record_topology(history.SHOP, source="yaml", at=START)
    knowledge.record_incident(history.REPORTS[0])
    return knowledge


def test_a_hostile_name_changes_nothing_else(store: GraphStore, bystander: Knowledge) -> None:
    before = list(bystander.incidents()), bystander.topology_at(START).confidence
    for name in HOSTILE:
        knowledge = Knowledge(store.for_tenant(f"{uuid.uuid4()}{storable(name)}"))
        write_under(knowledge, name)
        check_under(knowledge, name)
    assert (list(bystander.incidents()), bystander.topology_at(START).confidence) == before


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES)
def test_any_name_comes_back_as_it_was(store: GraphStore, name: str) -> None:
    knowledge = Knowledge(store.for_tenant(str(uuid.uuid4())))
    write_under(knowledge, name)
    check_under(knowledge, name)


@pytest.mark.parametrize("name", ["", "x" * 1_001])
def test_names_that_no_index_takes_are_refused(knowledge: Knowledge, name: str) -> None:
    with pytest.raises(InputError):
        knowledge.record_topology(Topology.from_edges([("a", name)]), source="yaml", at=1)
    with pytest.raises(InputError):
        knowledge.record_topology(Topology.from_edges([("a", "b")]), source=name, at=1)
    with pytest.raises(InputError):
        knowledge.record_incident(history.report("i", START, cause=name))
    assert knowledge.topology_at(1).topology.components == ()


def test_the_longest_names_fit_into_every_key_together(store: GraphStore) -> None:
    wide = "\U0001f525"
    knowledge = Knowledge(store.for_tenant((str(uuid.uuid4()) + wide * 250)[:250]))
    name, who = wide * 1_000, wide * 250
    topology = Topology.from_edges([(name, "b")], replica_of={"b": name})
    knowledge.record_topology(topology, source=who, at=1)
    knowledge.record_incident(history.report(name, START, cause=name))
    knowledge.give_feedback(Feedback(incident=name, by=who, at=1, verdict="confirmed", component=name, change=name))
    knowledge.resolve(Resolution(incident=name, by=who, at=1, text="x"))
    assert knowledge.incident(name).settled.change == name
    assert set(knowledge.topology_at(1).topology.components) == {"b", name}


def test_names_that_are_too_long_are_refused_in_every_place() -> None:
    knowledge, shop = Knowledge(MemoryStore()), Topology.from_edges([("a", "b")])
    refused: list[Callable[[], object]] = [
        lambda: MemoryStore("x" * 251),
        lambda: knowledge.record_topology(shop, source="x" * 251, at=1),
        lambda: knowledge.record_topology(Topology.from_edges([], replica_of={"a": "x" * 1_001}), source="x", at=1),
        lambda: Feedback(incident="i", by="x" * 251, at=1, verdict="wrong"),
        lambda: Feedback(incident="i", by="x", at=1, verdict="wrong", change="x" * 1_001),
        lambda: Resolution(incident="i", by="x" * 251, at=1, text="x"),
        lambda: Batch(rows={"resolutions": [{"incident": None, "by": "x", "at": 1, "text": "x"}]}),
    ]
    for write in refused:
        with pytest.raises(InputError):
            write()


def test_a_name_of_a_thousand_wide_characters_is_kept(knowledge: Knowledge) -> None:
    name = "\U0001f525" * 1_000
    knowledge.record_topology(Topology.from_edges([("a", name)]), source="yaml", at=1)
    assert knowledge.topology_near(["a"], 1).topology.components == ("a", name)
