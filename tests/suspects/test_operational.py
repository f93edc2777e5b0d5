"""Causes that no code change explains, and what only looks like one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rca.suspects import find_operational
from rca.suspects.operational import belief_in, record_names
from rca.telemetry import ERROR
from rca.types import MINUTE, Event

Build = dict[str, Callable[..., Any]]

ONSET = 45 * MINUTE


def causes(shop: Any, first: str = "cart") -> dict[str, Event]:
    return {event.kind: event for event in find_operational(shop.context(), first, ONSET)}


def test_an_ordinary_incident_has_no_operational_cause(shop: Any) -> None:
    assert causes(shop) == {}
    assert belief_in([]) == 0


def test_demand_at_all_callers_is_a_cause_and_demand_of_one_component_is_not(shop: Any, ingredients: Build) -> None:
    rise, calm = ingredients["jump"](900, 6), ingredients["jump"](900, 1.5)
    both = replace(shop, series={**shop.series, ("web", "requests_per_sec"): rise, ("cart", "requests_per_sec"): rise})
    only = replace(shop, series={**shop.series, ("web", "requests_per_sec"): calm, ("cart", "requests_per_sec"): rise})
    assert causes(both)["traffic.up"].severity > 0.7
    assert "6.0 times" in causes(both)["traffic.up"].evidence.sentence  # type: ignore[union-attr]
    assert "traffic.up" not in causes(only)


def test_a_host_that_fills_up_first_is_a_cause_unless_the_component_itself_does(shop: Any, ingredients: Build) -> None:
    host = {("node-7", "node_cpu_utilization_ratio"): ingredients["jump"](0.3, 3, at=43)}
    first = replace(shop, series={**shop.series, **host})
    assert causes(first)["saturation.cpu"].severity == 0.9
    own = {("cart", "container_cpu_usage_cores"): ingredients["jump"](0.3, 3, at=42)}
    effect = replace(shop, series={**shop.series, **host, **own})
    assert causes(effect)["saturation.cpu"].severity == pytest.approx(0.1)


def test_a_host_on_which_neither_the_component_nor_a_callee_runs_is_hardly_a_cause(
    shop: Any, ingredients: Build
) -> None:
    host = {("node-7", "node_cpu_utilization_ratio"): ingredients["jump"](0.3, 3, at=43)}
    full = replace(shop, series={**shop.series, **host})
    for runs_on, belief in (("store", 0.9), ("web", 0.1)):
        hosts = {"cart": "node-1", "store": "node-1", "web": "node-1", runs_on: "node-7"}
        assert causes(replace(full, hosts=hosts))["saturation.cpu"].severity == belief


@pytest.mark.parametrize(
    ("metric", "belief"), [("node_memory_utilization_ratio", 0.1), ("node_cpu_utilization_ratio", 0.9)]
)
def test_memory_that_is_not_nearly_full_hurts_nobody(shop: Any, ingredients: Build, metric: str, belief: float) -> None:
    host = {("node-7", metric): ingredients["jump"](0.3, 2, at=43)}
    (event,) = find_operational(replace(shop, series={**shop.series, **host}).context(), "cart", ONSET)
    assert event.severity == belief


def test_a_host_that_fills_up_later_is_no_cause(shop: Any, ingredients: Build) -> None:
    host = {("node-7", "node_cpu_utilization_ratio"): ingredients["jump"](0.3, 3, at=48)}
    assert causes(replace(shop, series={**shop.series, **host})) == {}


def test_one_record_in_every_failure_is_bad_data_and_different_records_are_not(shop: Any, ingredients: Build) -> None:
    at = np.arange(45, 55, 1.0)
    same = ingredients["lines"]("cart", ERROR, "rejected record_id=evt-8f3a2174", at)
    bad = causes(replace(shop, lines=(*shop.lines, *same)))["data.out_of_range"]
    assert (bad.name, bad.severity) == ("evt-8f3a2174", 0.9)
    various = tuple((t, "cart", ERROR, f"rejected record_id=evt-8f3a{int(t):04d}") for t in at)
    assert "data.out_of_range" not in causes(replace(shop, lines=(*shop.lines, *various)))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("x509: certificate has expired", "external.certificate_expired"),
        ("dial tcp: lookup pay.example: no such host", "external.dns"),
        ("availability zone b is impaired", "external.region_impaired"),
        ("payment provider returns 503", "external.provider_error"),
        ("kubelet: node not ready", "host.pressure"),
    ],
)
def test_words_of_the_world_outside_are_causes(shop: Any, ingredients: Build, text: str, kind: str) -> None:
    assert kind in causes(replace(shop, lines=(*shop.lines, *ingredients["lines"]("cart", ERROR, text, [46.0]))))


def test_a_number_that_only_holds_an_error_code_is_no_provider_error(shop: Any, ingredients: Build) -> None:
    line = ingredients["lines"]("cart", ERROR, "carrier took 12579 ms", [46.0])
    assert causes(replace(shop, lines=(*shop.lines, *line))) == {}


def test_operational_causes_carry_no_blame_of_their_own(shop: Any, ingredients: Build) -> None:
    host = {("node-7", "node_cpu_utilization_ratio"): ingredients["jump"](0.3, 3, at=43)}
    for event in find_operational(replace(shop, series={**shop.series, **host}).context(), "cart", ONSET):
        assert event.evidence is not None
        assert event.evidence.blame == 0


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("record evt-8f3a2174 rejected", ["evt-8f3a2174"]),
        ("offset=148820291", ["148820291"]),
        ("took 150000ms", []),
        ("at 2026-06-24 ORA-12541 0xdeadbeef1234", []),
    ],
)
def test_records_are_told_from_dates_codes_addresses_and_quantities(line: str, names: list[str]) -> None:
    assert list(record_names(line)) == names
