"""The robust detector's level, floors and limits, by numbers that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rca.detectors.robust import RobustDetector
from rca.series import SeriesNames
from rca.telemetry import MetricFrame


def frame(rows: dict[tuple[str, str, str], list[float]]) -> MetricFrame:
    length = len(next(iter(rows.values())))
    return MetricFrame.from_rows(
        times=np.tile(np.arange(length), len(rows)),
        components=np.repeat([key[0] for key in rows], length),
        metrics=np.repeat([key[1] for key in rows], length),
        peers=np.repeat([key[2] for key in rows], length).astype(object),
        values=np.concatenate([np.array(values, float) for values in rows.values()]),
    )


def test_two_samples_in_a_row_count_and_one_does_not() -> None:
    fitted = RobustDetector.fit(frame({("a", "cpu", ""): [10.0] * 9}))
    window = frame({("a", "cpu", ""): [10.0, 19.0, 10.0, 19.0, 18.0, np.nan, 19.0, 1.0, 2.0]})
    expected = [[np.nan, 0, 0, 0, 8, np.nan, np.nan, -9, -8]]
    np.testing.assert_allclose(fitted.deviations(window), expected, atol=1e-5)


def test_level_and_scale_are_median_and_quartile_range() -> None:
    fitted = RobustDetector.fit(frame({("a", "cpu", ""): [0.0, 1.0, 2.0, 3.0, 4.0]}))
    assert fitted.median.tolist() == [2.0]
    assert fitted.scale[0] == pytest.approx(2 / 1.349)


def test_the_scale_is_at_least_a_tenth_of_the_level() -> None:
    fitted = RobustDetector.fit(frame({("a", "cpu", ""): [100.0] * 9}))
    assert fitted.scale.tolist() == [10.0]
    # 30 above the level are three scales, and the limit is one.
    deviations = fitted.deviations(frame({("a", "cpu", ""): [100.0, 130.0, 130.0]}))
    assert deviations[0, 2] == pytest.approx(3.0)
    assert fitted.score(frame({("a", "cpu", ""): [100.0, 130.0, 130.0]}))[0, 2] == pytest.approx(0.75)


def test_a_series_at_zero_borrows_a_twentieth_of_what_its_metric_varies_by_elsewhere() -> None:
    rows = {(name, "errors", ""): [0.0, 10.0, 20.0, 30.0, 40.0] for name in "bcd"}
    fitted = RobustDetector.fit(frame({("a", "errors", ""): [0.0] * 5} | rows))
    assert fitted.scale[0] == pytest.approx(0.05 * 20 / 1.349, rel=1e-5)


def test_a_series_between_two_components_is_not_that_of_the_component_itself() -> None:
    history = frame({("a", "latency", ""): [1.0, 1.0], ("a", "latency", "b"): [5.0, 5.0]})
    assert sorted(SeriesNames.of(history).keys) == [("a", "latency", ""), ("a", "latency", "b")]
    fitted = RobustDetector.fit(history)
    assert fitted.find(frame({("a", "latency", "b"): [5.0], ("b", "latency", ""): [1.0]})).tolist() == [
        fitted.series.keys.index(("a", "latency", "b")),
        -1,
    ]
