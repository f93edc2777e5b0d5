from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rca.cases.labelled import LabelledCase
from rca.errors import EvaluationError
from rca.evaluation import trained
from rca.evaluation.calibration import calibration_error
from rca.evaluation.runner import evaluate
from rca.learning.confirmed import Confirmed, deal_folds


def test_no_incident_is_ranked_by_weights_that_saw_it(
    incidents: list[LabelledCase], confirmed: list[Confirmed], monkeypatch: pytest.MonkeyPatch
) -> None:
    lessons: list[set[str]] = []
    genuine = trained.train

    def spy(given: list[Confirmed]) -> object:
        lessons.append({one.description.incident for one in given})
        return genuine(given)

    monkeypatch.setattr(trained, "train", spy)
    taught = trained.teach_folds(incidents, 5)
    folds = deal_folds(confirmed, 5, seed=trained.SEED)
    assert len(lessons) == len(folds)
    for seen, test in zip(lessons, folds, strict=True):
        held = {incidents[i].case.incident.id for i in test.tolist()}
        assert not seen & held
        assert len(seen) + len(held) == len(incidents)
        assert len({id(taught.models[i]) for i in test.tolist()}) == 1


def test_a_folder_teaches_with_its_own_history(incidents: list[LabelledCase]) -> None:
    later = [
        LabelledCase(replace(case, incident=replace(case.incident, id=f"later-{case.incident.id}")), answer)
        for case, answer in incidents[:5]
    ]
    taught = trained.teach_folder(later, incidents, "elsewhere")
    assert {model.incidents for model in taught.models} == {len(incidents)}
    figures = taught.figures([answer for _, answer in later])
    assert figures["learnt_from"] == [60, 60] and 0.0 <= figures["ece"] <= 1.0


def test_an_incident_of_both_folders_is_refused(incidents: list[LabelledCase]) -> None:
    with pytest.raises(EvaluationError, match="among those to learn from"):
        trained.teach_folder(incidents[:3], incidents, "elsewhere")


def test_another_incident_of_the_same_id_is_counted_in_no_history(incidents: list[LabelledCase]) -> None:
    case, answer = incidents[0]
    other = replace(case, telemetry=replace(case.telemetry, alerts=case.telemetry.alerts[:1]))
    taught = trained.teach_folder([LabelledCase(other, answer)], incidents, "elsewhere")
    health = taught.cases[0].health
    assert health is not None and health.events is not None
    assert health.events.without(taught.cases[0]) is health.events


@pytest.mark.parametrize(("train_on", "problem"), [("1-fold", "nothing to learn"), ("nowhere", "no such folder")])
def test_what_cannot_teach_is_an_error(train_on: str, problem: str) -> None:
    with pytest.raises(EvaluationError, match=problem):
        trained.folds_of(train_on)


def test_a_set_must_not_teach_itself(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="must not teach"):
        evaluate("native", tmp_path, train=tmp_path)


def test_calibration_error_is_the_gap_between_what_is_stated_and_what_is_right() -> None:
    assert calibration_error([0.8] * 10, [True] * 8 + [False] * 2, bins=1) == pytest.approx(0.0)
    assert calibration_error([0.9] * 10, [True] * 5 + [False] * 5, bins=1) == pytest.approx(0.4)
    stated = np.concatenate([np.full(50, 0.2), np.full(50, 1.0)]).tolist()
    assert calibration_error(stated, [False] * 50 + [True] * 50, bins=2) == pytest.approx(0.1)
    assert calibration_error([], []) == 0.0
