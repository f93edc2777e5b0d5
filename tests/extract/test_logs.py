"""Events from log lines, on a shop small enough to check by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rca.extract.complaints import Complaints
from rca.extract.context import Context
from rca.extract.log_events import MOST_EVENTS
from rca.extract.log_rates import poisson_ratio
from rca.extract.logs import extract_logs
from rca.health import HealthProfile
from rca.health.logs import LogHealth
from rca.settings import Settings
from rca.telemetry import ERROR, INFO, WARN, LogBatch, SpanBatch, Telemetry, texts
from rca.topology import Topology
from rca.types import SECOND, Case, Event, Incident, Window

HEALTHY = Window(start=0, end=3600 * SECOND)
START, END = 3600, 3900
Row = tuple[float, str, str, int]
TOPOLOGY = Topology.from_edges([("front", "cart"), ("cart", "redis-db")])
EXAMPLES = settings(max_examples=30, deadline=None)


def batch(rows: Sequence[Row]) -> LogBatch:
    names = tuple(sorted({row[1] for row in rows}))
    return LogBatch(
        components=names,
        times=np.array([int(row[0] * SECOND) for row in rows], np.int64),
        component=np.array([names.index(row[1]) for row in rows], np.int32),
        level=np.array([row[3] for row in rows], np.int8),
        message=texts([row[2] for row in rows]),
        trace=texts([""] * len(rows)),
        span=texts([""] * len(rows)),
    )


def spans(times: Sequence[float], component: str) -> SpanBatch:
    size = len(times)
    return SpanBatch.build(
        start=np.array([int(t * SECOND) for t in times], np.int64),
        duration=np.ones(size, np.int64),
        component=[component] * size,
        operation=["op"] * size,
        trace=[str(i) for i in range(size)],
        span=[str(i) for i in range(size)],
        parent=[""] * size,
    )


def usual(
    start: int, end: int, every: float = 2.0, components: Sequence[str] = ("front", "cart", "redis-db")
) -> list[Row]:
    """What everybody writes when all is well: three kinds of line each."""
    words = ("request served in 12 ms", "cache was read", "session 77 renewed now")
    times = np.arange(start, end, every)
    return [(float(t) + i / 9, c, words[n % 3], INFO) for n, t in enumerate(times) for i, c in enumerate(components)]


def found(
    rows: Sequence[Row],
    *,
    healthy: Sequence[Row] | None = None,
    known: bool = True,
    traffic: tuple[SpanBatch, SpanBatch] | None = None,
    topology: Topology = TOPOLOGY,
    onsets: Sequence[int] = (START,),
) -> list[Event]:
    healthy = usual(0, 3600) if healthy is None else healthy
    before, now = traffic or (SpanBatch.empty(), SpanBatch.empty())
    health = LogHealth.build(batch(healthy), [HEALTHY], traffic=before) if known else None
    incident = Incident(id="i", window=Window(start=START * SECOND, end=END * SECOND))
    context = Context(
        case=Case(incident=incident, telemetry=Telemetry(logs=batch(rows), spans=now), topology=topology),
        topology=topology,
        health=HealthProfile(logs=health),
        onsets=np.array(onsets, np.int64) * SECOND,
        ends=np.full(len(onsets), END * SECOND, np.int64),
        settings=Settings(),
    )
    return extract_logs(context)


def kinds(events: Sequence[Event]) -> set[tuple[str, str]]:
    return {(event.kind, event.component) for event in events}


def blame(events: Sequence[Event], component: str) -> float:
    groups: dict[str, float] = {}
    for event in events:
        if event.component == component and event.evidence is not None:
            groups[event.evidence.group] = max(groups.get(event.evidence.group, 0.0), event.evidence.blame)
    return sum(groups.values())


def test_health_that_goes_on_raises_nothing() -> None:
    assert found(usual(START, END)) == []


def test_a_new_error_line_is_an_event_that_says_how_often_and_what_is_usual() -> None:
    rows = [
        *usual(START, END),
        *((START + 9 * i, "cart", f"cannot write order {i}: disk full", ERROR) for i in range(20)),
    ]
    events = [event for event in found(rows) if event.kind == "log.new_template"]
    (event,) = events
    assert event.component == "cart"
    assert event.evidence is not None
    assert 0.3 < event.evidence.blame < 0.5
    assert event.evidence.weak
    assert event.evidence.explainable
    assert event.start == START * SECOND
    assert "20 times in 5 min (never in 60 min of health)" in event.evidence.sentence
    assert "cannot write order 0: disk full" in event.evidence.sentence


def test_new_information_weighs_less_than_a_new_error() -> None:
    new = [(START + 9 * i, "cart", "switched over to standby", INFO) for i in range(20)]
    worse = [(time, component, text, ERROR) for time, component, text, _ in new]
    assert (
        0 < blame(found([*usual(START, END), *new]), "cart") < 0.5 * blame(found([*usual(START, END), *worse]), "cart")
    )


def test_twice_the_lines_at_twice_the_traffic_are_no_burst() -> None:
    before = spans(np.arange(0, 3600, 1.0).tolist(), "cart")
    now = spans(np.arange(START, END, 0.5).tolist(), "cart")
    doubled = usual(START, END, every=1.0, components=("cart",))
    healthy = usual(0, 3600, components=("cart",))
    assert found(doubled, healthy=healthy, traffic=(before, now)) == []


@settings(EXAMPLES)
@given(st.sampled_from([0.25, 0.5, 1.0, 2.0, 4.0]))
def test_all_lines_together_may_grow_or_shrink_without_a_trace_being_known(factor: float) -> None:
    assert found(usual(START, END, every=2.0 / factor)) == []


def test_more_lines_at_the_same_traffic_are_a_burst() -> None:
    more = [(START + 3 + i, "cart", "cache was read", INFO) for i in range(250)]
    assert kinds(found([*usual(START, END), *more])) == {("log.burst", "cart")}


def test_a_line_that_always_came_and_stops_is_silence() -> None:
    rows = [row for row in usual(START, END) if row[1] != "cart" or row[2] != "cache was read"]
    events = found(rows)
    assert kinds(events) == {("log.silence", "cart")}
    assert events[0].direction == "down"
    assert events[0].evidence is not None
    assert "hardly writes 'cache was read' any more: 0 times in" in events[0].evidence.sentence


def test_a_component_that_stops_writing_is_told_once() -> None:
    events = found(usual(START, END, components=("front", "redis-db")))
    assert [(event.kind, event.component, event.name) for event in events] == [("log.silence", "cart", "all lines")]


def test_silence_with_no_requests_served_is_no_wonder() -> None:
    before = spans(np.arange(0, 3600, 1.0).tolist(), "cart")
    now = spans([START + 1.0, START + 2.0], "front")
    rows = usual(START, END, components=("front", "redis-db"))
    assert ("log.silence", "cart") not in kinds(found(rows, traffic=(before, now)))


def test_a_new_exception_class_is_told_by_its_type() -> None:
    rows = [(START + 9 * i, "cart", "x.Y#3 served\n at java.io.BadDiskException", ERROR) for i in range(20)]
    (event,) = [e for e in found([*usual(START, END), *rows]) if e.kind == "error.exception"]
    assert event.attributes["type"] == "BadDiskException"
    assert event.component == "cart"


def test_more_warnings_among_known_lines_are_a_shift_of_level() -> None:
    warned = [(float(t), "cart", "slow answer of disk", WARN) for t in range(30, 3600, 300)]
    rows = [*usual(START, END), *((START + 5.0 * i, "cart", "slow answer of disk", WARN) for i in range(60))]
    events = found(rows, healthy=[*usual(0, 3600), *warned])
    assert ("log.level_shift", "cart") in kinds(events)
    assert ("log.new_template", "cart") not in kinds(events)


def test_an_error_that_names_another_component_blames_that_one() -> None:
    rows = [(START + 9 * i, "cart", "call of redis-db failed", ERROR) for i in range(20)]
    events = found([*usual(START, END), *rows])
    assert blame(events, "cart") == 0.0
    assert blame(events, "redis-db") > 0.4
    (own,) = [event for event in events if event.component == "cart"]
    assert own.evidence is not None
    assert "it speaks of redis-db, so cart is not blamed for it" in own.evidence.sentence
    (other,) = [event for event in events if event.component == "redis-db"]
    assert (other.kind, other.name) == ("dependency.blamed", "cart")
    assert other.evidence is not None
    assert other.evidence.group == "complaint of cart"


def test_an_error_about_something_upstream_blames_nobody() -> None:
    rows = [(START + 9 * i, "cart", "upstream did not answer", ERROR) for i in range(20)]
    events = found([*usual(START, END), *rows])
    assert {event.component for event in events} == {"cart"}
    assert blame(events, "cart") == 0.0


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("redis-db is gone", ("redis-db",)),
        ("redis-db-2 is gone", ()),
        ("predis-db is gone", ()),
        ("request of front failed", ()),
        ("cart itself failed", ()),
        ("failed pod=redis-db", ()),
    ],
)
def test_only_whole_names_of_what_may_be_depended_on_count(text: str, named: tuple[str, ...]) -> None:
    assert Complaints(["front", "cart", "redis-db"], TOPOLOGY).named_by("cart", text) == named


def test_a_new_pod_is_held_against_the_replicas_of_its_service() -> None:
    topology = Topology.from_edges([], components=["cart-a", "cart-b"], replica_of={"cart-a": "cart", "cart-b": "cart"})
    rows = usual(START, END, components=("cart-b",))
    assert found(rows, healthy=usual(0, 3600, components=("cart-a",)), topology=topology) == []


def test_an_unknown_component_is_told_only_for_what_it_warns_of() -> None:
    calm = usual(START, END, components=("front", "cart", "redis-db", "stranger"))
    assert found(calm) == []
    loud = [(START + 9 * i, "stranger", "no space left", ERROR) for i in range(20)]
    assert ("log.new_template", "stranger") in kinds(found([*calm, *loud]))


def test_without_healthy_logs_only_new_errors_after_the_first_onset_count() -> None:
    before = usual(0, 3600)
    errors = [(START + 9 * i, "cart", "disk is full", ERROR) for i in range(20)]
    news = [(START + 9 * i, "front", "switched over to standby", INFO) for i in range(20)]
    assert kinds(found([*before, *usual(START, END), *errors, *news], known=False)) == {("log.new_template", "cart")}
    assert found([*errors, *news], known=False) == []


def test_no_more_than_five_events_of_a_component_and_the_strongest_of_them() -> None:
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]
    rows = [
        (START + i, "cart", " ".join([word] * (n + 2)), ERROR)
        for n, word in enumerate(words)
        for i in range(10 + 20 * n)
    ]
    events = [event for event in found([*usual(START, END), *rows]) if event.component == "cart"]
    assert len(events) == MOST_EVENTS
    assert any("theta" in event.name for event in events)
    assert not any("alpha" in event.name for event in events)


def test_onsets_are_averaged() -> None:
    rows = [*usual(START, END), *((START + 9 * i, "cart", "disk is full", ERROR) for i in range(10))]
    early, late = blame(found(rows), "cart"), blame(found(rows, onsets=(START + 200,)), "cart")
    assert late == 0.0
    assert blame(found(rows, onsets=(START, START + 200)), "cart") == pytest.approx(early / 2)


@settings(EXAMPLES, max_examples=5)
@given(st.randoms())
def test_shuffled_lines_raise_the_same_events(random: object) -> None:
    rows = [*usual(START, END), *((START + 9 * i, "cart", f"disk {i} is full", ERROR) for i in range(20))]
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert found(shuffled) == found(rows)


@settings(EXAMPLES)
@given(
    st.lists(
        st.tuples(
            st.floats(START - 60, END + 60),
            st.sampled_from(["front", "cart", "new"]),
            st.text(max_size=30),
            st.integers(0, 6),
        ),
        max_size=30,
    ),
    st.booleans(),
)
def test_no_lines_whatever_break_the_extraction(rows: list[Row], known: bool) -> None:
    for event in found(rows, known=known):
        assert event.evidence is not None
        assert 0.0 <= event.evidence.blame <= 0.5


def test_a_rate_against_itself_says_nothing_and_more_says_more() -> None:
    n0, t0 = np.array(60.0), np.array(60.0)
    same, twice, ten = (float(poisson_ratio(np.array(n), np.array(10.0), n0, t0)) for n in (10.0, 20.0, 100.0))
    assert abs(same) < 0.01
    assert 0.5 < twice < ten
    assert float(poisson_ratio(np.array(0.0), np.array(10.0), n0, t0)) < -2
    assert float(poisson_ratio(np.array(5.0), np.array(0.0), n0, t0)) == 0.0
