"""Blame, explanations and ranking of a few events, by numbers that can be checked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rca.causality import CausalityGraph, link_events
from rca.ranking import rank_causes
from rca.ranking.blame import ENOUGH, Blame, assign_blame
from rca.ranking.causes import find_symptoms
from rca.ranking.explanations import SURE
from rca.rules import load_rules, parse_rules
from rca.settings import Settings
from rca.topology import Topology
from rca.types import Event, Evidence, Symptom

SHOP = Topology.from_edges([("shop", "cart"), ("cart", "store")])
NAMES = SHOP.components  # cart, shop, store


def event(component: str, blame: float, group: str = "one", kind: str = "errors.up", **facts: object) -> Event:
    known = {"likelihood": 0.0, "start": 0, "name": group} | facts
    evidence = {name: known.pop(name) for name in ("weak", "explainable", "likelihood", "amount") if name in known}
    return Event(
        id=f"{kind}:{component}:{group}:{blame}",
        component=component,
        kind=kind,
        end=int(known["start"]) + 1,
        severity=0.5,
        evidence=Evidence(sentence="", group=group, blame=blame, **evidence),
        **known,
    )


def blame_of(events: list[Event], topology: Topology = SHOP, **facts: object) -> Blame:
    return assign_blame(CausalityGraph(events=tuple(events)), topology, topology.components, **facts)


def totals(blame: Blame) -> dict[str, float]:
    return {name: round(float(value), 9) for name, value in zip(blame.components, blame.total, strict=True) if value}


def test_within_a_group_the_strongest_counts_and_groups_add_up() -> None:
    found = blame_of([event("cart", 0.3), event("cart", 0.5), event("cart", 0.2, "two")])
    assert totals(found) == {"cart": 0.7}


def test_an_excuse_is_taken_off_once_per_group_and_never_leaves_less_than_nothing() -> None:
    excuses = [event("cart", -0.4, "demand"), event("cart", -0.1, "demand")]
    assert totals(blame_of([event("cart", 0.5), *excuses])) == {"cart": 0.1}
    assert totals(blame_of([event("cart", 0.2), *excuses])) == {}


def test_an_excuse_and_an_accusation_of_one_group_both_count() -> None:
    assert totals(blame_of([event("cart", 0.9, "demand"), event("cart", -0.4, "demand")])) == {"cart": 0.5}


def test_weak_evidence_gives_way_as_far_as_any_component_has_strong_evidence() -> None:
    weak = event("shop", 0.4, weak=True)
    assert totals(blame_of([weak])) == {"shop": 0.4}
    half = totals(blame_of([weak, event("cart", ENOUGH / 2)]))
    assert half == {"shop": 0.2, "cart": ENOUGH / 2}
    assert totals(blame_of([weak, event("cart", ENOUGH)])) == {"cart": ENOUGH}


def test_explainable_evidence_loses_the_callees_part_of_the_sum_of_both() -> None:
    found = blame_of([event("shop", 0.6, explainable=True), event("cart", 0.2)])
    # cart explains .2 / (.2 + .6) of what shop shows.
    assert totals(found) == {"shop": 0.45, "cart": 0.2}
    shop = int(np.flatnonzero(found.owner == NAMES.index("shop"))[0])
    assert found.components[found.explainer[shop]] == "cart"
    assert found.raw[NAMES.index("shop")] == pytest.approx(0.6)


def test_evidence_that_is_not_explainable_loses_nothing() -> None:
    assert totals(blame_of([event("shop", 0.6), event("cart", 0.2)])) == {"shop": 0.6, "cart": 0.2}


def test_a_caller_explains_nothing_of_its_callee_and_a_stranger_nothing_at_all() -> None:
    assert totals(blame_of([event("cart", 0.6, explainable=True), event("shop", 0.9)]))["cart"] == 0.6
    assert totals(blame_of([event("shop", 0.6, explainable=True), event("store", 0.9)]))["shop"] == 0.6


def test_of_several_callees_the_strongest_explains() -> None:
    topology = Topology.from_edges([("shop", "cart"), ("shop", "pay")])
    found = blame_of([event("shop", 0.5, explainable=True), event("cart", 0.5), event("pay", 1.0)], topology)
    assert totals(found)["shop"] == pytest.approx(0.5 * (1 - 1.0 / 1.5))


def test_what_was_lost_on_the_way_into_a_callee_explains_the_more_the_surer_it_is() -> None:
    lost = event("cart", 0.1, kind="calls.failing", likelihood=SURE * 9)
    found = blame_of([event("shop", 0.9, explainable=True), lost])
    # Nine tenths are believed, far more than the .1 / (.1 + .9) of the callee's blame.
    assert totals(found)["shop"] == pytest.approx(0.09)


def test_a_saturated_host_explains_what_runs_on_it() -> None:
    topology = Topology.from_edges(
        [("shop", "cart")], components=["node"], kinds={"node": "host"}, hosts={"cart": "node"}
    )
    events = [
        event("node", 0.1, kind="saturation.cpu", likelihood=SURE * 9),
        event("cart", 0.9, kind="self_time.up", explainable=True),
    ]
    rule = parse_rules(
        "- {name: r, cause: saturation.cpu, effect: self_time.up, relation: same_host, max_lag: 5m, weight: 1, why: T.}"
    )
    graph = link_events(events, topology, rule)
    assert len(graph.cause) == 1
    found = assign_blame(graph, topology, topology.components)
    assert totals(found)["cart"] == pytest.approx(0.09)


def test_what_is_said_of_a_service_counts_for_its_replicas_that_anything_speaks_against() -> None:
    topology = Topology.from_edges(
        [("shop", "pay-0"), ("shop", "pay-1")],
        components=["pay"],
        replica_of={"pay-0": "pay", "pay-1": "pay"},
    )
    found = totals(blame_of([event("pay", 0.5), event("pay-0", 0.1)], topology))
    assert found == {"pay": 0.5, "pay-0": 0.6}


def test_the_reasons_come_with_the_largest_share_first() -> None:
    events = [event("cart", 0.2, "a"), event("cart", 0.7, "b"), event("shop", 0.9, "c"), event("cart", 0.4, "d")]
    found = blame_of(events)
    assert [events[i].evidence.group for i in found.because(NAMES.index("cart"))] == ["b", "d", "a"]


def test_no_events_blame_nobody() -> None:
    found = blame_of([])
    assert totals(found) == {}
    assert len(found.rows) == 0


BLAMES = st.lists(
    st.tuples(st.sampled_from(NAMES), st.floats(-1, 1), st.sampled_from(["a", "b"]), st.booleans(), st.booleans()),
    max_size=10,
)


@given(rows=BLAMES, turned=st.randoms(use_true_random=False))
def test_blame_is_finite_never_negative_and_the_same_in_any_order(rows: list[tuple], turned: object) -> None:
    events = [
        replace(event(name, blame, group, weak=weak, explainable=explainable), id=f"e{i}")
        for i, (name, blame, group, weak, explainable) in enumerate(rows)
    ]
    found = blame_of(events)
    assert (found.total >= 0).all()
    assert (found.total <= found.raw + 1e-12).all()
    turned.shuffle(events)
    np.testing.assert_allclose(blame_of(events).total, found.total, atol=1e-12)


def rank(shop, events: list[Event], **facts: object):
    context = shop.context(**facts)
    return rank_causes(link_events(events, context.topology, load_rules()), context)


def test_components_are_ranked_by_blame_and_innocents_are_left_out(shop) -> None:
    found = rank(shop, [event("cart", 0.3), event("pay", 0.9), event("store", 0.6)])
    assert found.names == ("pay", "store", "cart")
    assert found.first == "pay"
    assert (np.diff(found.scores) < 0).all()


def test_the_score_of_one_full_piece_of_evidence_is_one_less_one_over_e(shop) -> None:
    found = rank(shop, [event("cart", 1.0)], settings=Settings(walk=0.0))
    assert found.scores.tolist() == pytest.approx([1 - 1 / np.e])


def test_the_walk_adds_at_most_its_share(shop) -> None:
    events = [event("shop", 0.5), event("cart", 0.4)]
    without = rank(shop, events, settings=Settings(walk=0.0))
    with_walk = rank(shop, events, settings=Settings(walk=0.05))
    gain = with_walk.strength / without.strength
    assert ((gain >= 1) & (gain <= 1.05 + 1e-12)).all()
    assert gain.max() == pytest.approx(1.05)
    assert with_walk.walk.sum() == pytest.approx(1.0)


def test_where_no_edge_joins_two_components_the_walk_adds_nothing(shop) -> None:
    # A walk without edges rests where most events are, which says nothing of causes.
    events = [event("cart", 0.5), event("cart", 0.1, "two", "latency.up"), event("pay", 0.4)]
    assert rank(shop, events, settings=Settings(walk=0.05)).strength.tolist() == pytest.approx([0.6, 0.4])


def test_ties_go_to_the_nearer_then_the_earlier_then_the_name(shop) -> None:
    flat = Settings(walk=0.0)
    near = rank(shop, [event("cart", 0.5), event("shop", 0.5)], settings=flat)
    assert near.names == ("shop", "cart")
    early = rank(shop, [event("cart", 0.5, start=20), event("pay", 0.5, start=10)], settings=flat)
    assert early.names == ("pay", "cart")
    named = rank(shop, [event("pay", 0.5), event("cart", 0.5)], settings=flat)
    assert named.names == ("cart", "pay")


def test_without_events_nobody_is_ranked_and_the_onset_is_the_earliest_candidate(shop) -> None:
    found = rank(shop, [])
    assert (found.names, found.first, found.onset) == ((), "", shop.onset)


def test_symptoms_are_the_events_of_the_metric_then_of_the_component_then_of_the_entries(shop) -> None:
    events = (event("shop", 0.1, "latency"), event("shop", 0.1, "rate"), event("cart", 0.1, "latency"))

    def marked(*symptoms: Symptom) -> list[bool]:
        case = shop.case(symptoms=symptoms)
        return find_symptoms(events, shop.context(case=case)).tolist()

    assert marked(Symptom(component="shop", metric="latency")) == [True, False, False]
    assert marked(Symptom(component="shop", metric="unknown")) == [True, True, False]
    assert marked(Symptom(component="cart"), Symptom(component="shop", metric="rate")) == [False, True, True]
    assert marked() == [True, True, False]
    assert marked(Symptom(component="nobody")) == [True, True, False]


def unusual_callee(**facts: object) -> tuple[Blame, float]:
    """shop loses time, and cart, which it calls, works in another way than in health; how sure that is."""
    likelihood = 6.0
    shown = event("shop", 0.8, explainable=True, kind="latency.up", **facts)
    odd = event("cart", 0.4, "saturation", kind="metrics.unusual", likelihood=likelihood)
    return blame_of([shown, odd]), likelihood / (likelihood + SURE)


def test_an_unusual_callee_takes_the_time_over_that_its_caller_lost_by_amount() -> None:
    found, sure = unusual_callee(amount=100.0)
    assert totals(found)["shop"] == pytest.approx(0.8 * (1 - sure))
    assert totals(found)["cart"] == pytest.approx(0.4 + 0.5 * 0.8 * sure)


def test_own_time_that_was_measured_stays_with_the_caller_of_an_unusual_callee() -> None:
    found, _ = unusual_callee()
    assert totals(found) == {"shop": pytest.approx(0.8 - 0.8 * 0.4 / 1.2), "cart": pytest.approx(0.5 * 0.4)}
