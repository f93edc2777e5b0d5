"""Chains, confidence, symptoms and what is missing, on the shop of ``conftest.py``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rca.causality import CausalityGraph, link_events
from rca.chains import find_chain, find_critical, reach
from rca.confidence import judge
from rca.extract.all import extract_events
from rca.extract.context import Context
from rca.health.profile import HealthProfile
from rca.missing import find_missing
from rca.ranking import Ranking, rank_causes
from rca.rules import load_rules
from rca.settings import Settings
from rca.stages import Stages
from rca.symptoms import CONFIRMED, SymptomCheck, check_symptoms
from rca.telemetry import LogBatch, MetricFrame, SpanBatch, Telemetry
from rca.topology import Topology
from rca.types import Event, Evidence, RootCause, Symptom


def event(component: str, kind: str, after: int, blame: float = 0.3, start: int = 0) -> Event:
    return Event(
        id=f"{kind}:{component}",
        component=component,
        kind=kind,
        name=kind,
        start=start + after,
        end=start + after + 1,
        severity=1.0,
        evidence=Evidence(sentence="", group=kind, blame=blame, likelihood=3.0),
    )


def world(shop, *events: Event, **facts: object) -> tuple[CausalityGraph, Ranking, Context]:
    context = shop.context(**facts)
    graph = link_events(events, context.topology, load_rules())
    return graph, rank_causes(graph, context), context


FAILURE = (
    event("store", "saturation.connections", 0, 0.9),
    event("store", "latency.up", 1, 0.0),
    event("cart", "latency.up", 2, 0.1),
    event("shop", "latency.up", 3, 0.1),
    event("pay", "errors.up", 3, 0.05),
)


def test_a_chain_goes_from_the_cause_over_its_callers_to_the_symptom(shop) -> None:
    graph, ranking, _ = world(shop, *FAILURE)
    assert ranking.first == "store"
    chain = find_chain(graph, ranking, int(ranking.order[0]), graph.events[0])
    assert [e.component for e in chain] == ["store", "cart", "shop"]
    assert [e.kind for e in chain] == ["saturation.connections", "latency.up", "latency.up"]
    assert [e.start for e in chain] == sorted(e.start for e in chain)


def test_a_chain_begins_with_the_event_that_began_it_also_where_that_leads_nowhere(shop) -> None:
    stray = event("store", "log.silence", 0, 0.9)
    graph, ranking, _ = world(shop, stray, *FAILURE[1:])
    chain = find_chain(graph, ranking, int(ranking.order[0]), graph.events[0])
    assert chain[0].id == stray.id
    assert chain[-1].component == "shop"


def test_without_a_way_to_the_symptom_the_chain_is_the_beginning_alone(shop) -> None:
    graph, ranking, _ = world(shop, event("pay", "saturation.cpu", 0, 0.9))
    assert [e.component for e in find_chain(graph, ranking, int(ranking.order[0]), graph.events[0])] == ["pay"]
    assert find_chain(graph, ranking, int(ranking.order[0]), None) == ()


def test_a_change_comes_to_its_component_before_it_reaches_others(shop) -> None:
    change = event("store", "change.deployment", -1, 0.0)
    graph, ranking, _ = world(shop, change, *FAILURE)
    began = graph.events[graph.index[change.id]]
    chain = find_chain(graph, ranking, int(ranking.order[0]), began, (FAILURE[0],))
    assert [(e.component, e.kind) for e in chain] == [
        ("store", "change.deployment"),
        ("store", "saturation.connections"),
        ("cart", "latency.up"),
        ("shop", "latency.up"),
    ]


def test_critical_failures_are_what_the_cause_made_of_its_component_else_the_symptom(shop) -> None:
    graph, ranking, _ = world(shop, *FAILURE)
    cause = RootCause(
        component="store",
        event=FAILURE[0],
        score=0.5,
        confidence=0.5,
        sentence="",
        because=FAILURE[:1],
        chain=FAILURE[:4],
    )
    assert [e.id for e in find_critical(graph, ranking, cause)] == ["latency.up:store"]
    alone = replace(cause, chain=FAILURE[:1])
    assert [e.component for e in find_critical(graph, ranking, alone)] == ["shop"]


def test_a_host_reaches_the_callers_of_what_runs_on_it(shop) -> None:
    topology = Topology.from_edges(
        [("shop", "cart"), ("cart", "store")], kinds={"node-1": "host"}, hosts={"store": "node-1"}
    )
    hot = event("node-1", "saturation.cpu", 0, 0.9)
    graph, _, context = world(shop, hot, *FAILURE[1:4], topology=topology)
    assert reach(graph, "node-1", context) == ("node-1", "store", "cart", "shop")


def test_the_blast_radius_are_those_above_that_the_events_lead_to_nearest_first(shop) -> None:
    graph, _, context = world(shop, *FAILURE)
    assert reach(graph, "store", context) == ("store", "cart", "shop")
    assert reach(graph, "pay", context)[0] == "pay"
    assert "store" not in reach(graph, "cart", context)
    assert reach(graph, "nobody", context) == ("nobody",)


def judged(shop, *blames: float, **facts: object):
    names = ("cart", "pay", "store")
    events = [event(name, "log.new_template", 0, blame) for name, blame in zip(names, blames, strict=False) if blame]
    _, ranking, context = world(shop, *events, settings=Settings(walk=0.0), **facts)
    return judge(ranking, context)


def test_belief_goes_with_the_cube_of_the_evidence(shop) -> None:
    found = judged(shop, 0.8, 0.4)
    assert found.verdict == "cause"
    assert found.confidence[0] / found.confidence[1] == pytest.approx(8)
    # Eight ninths of the belief, and .8 / (.8 + .3) of full certainty.
    assert found.confidence[0] == pytest.approx(8 / 9 * 0.8 / 1.1)


def test_candidates_that_are_close_are_not_separated(shop) -> None:
    found = judged(shop, 0.8, 0.75)
    assert found.verdict == "inconclusive"
    assert found.reasons == ("the evidence does not separate cart from pay",)


def test_replicas_of_one_service_do_not_compete(shop) -> None:
    topology = Topology.from_edges([("shop", "cart"), ("shop", "pay")], replica_of={"cart": "both", "pay": "both"})
    assert judged(shop, 0.8, 0.75, topology=topology).verdict == "cause"


def test_faint_evidence_is_inconclusive_and_none_is_healthy(shop) -> None:
    faint = judged(shop, 0.1)
    assert faint.verdict == "inconclusive"
    assert faint.reasons == ("the evidence against cart is faint",)
    assert judged(shop, 0.01).verdict == "healthy"
    assert judged(shop).verdict == "healthy"


def test_no_telemetry_is_not_health(shop) -> None:
    found = judged(shop, telemetry=Telemetry())
    assert found.verdict == "inconclusive"
    assert "no telemetry" in found.reasons[0]


def test_the_alert_alone_names_no_cause(shop) -> None:
    noticed = replace(event("shop", "alert.firing", 0), evidence=Evidence(sentence="", group="symptom", blame=0.3))
    _, ranking, context = world(shop, noticed)
    found = judge(ranking, context)
    assert found.verdict == "inconclusive"
    assert found.reasons == ("nothing speaks against shop but that it is where the symptom was noticed",)


def deviating(shop, kind: str, group: str, blame: float, *, hurts: bool = False, symptoms: tuple = ()):
    seen = replace(event("pay", kind, 0), evidence=Evidence(sentence="", group=group, blame=blame, likelihood=3.0))
    _, ranking, context = world(shop, seen, case=shop.case(symptoms=symptoms), settings=Settings(walk=0.0))
    return judge(ranking, context, hurts=hurts)


def test_what_uses_more_and_hurts_nobody_is_no_cause_where_nobody_named_a_symptom(shop) -> None:
    found = deviating(shop, "saturation.threads", "order", 0.9)
    assert found.verdict == "inconclusive"
    assert found.reasons[0].startswith("nobody named a symptom and no request suffers from what pay uses")
    assert deviating(shop, "saturation.threads", "order", 0.9, hurts=True).verdict == "cause"
    assert deviating(shop, "errors.up", "error spans", 0.9).verdict == "cause"


def test_a_quantity_that_deviates_a_little_is_a_cause_only_where_somebody_named_a_symptom(shop) -> None:
    found = deviating(shop, "errors.up", "error spans", 0.4)
    assert found.verdict == "inconclusive"
    assert len(found.reasons) == 1
    assert found.reasons[0].startswith("nobody named a symptom and what deviates on pay is slight evidence")
    assert deviating(shop, "errors.up", "error spans", 0.6).verdict == "cause"
    named = deviating(shop, "errors.up", "error spans", 0.4, symptoms=(Symptom(component="pay"),))
    assert named.verdict == "cause"


def test_what_never_happens_in_health_is_a_cause_though_it_weighs_little_and_nobody_named_a_symptom(shop) -> None:
    assert deviating(shop, "request.missing", "requests", 0.4).verdict == "cause"


def with_symptom(shop, component: str, metric: str):
    return shop.context(case=shop.case(symptoms=(Symptom(component=component, metric=metric),), onset=None))


def test_a_symptom_is_confirmed_by_its_distance_from_health(shop) -> None:
    broken = replace(shop, fault="cpu")
    (far,) = check_symptoms(with_symptom(broken, "cart", "cpu_usage"))
    assert far.confirmed
    # .9 against .2 with a wave of 2 % of .2 whose standard deviation is .02 * .2 / sqrt(2).
    assert far.deviation == pytest.approx(0.7 / (0.02 * 0.2 / np.sqrt(2)), rel=0.1)
    (near,) = check_symptoms(with_symptom(shop, "cart", "cpu_usage"))
    assert not near.confirmed
    assert near.deviation is not None
    assert near.deviation < CONFIRMED


def test_a_symptom_that_nothing_measures_is_believed(shop) -> None:
    (unknown,) = check_symptoms(with_symptom(shop, "cart", "moonlight"))
    assert unknown.deviation is None
    assert unknown.confirmed
    assert SymptomCheck(symptom=Symptom(component="x"), deviation=float("inf")).confirmed


def test_an_unconfirmed_alert_makes_the_answer_inconclusive(shop) -> None:
    case = shop.case(symptoms=(Symptom(component="cart", metric="cpu_usage"),))
    found = judged(shop, 0.9, case=case)
    assert found.verdict == "inconclusive"
    assert found.reasons[0].startswith("the alert is not confirmed: cpu_usage of cart is")


def missing(shop, telemetry: Telemetry, symptoms: tuple[Symptom, ...] = (), **facts: object) -> str:
    case = replace(shop.case(symptoms=symptoms), telemetry=telemetry)
    _, ranking, context = world(shop, case=case, **facts)
    return "\n".join(find_missing(context, ranking, judge(ranking, context)))


def test_what_is_missing_is_named(shop) -> None:
    told = shop.telemetry()
    everything = missing(shop, told, (Symptom(component="shop"),))
    assert "the symptom on shop raised no event of its own" in everything
    assert "no changes were sent" not in everything
    for absent in ("no metrics", "no spans", "no log lines", "no topology", "no healthy"):
        assert absent not in everything
    assert "no metrics in the window" in missing(shop, replace(told, metrics=MetricFrame.empty()))
    assert "no spans in the window" in missing(shop, replace(told, spans=SpanBatch.empty()))
    assert "no log lines in the window" in missing(shop, replace(told, logs=LogBatch.empty()))
    assert "no topology" in missing(shop, told, topology=Topology.from_edges([]))
    assert "nobody named a symptom" in missing(shop, told)
    assert "component nobody is in no telemetry" in missing(shop, told, (Symptom(component="nobody"),))
    bare = missing(shop, told, health=HealthProfile())
    assert "no healthy metrics" in bare
    assert "no healthy requests" in bare


def test_stages_add_up_their_times_and_say_each_warning_once() -> None:
    stages = Stages()
    for _ in range(2):
        with stages("read"):
            stages.warn("late")
    with pytest.raises(ValueError), stages("break"):
        raise ValueError
    assert list(stages.timings) == ["read", "break"]
    assert all(seconds >= 0 for seconds in stages.timings.values())
    assert stages.warnings == ["late"]


def test_every_reason_of_a_cause_is_an_event_of_the_graph(shop) -> None:
    context = replace(shop, fault="breaks off").context()
    events = extract_events(context, Stages())
    ranking = rank_causes(link_events(events, context.topology, load_rules()), context)
    for code in ranking.order:
        reasons = [ranking.events[i] for i in ranking.blame.because(int(code))]
        assert reasons
        assert {reason.component for reason in reasons} <= {ranking.blame.components[code]}
