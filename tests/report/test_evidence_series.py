from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rca.health import HealthProfile
from rca.health.metrics import MetricHealth
from rca.report.evidence_series import find_series, series_of
from rca.report.plots import plot, timeline
from rca.types import Case, Event, Report


def find(report: Report, component: str, kind: str) -> Event:
    return next(event for event in report.graph.events if (event.component, event.kind) == (component, kind))


def test_the_reasons_of_the_first_cause_come_first(report: Report, case: Case) -> None:
    found = [(series.event.component, series.title) for series in find_series(report, case)]
    assert found[:2] == [("payment", "db_pool_used_ratio"), ("payment", "latency_p95_ms")]
    assert len(found) == len(set(found)) == 6


def test_the_band_is_what_the_baseline_did(report: Report, case: Case) -> None:
    series = series_of(find(report, "payment", "saturation.connections"), report, case)
    assert series is not None
    assert series.band is not None
    low, high = series.band
    assert 0.12 <= low < 0.15
    assert 0.28 < high <= 0.31


def test_a_profile_knows_health_better_than_the_baseline(report: Report, case: Case) -> None:
    sample = case.telemetry.metrics
    sample = replace(sample, values=sample.values * 0 + 7)
    profile = HealthProfile(metrics=MetricHealth(sample=sample))
    series = series_of(find(report, "payment", "saturation.connections"), report, replace(case, health=profile))
    assert series is not None
    assert series.band == (7.0, 7.0)


def test_without_a_metric_the_spans_of_the_component_are_shown(report: Report, case: Case) -> None:
    event = replace(find(report, "checkout", "latency.up"), name="POST /checkout")
    series = series_of(event, report, case)
    assert series is not None
    assert (series.title, series.unit) == ("median duration of spans", "ms")
    assert np.nanmin(series.values) == 72
    assert np.nanmax(series.values) == 510


def test_a_log_event_shows_how_many_lines_there_were(report: Report, case: Case) -> None:
    event = replace(report.graph.events[0], kind="log.burst", name="could not obtain a connection")
    series = series_of(event, report, case)
    assert series is not None
    assert series.title == "log lines"
    assert np.nansum(series.values) > 0


def test_a_change_has_no_curve(report: Report, case: Case) -> None:
    assert series_of(report.graph.events[0], report, case) is None


def test_a_gap_in_the_samples_is_a_gap_in_the_curve(report: Report, case: Case) -> None:
    series = series_of(find(report, "checkout", "errors.up"), report, case)
    assert series is not None
    drawn = plot(series, report)
    assert drawn.path.count("M") == 2
    assert "nan" not in drawn.path


@pytest.mark.parametrize("value", [0.0, 5.0, -3.0])
def test_a_constant_series_can_be_drawn(report: Report, case: Case, value: float) -> None:
    event = find(report, "payment", "latency.up")
    frame = case.telemetry.metrics
    flat = replace(frame, values=np.full_like(frame.values, value))
    series = series_of(event, report, replace(case, telemetry=replace(case.telemetry, metrics=flat)))
    assert series is not None
    drawn = plot(series, report)
    assert "nan" not in drawn.path
    assert drawn.y_marks


def test_a_short_peak_survives_thinning(report: Report, case: Case) -> None:
    series = series_of(find(report, "payment", "latency.up"), report, case)
    assert series is not None
    times = np.arange(1_000, dtype=np.int64) * 1_000_000_000
    values = np.zeros(1_000)
    values[503] = 90.0
    drawn = plot(replace(series, times=times, values=values, band=None), report)
    top = min(float(point.split(",")[1]) for point in drawn.path.replace("M", "L").split("L")[1:])
    assert top == pytest.approx(8, abs=0.5)
    assert drawn.path.count("L") < 200


def test_the_timeline_has_a_row_for_each_event_and_lanes_in_the_given_order(report: Report) -> None:
    order = ["payment", "checkout", "web", "cart"]
    made = timeline(report.graph.events, order, report)
    assert [lane.component for lane in made.lanes] == order
    rows = [bar.y for lane in made.lanes for bar in lane.bars]
    assert len(rows) == len(set(rows)) == len(report.graph.events)
    assert made.onset is not None
    assert made.alert is not None
    assert made.onset < made.alert
