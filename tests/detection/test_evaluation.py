"""Evaluation of detection from a set on disk to its document."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rca.cli import app
from rca.detection import evaluate_detection
from rca.detection.evaluation import MEASURES
from rca.detection.methods import METHODS
from rca.errors import EvaluationError

QUICK = ("gaussian", "robust", "pca", "k-means", "isolation-forest", "l2", "random")


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two machines of three metrics that follow one demand; an anomaly leaves one of them behind."""
    folder = tmp_path_factory.mktemp("set")
    for seed in (1, 2):
        rng = np.random.default_rng(seed)
        parts = []
        for length in (1500, 1000):
            demand = np.sin(np.arange(length) / 40)[:, None]
            parts.append(demand * [1.0, 2.0, -1.0] + 0.1 * rng.normal(size=(length, 3)))
        train, test = parts
        label = np.zeros(1000, int)
        for begin in (420, 700):
            label[begin : begin + 60] = 1
            test[begin : begin + 60, 1] = 1.9
        np.savez(folder / f"machine{seed}.npz", train=train, test=test, label=label)
    return folder


def test_detectors_find_what_chance_does_not(labelled: Path) -> None:
    found = evaluate_detection("smd", labelled, methods=QUICK)
    assert found.segments == 4
    random = found.mean("random", "VUS-PR")
    for name in ("gaussian", "pca", "k-means"):
        assert found.mean(name, "VUS-PR") > 3 * random
    assert found.mean("gaussian", "VUS-PR") > 0.8
    assert found.mean("gaussian", "delay") < 20 * 60
    assert found.unfound("gaussian") == 0
    assert found.mean("gaussian", "false_alarms_per_day") < 5


def test_the_document_has_means_errors_and_each_entity(labelled: Path) -> None:
    found = evaluate_detection("smd", labelled, methods=("l2", "random"))
    document = json.loads(found.to_json())
    assert (document["dataset"], document["n"], document["interval"]) == ("smd", 2, 60)
    row = document["methods"]["l2"]
    values = [row["entities"][name]["VUS-PR"] for name in ("machine1", "machine2")]
    assert row["VUS-PR"] == pytest.approx(np.mean(values))
    assert row["standard_error"]["VUS-PR"] == pytest.approx(np.std(values, ddof=1) / math.sqrt(2))
    assert set(MEASURES) <= set(row)
    assert evaluate_detection("smd", labelled, methods=("l2", "random")).to_json() == found.to_json()


def test_what_does_not_exist_is_null_and_counts_for_nothing(labelled: Path, tmp_path: Path) -> None:
    with np.load(labelled / "machine1.npz") as arrays:
        np.savez(tmp_path / "well.npz", train=arrays["train"], test=arrays["test"], label=0 * arrays["label"])
        np.savez(tmp_path / "ill.npz", **dict(arrays))
    found = evaluate_detection("smd", tmp_path, methods=("l2",))
    row = json.loads(found.to_json())["methods"]["l2"]
    assert row["entities"]["well"]["VUS-PR"] is None
    assert row["VUS-PR"] == row["entities"]["ill"]["VUS-PR"]
    assert row["standard_error"]["VUS-PR"] is None


def test_labels_are_not_seen_by_any_method(labelled: Path, tmp_path: Path) -> None:
    for name in ("machine1", "machine2"):
        with np.load(labelled / f"{name}.npz") as arrays:
            label = np.roll(arrays["label"], 100)
            np.savez(tmp_path / f"{name}.npz", train=arrays["train"], test=arrays["test"], label=label)
    from rca.detection import read_set

    for before, after in zip(read_set("smd", labelled), read_set("smd", tmp_path), strict=True):
        for name in ("gaussian", "robust", "pca", "l2", "random"):
            np.testing.assert_array_equal(METHODS[name](before, 0), METHODS[name](after, 0))


def test_an_unknown_method_is_an_error_that_names_the_others(labelled: Path) -> None:
    with pytest.raises(EvaluationError, match="no method") as caught:
        evaluate_detection("smd", labelled, methods=("magic",))
    assert "isolation-forest" in str(caught.value.remedy)


def test_missing_samples_and_still_metrics_trouble_no_method(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(400, 3)), rng.normal(size=(300, 3))
    train[:, 1], test[:, 1] = 7, 7
    train[50:60], test[50:60, 0] = np.nan, np.nan
    train[:, 2] = np.nan
    np.savez(tmp_path / "a.npz", train=train, test=test, label=np.arange(300) > 280)
    names = ("gaussian", "robust", "pca", "k-means", "l2")
    found = evaluate_detection("asd", tmp_path, methods=names)
    assert all(not math.isnan(found.mean(name, "VUS-PR")) for name in names)


def test_the_command_prints_a_table_and_writes_the_document(labelled: Path, tmp_path: Path) -> None:
    target = tmp_path / "figures.json"
    arguments = ["detect", "evaluate", "smd", "--data", str(labelled), "--json", str(target)]
    result = CliRunner().invoke(app, [*arguments, "--method", "l2", "--method", "random"])
    assert result.exit_code == 0, result.output
    assert "2 entities, 4 anomalous stretches" in result.output
    assert set(json.loads(target.read_text())["methods"]) == {"l2", "random"}
