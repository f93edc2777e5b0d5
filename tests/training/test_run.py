"""Trainings as a whole: what they store, how they go on, what they begin with, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rca.detectors.joined import JoinedDetector
from rca.detectors.robust import RobustDetector
from rca.errors import DetectorError, ModelError, RCAError, TrainingError, WorkerError
from rca.formats import write_metrics
from rca.registry import load_model, promote
from rca.telemetry import MetricFrame
from rca.training import Order, run, train
from rca.training.change import changes_of
from rca.training.drift import DRIFTED
from rca.types import Window

ORDER = Order(name="shop", detector="robust")


@pytest.fixture
def data(day, tmp_path: Path) -> Path:
    folder = tmp_path / "history"
    folder.mkdir()
    write_metrics(day(), folder / "0.parquet")
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


def weights(path: Path) -> bytes:
    return (path / "weights.safetensors").read_bytes()


def test_a_training_stores_a_version_and_puts_it_into_use(data, models, day) -> None:
    result = train(data, ORDER, models=models)
    model = load_model("shop", models=models)
    assert (model.reference, result.stored.path) == ("shop@0001", model.path)
    assert set(model.series.keys) == {
        (f"service-{i:02d}", metric, "") for i in range(10) for metric in ("cpu", "latency")
    }
    assert (result.samples, result.series, len(result.components)) == (2880, 20, 10)
    assert result.window == Window(start=int(day().times[0]), end=int(day(1).times[0]))
    assert (model.detector.score_components(day()).scores > 0.5).mean() == pytest.approx(result.above, abs=1e-6)


def test_the_working_folder_is_empty_afterwards(data, models) -> None:
    train(data, ORDER, models=models)
    assert [path.name for path in (models / "shop" / ".training").iterdir()] == ["lock"]


def test_parts_score_as_each_by_itself(data, models, day) -> None:
    train(data, ORDER, models=models)
    detector = load_model("shop", models=models).detector
    assert isinstance(detector, JoinedDetector)
    window = day(5, shift=4)
    scores = detector.score(window)
    for part in detector.components:
        rows = np.flatnonzero(np.isin(window.component, [window.components.index(name) for name in part]))
        alone = RobustDetector.fit(day().select(rows))
        np.testing.assert_array_equal(scores[rows], alone.score(window.select(rows)))


def test_one_chunk_is_what_a_fit_of_the_whole_gives(data, models, day, monkeypatch) -> None:
    from rca.training import chunks

    monkeypatch.setattr(chunks, "FEWEST_COMPONENTS", 100)
    train(data, ORDER, models=models)
    detector = load_model("shop", models=models).detector
    np.testing.assert_array_equal(detector.score(day()), RobustDetector.fit(day()).score(day()))


def test_jobs_do_not_change_the_weights(data, models) -> None:
    one, two = (train(data, replace(ORDER, name=f"jobs-{jobs}"), models=models, jobs=jobs) for jobs in (1, 2))
    assert weights(one.stored.path) == weights(two.stored.path)


class KilledError(Exception):
    """Stands for the end of a process."""


@pytest.fixture
def killed_after(monkeypatch):
    """Ends a training once so many chunks are kept; the block's end lets trainings be whole again."""

    def kill(chunks: int) -> None:
        whole = run.fit_chunk
        count = iter(range(100))

        def fit(task):
            if next(count) == chunks:
                raise KilledError
            return whole(task)

        monkeypatch.setattr(run, "fit_chunk", fit)

    yield kill


def test_an_interrupted_training_goes_on_with_what_it_has(data, models, killed_after, monkeypatch) -> None:
    reference = train(data, replace(ORDER, name="reference"), models=models)
    killed_after(2)
    with pytest.raises(KilledError):
        train(data, ORDER, models=models)
    monkeypatch.undo()
    from rca.training import chunks

    monkeypatch.setattr(chunks, "CHUNK_CELLS", 1)
    monkeypatch.setattr(chunks, "FEWEST_COMPONENTS", 3)
    fitted = []
    whole = run.fit_chunk
    monkeypatch.setattr(run, "fit_chunk", lambda task: fitted.append(task) or whole(task))
    result = train(data, replace(ORDER, resume=True), models=models)
    assert len(fitted) == 2
    assert result.messages == ("2 of 4 chunks were fitted already",)
    assert weights(result.stored.path) == weights(reference.stored.path)


@pytest.mark.parametrize("damage", [b"", b"x" * 100])
def test_a_damaged_checkpoint_is_fitted_again(data, models, killed_after, monkeypatch, damage) -> None:
    reference = train(data, replace(ORDER, name="reference"), models=models)
    killed_after(2)
    with pytest.raises(KilledError):
        train(data, ORDER, models=models)
    (models / "shop" / ".training" / "chunks" / "000001.chunk").write_bytes(damage)
    killed_after(99)
    result = train(data, replace(ORDER, resume=True), models=models)
    assert result.messages == ("1 of 4 chunks were fitted already",)
    assert weights(result.stored.path) == weights(reference.stored.path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"seed": 5}, "another seed"),
        ({"excluded": (Window(start=0, end=1),)}, "other excluded times"),
        ({}, "other data"),
    ],
)
def test_checkpoints_of_another_training_are_not_used(data, models, killed_after, day, change, reason) -> None:
    killed_after(2)
    with pytest.raises(KilledError):
        train(data, ORDER, models=models)
    killed_after(99)
    if not change:
        write_metrics(day(3), data / "0.parquet")
    result = train(data, replace(ORDER, resume=True, **change), models=models)
    assert result.messages[0].startswith(f"the interrupted training was of {reason}")
    fresh = train(data, replace(ORDER, name="fresh", **change), models=models)
    assert weights(result.stored.path) == weights(fresh.stored.path)


def test_checkpoints_are_removed_where_the_training_is_not_to_go_on(data, models, killed_after) -> None:
    killed_after(2)
    with pytest.raises(KilledError):
        train(data, ORDER, models=models)
    killed_after(99)
    assert "--resume" in train(data, ORDER, models=models).messages[0]


def test_excluded_times_do_not_count(data, models, day) -> None:
    times = day().times
    broken = day()
    broken.values[:, 50:60] += 1000
    write_metrics(broken, data / "0.parquet")
    window = Window(start=int(times[50]), end=int(times[60]))
    train(data, replace(ORDER, excluded=(window,)), models=models)
    model = load_model("shop", models=models)
    part = model.detector.parts[0]
    well = RobustDetector.fit(broken.select(np.isin(broken.component, [0, 1])), excluded=(window,))
    np.testing.assert_array_equal(np.sort(part.upper), np.sort(well.upper))
    assert len(model.described.data.excluded) == 1


def test_refreshing_begins_with_the_version_in_use_and_tells_what_drifted(data, models, day) -> None:
    train(data, replace(ORDER, seed=3, excluded=(Window(start=0, end=5_000_000_000),)), models=models)
    new = day(1, components=11)
    new.values[4] += 5
    write_metrics(new, data / "1.parquet")
    result = train(data, Order(name="shop", refresh=True), models=models)
    described = load_model("shop", models=models).described
    assert (described.version, described.parent, described.seed) == ("0002", "0001", 3)
    assert described.data.excluded == [("1970-01-01T00:00:00Z", "1970-01-01T00:00:05Z")]
    assert (result.drift_from, result.compared, result.drifted) == ("0001", 20, 1)
    assert (result.drift[0].component, result.drift[0].metric) == ("service-04", "cpu")
    assert result.drift[0].index > DRIFTED > result.drift[1].index
    assert (result.new_series, result.lost_series) == (2, 0)


def test_refreshing_warms_a_detector_that_can_begin_with_a_former_one(data, models, day) -> None:
    pytest.importorskip("torch")
    order = Order(name="shop", detector="mlp")
    train(data, order, models=models)
    write_metrics(day(1), data / "1.parquet")
    train(data, Order(name="shop", refresh=True), models=models)
    assert load_model("shop", models=models).described.parent == "0001"


def test_nothing_to_refresh_is_an_error(data, models) -> None:
    with pytest.raises(ModelError, match="no version is in use"):
        train(data, replace(ORDER, refresh=True), models=models)


def test_a_damaged_version_in_use_stops_a_refresh_but_no_training(data, models) -> None:
    path = train(data, ORDER, models=models).stored.path
    (path / "weights.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="truncated"):
        train(data, replace(ORDER, refresh=True), models=models)
    result = train(data, ORDER, models=models)
    assert "cannot be read" in result.messages[0]
    assert load_model("shop", models=models).version == "0002"


def test_a_version_that_is_not_to_be_used_is_stored_and_not_promoted(data, models) -> None:
    train(data, ORDER, models=models)
    result = train(data, replace(ORDER, promote=False), models=models)
    assert "not in use yet" in result.messages[0]
    assert load_model("shop", models=models).version == "0001"
    promote("shop", "0002", models=models)


def test_a_version_that_alarms_at_its_own_history_is_not_promoted(data, models, monkeypatch) -> None:
    monkeypatch.setattr(run, "MOST_ABOVE", -1.0)
    result = train(data, ORDER, models=models)
    assert "--exclude" in result.messages[0]
    with pytest.raises(ModelError):
        load_model("shop", models=models)


def test_trainings_and_promotions_are_changes_of_a_case(data, models) -> None:
    for _ in range(2):
        train(data, ORDER, models=models)
    changes = changes_of(models / "shop")
    kinds = sorted(change.kind for change in changes)
    assert kinds == ["model.version_changed"] * 2 + ["retraining.finished"] * 2
    assert {change.component for change in changes} == {"shop"}
    assert changes[-1].attributes["version"] == "0002"
    assert len({change.id for change in changes}) == 4


def test_two_trainings_of_one_model_at_once_are_refused(data, models) -> None:
    def data_that_trains(staged: Path, show) -> list[Path]:
        with pytest.raises(TrainingError, match="under way"):
            train(data, ORDER, models=models)
        return [data / "0.parquet"]

    train(data_that_trains, ORDER, models=models)


def test_a_time_without_samples_is_an_error(data, models) -> None:
    with pytest.raises(TrainingError, match="no samples"):
        train(data, replace(ORDER, window=Window(start=0, end=5)), models=models)


def test_a_component_that_was_never_sampled_stops_nobody(models, day, tmp_path: Path) -> None:
    frame = day()
    frame.values[np.isin(frame.component, [0, 1, 2])] = np.nan
    write_metrics(frame, tmp_path / "day.parquet")
    result = train(tmp_path / "day.parquet", ORDER, models=models)
    scores = load_model("shop", models=models).detector.score(day())
    assert np.isfinite(scores).all()
    assert not scores[np.isin(frame.component, [0, 1])].any()
    assert result.samples == np.count_nonzero(~np.isnan(frame.values))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"detector": "joined"}, TrainingError),
        ({"detector": "sorcery"}, TrainingError),
        ({"name": "../shop"}, ModelError),
    ],
)
def test_orders_that_cannot_be_are_errors(data, models, change, error) -> None:
    with pytest.raises(error) as caught:
        train(data, replace(ORDER, **change), models=models)
    assert caught.value.remedy


def test_workers_that_cannot_be_are_errors(data, models) -> None:
    with pytest.raises(WorkerError):
        train(data, ORDER, models=models, jobs=0)
    assert issubclass(WorkerError, RCAError)


def test_a_joined_detector_refuses_what_is_not_its_state(day) -> None:
    state = JoinedDetector(parts=(RobustDetector.fit(day()),), components=(day().components,)).to_state()
    for config in ({}, {"parts": []}, {"parts": [1]}, {"parts": [{"components": [1], "config": {}}]}):
        with pytest.raises(DetectorError) as caught:
            JoinedDetector.from_state(replace(state, config={"detector": "joined", **config}))
        assert caught.value.remedy
    with pytest.raises(DetectorError):
        JoinedDetector.fit(MetricFrame.empty())
