"""What every detector promises, whatever it learns; a new detector is added to ``DETECTORS``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rca.detectors import Detector, RobustDetector
from rca.detectors.catalogue import restore
from rca.detectors.convolution import ConvolutionDetector
from rca.detectors.ensemble import EnsembleDetector
from rca.detectors.gaussian import SCALES, GaussianDetector
from rca.detectors.gru import GRUDetector
from rca.detectors.k_means import KMeansDetector
from rca.detectors.mlp import MLPDetector
from rca.detectors.pca import PCADetector
from rca.detectors.protocol import State
from rca.detectors.windows import WINDOW
from rca.errors import DetectorError
from rca.telemetry import MetricFrame
from rca.types import Window

DETECTORS = [
    RobustDetector,
    GaussianDetector,
    PCADetector,
    KMeansDetector,
    EnsembleDetector,
    MLPDetector,
    GRUDetector,
    ConvolutionDetector,
]

# How many samples a score depends on, where that is not a window of the usual length.
LOOK_BACK = {RobustDetector: 2, GaussianDetector: SCALES[-1], EnsembleDetector: SCALES[-1]}

any_detector = pytest.mark.parametrize("detector", DETECTORS, ids=[kind.__name__ for kind in DETECTORS])
samples = arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(0, 12)),
    elements=st.one_of(st.just(np.nan), st.floats(-(2.0**120), 2.0**120, width=32)),
)


@pytest.fixture(autouse=True, scope="module")
def members_in_closed_form() -> Iterator[None]:
    """Networks take long to train; each of them is held to the same sentences elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EnsembleDetector, "kinds", ("gaussian", "pca"))
        yield


def frame(values: np.ndarray, metric: str = "cpu") -> MetricFrame:
    series, length = values.shape
    return MetricFrame(
        components=tuple(f"c{i}" for i in range(series)),
        metrics=(metric,),
        component=np.arange(series, dtype=np.int32),
        metric=np.zeros(series, np.int32),
        peer=np.full(series, -1, np.int32),
        times=np.arange(length, dtype=np.int64),
        values=values.astype(np.float32),
    )


def wave(series: int = 3, length: int = 60) -> np.ndarray:
    rng = np.random.default_rng(0)
    return 10 + rng.normal(0, 1, (series, length))


@any_detector
def test_it_is_a_detector(detector: type[Detector]) -> None:
    assert isinstance(detector.fit(frame(wave())), Detector)


@any_detector
def test_a_history_without_series_is_an_error_with_a_remedy(detector: type[Detector]) -> None:
    with pytest.raises(DetectorError) as caught:
        detector.fit(MetricFrame.empty())
    assert caught.value.remedy


@any_detector
@settings(max_examples=60, deadline=None)
@given(history=samples, window=samples)
def test_scores_lie_between_0_and_1_and_are_never_nan(
    detector: type[Detector], history: np.ndarray, window: np.ndarray
) -> None:
    fitted = detector.fit(frame(history))
    scores = fitted.score(frame(window))
    assert not np.isinf(fitted.deviations(frame(window))).any()
    assert scores.shape == window.shape
    assert scores.dtype == np.float32
    assert ((scores >= 0) & (scores <= 1)).all()


@any_detector
def test_healthy_samples_hardly_pass_one_half_and_a_jump_does(detector: type[Detector]) -> None:
    values = wave(length=300)
    fitted = detector.fit(frame(values))
    assert (fitted.score(frame(values)) > 0.5).mean() < 0.05
    broken = values.copy()
    broken[1, -10:] += 40
    scores = fitted.score(frame(broken))
    assert (scores[1, -9:] > 0.5).all()
    assert (scores[[0, 2], -9:] > 0.5).mean() < 0.1


@any_detector
def test_deviations_bear_the_sign_of_the_change(detector: type[Detector]) -> None:
    values = wave()
    fitted = detector.fit(frame(values))
    for sign in (1, -1):
        window = values + np.where(np.arange(60) >= 50, sign * 40.0, 0.0)
        assert (np.sign(fitted.deviations(frame(window))[:, 52:]) == sign).all()


@any_detector
def test_a_constant_series_that_stays_constant_is_no_anomaly_and_one_that_moves_is(detector: type[Detector]) -> None:
    constant = np.full((2, 30), 5.0)
    fitted = detector.fit(frame(constant))
    assert (fitted.score(frame(constant)) == 0).all()
    moved = constant.copy()
    moved[0, 20:] = 50
    scores = fitted.score(frame(moved))
    assert (scores[0, 21:] > 0.5).all()
    assert (scores[1] == 0).all()


@any_detector
@pytest.mark.parametrize("values", [np.zeros((2, 0)), np.full((2, 9), np.nan), np.zeros((2, 9)), np.ones((2, 1))])
def test_empty_missing_zero_and_single_histories_score_nothing_when_nothing_changes(
    detector: type[Detector], values: np.ndarray
) -> None:
    assert (detector.fit(frame(values)).score(frame(values)) == 0).all()


@any_detector
def test_series_that_the_history_does_not_know_score_0(detector: type[Detector]) -> None:
    fitted = detector.fit(frame(wave()))
    other = frame(1000 * wave(), metric="memory")
    assert (fitted.score(other) == 0).all()
    assert np.isnan(fitted.deviations(other)).all()


@any_detector
def test_missing_samples_score_0_and_leave_all_that_do_not_look_back_at_them_as_they_are(
    detector: type[Detector],
) -> None:
    values = wave(length=200)
    values[:, 40:] += 40
    fitted = detector.fit(frame(wave(length=200)))
    holed = values.copy()
    holed[:, 100] = np.nan
    before, after = fitted.score(frame(values)), fitted.score(frame(holed))
    assert (after[:, 100] == 0).all()
    untouched = np.r_[0:100, 100 + LOOK_BACK.get(detector, WINDOW) : 200]
    np.testing.assert_allclose(before[:, untouched], after[:, untouched], atol=1e-5)


@any_detector
def test_the_order_of_series_does_not_matter(detector: type[Detector]) -> None:
    values = wave(4)
    values[2, 50:] += 40
    fitted, order = detector.fit(frame(wave(4))), np.array([3, 1, 0, 2])
    window = frame(values)
    assert (fitted.score(window.select(order)) == fitted.score(window)[order]).all()
    shuffled = detector.fit(frame(wave(4)).select(order))
    assert (shuffled.score(window) == fitted.score(window)).all()


@any_detector
def test_the_unit_of_a_metric_does_not_matter(detector: type[Detector]) -> None:
    values = wave()
    values[0, 50:] += 40
    seconds = detector.fit(frame(wave())).score(frame(values))
    thousandths = detector.fit(frame(1024 * wave())).score(frame(1024 * values))
    np.testing.assert_allclose(seconds, thousandths, atol=1e-5)


@any_detector
def test_fitting_leaves_the_history_as_it_was(detector: type[Detector]) -> None:
    history = frame(wave())
    copy = replace(history, values=history.values.copy())
    detector.fit(history).score(history)
    np.testing.assert_array_equal(history.values, copy.values)


@any_detector
def test_times_that_are_excluded_teach_nothing(detector: type[Detector]) -> None:
    values = wave(length=300)
    window = Window(start=100, end=150)
    learnt = []
    for size in (400, -70):
        incident = values.copy()
        incident[:, 100:151] += size  # the sample at the end of a window describes the step before it
        learnt.append(detector.fit(frame(incident), excluded=(window,)))
    scores = [fitted.score(frame(values)) for fitted in learnt]
    np.testing.assert_array_equal(*scores)
    incident = values.copy()
    incident[:, 100:150] += 40
    assert (learnt[0].score(frame(incident))[:, 110:150] > 0.5).all()


@any_detector
def test_scores_depend_on_no_later_sample(detector: type[Detector]) -> None:
    fitted, values = detector.fit(frame(wave(length=300))), wave(length=300)
    values[:, 100:] += 20
    whole = fitted.score(frame(values))
    part = fitted.score(frame(values[:, :120]))
    np.testing.assert_allclose(whole[:, :120], part, atol=1e-6)
    components = fitted.score_components(frame(values)).scores
    np.testing.assert_allclose(components[:, :120], fitted.score_components(frame(values[:, :120])).scores, atol=1e-6)


@any_detector
@settings(max_examples=40, deadline=None)
@given(history=samples, window=samples)
def test_scores_of_components_lie_between_0_and_1_in_the_order_of_the_windows(
    detector: type[Detector], history: np.ndarray, window: np.ndarray
) -> None:
    found = detector.fit(frame(history)).score_components(frame(window))
    assert found.components == frame(window).components
    assert found.scores.shape == window.shape
    assert found.scores.dtype == np.float32
    assert ((found.scores >= 0) & (found.scores <= 1)).all()


@any_detector
def test_a_component_of_which_nothing_is_known_scores_0(detector: type[Detector]) -> None:
    fitted = detector.fit(frame(wave()))
    assert (fitted.score_components(frame(1000 * wave(), metric="memory")).scores == 0).all()
    assert fitted.score_components(MetricFrame.empty()).scores.shape == (0, 0)


@any_detector
def test_a_detector_that_was_kept_scores_as_before(detector: type[Detector]) -> None:
    fitted, values = detector.fit(frame(wave(length=300))), wave(length=300)
    values[1, 200:] += 40
    again = restore(fitted.to_state())
    assert type(again) is type(fitted)
    np.testing.assert_array_equal(again.score(frame(values)), fitted.score(frame(values)))
    np.testing.assert_array_equal(
        again.score_components(frame(values)).scores, fitted.score_components(frame(values)).scores
    )
    json.dumps(dict(fitted.to_state().config))
    assert all(array.dtype.kind in "fiub" for array in fitted.to_state().arrays.values())


@any_detector
def test_a_state_that_lacks_a_part_or_has_another_shape_is_refused_with_a_remedy(detector: type[Detector]) -> None:
    state = detector.fit(frame(wave(length=300))).to_state()
    for name, array in state.arrays.items():
        for wrong in (array[..., None], array.astype(np.complex64)):
            with pytest.raises(DetectorError) as caught:
                restore(State(config=state.config, arrays={**state.arrays, name: wrong}))
            assert caught.value.remedy
        with pytest.raises(DetectorError):
            restore(State(config=state.config, arrays={key: kept for key, kept in state.arrays.items() if key != name}))
    for name in state.config:
        with pytest.raises(DetectorError):
            restore(State(config={key: kept for key, kept in state.config.items() if key != name}, arrays=state.arrays))


@any_detector
def test_a_state_with_an_infinite_value_is_refused(detector: type[Detector]) -> None:
    state = detector.fit(frame(wave(length=300))).to_state()
    for name, array in state.arrays.items():
        if array.dtype.kind == "f" and array.size:
            broken = array.copy()
            broken.reshape(-1)[0] = np.inf
            with pytest.raises(DetectorError):
                restore(State(config=state.config, arrays={**state.arrays, name: broken}))


@any_detector
def test_the_same_seed_gives_the_same_detector(detector: type[Detector]) -> None:
    first, second = (detector.fit(frame(wave(length=300)), seed=3).to_state() for _ in range(2))
    assert first.config == second.config
    for name, array in first.arrays.items():
        np.testing.assert_array_equal(array, second.arrays[name])
