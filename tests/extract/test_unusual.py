"""What a trained detector adds: shop asks db; db's processor, disk and network follow its queries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rca.detectors.gaussian import GaussianDetector
from rca.detectors.protocol import Detector
from rca.detectors.short_long import trailing_mean
from rca.extract.context import prepare
from rca.extract.unusual import KIND, extract_unusual
from rca.pipeline import analyze
from rca.settings import Settings
from rca.telemetry import MetricFrame, Telemetry
from rca.topology import Topology
from rca.types import MINUTE, Case, Event, Incident, Symptom, Window, to_nanoseconds

START = to_nanoseconds("2026-03-10T00:00:00Z")
DAY = 1440
SERIES = (
    ("db", "db_queries_per_second", 40.0, 0.02),
    ("db", "container_cpu_utilization_ratio", 0.3, 0.03),
    ("db", "container_disk_io_bytes_per_second", 2e5, 0.03),
    ("db", "container_network_io_bytes_per_second", 5e4, 0.03),
    ("shop", "http_server_requests_per_second", 20.0, 0.02),
    ("shop", "http_server_request_duration_seconds_p95", 0.2, 0.03),
    ("shop", "container_cpu_utilization_ratio", 0.4, 0.03),
    ("shop", "container_disk_io_bytes_per_second", 1e5, 0.03),
    ("shop", "container_network_io_bytes_per_second", 9e4, 0.03),
)
LATENCY = 5


def measure(start: int, minutes: int, seed: int) -> MetricFrame:
    """Every series but the latency follows the traffic, which swings by a half."""
    rng = np.random.default_rng(seed)
    times = start + np.arange(minutes, dtype=np.int64) * MINUTE
    load = 1.0 + 0.5 * np.sin(2 * np.pi * np.arange(minutes) / 47.0)
    values = np.stack([level * (load if row != LATENCY else 1.0) * np.exp(spread * rng.normal(size=minutes))
                       for row, (_, _, level, spread) in enumerate(SERIES)])  # fmt: skip
    components, metrics = ("db", "shop"), tuple(sorted({metric for _, metric, _, _ in SERIES}))
    return MetricFrame(
        components=components,
        metrics=metrics,
        component=np.array([components.index(name) for name, _, _, _ in SERIES], np.int32),
        metric=np.array([metrics.index(metric) for _, metric, _, _ in SERIES], np.int32),
        peer=np.full(len(SERIES), -1, np.int32),
        times=times,
        values=values.astype(np.float32),
    )


@pytest.fixture(scope="module")
def detector() -> Detector:
    return GaussianDetector.fit(measure(START, 2 * DAY, seed=1))


def incident(*factors: tuple[int, float], minutes: int = 15) -> Case:
    """90 minutes of health, then a window in which series are multiplied from its fifth minute on."""
    frame = measure(START + 3 * DAY * MINUTE, 90 + 5 + minutes, seed=2)
    for row, factor in factors:
        frame.values[row, 95:] *= factor
    window = Window(start=int(frame.times[90]), end=int(frame.times[-1]) + MINUTE)
    symptom = Symptom(component="shop", metric=SERIES[LATENCY][1], direction="up")
    return Case(
        incident=Incident(
            id="broken relation",
            window=window,
            baseline=Window(start=int(frame.times[0]), end=window.start),
            detected_at=int(frame.times[99]),
            symptoms=(symptom,),
        ),
        telemetry=Telemetry(metrics=frame),
        topology=Topology.from_edges([("shop", "db")]),
    )


def events(case: Case, detector: Detector | None) -> list[Event]:
    return extract_unusual(prepare(case, Settings(), detector))


def test_without_a_trained_detector_there_is_nothing_to_add() -> None:
    assert events(incident((1, 0.6)), None) == []


def test_healthy_metrics_raise_nothing(detector: Detector) -> None:
    assert events(incident(), detector) == []


def test_a_metric_inside_its_range_that_no_longer_follows_the_others_is_unusual(detector: Detector) -> None:
    case = incident((1, 0.65))
    (found,) = events(case, detector)
    frame = case.telemetry.metrics
    before, after = frame.values[1, :90], frame.values[1, 95:]
    assert before.min() < np.median(after) < before.max()
    assert (found.component, found.kind, found.name, found.direction) == ("db", KIND, SERIES[1][1], "down")
    assert 0.5 < found.severity < 1.0
    assert abs(found.start - int(frame.times[95])) <= 6 * MINUTE
    assert found.evidence is not None and found.evidence.blame > 0


def test_the_sentence_says_which_metric_what_share_and_what_was_expected(detector: Detector) -> None:
    case = incident((1, 0.65))
    (found,) = events(case, detector)
    assert found.evidence is not None
    sentence = found.evidence.sentence
    at = int(np.searchsorted(case.telemetry.metrics.times, found.end))
    level = float(trailing_mean(case.telemetry.metrics.values[1, : at + 1], 12)[-1])
    assert "% of the deviation is container_cpu_utilization_ratio" in sentence
    assert f"at {100 * level:.0f} %" in sentence
    wanted = float(sentence.split(" % expected from the others")[0].rsplit(" ", 1)[-1]) / 100
    assert wanted == pytest.approx(level / 0.65, rel=0.12)
    shares = [float(part.rsplit(" ", 2)[-2 if part.endswith(" ") else -1]) for part in sentence.split(" % of the")[:-1]]
    assert shares == sorted(shares, reverse=True) and sum(shares) <= 101


def test_slow_answers_are_handed_on_and_speak_against_nobody(detector: Detector) -> None:
    assert events(incident((LATENCY, 4.0)), detector) == []


def test_a_single_series_that_rose_by_itself_is_left_to_the_robust_detector(detector: Detector) -> None:
    assert events(incident((3, 12.0)), detector) == []


def test_demand_that_history_never_saw_cannot_be_judged(detector: Detector) -> None:
    everything = tuple((row, 6.0 if row == 0 else 3.0) for row in range(4))
    assert [found for found in events(incident(*everything), detector) if found.component == "db"] == []


def test_what_the_detector_does_not_know_is_left_out(detector: Detector) -> None:
    case = incident((1, 0.65))
    frame = replace(case.telemetry.metrics, components=("other", "shop"))
    case = replace(case, telemetry=Telemetry(metrics=frame), topology=Topology.from_edges([("shop", "other")]))
    assert events(case, detector) == []


def test_a_jump_and_a_drift_are_told_apart(detector: Detector) -> None:
    (jumped,) = events(incident((1, 0.5), (3, 0.6)), detector)
    drifting = incident()
    frame = drifting.telemetry.metrics
    frame.values[(1, 3), 20:] *= np.linspace(1.0, 0.6, frame.values.shape[1] - 20)
    (drifted,) = events(drifting, detector)
    assert (jumped.attributes["began"], drifted.attributes["began"]) == ("suddenly", "slowly")
    assert drifted.start < drifting.incident.window.start < jumped.start


def test_the_caller_that_loses_the_time_is_explained_by_the_unusual_callee(detector: Detector) -> None:
    case = incident((LATENCY, 3.0), (1, 0.55), (3, 0.6))
    assert analyze(case).ranking[0] == "shop"
    report = analyze(case, detector=detector)
    assert report.ranking[0] == "db"
    kinds = {event.kind for event in report.root_causes[0].because}
    assert kinds >= {KIND, "latency.up"}
