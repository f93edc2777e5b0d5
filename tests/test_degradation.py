"""Whatever is wrong with a trained detector: the report says so, and answers as if there were none."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from rca.cases.folder import read_case
from rca.detectors.protocol import ComponentScores, State
from rca.pipeline import analyze
from rca.report.document import to_document
from rca.report.text import render_text
from rca.resources import bundled
from rca.telemetry import MetricFrame
from rca.types import Case, Report, Window

WEIGHTS = "weights.safetensors"


@pytest.fixture(scope="module")
def case() -> Case:
    return replace(read_case(bundled("datasets", "demo-shop/01-bad-deployment")), model="")


@pytest.fixture(scope="module")
def robust(case: Case) -> Report:
    return analyze(case)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    shutil.copytree(bundled("models", "demo-shop"), tmp_path / "demo-shop")
    return tmp_path / "demo-shop"


def sign(model: Path) -> None:
    """Makes the manifest say that the weights are as they should be, so that what is in them is looked at."""
    content, manifest = (model / "0001" / WEIGHTS).read_bytes(), model / "0001" / "manifest.json"
    listed = json.loads(manifest.read_text())
    listed["files"][WEIGHTS] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    manifest.write_text(json.dumps(listed))


def truncate(model: Path) -> None:
    file = model / "0001" / WEIGHTS
    file.write_bytes(file.read_bytes()[:-1000])


def truncate_signed(model: Path) -> None:
    truncate(model)
    sign(model)


def flip_a_bit(model: Path) -> None:
    file = model / "0001" / WEIGHTS
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


def write_pickle(model: Path) -> None:
    arrays = load_file(model / "0001" / WEIGHTS)
    (model / "0001" / WEIGHTS).write_bytes(pickle.dumps(arrays))
    sign(model)


def write_nan(model: Path) -> None:
    file = model / "0001" / WEIGHTS
    arrays = load_file(file)
    name = next(name for name in sorted(arrays) if "weight" in name and arrays[name].dtype == np.float32)
    arrays[name] = np.full_like(arrays[name], np.nan)
    save_file(arrays, file)
    sign(model)


def write_other_shape(model: Path) -> None:
    file = model / "0001" / WEIGHTS
    arrays = load_file(file)
    name = next(name for name in sorted(arrays) if "weight" in name and arrays[name].ndim == 3)
    arrays[name] = np.ascontiguousarray(arrays[name][:, :-1])
    save_file(arrays, file)
    sign(model)


def write_no_json(model: Path) -> None:
    (model / "0001" / "model.json").write_text("{")


DAMAGE: dict[str, Callable[[Path], None]] = {
    "missing": shutil.rmtree,
    "without weights": lambda model: (model / "0001" / WEIGHTS).unlink(),
    "without a pointer": lambda model: (model / "current.json").unlink(),
    "truncated": truncate,
    "truncated and signed": truncate_signed,
    "bit-flipped": flip_a_bit,
    "pickled": write_pickle,
    "not numbers": write_nan,
    "of another shape": write_other_shape,
    "described by no JSON": write_no_json,
}


def same_answer(report: Report, other: Report) -> bool:
    return (report.verdict, report.ranking, report.scores) == (other.verdict, other.ranking, other.scores)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_model_degrades_the_report_to_the_robust_answer(
    damage: str, model: Path, case: Case, robust: Report
) -> None:
    DAMAGE[damage](model)
    report = analyze(replace(case, model=str(model)))
    assert len(report.degraded) == 1
    assert "the robust one answered" in report.degraded[0]
    assert set(report.degraded) <= set(report.warnings)
    assert same_answer(report, robust)
    assert to_document(report)["degraded"] == list(report.degraded)
    assert "the robust one answered" in " ".join(render_text(report).split())


def test_a_model_that_nobody_knows_degrades_the_report(
    case: Case, robust: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RCA_HOME", str(tmp_path))
    report = analyze(replace(case, model="no-such-model"))
    assert report.degraded
    assert same_answer(report, robust)


def test_a_model_that_is_well_is_used_and_nothing_is_degraded(model: Path) -> None:
    case = read_case(bundled("datasets", "demo-shop/14-multivariate"))
    report = analyze(replace(case, model=str(model)))
    assert report.degraded == ()
    assert "metrics.unusual" in {event.kind for event in report.root_causes[0].because}


def test_without_a_model_nothing_is_degraded(robust: Report) -> None:
    assert robust.degraded == ()
    assert to_document(robust)["degraded"] == []


class Answering:
    """A detector that answers as it is told to."""

    def __init__(self, answer: Callable[[MetricFrame], Any]) -> None:
        self.answer = answer

    @classmethod
    def fit(cls, history: MetricFrame, *, seed: int = 0, excluded: Sequence[Window] = ()) -> Self:
        raise NotImplementedError

    def deviations(self, window: MetricFrame) -> Any:
        return self.answer(window)

    def score(self, window: MetricFrame) -> Any:
        return self.answer(window)

    def score_components(self, window: MetricFrame) -> ComponentScores:
        raise NotImplementedError

    def to_state(self) -> State:
        raise NotImplementedError

    @classmethod
    def from_state(cls, state: State) -> Self:
        raise NotImplementedError


def fail(window: MetricFrame) -> Any:
    raise ValueError("matmul: mismatch")


@pytest.mark.parametrize(
    "answer",
    [
        fail,
        lambda window: np.zeros((1, 1), np.float32),
        lambda window: np.full(window.values.shape, np.nan, np.float32),
        lambda window: np.full(window.values.shape, np.inf, np.float32),
    ],
    ids=["fails", "answers in another shape", "knows nothing", "answers infinitely"],
)
def test_a_detector_that_fails_on_the_window_degrades_the_report(
    answer: Callable[[MetricFrame], Any], case: Case, robust: Report
) -> None:
    report = analyze(case, detector=Answering(answer))
    assert len(report.degraded) == 1
    assert same_answer(report, robust)
