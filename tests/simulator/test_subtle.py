"""Faults that no single metric of the root shows."""

from __future__ import annotations

import numpy as np
import pytest

from rca.extract.meaning import classify
from rca.simulator import Scenario, simulate, simulate_history
from rca.simulator.dynamics import Effects, draw_weather, run
from rca.simulator.faults import Scene
from rca.simulator.scenario import SUBTLE_FAULTS
from rca.simulator.sites import Sites
from rca.simulator.subtle import inject_subtle
from rca.simulator.world import build_world
from rca.types import MINUTE, Answer, Case, Window

WORLD, SEEDS = 5, range(20, 32)
OWN = ("cpu", "memory", "disk", "network")


@pytest.fixture(scope="module")
def incidents() -> dict[str, list[tuple[Case, Answer]]]:
    return {
        fault: [simulate(seed=seed, world=WORLD, fault=fault) for seed in SEEDS]
        for fault in ("multivariate", "slow-onset")
    }


def own_resources(case: Case, answer: Answer) -> dict[str, np.ndarray]:
    """Samples of the root's resources from the alert on."""
    frame, root = case.telemetry.metrics, answer.components[0]
    late = frame.times > case.incident.alert_time
    rows = [
        row
        for row in range(len(frame.values))
        if frame.components[frame.component[row]] == root and classify(frame.metrics[frame.metric[row]]).family in OWN
    ]
    return {frame.metrics[frame.metric[row]]: frame.values[row, late] for row in rows}


def test_a_hyphen_may_stand_for_the_underscore() -> None:
    case, answer = simulate(seed=3, fault="slow-onset", components=12)
    assert answer.kind == "slow_onset"
    again = simulate(seed=3, fault="slow_onset", components=12)[0]
    np.testing.assert_array_equal(again.telemetry.metrics.values, case.telemetry.metrics.values)


@pytest.mark.parametrize("fault", ["multivariate", "slow-onset"])
def test_each_metric_of_the_root_stays_within_what_it_reaches_on_healthy_days(
    fault: str, incidents: dict[str, list[tuple[Case, Answer]]]
) -> None:
    history = simulate_history(seed=0, world=WORLD, days=2, traced_minutes=0).metrics
    names = [
        (history.components[c], history.metrics[m]) for c, m in zip(history.component, history.metric, strict=True)
    ]
    inside = []
    for case, answer in incidents[fault]:
        for metric, samples in own_resources(case, answer).items():
            healthy = history.values[names.index((answer.components[0], metric))]
            low, high = np.nanquantile(healthy, (0.002, 0.998))
            inside.append(bool(low <= np.nanmedian(samples) <= high))
    assert np.mean(inside) > 0.9


def test_users_feel_it_at_an_entry_and_the_root_is_seldom_the_loudest(
    incidents: dict[str, list[tuple[Case, Answer]]],
) -> None:
    for case, answer in (pair for pairs in incidents.values() for pair in pairs):
        frame, symptom = case.telemetry.metrics, case.incident.symptoms[0]
        assert symptom.component not in answer.components
        row = next(
            row
            for row in range(len(frame.values))
            if frame.components[frame.component[row]] == symptom.component
            and frame.metrics[frame.metric[row]] == symptom.metric
        )
        early = frame.times <= case.incident.window.start - 30 * MINUTE
        late = frame.times > case.incident.alert_time
        assert np.nanmedian(frame.values[row, late]) > 1.15 * np.nanmedian(frame.values[row, early])


def test_a_slow_drift_begins_long_before_the_alert_and_an_abrupt_break_shortly_before_it() -> None:
    world = build_world(Scenario(seed=0, world=WORLD))
    for fault, least, most in (("slow-onset", 35.0, 170.0), ("multivariate", 1.0, 15.0)):
        for seed in SEEDS:
            scenario = Scenario(seed=seed, world=WORLD, fault=fault, baseline=240)
            times = scenario.axis(Window(start=scenario.healthy.start, end=scenario.window.end))
            effects = Effects.none(world, len(times))
            sites = Sites.survey(world, run(world, draw_weather(scenario.stream(1), world, times), effects))
            scene = Scene(
                rng=scenario.stream(2),
                sites=sites,
                weather=draw_weather(scenario.stream(1), world, times),
                effects=effects,
                times=times,
                step=MINUTE,
                onset=scenario.window.start + 6 * MINUTE,
            )
            roots = inject_subtle(scenario.kind, scene).roots
            changed = np.any(
                [getattr(effects, name)[list(roots)] != 1 for name in ("memory", "disk", "network")], axis=0
            )
            changed |= effects.cpu[list(roots)] != 0
            first = int(times[np.flatnonzero(changed.any(axis=0))[0]])
            assert least <= (scene.onset - first) / MINUTE + 5.0 <= most + 5.0


def test_the_telemetry_is_metrics_alone_and_the_shop_is_known(
    incidents: dict[str, list[tuple[Case, Answer]]],
) -> None:
    for case, answer in (pair for pairs in incidents.values() for pair in pairs):
        assert not len(case.telemetry.spans) and not len(case.telemetry.logs)
        assert case.topology is not None
        assert answer.change == "none"


def test_incidents_of_one_world_happen_in_one_shop_after_its_history() -> None:
    history = simulate_history(seed=0, world=WORLD, days=1, traced_minutes=0).metrics
    cases = [simulate(seed=seed, world=WORLD, fault=fault)[0] for seed in (1, 2) for fault in SUBTLE_FAULTS]
    for case in cases:
        frame = case.telemetry.metrics
        assert case.topology is not None and cases[0].topology is not None
        assert case.topology.components == cases[0].topology.components
        np.testing.assert_array_equal(case.topology.callee, cases[0].topology.callee)
        assert frame.components == history.components
        assert frame.times[0] > history.times[-1]
    assert len({case.incident.window for case in cases}) == 2


def test_a_world_is_that_of_the_seed_where_none_is_given() -> None:
    own, given = simulate(seed=9, fault="cpu", components=12), simulate(seed=9, world=9, fault="cpu", components=12)
    np.testing.assert_array_equal(own[0].telemetry.metrics.values, given[0].telemetry.metrics.values)
