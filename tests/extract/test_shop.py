"""What each extractor says of the shop of the root ``conftest.py``: each fault raises its event on its component.

In the window 80 requests come after the onset. A slow edge counts for at most 30 calls at
log10(.6 / .05) each: 32.4 powers of ten, a blame of 32.4 / (32.4 + 10) = .764.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rca.extract.all import EXTRACTORS, extract_events
from rca.extract.edge_metrics import pair_samples
from rca.extract.lost_calls import extract_lost_calls
from rca.extract.network import extract_network
from rca.extract.own_time import extract_own_time
from rca.extract.requests import extract_requests
from rca.extract.saturation import extract_saturation
from rca.health.profile import HealthProfile
from rca.kinds import load_kinds
from rca.stages import Stages
from rca.telemetry import Telemetry
from rca.topology import Topology
from rca.types import Event

SLOW = 30 * np.log10(0.6 / 0.05)
FAULTS = {
    "network": ("network.slow", "cart"),
    "own time": ("self_time.up", "pay"),
    "lost": ("calls.failing", "pay"),
    "missing": ("request.missing", "cart"),
    "breaks off": ("request.breaks_off", "cart"),
    "cpu": ("saturation.cpu", "cart"),
    "demand": ("traffic.up", "shop"),
}


def events_of(shop, fault: str, **facts: object) -> list[Event]:
    return extract_events(replace(shop, fault=fault).context(**facts), Stages())


def strongest(events: list[Event]) -> Event:
    return max((event for event in events if event.evidence), key=lambda event: event.evidence.blame)


def only(events: list[Event], kind: str) -> Event:
    found = [event for event in events if event.kind == kind and event.evidence.group not in ("order", "amount")]
    assert len(found) == 1, [event.id for event in found]
    return found[0]


def test_the_healthy_shop_raises_nothing_but_the_symptom(shop) -> None:
    assert {event.kind for event in events_of(shop, "")} == {"alert.firing"}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_raises_its_event_on_its_component(shop, fault: str) -> None:
    kind, component = FAULTS[fault]
    found = [e for e in events_of(shop, fault) if e.kind == kind and e.component == component]
    assert found
    assert strongest(found).evidence.blame > 0.6


@pytest.mark.parametrize("fault", FAULTS)
def test_every_event_is_of_the_catalogue_has_a_sentence_and_an_id_of_its_own(shop, fault: str) -> None:
    events = events_of(shop, fault)
    assert len({event.id for event in events}) == len(events)
    for event in events:
        assert event.kind in load_kinds()
        assert event.id.startswith(f"{event.kind}:{event.component}:")
        assert event.evidence is not None
        assert event.component in event.evidence.sentence
        assert np.isfinite(event.evidence.blame)


@pytest.mark.parametrize("fault", ["", *FAULTS])
def test_events_come_in_order_of_time_component_and_id(shop, fault: str) -> None:
    events = events_of(shop, fault)
    assert events == sorted(events, key=lambda event: (event.start, event.component, event.id))


def test_a_slow_network_is_told_by_the_calls_into_a_component(shop) -> None:
    context = replace(shop, fault="network").context()
    events = extract_network(context, context.requests.calls, pair_samples(context))
    into = next(event for event in events if event.component == "cart")
    assert into.kind == "network.slow"
    assert into.evidence.likelihood == pytest.approx(SLOW)
    assert into.evidence.blame == pytest.approx(SLOW / (SLOW + 10))
    assert into.evidence.sentence.startswith("100 % of 80 calls into cart")
    assert not into.evidence.explainable
    out = next(event for event in events if event.component == "shop")
    assert out.evidence.explainable


def test_own_time_leaves_the_wait_for_callees_out(shop) -> None:
    context = replace(shop, fault="own time").context()
    (event,) = extract_own_time(context, context.requests)
    assert event.component == "pay"
    assert event.evidence.likelihood == pytest.approx(SLOW)
    assert event.evidence.sentence.startswith("100 % of 80 requests of pay took longer than health allows")


def test_a_slow_network_is_nobodys_own_time(shop) -> None:
    context = replace(shop, fault="network").context()
    assert extract_own_time(context, context.requests) == []


def test_lost_calls_speak_against_the_callee(shop) -> None:
    context = replace(shop, fault="lost").context()
    (event,) = extract_lost_calls(context, context.requests.calls, pair_samples(context))
    assert event.component == "pay"
    assert event.evidence.sentence == "80 of 80 calls into pay fail without failing there, most of them from shop"


def test_a_caller_whose_calls_get_lost_towards_everybody_is_blamed_itself(shop) -> None:
    context = replace(shop, fault="lost").context()
    calls = context.requests.calls
    from_shop = np.array([edge.startswith("shop") for edge in calls.edges])
    both = replace(calls, lost=from_shop[calls.edge] & (calls.start >= shop.onset))
    events = {event.component: event for event in extract_lost_calls(context, both, pair_samples(context))}
    assert events["shop"].evidence.blame > events["pay"].evidence.blame
    assert events["shop"].evidence.sentence.startswith("calls out of shop fail towards 2 components")


def test_a_step_that_always_followed_and_no_longer_does_is_missing(shop) -> None:
    context = replace(shop, fault="missing").context()
    events = extract_requests(context, context.requests)
    (event,) = events
    assert (event.kind, event.component, event.direction) == ("request.missing", "cart", "down")
    assert (
        event.evidence.sentence == "cart GET /cart no longer calls 'store SELECT': 0 of 80 requests, healthy 300 of 300"
    )


def test_requests_that_newly_end_after_a_call_speak_against_the_callee(shop) -> None:
    context = replace(shop, fault="breaks off").context()
    events = {event.kind: event for event in extract_requests(context, context.requests)}
    assert events["request.breaks_off"].component == "cart"
    assert events["request.new"].component == "shop"
    assert events["request.new"].evidence.explainable
    # A callee has .7 of what its caller shows.
    assert events["request.breaks_off"].evidence.blame == pytest.approx(0.7 * events["request.new"].evidence.blame)
    assert "80 of 80 requests, healthy 0 of 300" in events["request.breaks_off"].evidence.sentence


def test_fewer_requests_of_the_same_kind_are_no_pattern(shop) -> None:
    spans = shop.spans()
    few = (spans.start < shop.onset) | (np.array([int(trace[1:]) for trace in spans.trace]) % 4 == 0)
    context = shop.context(telemetry=replace(shop.telemetry(), spans=spans.take(few)))
    assert extract_requests(context, context.requests) == []


def test_a_saturated_processor_is_told_with_its_level_and_its_health(shop) -> None:
    context = replace(shop, fault="cpu").context()
    (event,) = extract_saturation(context, context.requests)
    assert (event.kind, event.component) == ("saturation.cpu", "cart")
    # Level .2 and a scale of at least a tenth of it: .7 above it are 35 scales.
    assert event.evidence.likelihood == pytest.approx(35, rel=0.02)
    assert event.evidence.sentence.startswith("cpu_usage of cart rose to 0.9 (usually 0.2), 35")
    # Two samples in a row count: the run began with the first of them.
    assert event.start == shop.onset + 60 * 10**9


def test_a_resource_of_a_component_that_no_request_touches_counts_half(shop) -> None:
    context = replace(shop, fault="cpu").context()
    untouched = context.requests.take(context.requests.component != context.requests.components.index("cart"))
    (event,) = extract_saturation(context, untouched)
    (whole,) = extract_saturation(context, context.requests)
    assert event.evidence.sentence.endswith("; it reports no requests of its own")
    assert event.evidence.blame < whole.evidence.blame


def test_what_was_as_high_before_the_incident_is_no_news(shop) -> None:
    told = replace(shop, fault="cpu").telemetry()
    frame = told.metrics
    series = (frame.component == frame.components.index("cart")) & (frame.metric == frame.metrics.index("cpu_usage"))
    values = np.where(series[:, None] & (frame.times > shop.onset - 8 * 60 * 10**9), np.float32(0.9), frame.values)
    context = shop.context(telemetry=replace(told, metrics=replace(frame, values=values)))
    assert extract_saturation(context, context.requests) == []


def test_a_processor_that_works_more_because_it_is_asked_more_is_not_saturated(shop) -> None:
    told = replace(shop, fault="cpu").telemetry()
    frame = told.metrics
    cart = frame.component == frame.components.index("cart")
    rate = (cart & (frame.metric == frame.metrics.index("request_rate")))[:, None] & (frame.times > shop.onset)
    values = np.where(rate, np.float32(45), frame.values)
    context = shop.context(telemetry=replace(told, metrics=replace(frame, values=values)))
    assert extract_saturation(context, context.requests) == []


def test_demand_is_told_of_entries_only(shop) -> None:
    (event,) = [e for e in events_of(shop, "demand") if e.id.endswith(":demand")]
    assert event.component == "shop"
    assert event.evidence.sentence.startswith("shop is asked 4.0 times as much as in health")
    under = Topology.from_edges([("gateway", "shop"), ("shop", "cart")])
    assert not [e for e in events_of(shop, "demand", topology=under) if e.id.endswith(":demand")]


def test_without_health_nothing_is_compared(shop) -> None:
    for fault in FAULTS:
        context = replace(shop, fault=fault).context(health=HealthProfile())
        calls, samples = context.requests.calls, pair_samples(context)
        found = [
            *extract_requests(context, context.requests),
            *extract_network(context, calls, samples),
            *extract_lost_calls(context, calls, samples),
            *extract_own_time(context, context.requests),
            *extract_saturation(context, context.requests),
        ]
        assert found == []


def test_without_telemetry_no_extractor_says_anything_but_the_symptom(shop) -> None:
    context = shop.context(telemetry=Telemetry())
    for name, extract in EXTRACTORS:
        assert {event.kind for event in extract(context)} <= {"alert.firing"}, name


def test_evidence_before_the_onset_does_not_count(shop) -> None:
    # The fault ends where the evidence begins: the window's last minute is looked at, and healthy again.
    broken, healthy = replace(shop, fault="own time").spans(), shop.spans()
    late = shop.window.end - 60 * 10**9
    spans = replace(broken, duration=np.where(broken.start >= late, healthy.duration, broken.duration))
    context = shop.context(telemetry=replace(shop.telemetry(), spans=spans), onsets=np.array([late]))
    assert extract_own_time(context, context.requests) == []


def test_blame_is_the_mean_over_candidate_onsets(shop) -> None:
    before = shop.window.start
    onsets, ends = np.array([before, shop.onset]), np.array([shop.onset, shop.window.end])
    context = replace(shop, fault="own time").context(onsets=onsets, ends=ends)
    (event,) = extract_own_time(context, context.requests)
    assert event.evidence.blame == pytest.approx(SLOW / (SLOW + 10) / 2)
    assert event.start == shop.onset


def test_a_source_that_fails_is_a_warning_and_the_others_still_speak(shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from rca.errors import TelemetryError
    from rca.extract import all as every

    def broken(context: object) -> list[Event]:
        raise TelemetryError("the column is torn", where="logs")

    monkeypatch.setattr(every, "EXTRACTORS", (("logs", broken), *every.EXTRACTORS))
    stages = Stages()
    events = extract_events(replace(shop, fault="cpu").context(), stages)
    assert stages.warnings == ["no evidence from logs: logs: the column is torn"]
    assert any(event.kind == "saturation.cpu" for event in events)
