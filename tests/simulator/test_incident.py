from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from rca.errors import InputError, RCAError, SettingsError
from rca.simulator import FAULTS, Scenario, simulate, simulate_history, simulate_many
from rca.types import MINUTE, Change

SCRIPT = Path(__file__).with_name("fingerprints.py")
_spec = importlib.util.spec_from_file_location("fingerprints", SCRIPT)
assert _spec is not None and _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
fingerprint = _module.fingerprint


def test_the_same_seed_gives_the_same_bytes_whatever_the_hash_seed() -> None:
    printed = []
    for hash_seed in ("0", "4"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(SCRIPT.parents[2])}
        run = subprocess.run([sys.executable, str(SCRIPT)], env=environment, capture_output=True, text=True, check=True)
        printed.append(run.stdout.split())
    here = [fingerprint(*simulate(seed=seed, components=20)) for seed in range(3)]
    assert printed == [here, here]


def test_different_seeds_give_different_incidents() -> None:
    seen = {fingerprint(*result) for result in simulate_many(range(6), components=12, fault="cpu")}
    assert len(seen) == 6


def test_the_shop_of_a_seed_is_the_same_whatever_happens_in_it() -> None:
    shops = [simulate(seed=8, fault=fault, metrics_only=True)[0].topology for fault in ("cpu", "slow_query", None)]
    assert shops[0] is not None
    for other in shops[1:]:
        assert other is not None
        assert other.components == shops[0].components
        assert other.attributes == shops[0].attributes
        np.testing.assert_array_equal(other.weight, shops[0].weight)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("components", [10, 40])
def test_answers_name_components_and_changes_that_exist(fault: str, components: int) -> None:
    case, answer = simulate(seed=components, components=components, fault=fault, metrics_only=True)
    assert case.topology is not None
    assert answer.kind == fault
    assert answer.components
    assert {*answer.components, *answer.blast_radius, answer.first_failing} <= set(case.topology.components)
    assert set(answer.components) & {*case.telemetry.components, *case.topology.replica_of.values()}
    ids = {change.id for change in case.telemetry.changes}
    assert set(answer.decoys) <= ids
    assert answer.change == "none" or answer.change in ids
    assert answer.change not in answer.decoys


@pytest.mark.parametrize("fault", ["bad_deployment", "bad_config", "flag", "delayed_onset"])
def test_the_culprit_precedes_the_alert_on_the_service_to_blame(fault: str) -> None:
    for seed in range(5):
        case, answer = simulate(seed=seed, fault=fault, metrics_only=True)
        change = _change(case.telemetry.changes, answer.change)
        assert change.component in answer.components
        assert change.time < case.incident.alert_time
        if fault == "delayed_onset":
            assert change.time <= case.incident.alert_time - 20 * MINUTE


def _change(changes: tuple[Change, ...], wanted: str | None) -> Change:
    return next(change for change in changes if change.id == wanted)


def test_a_replica_and_its_service_are_equally_right() -> None:
    found = 0
    for seed in range(25):
        case, answer = simulate(seed=seed, fault="cpu", metrics_only=True)
        assert case.topology is not None
        root = answer.components[0]
        if root in case.topology.replica_of:
            found += 1
            assert case.topology.replica_of[root] in answer.components
    assert found


def test_without_a_fault_there_is_an_alert_but_nothing_to_blame() -> None:
    for fault in (None, "none"):
        case, answer = simulate(seed=4, fault=fault)
        assert (answer.components, answer.kind, answer.change) == ((), "none", "none")
        assert answer.blast_radius == () and answer.first_failing is None
        assert case.incident.symptoms and case.telemetry.alerts
        assert {change.id for change in case.telemetry.changes} == set(answer.decoys)


def test_the_alert_fires_two_to_six_minutes_after_an_onset_inside_the_window() -> None:
    for case, _ in simulate_many(range(20), metrics_only=True):
        incident = case.incident
        assert incident.onset is None
        assert incident.window.start + 6 * MINUTE <= incident.alert_time <= incident.window.start + 15 * MINUTE
        assert incident.baseline is not None and incident.baseline.end == incident.window.start


def test_parts_can_be_left_out() -> None:
    case, _ = simulate(seed=1, metrics_only=True, no_topology=True, no_symptom=True)
    assert len(case.telemetry.spans) == len(case.telemetry.logs) == 0
    assert case.topology is None
    assert case.incident.symptoms == () and case.incident.title == ""
    assert not any(alert.labels.get("severity") == "critical" and alert.time == case.incident.detected_at
                   for alert in case.telemetry.alerts)  # fmt: skip


def test_history_is_of_the_same_shop_and_ends_where_the_baseline_starts() -> None:
    case, _ = simulate(seed=5, components=20, fault="cpu")
    history = simulate_history(seed=5, days=0.5, traced_minutes=10, components=20)
    now = case.telemetry.metrics
    assert case.incident.baseline is not None
    assert history.metrics.components == now.components
    np.testing.assert_array_equal(history.metrics.component, now.component)
    assert history.metrics.values.shape[1] == 720
    # A scrape tells of the step before it.
    assert history.metrics.times[-1] <= case.incident.baseline.start
    assert history.changes == () and history.alerts == ()
    assert len(history.spans) and len(history.logs)


def test_history_has_the_levels_of_the_incidents_baseline() -> None:
    case, _ = simulate(seed=6, components=40, fault="cpu", metrics_only=True)
    history = simulate_history(seed=6, days=1.0, components=40, metrics_only=True).metrics
    frame = case.telemetry.metrics
    assert case.incident.baseline is not None
    before = frame.slice(case.incident.baseline).values
    for metric in ("container_disk_io_bytes_per_second", "process_threads", "container_memory_working_set_bytes"):
        series = frame.metric == frame.metrics.index(metric)
        ratio = np.nanmedian(before[series], axis=1) / np.nanmedian(history.values[series], axis=1)
        assert (ratio > 0.5).all() and (ratio < 2.0).all(), metric
    limits = frame.metric == frame.metrics.index("db_connections_limit")
    np.testing.assert_array_equal(np.nanmax(before[limits], axis=1), np.nanmax(history.values[limits], axis=1))


def test_ten_to_five_thousand_components_are_counted_exactly() -> None:
    for count in (10, 11, 15, 33, 700):
        case, _ = simulate(seed=2, components=count, metrics_only=True)
        assert len(case.telemetry.metrics.components) == count


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"seed": -1}, SettingsError),
        ({"seed": 1, "components": 9}, SettingsError),
        ({"seed": 1, "components": 5_001}, SettingsError),
        ({"seed": 1, "fault": "gremlins"}, InputError),
        ({"seed": 1, "minutes": 5}, SettingsError),
        ({"seed": 1, "step": 3_600}, SettingsError),
        ({"seed": 1, "traces_per_minute": 0.0}, SettingsError),
        ({"seed": 1, "traces_per_minute": float("nan")}, SettingsError),
        ({"seed": 1, "traced_baseline": 61}, SettingsError),
    ],
)
def test_a_parameter_out_of_range_is_an_error_with_a_remedy(wrong: dict[str, object], error: type[RCAError]) -> None:
    with pytest.raises(error) as raised:
        Scenario(**wrong)  # type: ignore[arg-type]
    assert raised.value.remedy


def test_simulate_takes_every_parameter_of_a_scenario() -> None:
    import inspect

    assert list(inspect.signature(simulate).parameters) == [field.name for field in fields(Scenario)]
