"""What every store does: the same rows, the same answers."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from rca.errors import InputError, NotFoundError
from rca.knowledge import Feedback, GraphStore, Knowledge, Resolution, signature_of
from rca.knowledge.memory import MemoryStore
from rca.knowledge.rows import BEGINNING, FOREVER, TABLES, Batch
from rca.similar.history import portrait_of
from rca.topology import Topology
from rca.types import MINUTE

_spec = spec_from_file_location("history", Path(__file__).with_name("history.py"))
assert _spec is not None
assert _spec.loader is not None
history = module_from_spec(_spec)
_spec.loader.exec_module(history)
START, DAY = history.START, history.DAY


@pytest.fixture
def filled(knowledge: Knowledge) -> Knowledge:
    knowledge.record_topology(history.SHOP, source="yaml", at=START - DAY)
    knowledge.record_changes(history.CHANGES, topology=history.SHOP)
    for report in history.REPORTS:
        knowledge.record_incident(report, topology=history.SHOP)
    return knowledge


def confirm(
    knowledge: Knowledge, incident: str, component: str, *, change: str = "", at: int = 1, by: str = "ann"
) -> None:
    knowledge.give_feedback(
        Feedback(incident=incident, by="ann", at=at, verdict="confirmed", component=component, kind="x", change=change)
    )


def everything(knowledge: Knowledge) -> tuple[object, ...]:
    answers = [knowledge.ask(question).rows for question in ("causes", "deployments", "rules", "blast_radius", "teams")]
    return list(knowledge.incidents(reports=True)), answers, knowledge.topology_at(START).confidence


def test_a_store_is_a_graph_store(store: GraphStore) -> None:
    assert isinstance(store, GraphStore)


def test_an_empty_store_answers_with_nothing(knowledge: Knowledge) -> None:
    assert knowledge.topology_at(START).topology.components == ()
    assert knowledge.topology_near(["shop"], START).topology.components == ()
    assert list(knowledge.incidents()) == []
    assert knowledge.ask("causes").rows == ()


def test_a_topology_comes_back_whole(knowledge: Knowledge) -> None:
    knowledge.record_topology(history.SHOP, source="yaml", at=START)
    known = knowledge.topology_at(START).topology
    assert known.components == history.SHOP.components
    assert known.to_networkx().edges == history.SHOP.to_networkx().edges
    assert known.weight.tolist() == history.SHOP.weight.tolist()
    assert dict(known.kinds) == {"store": "database"}
    assert dict(known.hosts) == {"cart": "node-1"}
    assert known.attributes["cart"] == {"team": "basket", "zone": "a"}
    assert known.attributes["pay"]["team"] == "money"


def test_a_component_that_is_only_described_is_kept(knowledge: Knowledge) -> None:
    described = Topology.from_edges(
        [("web", "cart")], replica_of={"cart-1": "cart"}, hosts={"cart-2": "node"}, attributes={"db": {"team": "data"}}
    )
    knowledge.record_topology(described, source="yaml", at=1)
    known = knowledge.topology_at(1).topology
    assert known.components == ("cart", "cart-1", "cart-2", "db", "web")
    assert known.service("cart-1") == "cart"
    assert knowledge.topology_near(["cart"], 1).topology.components == ("cart", "cart-1", "web")


def test_a_topology_is_answered_as_of_any_time(knowledge: Knowledge) -> None:
    knowledge.record_topology(Topology.from_edges([("a", "b")]), source="yaml", at=100)
    knowledge.record_topology(Topology.from_edges([("a", "c")]), source="yaml", at=200)
    edges = {at: list(knowledge.topology_at(at).confidence) for at in (99, 100, 199, 200)}
    assert edges == {99: [], 100: [("a", "b")], 199: [("a", "b")], 200: [("a", "c")]}


def test_sources_that_agree_make_a_dependency_surer_and_a_sure_source_wins_over_facts(knowledge: Knowledge) -> None:
    first = Topology.from_edges([("a", "b")], kinds={"b": "service"})
    second = Topology.from_edges([("a", "b", 12.0)], kinds={"b": "database"})
    knowledge.record_topology(first, source="cmdb", at=1, confidence=0.5)
    knowledge.record_topology(second, source="spans", at=2, confidence=0.9)
    known = knowledge.topology_at(5)
    assert known.confidence["a", "b"] == 0.95
    assert known.sources["a", "b"] == ("cmdb", "spans")
    assert known.topology.kinds["b"] == "database"
    assert known.topology.weight.tolist() == [12.0]
    assert knowledge.topology_at(5, least=0.96).topology.caller.size == 0


def test_what_a_source_said_can_be_taken_back(knowledge: Knowledge) -> None:
    for at, edge in ((100, ("a", "b")), (200, ("a", "c")), (9_000_000_000_000_000_000, ("a", "d"))):
        knowledge.record_topology(Topology.from_edges([edge]), source="yaml", at=at)
    knowledge.record_topology(Topology.from_edges([("a", "e")]), source="spans", at=150)
    with pytest.raises(InputError, match="again later"):  # than the year 2255
        knowledge.record_topology(Topology.from_edges([("a", "f")]), source="yaml", at=300)
    for _ in range(2):
        knowledge.retract("yaml", since=200)
    edges = {at: list(knowledge.topology_at(at).confidence) for at in (120, 250, 9_100_000_000_000_000_000)}
    assert edges == {
        120: [("a", "b")],
        250: [("a", "b"), ("a", "e")],
        9_100_000_000_000_000_000: [("a", "b"), ("a", "e")],
    }
    knowledge.record_topology(Topology.from_edges([("a", "f")]), source="yaml", at=300)
    assert [list(knowledge.topology_at(at).confidence) for at in (299, 300)] == [
        [("a", "b"), ("a", "e")],
        [("a", "e"), ("a", "f")],
    ]
    knowledge.retract("yaml")
    assert list(knowledge.topology_at(300).confidence) == [("a", "e")]
    assert knowledge.topology_at(300).topology.components == ("a", "e")


def test_sources_that_contradict_each_other_all_count_and_the_surest_says_what_a_thing_is(knowledge: Knowledge) -> None:
    claims = {
        "kubernetes": Topology.from_edges([("web", "cart")], hosts={"cart": "node-2"}),
        "yaml": Topology.from_edges([("web", "cart", 5.0)], kinds={"cart": "cache"}, hosts={"cart": "node-1"}),
        "spans": Topology.from_edges([("cart", "web", 70.0)]),
        "cmdb": Topology.from_edges([("web", "old")], kinds={"cart": "database"}, attributes={"cart": {"team": "x"}}),
        "lineage": Topology.from_edges([("cart", "orders")], kinds={"orders": "dataset", "cart": "job"}),
    }
    for source in sorted(claims):
        knowledge.record_topology(claims[source], source=source, at=START)
    known = knowledge.topology_at(START)
    assert known.sources["cart"] == tuple(sorted(claims))
    assert known.confidence == {
        ("cart", "orders"): 0.9,
        ("cart", "web"): 0.95,
        ("web", "cart"): 0.99,
        ("web", "old"): 0.7,
    }
    assert known.topology.hosts == {"cart": "node-2"}
    assert known.topology.kinds == {"cart": "job", "orders": "dataset"}
    assert known.topology.attributes == {"cart": {"team": "x"}}


def test_the_same_topology_again_changes_nothing(knowledge: Knowledge) -> None:
    for _ in range(3):
        knowledge.record_topology(history.SHOP, source="spans", at=START)
    claims = knowledge.store.claims(START)
    assert len(claims.dependencies) == 4
    assert len(claims.components) == len(history.SHOP.components)


@pytest.mark.parametrize(
    ("hops", "callers", "expected"),
    [(0, 0, "c"), (1, 0, "cd"), (2, 0, "cde"), (1, 1, "bcde"), (0, 2, "abcdex"), (10, 10, "abcdex")],
)
def test_the_neighbourhood_follows_dependencies_down_and_up(
    knowledge: Knowledge, hops: int, callers: int, expected: str
) -> None:
    edges = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "c"), ("x", "e"), ("a", "y")]
    knowledge.record_topology(Topology.from_edges(edges), source="yaml", at=1)
    near = knowledge.topology_near(["c", "nobody"], 5, hops=hops, callers=callers)
    assert "".join(near.topology.components) == expected
    assert list(near.confidence) == [edge for edge in sorted(edges) if set(edge) <= set(expected)]


def test_the_neighbourhood_is_that_of_the_time(knowledge: Knowledge) -> None:
    knowledge.record_topology(Topology.from_edges([("a", "b"), ("b", "c")]), source="yaml", at=100)
    knowledge.record_topology(Topology.from_edges([("a", "b"), ("b", "d")]), source="yaml", at=200)
    assert knowledge.topology_near(["a"], 150).topology.components == ("a", "b", "c")
    assert knowledge.topology_near(["a"], 250).topology.components == ("a", "b", "d")


def test_replicas_come_with_their_service_and_every_name_is_known(knowledge: Knowledge) -> None:
    knowledge.record_topology(history.SHOP, source="yaml", at=START)
    near = knowledge.topology_near(["cart"], START, callers=0).topology
    assert near.components == ("cart", "cart-1", "store")
    assert near.service("cart-1") == "cart"
    asked = ["lonely", "cart", "nobody"]
    assert {row["name"] for row in knowledge.store.known(asked, START).rows} == {"lonely", "cart"}
    assert knowledge.store.known(asked, START - 1).rows == []


@pytest.mark.parametrize("hops", [-1, 11, "3", 2.0, True])
def test_a_neighbourhood_takes_whole_numbers_from_0_to_10(knowledge: Knowledge, hops: object) -> None:
    with pytest.raises(InputError):
        knowledge.topology_near(["a"], 1, hops=hops)


def test_an_incident_comes_back_with_events_links_and_report(filled: Knowledge) -> None:
    incident = filled.incident("one")
    report = history.REPORTS[0]
    assert [(e.id, e.component, e.kind, e.start, e.end, e.severity) for e in incident.events] == [
        (e.id, e.component, e.kind, e.start, e.end, e.severity) for e in report.graph.events
    ]
    assert incident.events[1].evidence is not None
    assert incident.events[1].evidence["sentence"] == "it took 400 ms, not 20"
    assert incident.events[1].attributes == {"quantile": "0.99"}
    assert [(link.cause, link.effect, link.rule, link.also, link.lag, link.weight) for link in incident.links] == [
        (0, 1, history.RULES[0].name, (), MINUTE, 0.75),
        (1, 2, history.RULES[1].name, (history.RULES[2].name,), MINUTE, 0.5),
    ]
    assert incident.touched == {"symptom": ("shop",), "impact": ("shop",), "blast": ("cart", "shop")}
    assert [cause.component for cause in incident.causes] == ["cart", "pay"]
    assert incident.missing == ("no spans of pay",)
    assert '"schema": "rca.report/1"' in incident.report
    assert incident.settled.state == "believed"
    assert incident.settled.change == "d1"


def test_a_report_that_is_too_long_loses_its_surroundings_then_itself_and_stays_readable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    knowledge = Knowledge(MemoryStore())
    lengths = []
    for longest in (1 << 22, 0, 0):
        if longest == 0:
            monkeypatch.setattr("rca.knowledge.writing.LONGEST_TEXT", lengths[-1] - 1)
        knowledge.record_incident(history.REPORTS[0], topology=history.SHOP)
        kept = knowledge.incident("one")
        lengths.append(len(kept.report))
        portrait_of(kept)
    assert lengths[0] > lengths[1] > lengths[2] == 0
    assert len(kept.events) == 3


def test_recording_everything_again_changes_nothing(filled: Knowledge) -> None:
    before = everything(filled)
    filled.record_topology(history.SHOP, source="yaml", at=START - DAY)
    filled.record_changes(history.CHANGES, topology=history.SHOP)
    for report in history.REPORTS:
        filled.record_incident(report, topology=history.SHOP)
    assert everything(filled) == before


def test_a_new_analysis_replaces_the_old_one_and_keeps_what_people_said(filled: Knowledge) -> None:
    confirm(filled, "one", "store", change="hand-made")
    filled.resolve(Resolution(incident="one", by="ann", at=3, text="rolled back"))
    again = history.report("one", START + MINUTE, cause="pay", symptom="bank")
    filled.record_incident(again)
    incident = filled.incident("one")
    assert {event.component for event in incident.events} == {"pay", "bank"}
    assert [s.change for s in incident.suspects] == ["hand-made"]
    assert incident.settled.component == "store"
    assert incident.resolutions[0].text == "rolled back"
    assert filled.ask("deployments", change="hand-made").rows[0]["state"] == "confirmed"


def test_an_incident_that_is_forgotten_is_gone_with_what_was_said_and_nothing_else_is(filled: Knowledge) -> None:
    confirm(filled, "one", "cart")
    filled.resolve(Resolution(incident="one", by="ann", at=2, text="rolled back"))
    changes, topology = filled.ask("teams"), filled.topology_at(START)
    others = [incident for incident in filled.incidents(reports=True) if incident.id != "one"]
    for _ in range(2):
        filled.forget_incidents(["one", "never heard of"])
    assert list(filled.incidents(reports=True)) == others
    for name in ("feedback", "resolutions", "events", "links", "causes", "touched", "suspects"):
        assert not filled.store.rows(name, ["one"]).rows, name
    assert sum(row["changes"] for row in filled.ask("teams").rows) == sum(row["changes"] for row in changes.rows)
    assert filled.topology_at(START).topology.components == topology.topology.components


def test_the_latest_word_about_a_cause_counts(filled: Knowledge) -> None:
    confirm(filled, "one", "store", at=10)
    filled.give_feedback(Feedback(incident="one", by="bob", at=5, verdict="wrong"))
    assert filled.incident("one").settled.state == "confirmed"
    filled.give_feedback(Feedback(incident="one", by="bob", at=20, verdict="wrong", note="not the store"))
    assert filled.incident("one").settled.state == "wrong"
    assert [word.by for word in filled.incident("one").feedback] == ["bob", "ann", "bob"]
    assert list(filled.incidents(confirmed=True)) == []


def test_a_note_judges_nothing_and_is_kept(filled: Knowledge) -> None:
    before = everything(filled)
    noted = Feedback(incident="one", by="bob", at=9, verdict="note", component="pay", note="look at the pool")
    filled.give_feedback(noted)
    found = filled.incident("one")
    assert found.feedback == (noted,)
    assert found.settled.state == "believed"
    assert everything(filled)[1:] == before[1:]
    confirm(filled, "one", "cart", at=5)
    assert filled.incident("one").settled.state == "confirmed"
    assert [incident.id for incident in filled.incidents(confirmed=True)] == ["one"]
    assert filled.ask("causes").rows[0]["confirmed"] == 1


def test_confirmed_incidents_can_be_gone_through_with_their_signatures(filled: Knowledge) -> None:
    confirm(filled, "two", "bank")
    confirm(filled, "one", "cart", change="none")
    incidents = list(filled.incidents(confirmed=True))
    assert [(incident.id, incident.settled.component) for incident in incidents] == [("one", "cart"), ("two", "bank")]
    signature = signature_of(incidents[0])
    assert signature.kinds == {"change.deployment": 1, "latency.up": 2}
    assert signature.order == (("cart", "change.deployment"), ("cart", "latency.up"), ("shop", "latency.up"))
    assert signature.lag["shop", "latency.up"] == 2 * MINUTE
    assert (history.RULES[0].name, signature.order[0], signature.order[1]) in signature.edges
    assert [incident.id for incident in filled.incidents(since=START + 2 * DAY)] == ["three"]


def test_what_did_this_deployment_break(filled: Knowledge) -> None:
    rows = filled.ask("deployments").rows
    assert [(row["change"], row["incident"], row["state"]) for row in rows] == [
        ("d2", "two", "believed"),
        ("d1", "one", "believed"),
    ]
    assert (rows[0]["team"], rows[0]["reached"]) == ("money", 4)
    confirm(filled, "three", "cart", change="d1")
    confirm(filled, "one", "store", change="none")
    named = filled.ask("deployments", change="cart 2.0").rows
    assert [(row["incident"], row["state"]) for row in named] == [("three", "confirmed"), ("one", "cleared")]
    assert filled.ask("deployments", change="d3").rows[0]["state"] == "cleared"


def test_which_component_causes_most(filled: Knowledge) -> None:
    confirm(filled, "three", "cart")
    rows = filled.ask("causes").rows
    assert [(row["component"], row["incidents"], row["confirmed"]) for row in rows] == [("cart", 2, 1), ("pay", 1, 0)]
    assert rows[0]["kinds"] == ["latency.up", "x"]
    assert rows[0]["last"] == START + 8 * DAY
    assert [row["component"] for row in filled.ask("causes", until=START + 1).rows] == []


def test_which_rule_never_fires(filled: Knowledge) -> None:
    names = [rule.name for rule in history.RULES]
    rows = filled.ask("rules", rules=("never", *names)).rows
    assert (rows[0]["rule"], rows[0]["incidents"], rows[0]["last"]) == ("never", 0, None)
    assert {row["rule"]: (row["incidents"], row["links"]) for row in rows[1:]} == dict.fromkeys(names, (3, 3))


def test_the_blast_radius_over_time_counts_weeks_from_monday(filled: Knowledge) -> None:
    rows = filled.ask("blast_radius").rows
    assert [(row["period"], row["incidents"], row["mean"], row["largest"]) for row in rows] == [
        (START, 2, 3.0, 4),
        (START + 7 * DAY, 1, 0.0, 0),
    ]


def test_periods_before_1970_are_whole_too(knowledge: Knowledge) -> None:
    knowledge.record_incident(history.report("old", -3 * DAY))
    assert [row["period"] for row in knowledge.ask("blast_radius").rows] == [-3 * DAY]


def test_whose_changes_break_something(filled: Knowledge) -> None:
    rows = filled.ask("teams").rows
    assert [(row["team"], row["changes"], row["confirmed"], row["believed"], row["share"]) for row in rows] == [
        ("basket", 1, 0, 1, 1.0),
        ("money", 2, 0, 1, 0.5),
        ("storage", 1, 0, 0, 0.0),
    ]
    confirm(filled, "three", "pay", change="d3")
    assert {row["team"]: row["confirmed"] for row in filled.ask("teams").rows}["money"] == 1


def test_tenants_do_not_see_each_other(filled: Knowledge) -> None:
    other = Knowledge(filled.store.for_tenant(uuid.uuid4().hex))
    assert other.topology_at(START).topology.components == ()
    assert list(other.incidents()) == []
    assert all(other.ask(question).rows == () for question in ("causes", "deployments", "blast_radius", "teams"))
    before = everything(filled)
    other.record_incident(history.report("one", START, cause="elsewhere"))
    other.record_topology(Topology.from_edges([("shop", "cart"), ("shop", "new")]), source="yaml", at=START)
    confirm(other, "one", "elsewhere")
    assert everything(filled) == before


def test_unknown_incidents_questions_and_parameters_are_refused(filled: Knowledge) -> None:
    with pytest.raises(NotFoundError):
        filled.incident("none")
    with pytest.raises(NotFoundError):
        confirm(filled, "none", "cart")
    with pytest.raises(InputError):
        filled.ask("weather")
    with pytest.raises(InputError):
        filled.ask("causes", width=1)


def test_a_batch_that_fails_leaves_nothing(store: GraphStore) -> None:
    class Broken(str):
        __slots__ = ()

    good = dict.fromkeys(TABLES["touched"].columns, "x")
    with pytest.raises(InputError):
        store.write(Batch(rows={"touched": [good, good | {"role": Broken("y")}]}))
    with pytest.raises(InputError):
        Batch(rows={"nodes": []})
    assert store.rows("touched", ["x"]).rows == []


def test_threads_may_write_and_ask_at_once(knowledge: Knowledge) -> None:
    def work(number: int) -> int:
        knowledge.record_incident(history.report(f"i{number}", START + number))
        return len(list(knowledge.incidents(reports=False)))

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(work, range(8))) <= 8
    assert len(knowledge.store.incident_ids(BEGINNING, FOREVER).rows) == 8
    assert all(len(incident.events) == 3 for incident in knowledge.incidents())
