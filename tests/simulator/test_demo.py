from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rca.cases.folder import ANSWER, read_answer, read_case
from rca.errors import CaseError
from rca.pipeline import analyze
from rca.registry import load_model
from rca.resources import bundled
from rca.simulator import play
from rca.simulator.demo import CASES, MODEL, demo_history, demo_scenario, folder_name, write_demo


def folders() -> list[Path]:
    return sorted(path for path in bundled("datasets", "demo-shop").iterdir() if path.is_dir())


def test_fourteen_small_cases_of_different_faults_are_shipped() -> None:
    assert [path.name.split("-", 1)[1] for path in folders()] == [folder_name(fault) for fault, _ in CASES]
    assert len({fault for fault, _ in CASES}) == 14
    sizes = [sum(file.stat().st_size for file in path.iterdir()) for path in folders()]
    assert max(sizes) <= 150_000
    assert sum(sizes) <= 2_000_000


@pytest.mark.parametrize("number", range(len(CASES)))
def test_a_shipped_case_is_what_the_simulator_makes(number: int) -> None:
    shipped, (case, answer) = folders()[number], play(demo_scenario(*CASES[number]))
    read = read_case(shipped)
    assert read_answer(shipped) == answer
    assert read.incident.window == case.incident.window
    assert read.incident.symptoms == case.incident.symptoms
    assert read.telemetry.changes == case.telemetry.changes
    assert sorted(read.telemetry.spans.span) == sorted(case.telemetry.spans.span)
    assert sorted(read.telemetry.logs.message) == sorted(case.telemetry.logs.message)
    np.testing.assert_allclose(
        np.sort(read.telemetry.metrics.values.ravel()), np.sort(case.telemetry.metrics.values.ravel()), rtol=1e-5
    )


def test_the_demonstration_is_a_deployment_in_the_middle_with_innocent_ones_around_it() -> None:
    first = folders()[0]
    case, answer = read_case(first), read_answer(first)
    assert case.topology is not None
    root = answer.components[0]
    assert case.topology.callers(root) and case.topology.callees(root)
    assert root not in {symptom.component for symptom in case.incident.symptoms}
    deployed = {change.id for change in case.telemetry.changes if change.kind == "change.deployment"}
    assert answer.change in deployed
    assert deployed & set(answer.decoys)


def test_no_table_of_a_case_gives_the_answer_away() -> None:
    for path in folders():
        assert (path / ANSWER).is_file()
        for file in path.glob("*.json"):
            if file.name != ANSWER:
                assert not any(word in file.read_text(encoding="utf-8") for word in ("decoy", "blast", "culprit"))


def test_writing_over_cases_is_refused(tmp_path: Path) -> None:
    (tmp_path / "01-bad-deployment").mkdir()
    (tmp_path / "01-bad-deployment" / "mine.txt").write_text("keep me", encoding="utf-8")
    with pytest.raises(CaseError):
        write_demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["01-bad-deployment"]


SHIPPED = ("01-bad-deployment", "13-slow-onset", "14-multivariate")


@pytest.mark.parametrize("name", SHIPPED)
def test_the_bundled_detector_is_that_of_the_first_cases_shop_and_its_answer_is_right(name: str) -> None:
    folder = bundled("datasets", f"demo-shop/{name}")
    case, answer = read_case(folder), read_answer(folder)
    assert case.model == MODEL
    report = analyze(case)
    assert report.degraded == ()
    assert report.verdict == "cause"
    assert report.root_causes[0].component in answer.components


@pytest.mark.parametrize("name", SHIPPED[1:])
def test_without_the_detector_the_subtle_cases_are_not_solved(name: str) -> None:
    folder = bundled("datasets", f"demo-shop/{name}")
    report = analyze(replace(read_case(folder), model=""))
    assert not report.ranking or report.ranking[0] not in read_answer(folder).components


def test_the_other_shops_have_no_detector() -> None:
    assert [path.name for path in folders() if read_case(path).model] == list(SHIPPED)


def test_the_bundled_detector_is_small_and_its_recipe_short() -> None:
    folder = bundled("models", MODEL)
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 1_000_000
    assert len((folder / "train.py").read_text(encoding="utf-8").splitlines()) < 60


def test_the_recipe_makes_the_bundled_detector(tmp_path: Path) -> None:
    script = bundled("models", f"{MODEL}/train.py")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    subprocess.run([sys.executable, str(script), str(tmp_path)], env=environment, check=True, capture_output=True)
    made, shipped = load_model(tmp_path / MODEL), load_model(bundled("models", MODEL))
    assert made.described.data.hash == shipped.described.data.hash
    window = demo_history(0.1)
    # Other processors add up in another order, and training carries that on.
    assert np.abs(made.detector.score(window) - shipped.detector.score(window)).mean() < 0.01
