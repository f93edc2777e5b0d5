from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rca.errors import ProfileError
from rca.health.events import HIGHEST, LOWEST, EventHistory, alert_key
from rca.telemetry import Telemetry
from rca.topology import Topology
from rca.types import Alert, Case, Incident, Window


def incident(name, alerts, components=("a-0", "a-1", "b-0")):
    topology = Topology.from_edges([], components=components, replica_of={c: c[:-2] for c in components})
    return Case(
        incident=Incident(id=name, window=Window(start=0, end=60)),
        telemetry=Telemetry(alerts=tuple(alerts)),
        topology=topology,
    )


CPU = Alert(component="a-0", name="cpu", direction="up")
CALL = Alert(component="a-0", name="slow", peer="b-0", operation="/get", labels={"role": "out"})

alerts = st.lists(
    st.builds(
        Alert,
        component=st.sampled_from(["a-0", "a-1", "b-0"]),
        name=st.sampled_from(["cpu", "memory", "ünïcode\x1f"]),
        peer=st.sampled_from(["", "a-0", "b-0"]),
        operation=st.sampled_from(["", "/get"]),
    ),
    max_size=6,
)
incidents = st.lists(alerts, max_size=5).map(lambda many: [incident(str(i), one) for i, one in enumerate(many)])


def test_an_alert_that_a_component_raises_in_every_incident_has_a_high_rate():
    history = EventHistory.build([incident(str(i), [CPU]) for i in range(20)])
    # 20 of 20, shrunk by two pseudo-incidents at the common rate (20 + 0.5) / (60 + 1)
    assert history.rate("a-0", alert_key(CPU)) == pytest.approx((20 + 2 * 20.5 / 61) / 22)


def test_an_alert_that_was_never_seen_has_a_low_rate_within_the_limits():
    history = EventHistory.build([incident(str(i), [CPU]) for i in range(20)])
    never = replace(CPU, name="never")
    assert history.rate("b-0", alert_key(never)) == pytest.approx(2 * 0.5 / 61 / 22)
    assert LOWEST <= history.rate("unheard of", alert_key(never)) <= HIGHEST


def test_a_new_component_borrows_the_rate_of_the_others():
    history = EventHistory.build([incident(str(i), [CPU]) for i in range(20)])
    assert history.rate("new", alert_key(CPU)) == pytest.approx(20.5 / 61)


@given(incidents, st.integers(0, 4))
def test_a_history_without_an_incident_is_the_history_built_of_the_others(cases, left):
    if left >= len(cases):
        return
    others = [case for case in cases if case is not cases[left]]
    assert EventHistory.build(cases).without(cases[left]) == EventHistory.build(others)


def test_an_incident_that_is_not_counted_changes_nothing():
    history = EventHistory.build([incident("past", [CPU])])
    assert history.without(incident("new", [CPU])) is history


@given(incidents, st.integers(0, 5))
def test_histories_of_parts_merge_into_the_history_of_the_whole(cases, cut):
    merged = EventHistory.build(cases[:cut]).merge(EventHistory.build(cases[cut:]))
    assert merged == EventHistory.build(cases)


@given(incidents)
def test_arrays_bring_the_same_history_back_and_hold_no_objects(cases):
    history = EventHistory.build(cases)
    arrays = history.to_arrays()
    assert all(array.dtype.kind in "iu" for array in arrays.values())
    assert EventHistory.from_arrays(arrays) == history


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("incidents", np.frombuffer(b"[1", np.uint8)),
        ("raised.keys", np.frombuffer(b'["a"]', np.uint8)),
        ("raised.counts", np.zeros(7, np.int64)),
        ("present.counts", np.array([0.5])),
    ],
)
def test_damaged_arrays_are_an_error_that_names_them(name, array):
    arrays = EventHistory.build([incident("1", [CPU, CALL])]).to_arrays()
    with pytest.raises(ProfileError, match=name.replace(".", r"\.")):
        EventHistory.from_arrays({**arrays, name: array})


def test_a_missing_array_is_an_error():
    arrays = EventHistory().to_arrays()
    del arrays["operations.counts"]
    with pytest.raises(ProfileError, match="operations"):
        EventHistory.from_arrays(arrays)


def test_the_callee_of_an_operation_is_learnt_only_where_it_is_one_service():
    other = replace(CALL, component="a-1", peer="c-0", operation="/both")
    history = EventHistory.build([incident("1", [CALL, other, replace(other, peer="b-0")])])
    assert history.callee_of == {("a", "/get"): "b"}


def test_both_ends_of_a_call_tell_of_the_same_call():
    seen_by_callee = replace(CALL, component="b-0", peer="a-0", labels={"role": "in"})
    first, second = (EventHistory.build([incident("1", [one])]) for one in (CALL, seen_by_callee))
    assert first.operations == second.operations == {("a", "/get", "b"): 1}


def test_calls_between_services_in_history_hold_among_all_replicas():
    case = incident("1", [CALL])
    graph = EventHistory.build([case]).call_graph(case.topology)
    assert graph.callees("a-0") == graph.callees("a-1") == ("b-0",)


def test_alerts_alone_make_a_history():
    history = EventHistory.build([[CPU], [CPU, CALL]])
    assert history.present == {"a-0": 2}
    assert history.raised["a-0", alert_key(CPU)] == 2
