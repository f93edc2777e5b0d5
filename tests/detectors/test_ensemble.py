"""The ensemble: members count in units of their own healthy errors, parts give the same as the whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from rca.detectors.catalogue import restore
from rca.detectors.ensemble import MEMBERS, EnsembleDetector
from rca.detectors.limits import score_of
from rca.detectors.protocol import State
from rca.errors import DetectorError
from rca.telemetry import MetricFrame
from rca.types import MINUTE


@pytest.fixture(autouse=True, scope="module")
def members_in_closed_form() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EnsembleDetector, "kinds", ("gaussian", "pca"))
        yield


def frame(length: int = 600, components: int = 3, seed: int = 0) -> MetricFrame:
    rng = np.random.default_rng(seed)
    series = 2 * components
    return MetricFrame(
        components=tuple(f"c{i}" for i in range(components)),
        metrics=("cpu", "memory"),
        component=np.repeat(np.arange(components, dtype=np.int32), 2),
        metric=np.tile(np.arange(2, dtype=np.int32), components),
        peer=np.full(series, -1, np.int32),
        times=np.arange(length, dtype=np.int64) * MINUTE,
        values=rng.normal(50, 5, (series, length)).astype(np.float32),
    )


def shifted() -> MetricFrame:
    window = frame(200, seed=1)
    window.values[0, 120:] += 60
    return window


def test_the_component_that_changed_is_found_and_no_other() -> None:
    scores = EnsembleDetector.fit(frame()).score_components(shifted()).scores
    assert (scores[0, 125:] > 0.5).all()
    assert (scores[1:] > 0.5).mean() < 0.02
    assert (scores[0, :120] > 0.5).mean() < 0.02


def test_the_score_is_that_of_the_members_mean_error_in_healthy_limits() -> None:
    fitted, window = EnsembleDetector.fit(frame()), shifted()
    ends = np.arange(len(window.times))
    mean = np.mean([member.component_errors(window, ends) for member in fitted.members], axis=0)
    expected = score_of(mean, fitted.limit[:, None])
    np.testing.assert_allclose(fitted.score_components(window).scores, expected, atol=1e-5)
    np.testing.assert_allclose(fitted.score_newest(window).scores[:, 0], expected[:, -1], atol=1e-4)


def test_parts_that_are_joined_score_as_the_whole() -> None:
    history = frame()
    whole = EnsembleDetector.fit(history)
    parts = [EnsembleDetector.fit(history.select(history.component == code)) for code in (2, 0, 1)]
    joined = EnsembleDetector.join(parts)
    assert joined.components == whole.components
    np.testing.assert_allclose(
        joined.score_components(shifted()).scores, whole.score_components(shifted()).scores, atol=1e-5
    )


def test_a_former_ensemble_is_gone_on_from() -> None:
    former = EnsembleDetector.fit(frame())
    again = EnsembleDetector.fit(frame(), previous=former)
    np.testing.assert_array_equal(again.limit, former.limit)


def test_the_members_say_what_was_expected_and_what_drifts() -> None:
    fitted, window = EnsembleDetector.fit(frame()), shifted()
    assert abs(fitted.expected(window)[0, 150] - 50) < 30
    assert fitted.drifts(window)[0, 150] > 1
    assert np.nanmax(np.abs(fitted.drifts(window)[2:])) < 2


def test_a_state_of_other_members_or_components_is_refused() -> None:
    state = EnsembleDetector.fit(frame()).to_state()
    for members in ([], [{"detector": "robust"}], [{"detector": "none"}], "gaussian", [1]):
        with pytest.raises(DetectorError):
            restore(State(config={**state.config, "members": members}, arrays=state.arrays))
    with pytest.raises(DetectorError, match="do not fit"):
        restore(replace(state, config={**state.config, "components": ["c0", "c1", "other"]}))
    with pytest.raises(DetectorError, match="do not fit"):
        restore(replace(state, arrays={**state.arrays, "limit": np.zeros(3, np.float32)}))


def test_members_are_detectors_of_the_catalogue_that_need_no_labels() -> None:
    assert len(MEMBERS) >= 2
    with pytest.raises(DetectorError):
        EnsembleDetector.join([])
