"""Calls that metrics measure at both ends: shop asks cart, cart asks store."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rca.extract.context import Context
from rca.extract.edge_metrics import CALLS_PER_SAMPLE, pair_samples
from rca.extract.lost_calls import extract_lost_calls
from rca.extract.network import extract_network
from rca.extract.silence import extract_silence
from rca.health.metrics import MetricHealth
from rca.health.profile import HealthProfile
from rca.telemetry import MetricFrame, Telemetry
from rca.topology import Topology
from rca.types import MINUTE

HEALTHY, MINUTES = 30, 40
CLIENT, SERVER, ERRORS = "client_latency_seconds", "server_latency_seconds", "client_error_ratio"


def rows(**changed: float) -> dict[tuple[str, str, str], np.ndarray]:
    """Each edge at the client, and cart's and shop's calls at the server; ``changed`` holds from minute 30 on."""
    levels = {
        ("shop", CLIENT, "cart"): 0.040,
        ("cart", SERVER, "shop"): 0.030,
        ("cart", CLIENT, "store"): 0.020,
        ("shop", ERRORS, "cart"): 0.0,
    }
    broken = dict(zip(("call", "served", "store", "errors"), levels, strict=True))
    found = {key: np.full(MINUTES, level) for key, level in levels.items()}
    for name, level in changed.items():
        found[broken[name]][HEALTHY:] = level
    return found


def context(shop, **changed: float) -> Context:
    series = rows(**changed)
    frame = MetricFrame.from_rows(
        times=shop.health.start + MINUTE * np.tile(np.arange(1, MINUTES + 1), len(series)),
        components=np.repeat([key[0] for key in series], MINUTES),
        metrics=np.repeat([key[1] for key in series], MINUTES),
        peers=np.repeat([key[2] for key in series], MINUTES).astype(object),
        values=np.concatenate(list(series.values())),
    )
    return shop.context(
        telemetry=Telemetry(metrics=frame),
        topology=Topology.from_edges([("shop", "cart"), ("cart", "store")]),
        health=HealthProfile(metrics=MetricHealth.build(frame, frame.times <= shop.health.end)),
        onsets=np.array([shop.health.end]),
        ends=np.array([shop.window.end]),
    )


def network(told: Context) -> dict[str, str]:
    events = extract_network(told, told.requests.calls, pair_samples(told))
    return {event.component: event.kind for event in events}


def test_the_ends_of_each_call_are_joined(shop) -> None:
    samples = pair_samples(context(shop))
    edges = list(zip(samples.sort, samples.callers, samples.callees, strict=True))
    assert ("network", "shop", "cart") in edges
    assert ("whole", "cart", "store") in edges
    assert not (samples.late & samples.known).any()


def test_what_only_the_client_sees_later_is_the_network(shop) -> None:
    # .140 at the client and .030 at the server: .110 on the way where .010 were.
    assert network(context(shop, call=0.140))["cart"] == "network.slow"


def test_what_both_ends_see_later_is_not_the_network(shop) -> None:
    assert "cart" not in network(context(shop, call=0.140, served=0.130))


def test_where_the_callee_measures_nothing_the_whole_call_is_told(shop) -> None:
    assert network(context(shop, store=0.200))["store"] == "self_time.up"


def test_each_sample_counts_as_a_few_calls(shop) -> None:
    told = context(shop, call=0.140)
    samples = pair_samples(told)
    slow, judged = samples.counts(samples.rows_of("network"), told.onsets, told.ends)
    assert slow.tolist() == judged.tolist() == [[10 * CALLS_PER_SAMPLE]]


def test_failures_that_only_the_client_sees_are_lost_calls(shop) -> None:
    told = context(shop, errors=0.5)
    found = extract_lost_calls(told, told.requests.calls, pair_samples(told))
    assert [(event.kind, event.component) for event in found] == [("calls.failing", "cart")]


def test_a_component_that_is_still_called_and_calls_nobody_any_more_is_silent(shop) -> None:
    told = context(shop, store=np.nan)
    (event,) = extract_silence(told, pair_samples(told))
    assert (event.kind, event.component) == ("signal.missing", "cart")
    assert "10 of 10 samples (healthy: 0 of 30)" in event.evidence.sentence


def test_healthy_calls_say_nothing(shop) -> None:
    told = context(shop)
    samples = pair_samples(told)
    assert network(told) == {}
    assert extract_silence(told, samples) == []
    assert extract_lost_calls(told, told.requests.calls, samples) == []


@pytest.mark.parametrize("frame", [MetricFrame.empty(), None])
def test_metrics_without_peers_have_no_edges(shop, frame: MetricFrame | None) -> None:
    told = shop.context()
    if frame is not None:
        told = replace(told, case=replace(told.case, telemetry=Telemetry(metrics=frame)))
    samples = pair_samples(told)
    assert samples.sort == ()
    assert extract_silence(told, samples) == []
