"""The causality graph, on a tiny world that was worked out by hand.

web calls cart, cart calls db (a database); cart-1 and cart-2 are replicas of cart; cart-1 runs on
node-a, db on node-b.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rca.causality import SLACK, CausalityGraph, link_events
from rca.errors import InputError
from rca.rules import Rule, load_rules, parse_rules
from rca.topology import Topology
from rca.types import MINUTE, SECOND, Event

WORLD = Topology.from_edges(
    [("web", "cart"), ("cart", "db")],
    components=["cart-1", "cart-2", "node-a", "node-b", "lonely"],
    kinds={"db": "database", "node-a": "host", "node-b": "host"},
    hosts={"cart-1": "node-a", "db": "node-b"},
    replica_of={"cart-1": "cart", "cart-2": "cart"},
    attributes={"web": {"zone": "eu-1"}, "cart": {"zone": "eu-1"}, "db": {"zone": "eu-2"}},
)
START = 1_000 * MINUTE


def event(kind: str, component: str, at: float = 0.0, severity: float = 1.0, **attributes: str) -> Event:
    start = START + round(at * MINUTE)
    name = f"{kind}:{component}:{attributes.get('name', 'm')}"
    return Event(
        id=name, component=component, kind=kind, name="m", start=start, end=start + MINUTE, severity=severity,
        attributes=attributes,
    )  # fmt: skip


def rule(relation: str, cause: str = "errors.up", effect: str = "latency.up", more: str = "", name: str = "r") -> Rule:
    text = f"- name: {name}\n  cause: {cause}\n  effect: {effect}\n  max_lag: 10m\n  weight: 0.5\n  why: Test.\n"
    return parse_rules(text + (f"  relation: {relation}\n" if relation else "") + more)[0]


def linked(events: Iterable[Event], *rules: Rule, topology: Topology = WORLD) -> set[tuple[str, str]]:
    graph = link_events(events, topology, rules)
    return {
        (graph.events[a].component, graph.events[b].component) for a, b in zip(graph.cause, graph.effect, strict=True)
    }


EVERYWHERE = [event(kind, name) for name in WORLD.components for kind in ("errors.up", "latency.up")]
CARTS = ("cart", "cart-1", "cart-2")
RELATED = {
    "self": {(c, c) for c in WORLD.components}
    | {("cart", "cart-1"), ("cart", "cart-2"), ("cart-1", "cart"), ("cart-2", "cart")},
    "dependency": {(c, "web") for c in ("cart", "cart-1", "cart-2")}
    | {("db", c) for c in ("cart", "cart-1", "cart-2")},
    "caller": {("web", c) for c in ("cart", "cart-1", "cart-2")} | {(c, "db") for c in ("cart", "cart-1", "cart-2")},
    "same_host": {("node-b", "db"), ("db", "node-b")}
    | {(a, b) for a in ("cart-1", "cart", "node-a") for b in ("cart-1", "cart", "node-a") if a != b},
    "same_zone": {(a, b) for a in ("web", *CARTS) for b in ("web", *CARTS) if a != b},
    "same_model": {(c, c) for c in WORLD.components},
    "lineage": set(),
    "any": {(a, b) for a in WORLD.components for b in WORLD.components},
}


@pytest.mark.parametrize("relation", sorted(RELATED))
def test_a_relation_joins_exactly_these_components(relation: str) -> None:
    assert linked(EVERYWHERE, rule(relation)) == RELATED[relation]


def test_lineage_follows_data_over_several_steps_and_ends_at_services() -> None:
    world = Topology.from_edges(
        [("shop", "model"), ("model", "feature"), ("feature", "table"), ("web", "shop")],
        kinds={"model": "model", "feature": "feature", "table": "dataset"},
    )
    events = [event("data.stale", "table"), *(event("latency.up", name) for name in world.components)]
    found = linked(events, rule("lineage", "data.stale"), topology=world)
    assert found == {("table", name) for name in ("feature", "model", "shop")}  # web does not read data


def test_same_model_joins_those_who_serve_and_feed_one_model() -> None:
    world = Topology.from_edges([], components=["a", "b", "c"], attributes={"a": {"model": "m"}, "b": {"model": "m"}})
    events = [event("errors.up", "a"), event("latency.up", "m"), event("latency.up", "b"), event("latency.up", "c")]
    assert linked(events, rule("same_model"), topology=world) == {("a", "m"), ("a", "b")}


def test_a_call_of_one_replica_says_nothing_of_its_siblings() -> None:
    world = Topology.from_edges([("a-1", "b")], components=["a-2", "a"], replica_of={"a-1": "a", "a-2": "a"})
    events = [event("errors.up", "b"), *(event("latency.up", name) for name in ("a", "a-1", "a-2"))]
    assert linked(events, rule("dependency"), topology=world) == {("b", "a"), ("b", "a-1")}


@pytest.mark.parametrize(
    ("lag", "joined", "reason"),
    [
        (0.0, True, "at once"),
        (10.0, True, "at the longest lag"),
        (10.001, False, "too late"),
        (-SLACK / MINUTE, True, "seen first, within the slack"),
        (-SLACK / MINUTE - 0.001, False, "too early to be an effect"),
    ],
)
def test_an_effect_follows_its_cause_within_lag_and_slack(lag: float, joined: bool, reason: str) -> None:
    events = [event("errors.up", "cart"), event("latency.up", "web", lag)]
    assert bool(linked(events, rule("dependency"))) is joined, reason


@pytest.mark.parametrize(("lag", "factor"), [(-1.0, 1.0), (0.0, 1.0), (5.0, math.sqrt(0.3)), (10.0, 0.3)])
def test_a_weight_is_rule_times_lag_times_severity_of_the_cause(lag: float, factor: float) -> None:
    events = [event("errors.up", "cart", severity=0.4), event("latency.up", "web", lag, severity=0.1)]
    graph = link_events(events, WORLD, [rule("dependency")])
    assert graph.weight == pytest.approx([0.5 * factor * 0.4])
    assert graph.lag.tolist() == [max(0, round(lag * MINUTE))]


def test_a_cause_without_severity_causes_nothing() -> None:
    assert not linked([event("errors.up", "cart", severity=0.0), event("latency.up", "web")], rule("dependency"))


def test_no_rule_no_edge_and_no_event_is_its_own_cause() -> None:
    events = [event("errors.up", "cart"), event("errors.up", "web")]
    assert not linked(events, rule("dependency"))
    assert not linked(events, rule("self", "errors.up", "errors.up"))
    assert link_events([], WORLD, load_rules()).cause.size == 0
    assert link_events(events, WORLD, []).events == tuple(events)


def test_of_parallel_edges_the_strongest_stays_and_the_others_are_named() -> None:
    rules = [
        rule("dependency", name="b"),
        rule("any", name="a"),
        replace(rule("any", name="c"), weight=0.2),
        replace(rule("self", name="d"), weight=0.9),
    ]
    graph = link_events([event("errors.up", "cart"), event("latency.up", "web")], WORLD, rules)
    (link,) = graph.causes_of("latency.up:web:m")
    assert (link.rule.name, link.also, link.weight) == ("a", ("b", "c"), 0.5)  # of equal weights the first name
    graph = link_events([event("errors.up", "web"), event("latency.up", "web")], WORLD, rules)
    (link,) = graph.effects_of("errors.up:web:m")
    assert (link.rule.name, link.also, link.weight) == ("d", ("a", "c"), 0.9)


CONDITIONS = [
    ("{same: [zone]}", {}, {}, {("cart", "web")}, "facts of components count: db is in another zone"),
    ("{same: [zone]}", {"zone": "eu-2"}, {}, set(), "an event's own attribute goes before its component's"),
    ("{same: [colo]}", {"colo": "x"}, {}, set(), "same needs both"),
    ("{intersects: [colo]}", {"colo": "x"}, {}, {("cart", "web"), ("db", "web")}, "a missing set does not forbid"),
    ("{intersects: [colo]}", {"colo": "x,y"}, {"colo": "y, z"}, {("cart", "web"), ("db", "web")}, "one is shared"),
    ("{intersects: [colo]}", {"colo": "x"}, {"colo": "y"}, set(), "none is shared"),
    ("{at_least: {severity: 0.5}}", {}, {}, {("cart", "web")}, "db is not severe enough"),
    ("{at_least: {seconds: 61}}", {}, {}, set(), "all events last a minute"),
    ("{at_least: {size: 10}}", {"size": "9"}, {}, set(), "9 is less than 10 as a number"),
    ("{at_least: {size: 10}}", {"size": "many"}, {}, set(), "what is no number is not enough"),
    ("{cause: {component_kind: database}}", {}, {}, {("db", "web")}, "only db is a database"),
    ("{cause: {service: cart}}", {}, {}, {("cart", "web")}, "the service of a component is a fact"),
    ("{effect: {host: node-a}}", {}, {}, set(), "web runs on no host"),
    ("{cause: {component: [cart, db]}}", {}, {}, {("cart", "web"), ("db", "web")}, "one of several values"),
    ("{effect: {direction: up}}", {}, {}, set(), "the direction is a fact of the event"),
]


@pytest.mark.parametrize(
    ("when", "cause", "effect", "expected", "reason"), CONDITIONS, ids=[row[4] for row in CONDITIONS]
)
def test_a_condition_narrows_a_rule(
    when: str, cause: dict[str, str], effect: dict[str, str], expected: set[tuple[str, str]], reason: str
) -> None:
    events = [
        event("errors.up", "cart", **cause),
        event("errors.up", "db", severity=0.3, **cause),
        event("latency.up", "web", **effect),
    ]
    assert linked(events, rule("any", more=f"  when: {when}\n")) == expected, reason


DYNAMIC = rule("", "external.provider_error", "errors.up", '  creates: {kind: external, name: "{peer}"}\n')


def test_a_dynamic_rule_creates_what_callers_complain_about() -> None:
    events = [
        event("errors.up", "web", 1, severity=0.5, peer="pay.example"),
        event("errors.up", "cart", 2, severity=0.8, peer="pay.example"),
    ]
    graph = link_events(events, WORLD, [DYNAMIC])
    made = graph.events[-1]
    assert graph.created == {"pay.example": "external"}
    assert (made.id, made.start) == ("external.provider_error:pay.example:inferred", events[0].start)
    assert made.severity == pytest.approx(0.9)  # 1 - .5 * .2: two complain
    assert made.evidence is not None
    assert made.evidence.weak
    assert "2 events of cart, web point at pay.example" in made.evidence.sentence
    assert {link.effect.component for link in graph.effects_of(made)} == {"web", "cart"}


def test_what_a_dynamic_rule_created_is_a_dependency_for_other_rules() -> None:
    events = [event("errors.up", "web", peer="pay.example"), event("latency.up", "web")]
    graph = link_events(events, WORLD, [DYNAMIC, rule("dependency", "external.*", name="other")])
    assert {link.rule.name for link in graph.effects_of(graph.events[-1])} == {"r", "other"}


@pytest.mark.parametrize(
    ("peer", "reason"),
    [
        ("cart", "cart is known and sends telemetry"),
        ("web", "nobody is their own peer"),
        ("", "no peer is named"),
        ("x" * 254, "longer than any name"),
    ],
)
def test_a_dynamic_rule_creates_nothing(peer: str, reason: str) -> None:
    assert not link_events([event("errors.up", "web", peer=peer)], WORLD, [DYNAMIC]).created, reason


def test_a_dynamic_rule_joins_events_that_are_there_instead_of_creating_one() -> None:
    known = event("external.provider_error", "pay.example")
    graph = link_events([event("errors.up", "web", peer="pay.example"), known], WORLD, [DYNAMIC])
    assert len(graph.events) == 2
    assert [link.effect.component for link in graph.effects_of(known)] == ["web"]


def test_a_rule_that_joins_too_much_keeps_its_most_severe_causes_and_says_so() -> None:
    causes = [event("errors.up", "cart", severity=0.1 * i, name=str(i)) for i in range(1, 10)]
    effects = [event("latency.up", "web", name=str(i)) for i in range(10)]
    graph = link_events([*causes, *effects], WORLD, [rule("any")], most_pairs=25)
    assert graph.trimmed == ("r",)
    assert {graph.events[i].severity for i in graph.cause} == {causes[-1].severity, causes[-2].severity}


def test_two_events_of_one_id_are_an_error() -> None:
    twice = [event("errors.up", "cart"), event("errors.up", "cart")]
    with pytest.raises(InputError, match="share an id"):
        link_events(twice, WORLD, [rule("self")])


@pytest.fixture
def graph() -> CausalityGraph:
    events = [event("errors.up", "db", severity=0.9), event("latency.up", "cart", 1), event("latency.up", "web", 2)]
    rules = [rule("dependency", name="a"), rule("dependency", "latency.up", "latency.up", name="b"), rule("any")]
    return link_events(events, WORLD, rules)


def test_csr_networkx_and_arrays_hold_the_same_edges(graph: CausalityGraph) -> None:
    view = graph.to_networkx()
    table = graph.csr().toarray()
    assert view.number_of_edges() == graph.cause.size == np.count_nonzero(table) == 3
    for a, b, weight in zip(graph.cause, graph.effect, graph.weight, strict=True):
        facts = view.edges[graph.events[a].id, graph.events[b].id]
        assert facts["weight"] == weight == table[a, b]
    assert view.edges["errors.up:db:m", "latency.up:cart:m"] == {
        "rule": "a", "also": ("r",), "lag_seconds": 60.0, "weight": pytest.approx(0.5 * 0.3**0.1 * 0.9),
    }  # fmt: skip


def test_links_come_strongest_first(graph: CausalityGraph) -> None:
    weights = [link.weight for link in graph.causes_of("latency.up:web:m")]
    assert len(weights) == 2
    assert weights == sorted(weights, reverse=True)
    assert graph.causes_of(graph.events[0]) == ()


def test_a_subgraph_keeps_the_edges_among_its_events(graph: CausalityGraph) -> None:
    part = graph.subgraph(["latency.up:cart:m", graph.events[0]])
    assert [e.component for e in part.events] == ["db", "cart"]
    (link,) = part.causes_of("latency.up:cart:m")
    assert link == graph.causes_of("latency.up:cart:m")[0]
    assert graph.subgraph([e.id for e in graph.events]).to_json() == graph.to_json()
    with pytest.raises(InputError, match="no event 'nobody'"):
        graph.subgraph(["nobody"])


def test_json_is_plain_and_the_same_whatever_the_order_of_rules(graph: CausalityGraph) -> None:
    text = json.dumps(graph.to_json())
    assert text == json.dumps(link_events(graph.events, WORLD, reversed(graph.rules)).to_json())
    assert json.loads(text)["edges"][0] == {
        "cause": "errors.up:db:m", "effect": "latency.up:cart:m", "rule": "a", "also": ["r"],
        "lag_seconds": 60.0, "weight": 0.398956,
    }  # fmt: skip


def test_graphml_can_be_read_again_even_with_control_characters(graph: CausalityGraph, tmp_path: Path) -> None:
    odd = replace(graph.events[0], name="a\x00b<&>", id="odd\x1f")
    text = replace(graph, events=(odd, *graph.events[1:])).to_graphml(tmp_path / "graph.graphml")
    assert (tmp_path / "graph.graphml").read_text(encoding="utf-8") == text
    again = nx.parse_graphml(text)
    assert again.number_of_edges() == 3
    assert again.nodes["n0"]["name"] == "a\ufffdb<&>"
    assert again.edges["n0", "n1"]["also"] == "r"


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"effect": np.array([1, 2], np.int32)}, "differ in length"),
        ({"effect": np.array([1, 2, 3], np.int32)}, "not there"),
        ({"rule": np.array([0, 0, 9], np.int32)}, "not there"),
        ({"cause": np.array([1, 0, 0], np.int32)}, "not sorted"),
        ({"weight": np.array([0.5, 0.5, np.nan])}, "weight"),
        ({"also_start": np.array([0, 1])}, "also_start"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(graph: CausalityGraph, wrong: dict[str, object], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        replace(graph, **wrong)  # type: ignore[arg-type]


NAMES = ("web", "cart", "db", "cart-1", "node-a", "lonely", "new")
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["errors.up", "latency.up", "saturation.cpu", "change.config", "host.down", "log.burst"]),
        st.sampled_from(NAMES),
        st.integers(-20, 20),
        st.floats(0, 1),
        st.sampled_from(["", "pay.example", "cart"]),
    ),
    max_size=25,
).map(
    lambda rows: [
        event(kind, name, at, severity, name=str(i), **({"peer": peer} if peer else {}))
        for i, (kind, name, at, severity, peer) in enumerate(rows)
    ]
)


@settings(max_examples=25, deadline=None)
@given(EVENTS, st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_matter(events: list[Event], random: object) -> None:
    shuffled = list(events)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = (link_events(order, WORLD, load_rules()).to_json() for order in (events, shuffled))
    assert sorted(map(json.dumps, first["edges"])) == sorted(map(json.dumps, second["edges"]))
    assert sorted(e["id"] for e in first["events"]) == sorted(e["id"] for e in second["events"])


@settings(max_examples=25, deadline=None)
@given(EVENTS)
def test_every_edge_obeys_its_rule(events: list[Event]) -> None:
    graph = link_events(events, WORLD, load_rules())
    for link in map(graph.link, range(graph.cause.size)):
        assert link.cause.kind in link.rule.cause
        assert link.effect.kind in link.rule.effect
        assert -SLACK <= link.effect.start - link.cause.start <= link.rule.max_lag
        assert 0 < link.weight <= link.rule.weight * link.cause.severity * (1 + 1e-12)
        assert link.lag == max(0, link.effect.start - link.cause.start)
        assert link.rule.name not in link.also


def test_lag_seconds_are_seconds(graph: CausalityGraph) -> None:
    assert [edge["lag_seconds"] for edge in graph.to_json()["edges"]] == [lag / SECOND for lag in graph.lag.tolist()]
