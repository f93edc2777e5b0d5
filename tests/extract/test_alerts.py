from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rca.errors import TelemetryError
from rca.extract.alerts import FULL_SURPRISE, extract_alerts
from rca.extract.context import Context
from rca.health import HealthProfile
from rca.health.events import EventHistory
from rca.kinds import load_kinds
from rca.settings import Settings
from rca.telemetry import Telemetry
from rca.topology import Topology
from rca.types import Alert, Case, Incident, Window

COMPONENTS = ("db-0", "shop-0", "shop-1")
CPU = Alert(component="shop-0", name="cpu", direction="up", kind="saturation.cpu")
SELF = Alert(component="shop-0", name="/pay slow", operation="/pay", kind="latency.up", labels={"role": "self"})
OUT = replace(SELF, peer="db-0", labels={"role": "out"})


def incident(name, *alerts):
    return Case(
        incident=Incident(id=name, window=Window(start=0, end=60)),
        telemetry=Telemetry(alerts=alerts),
        topology=Topology.from_edges([], components=COMPONENTS, replica_of={c: c[:-2] for c in COMPONENTS}),
    )


def context(case, past=()):
    health = HealthProfile(events=EventHistory.build(past)) if past else HealthProfile()
    onsets, ends = np.array([case.incident.window.start]), np.array([case.incident.window.end])
    return Context(case=case, topology=case.topology, health=health, onsets=onsets, ends=ends, settings=Settings())


def blames(events):
    return {(event.component, event.name): event.evidence.blame for event in events}


def test_no_alerts_give_no_events():
    assert extract_alerts(context(incident("now"))) == []


def test_an_alert_of_every_incident_says_less_than_a_new_one():
    new = replace(CPU, name="memory", kind="saturation.memory")
    past = [incident(str(i), CPU) for i in range(30)]
    found = blames(extract_alerts(context(incident("now", CPU, new), past)))
    assert found["shop-0", "cpu"] < 0.02 < 0.3 < found["shop-0", "memory"]


def test_an_incident_does_not_count_in_its_own_history():
    past = [incident(str(i), CPU) for i in range(3)]
    inside = extract_alerts(context(past[0], past))
    outside = extract_alerts(context(incident("now", CPU), past[1:]))
    assert blames(inside) == blames(outside)


def test_an_alert_that_a_replica_shows_too_counts_half():
    alone = blames(extract_alerts(context(incident("now", CPU), [incident("past")])))
    both = blames(extract_alerts(context(incident("now", CPU, replace(CPU, component="shop-1")), [incident("past")])))
    assert alone["shop-0", "cpu"] == pytest.approx(2 * both["shop-0", "cpu"])


def test_without_history_surprise_is_the_log_of_components_by_those_that_show_it():
    event = extract_alerts(context(incident("now", replace(CPU, component="db-0"))))[0]
    assert event.evidence.blame == pytest.approx(np.log(3) / FULL_SURPRISE)
    assert "1 of 3 components" in event.evidence.sentence


def test_alerts_that_tell_the_same_share_a_group():
    cores = [replace(CPU, name=f"core {i}", group="cpu up") for i in range(4)]
    events = extract_alerts(context(incident("now", *cores)))
    assert len(events) == 4
    assert {event.evidence.group for event in events} == {"alert: cpu up"}


def test_without_history_blame_is_weighted_by_how_readily_such_an_event_is_a_cause():
    disk = replace(CPU, name="disk", kind="saturation.disk")
    unspecific = replace(CPU, name="unspecific", kind="alert.firing")
    found = blames(extract_alerts(context(incident("now", CPU, disk, unspecific))))
    kinds = load_kinds()
    assert found["shop-0", "disk"] == pytest.approx(found["shop-0", "cpu"] * kinds["saturation.disk"].prior)
    assert found["shop-0", "unspecific"] == pytest.approx(found["shop-0", "cpu"] * kinds["alert.firing"].prior)


def test_with_a_history_how_usual_an_alert_is_was_measured_and_its_kind_has_no_say():
    kinds = ("saturation.cpu", "saturation.disk", "usage.down", "latency.down", "alert.firing")
    alerts = [replace(CPU, name=kind, kind=kind) for kind in kinds]
    found = blames(extract_alerts(context(incident("now", *alerts), [incident("past")])))
    assert len(set(found.values())) == 1
    assert min(found.values()) > 0.0


def test_spans_at_the_entry_of_the_system_carry_no_blame():
    entry = replace(SELF, labels={"role": "entry"})
    assert extract_alerts(context(incident("now", entry)))[0].evidence.blame == 0.0


@pytest.mark.parametrize(
    ("alert", "explainable"),
    [
        (CPU, False),
        (OUT, True),
        (replace(CPU, kind="latency.up"), True),
        (replace(CPU, kind="traffic.down"), True),
        (replace(CPU, kind="log.new_template"), False),
    ],
)
def test_only_what_a_callee_can_pass_on_is_explainable(alert, explainable):
    assert extract_alerts(context(incident("now", alert)))[0].evidence.explainable is explainable


def test_a_callers_own_span_about_a_call_blames_the_callee():
    events = extract_alerts(context(incident("now", SELF), [incident("past", OUT)]))
    blamed = [event for event in events if event.kind == "dependency.blamed"]
    assert [(event.component, event.evidence.group) for event in blamed] == [("db-0", "client view")]
    own = next(event for event in events if event.component == "shop-0")
    # no replica shows it: the caller's own alert is doubled, the complaint weighs one and a half
    assert blamed[0].evidence.blame == pytest.approx(own.evidence.blame * 1.5 / 2)


def test_complaints_about_many_callees_each_count_their_share():
    topology = Topology.from_edges([], components=("db", "queue", "shop"))
    calls = [replace(OUT, component="shop", peer=peer, operation=f"/{peer}", name=peer) for peer in ("db", "queue")]
    own = [replace(SELF, component="shop", operation=f"/{peer}", name=f"own {peer}") for peer in ("db", "queue")]
    past = [replace(incident("past", *calls), topology=topology)]

    def complaint(*alerts):
        events = extract_alerts(context(replace(incident("now", *alerts), topology=topology), past))
        return next(e.evidence.blame for e in events if e.kind == "dependency.blamed" and e.component == "db")

    assert complaint(*own) == pytest.approx(complaint(own[0]) / 2)


def test_times_of_an_alert_are_kept_and_missing_ones_are_the_window():
    timed = replace(CPU, time=10, end=20)
    assert [(e.start, e.end) for e in extract_alerts(context(incident("now", timed)))] == [(10, 20)]
    assert [(e.start, e.end) for e in extract_alerts(context(incident("now", CPU)))] == [(0, 60)]


def test_an_alert_that_fires_again_is_one_event_over_both_times():
    again = [replace(CPU, time=10, end=20), replace(CPU, time=30, end=40)]
    assert [(e.start, e.end) for e in extract_alerts(context(incident("now", *again)))] == [(10, 40)]


def test_the_sentence_says_how_usual_the_alert_is():
    past = [incident(str(i), CPU) for i in range(2)] + [incident("2")]
    sentence = extract_alerts(context(incident("now", CPU), past))[0].evidence.sentence
    assert sentence == "cpu rose: shop-0 showed this in 2 of 3 other incidents; none of its replicas does"


some_alerts = st.lists(
    st.builds(
        Alert,
        component=st.sampled_from(["", *COMPONENTS, "unknown"]),
        name=st.sampled_from(["cpu", "/pay slow"]),
        kind=st.sampled_from(["alert.firing", "latency.up", "saturation.cpu"]),
        time=st.none() | st.integers(-100, 100),
        end=st.none() | st.integers(-100, 100),
        direction=st.sampled_from(["up", "down", "none"]),
        peer=st.sampled_from(["", *COMPONENTS]),
        operation=st.sampled_from(["", "/pay"]),
        labels=st.sampled_from([{}, {"role": "self"}, {"role": "in"}]),
    ),
    max_size=8,
)


@settings(deadline=None)
@given(some_alerts, st.lists(some_alerts, max_size=3))
def test_any_alerts_give_events_with_distinct_ids_whatever_their_order(alerts, past):
    history = [incident(str(i), *one) for i, one in enumerate(past)]
    events = extract_alerts(context(incident("now", *alerts), history))
    assert len({event.id for event in events}) == len(events)
    assert {event.component for event in events} <= {*COMPONENTS, "unknown"}
    turned = extract_alerts(context(incident("now", *reversed(alerts)), history))
    by_id = defaultdict(float, {event.id: event.evidence.blame for event in turned})
    assert {event.id: event.evidence.blame for event in events} == by_id


def test_an_alert_of_an_unknown_kind_is_an_error():
    with pytest.raises(TelemetryError, match="'no_such' is unknown"):
        extract_alerts(context(incident("now", replace(CPU, kind="no_such"))))
