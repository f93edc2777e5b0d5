"""What every extractor is given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rca.extract.context import healthy_window, prepare
from rca.health.build import build_profile
from rca.settings import Settings
from rca.telemetry import Telemetry
from rca.types import MINUTE, Case, Incident, Window


def test_without_a_profile_the_baseline_makes_a_small_one(shop) -> None:
    context = prepare(shop.case(), Settings())
    assert context.health.small
    assert context.health.requests is not None
    assert context.health.requests.requests.max() == 300


def test_a_given_profile_is_used_as_it_is(shop) -> None:
    profile = build_profile(shop.telemetry().slice(shop.health))
    assert prepare(replace(shop.case(), health=profile), Settings()).health is profile


def test_given_and_observed_dependencies_are_joined(shop) -> None:
    case = replace(shop.case(), topology=shop.topology.from_edges([("portal", "shop")]))
    topology = prepare(case, Settings()).topology
    assert topology.callees("portal") == ("shop",)
    assert set(topology.callees("shop")) == {"cart", "pay"}
    assert topology.callees("cart") == ("store",)


def test_components_are_those_of_telemetry_topology_and_services_of_replicas(shop) -> None:
    topology = shop.topology.from_edges([("shop", "pay-0")], replica_of={"pay-0": "pay-service"})
    names = shop.context(topology=topology).components
    assert names == tuple(sorted(names))
    assert {"cart", "pay", "pay-0", "pay-service", "shop", "store"} <= set(names)


def test_log_lines_have_the_templates_of_the_profile_first(shop) -> None:
    context = shop.context()
    assert len(context.template_of) == len(context.case.telemetry.logs)
    assert context.health.logs is not None
    known = context.health.logs.miner.templates
    assert context.templates[: len(known)] == known
    assert {context.templates[code] for code in np.unique(context.template_of)} <= set(known)


@pytest.mark.parametrize(
    ("facts", "earliest", "expected"),
    [
        ({"baseline": Window(start=MINUTE, end=2 * MINUTE)}, 9 * MINUTE, (MINUTE, 2 * MINUTE)),
        ({}, 9 * MINUTE, (0, 5 * MINUTE)),
        ({}, 3 * MINUTE, (0, 3 * MINUTE)),
        ({}, -MINUTE, (-MINUTE, -MINUTE)),
    ],
)
def test_health_is_the_baseline_else_all_before_the_window_and_the_earliest_onset(
    facts: dict[str, Window], earliest: int, expected: tuple[int, int]
) -> None:
    incident = Incident(id="x", window=Window(start=5 * MINUTE, end=9 * MINUTE), **facts)
    found = healthy_window(incident, earliest)
    assert (found.start, found.end) == expected


def test_an_empty_case_can_be_prepared() -> None:
    case = Case(incident=Incident(id="x", window=Window(start=0, end=MINUTE)), telemetry=Telemetry())
    context = prepare(case, Settings())
    assert context.components == ()
    assert context.templates == ()
    assert len(context.requests) == 0
    assert context.span.end > context.span.start
