"""The engine with learned weights, measured on incidents that they never saw.

Either the set is dealt into folds, stratified by type of fault and cause, each ranked by weights that
the other folds taught; or all of another folder teaches. The history that surprise is measured
against holds no incident that it is measured for, and no labels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rca.cases.labelled import LabelledCase
from rca.errors import EvaluationError
from rca.evaluation.calibration import calibration_error
from rca.learning.confirmed import Confirmed, confirm, deal_folds
from rca.learning.description import Description
from rca.learning.learned import LearnedModel
from rca.learning.observing import observe
from rca.learning.training import train
from rca.types import Answer, Case

SEED = 0
_FOLDS = re.compile(r"(\d{1,3})-fold")
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Taught:
    """For each incident of a set the case as the engine sees it, and the weights that did not see it.

    Attributes:
        cases: in the set's order.
        models: of each case.
        descriptions: of each case.
        train: what taught.
    """

    cases: tuple[Case, ...]
    models: tuple[LearnedModel, ...]
    descriptions: tuple[Description, ...]
    train: str

    def figures(self, answers: Sequence[Answer]) -> dict[str, Any]:
        """How far the confidence in the first candidate is to be believed, before and after calibration."""
        raw, calibrated, right = [], [], []
        for model, description, answer in zip(self.models, self.descriptions, answers, strict=True):
            if answer.components and description.candidates:
                posterior = model.posterior(description)
                first = int(np.argmax(posterior.probability))
                right.append(description.candidates[first] in answer.components)
                raw.append(float(posterior.raw[first]))
                calibrated.append(float(posterior.probability[first]))
        counts = [model.incidents for model in self.models]
        return {
            "train": self.train,
            "learnt_from": [min(counts), max(counts)],
            "ece_raw": calibration_error(raw, right),
            "ece": calibration_error(calibrated, right),
        }


def folds_of(train_on: str | Path) -> int | None:
    """The number of folds of "5-fold"; None where a folder is named.

    Raises:
        EvaluationError: fewer than 2 folds, or a folder that is not there.
    """
    found = _FOLDS.fullmatch(str(train_on))
    if found is None:
        if not Path(train_on).is_dir():
            raise EvaluationError(
                "there is no such folder to learn from", where=train_on, remedy="Give a folder, or 5-fold"
            )
        return None
    if int(found[1]) < 2:
        raise EvaluationError(f"{train_on} leaves nothing to learn from", where="--train", remedy="Give 5-fold")
    return int(found[1])


def teach_folds(labelled: Sequence[LabelledCase], folds: int, progress: Progress | None = None) -> Taught:
    """Each incident with weights from the other folds; windows without a fault with those of the first.

    Raises:
        EvaluationError: there are fewer labelled incidents than folds.
    """
    seen = _observe([case for case, _ in labelled], progress)
    confirmed = {i: one for i, one in enumerate(map(_confirmed, seen, labelled)) if one is not None}
    if len(confirmed) < 2 * folds:
        raise EvaluationError(
            f"{len(confirmed)} labelled incidents do not fill {folds} folds",
            where="--train",
            remedy="Give fewer folds, or a folder to learn from",
        )
    places = list(confirmed)
    models: dict[int, LearnedModel] = {}
    for test in deal_folds(list(confirmed.values()), folds, seed=SEED):
        held = {places[i] for i in test.tolist()}
        model = train([confirmed[i] for i in places if i not in held]).model
        models |= dict.fromkeys(sorted(held), model)
    first = models[min(models)]
    return Taught(
        cases=tuple(case for case, _ in labelled),
        models=tuple(models.get(i, first) for i in range(len(labelled))),
        descriptions=tuple(seen),
        train=f"{folds}-fold, seed {SEED}",
    )


def teach_folder(
    labelled: Sequence[LabelledCase], teaching: Iterable[LabelledCase], where: str, progress: Progress | None = None
) -> Taught:
    """Each incident with the weights, and the history, of another folder's.

    Raises:
        EvaluationError: an incident is in both, or nothing is to be learnt there.
    """
    taught = list(teaching)
    _check_apart(labelled, taught)
    descriptions = _observe([case for case, _ in taught], progress)
    confirmed = [one for one in map(_confirmed, descriptions, taught) if one is not None]
    if not confirmed:
        raise EvaluationError(
            "there are no labelled incidents to learn from",
            where=where,
            remedy="Give a folder of incidents with answers",
        )
    model = train(confirmed).model
    cases = tuple(_as_later(case, taught[0].case) for case, _ in labelled)
    return Taught(cases=cases, models=(model,) * len(cases), descriptions=tuple(_observe(cases, progress)), train=where)


def _observe(cases: Sequence[Case], progress: Progress | None) -> list[Description]:
    found = []
    for number, case in enumerate(cases, 1):
        found.append(observe(case))
        if progress is not None:
            progress(number, len(cases))
    return found


def _confirmed(description: Description, labelled: LabelledCase) -> Confirmed | None:
    answer = labelled.answer
    return confirm(description, answer.components, kind=answer.kind) if answer.components else None


def _check_apart(labelled: Sequence[LabelledCase], taught: Sequence[LabelledCase]) -> None:
    known = {case.incident.id: case for case, _ in taught}
    for case, _ in labelled:
        other = known.get(case.incident.id)
        if other is None or other.incident != case.incident:
            continue
        if other.telemetry.alerts == case.telemetry.alerts and other.telemetry.components == case.telemetry.components:
            raise EvaluationError(
                f"the incident {case.incident.id} is among those to learn from",
                where="--train",
                remedy="Give a folder of other incidents, or 5-fold",
            )


def _as_later(case: Case, of_training: Case) -> Case:
    """A case as it comes after the incidents that taught: compared with their history, counted in none of it."""
    history = None if of_training.health is None else of_training.health.events
    if history is None or case.health is None or case.health.events is None:
        return case
    incident = case.incident
    if incident.id in history.incidents:
        incident = replace(incident, id=f"{incident.id} (later)")
    return replace(case, incident=incident, health=replace(case.health, events=history))
