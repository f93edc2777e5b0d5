from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rca.cases.labelled import LabelledCase
from rca.causality import CausalityGraph
from rca.similar import Portrait, Precedent, Precedents, learn_kinds, portray
from rca.topology import Topology
from rca.types import Event

Make = Callable[..., LabelledCase]
Look = Callable[..., Precedent]


def graph_of(order: list[int], *, prefix: str = "") -> CausalityGraph:
    """Three events, two edges, in any order and with any names of components."""
    from rca.rules import load_rules

    rules = load_rules()[:2]
    kinds = ("change.deployment", "latency.up", "errors.up")
    events = [
        Event(id=kind, component=f"{prefix}{c}", kind=kind, name="m", start=i, end=9, severity=0.5)
        for i, (kind, c) in enumerate(zip(kinds, "abc", strict=True))
    ]
    place = {number: i for i, number in enumerate(order)}
    edges = sorted((place[a], place[b], rule) for a, b, rule in ((0, 1, 0), (1, 2, 1)))
    cause, effect, rule = (np.array(column, np.int32) for column in zip(*edges, strict=True))
    return CausalityGraph(
        events=tuple(events[i] for i in order),
        rules=rules,
        cause=cause,
        effect=effect,
        rule=rule,
        lag=np.ones(2, np.int64),
        weight=np.full(2, 0.5),
    )


def portrait_of(graph: CausalityGraph) -> Portrait:
    return portray(graph, {}, Topology.from_edges(()), incident="x")


@settings(deadline=None)
@given(order=st.permutations(range(3)))
def test_the_signature_does_not_depend_on_the_order_of_events_and_edges(order: list[int]) -> None:
    assert portrait_of(graph_of(order)).shape == portrait_of(graph_of([0, 1, 2])).shape


def test_only_the_part_about_places_knows_names_of_components() -> None:
    one, other = portrait_of(graph_of([0, 1, 2])).shape, portrait_of(graph_of([0, 1, 2], prefix="another-")).shape
    assert [part for part in one if one[part] != other[part]] == ["places"]


def test_who_causes_whom_is_part_of_the_signature() -> None:
    graph = graph_of([0, 1, 2])
    turned = replace(graph, cause=np.array([0, 2], np.int32), effect=np.array([1, 1], np.int32))
    one, other = portrait_of(graph).shape, portrait_of(turned).shape
    assert [part for part in one if one[part] != other[part]] == ["relations"]


def test_what_began_first_is_part_of_the_signature() -> None:
    graph = graph_of([0, 1, 2])
    late = (replace(graph.events[0], start=8), *graph.events[1:])
    one, other = portrait_of(graph).shape, portrait_of(replace(graph, events=late)).shape
    assert [part for part in one if one[part] != other[part]] == ["order"]


def test_nothing_resembles_an_incident_without_events(past: list[Precedent]) -> None:
    blank = portray(CausalityGraph(events=()), {}, Topology.from_edges(()), incident="blank")
    assert Precedents.learn(past).nearest(blank) == ()


def test_the_first_neighbour_has_the_same_kind_of_cause_where_resemblance_alone_does_not_tell(
    past: list[Precedent],
) -> None:
    seen, asked = past[:30], past[30:]
    taught, bare = Precedents.learn(seen), Precedents(seen)

    def right(precedents: Precedents) -> list[bool]:
        return [precedents.nearest(one.portrait, 1)[0].precedent.kind == one.kind for one in asked]

    assert sum(right(taught)) == len(asked)
    assert sum(right(bare)) < len(asked)


def test_below_twenty_confirmed_incidents_only_the_graphs_are_compared(past: list[Precedent]) -> None:
    assert Precedents.learn(past[:19]).kinds is None
    assert Precedents.learn(past[:20]).kinds is not None
    nearest = Precedents.learn(past[:19]).nearest(past[30].portrait)
    assert nearest
    assert all(one.belief is None and one.similarity == one.resemblance for one in nearest)


def test_one_kind_alone_is_not_learnt(past: list[Precedent]) -> None:
    leaks = [one.confirmed for one in past if one.kind == "leak" and one.confirmed is not None]
    assert len(leaks) >= 20
    assert learn_kinds(leaks) is None


def test_beliefs_in_kinds_add_up_to_one(past: list[Precedent]) -> None:
    model = Precedents.learn(past[:30]).kinds
    assert model is not None
    belief = model.of(past[40].portrait.description)
    assert sum(belief.values()) == pytest.approx(1.0)
    assert sorted(belief) == ["leak", "loss"]


def test_an_incident_is_never_its_own_neighbour_nor_is_one_that_is_left_out(past: list[Precedent]) -> None:
    precedents = Precedents.learn(past)
    found = precedents.nearest(past[0].portrait, 100, but=("i-002",))
    named = {one.precedent.incident for one in found}
    assert len(found) == len(past) - 2
    assert not named & {"i-000", "i-002"}


def test_a_precedent_of_unknown_kind_counts_as_one_of_any_kind(past: list[Precedent]) -> None:
    nameless = replace(past[35], kind="")
    taught = Precedents([*past[:30], nameless], kinds=Precedents.learn(past[:30]).kinds)
    found = {one.precedent.incident: one for one in taught.nearest(past[36].portrait, 100)}
    assert found[nameless.incident].belief is None
    assert 0 < found[nameless.incident].similarity <= 1 / 3


def test_the_same_precedents_in_another_order_give_the_same_neighbours(past: list[Precedent]) -> None:
    one = Precedents(past[:30]).nearest(past[40].portrait)
    other = Precedents(reversed(past[:30])).nearest(past[40].portrait)
    assert [near.precedent.incident for near in one] == [near.precedent.incident for near in other]
    assert [near.similarity for near in one] == [near.similarity for near in other]


def test_a_cause_that_showed_nothing_teaches_nothing_but_remains_a_neighbour(past: list[Precedent]) -> None:
    silent = replace(past[0], components=("elsewhere",))
    assert silent.confirmed is None
    precedents = Precedents.learn([silent, *past[1:30]])
    assert silent.incident in {one.precedent.incident for one in precedents.nearest(past[40].portrait, 100)}


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_all_measures_of_nearness_lie_between_0_and_1(past: list[Precedent], data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 12))
    for near in Precedents(past[:count]).nearest(past[data.draw(st.integers(0, 43))].portrait, 100):
        assert 0 <= near.similarity <= 1
        assert 0 <= near.resemblance <= 1
        assert near.shared
