from dataclasses import replace

import numpy as np
import pytest

from rca.errors import EvaluationError
from rca.evaluation.baselines import (
    BASELINES,
    alert_count,
    baro,
    components_of,
    latest_change,
    latest_change_id,
    max_z,
    nsigma,
    split_time,
)
from rca.health import HealthProfile
from rca.health.metrics import MetricHealth
from rca.telemetry import NO_PEER, MetricFrame, Telemetry
from rca.topology import Topology
from rca.types import SECOND, Alert, Case, Change, Incident, Window


def frame(series, times):
    names = tuple(sorted(series))
    codes = np.arange(len(names), dtype=np.int32)
    return MetricFrame(
        components=names,
        metrics=("cpu",),
        component=codes,
        metric=np.zeros(len(names), np.int32),
        peer=np.full(len(names), NO_PEER, np.int32),
        times=np.asarray(times, np.int64) * SECOND,
        values=np.array([series[name] for name in names], np.float32),
    )


def case_of(series=None, *, onset=6, alerts=(), changes=(), health=None, topology=None):
    telemetry = Telemetry(
        metrics=frame(series, range(1, 9)) if series else MetricFrame.empty(), alerts=alerts, changes=changes
    )
    incident = Incident(
        id="one",
        window=Window(start=5 * SECOND, end=9 * SECOND),
        detected_at=7 * SECOND,
        onset=None if onset is None else onset * SECOND,
    )
    return Case(incident=incident, telemetry=telemetry, health=health, topology=topology)


# five healthy samples (mean 3, standard deviation sqrt 2, median 3, IQR 2), then three
NORMAL = [1, 2, 3, 4, 5]
SERIES = {"up": [*NORMAL, 3, 9, 3], "down": [*NORMAL, -7, 3, 3], "calm": [*NORMAL, 3, 4, 3], "flat": [2] * 8}


def test_nsigma_is_the_highest_z_score_and_blind_to_drops():
    root2 = np.sqrt(2)
    assert nsigma(case_of(SERIES)) == pytest.approx({"up": 6 / root2, "down": 0.0, "calm": 1 / root2})


def test_the_largest_z_sees_both_directions():
    root2 = np.sqrt(2)
    assert max_z(case_of(SERIES)) == pytest.approx({"up": 6 / root2, "down": 10 / root2, "calm": 1 / root2})


def test_baro_is_the_highest_distance_from_the_median_in_interquartile_ranges():
    assert baro(case_of(SERIES)) == pytest.approx({"up": 3.0, "down": 0.0, "calm": 0.5})


def test_a_missing_sample_is_ignored():
    holes = {"up": [1, 2, 3, 4, 5, np.nan, 9, 3], "calm": [1, np.nan, 3, np.nan, 5, 3, 4, 3]}
    assert baro(case_of(holes)) == pytest.approx({"up": 3.0, "calm": 0.5})
    assert nsigma(case_of(holes))["calm"] == pytest.approx(1 / np.sqrt(8 / 3))


def test_alerts_are_counted_where_there_are_any():
    alerts = tuple(Alert(component=name, name="x") for name in ("a", "b", "b", ""))
    assert alert_count(case_of(SERIES, alerts=alerts)) == {"a": 1.0, "b": 2.0}


def test_without_alerts_metrics_beyond_three_sigma_are_counted():
    assert alert_count(case_of(SERIES)) == {"up": 1.0, "down": 1.0, "calm": 0.0}


def test_the_split_is_the_onset_else_the_alert_else_the_window():
    assert split_time(case_of(SERIES)) == 6 * SECOND
    assert split_time(case_of(SERIES, onset=None)) == 7 * SECOND
    late = case_of(SERIES, onset=None)
    late = replace(late, incident=replace(late.incident, detected_at=9 * SECOND))
    assert split_time(late) == 5 * SECOND


def test_without_healthy_samples_of_its_own_a_case_is_compared_with_the_profile_s():
    history = frame({"up": NORMAL, "calm": NORMAL, "gone": NORMAL}, range(5))
    health = HealthProfile(metrics=MetricHealth(sample=history))
    case = case_of({name: SERIES[name] for name in ("up", "calm", "down")}, onset=1, health=health)
    case = replace(case, incident=replace(case.incident, window=Window(start=1 * SECOND, end=9 * SECOND)))
    assert baro(case) == pytest.approx({"up": 3.0, "calm": 1.0})


def test_baselines_get_all_the_healthy_time_that_the_engine_gets():
    # own samples 1 to 5 alone have median 3 and IQR 2; with 11 to 15 they have median 8 and IQR 9.5
    health = HealthProfile(metrics=MetricHealth(sample=frame({"up": [11, 12, 13, 14, 15]}, range(5))))
    case = case_of({"up": [*NORMAL, 3, 27, 3], "calm": SERIES["calm"]}, health=health)
    assert baro(case) == pytest.approx({"up": (27 - 8) / 9.5, "calm": 0.5})


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_a_method_without_anything_to_go_by_says_so(name):
    with pytest.raises(EvaluationError, match="incident one"):
        BASELINES[name](case_of())


def test_the_latest_change_before_the_alert_is_blamed():
    changes = (
        Change(id="old", component="a", kind="change.config", name="", time=1 * SECOND),
        Change(
            id="deploy", component="b", kind="change.deployment", name="", time=3 * SECOND, attributes={"commit": "c0"}
        ),
        Change(id="flag", component="c", kind="change.flag", name="", time=4 * SECOND),
        Change(id="unshipped", component="", kind="change.commit", name="", time=5 * SECOND),
        Change(id="after", component="d", kind="change.deployment", name="", time=8 * SECOND),
    )
    case = case_of(changes=changes)
    assert latest_change(case) == {"a": -6.0, "b": -4.0, "c": -3.0}
    assert latest_change_id(case) == "c0"
    assert latest_change_id(case_of(changes=changes[:1])) == "old"
    assert latest_change_id(case_of()) == "none"


def test_candidates_are_all_that_telemetry_and_topology_know():
    topology = Topology.from_edges([("calm", "db")])
    assert components_of(case_of(SERIES, topology=topology)) == ("calm", "db", "down", "flat", "up")
