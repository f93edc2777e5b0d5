from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rca.cases.labelled import LabelledCase
from rca.errors import TrainingError
from rca.learning.confirmed import Confirmed, confirm, deal_folds
from rca.learning.explanation import effective, explain_weights
from rca.learning.learned import ENOUGH
from rca.learning.training import train

Make = Callable[..., list[LabelledCase]]
Describe = Callable[..., list[Confirmed]]


def right(one: Confirmed, scores: np.ndarray) -> bool:
    return int(np.argmax(scores)) in one.causes


def test_incidents_never_seen_are_ranked_better_than_without_learning(
    confirmed: list[Confirmed], make: Make, describe: Describe
) -> None:
    model = train(confirmed).model
    later = describe(make(20, seed=2))
    learned = sum(right(one, model.posterior(one.description).probability) for one in later)
    untrained = sum(right(one, one.description.untrained) for one in later)
    assert learned >= 19
    assert untrained <= 5


def test_probabilities_of_an_incident_add_up_to_one(confirmed: list[Confirmed]) -> None:
    posterior = train(confirmed).model.posterior(confirmed[0].description)
    assert posterior.probability.sum() == pytest.approx(1.0)
    assert posterior.raw.sum() == pytest.approx(1.0)


def test_training_twice_gives_the_same_weights(confirmed: list[Confirmed]) -> None:
    first, second = train(confirmed).model, train(confirmed).model
    assert np.array_equal(first.weights.common, second.weights.common)
    assert first.temperature == second.temperature


def test_a_wrong_label_is_hardly_believed_and_moves_the_answer_little(confirmed: list[Confirmed]) -> None:
    wrong = dict.fromkeys((3, 17, 29, 41, 47, 53))
    labels = [
        replace(one, causes=frozenset([(min(one.causes) + 5) % len(one.description.candidates)])) if i in wrong else one
        for i, one in enumerate(confirmed)
    ]
    training = train(labels)
    believed = [training.belief[i] for i in range(len(labels)) if i not in wrong]
    assert max(training.belief[i] for i in wrong) < 0.7 * float(np.median(believed))
    found = sum(right(one, training.model.posterior(one.description).probability) for one in confirmed)
    assert found >= len(confirmed) - 1


def test_one_user_moves_no_weight_beyond_the_bound(
    make: Make, describe: Describe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rca.learning.bounds.MOST", 0.5)
    labelled = make(60)
    free = effective(train(describe(labelled)).model)
    bound = effective(train(describe(labelled, who="mallory")).model)
    assert max(abs(weight) for weight in free.values()) > 0.7
    # The iterations end before the last hundredth.
    assert max(abs(weight) for weight in bound.values()) <= 0.5 + 0.05


def test_two_users_move_a_weight_further_than_one(
    make: Make, describe: Describe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rca.learning.bounds.MOST", 0.5)
    labelled = make(60)
    both = describe(labelled[:30], who="ada") + describe(labelled[30:], who="bob")
    assert max(abs(weight) for weight in effective(train(both).model).values()) > 0.6


def test_a_service_that_was_never_confirmed_keeps_the_untrained_say(make: Make, describe: Describe) -> None:
    labelled = make(60, roots=("ads-0", "ads-1", "bank-0", "bank-1", "cart-0", "cart-1"))
    model = train(describe(labelled)).model
    assert "edge" not in model.services
    case, answer = labelled[0]
    alerts = tuple(replace(each, component="edge-1") for each in case.telemetry.alerts if each.name != "pool_wait")
    strange = replace(case, telemetry=replace(case.telemetry, alerts=alerts))
    one = describe([LabelledCase(strange, replace(answer, components=("edge-1",)))])[0]
    assert right(one, one.description.untrained)
    assert right(one, model.posterior(one.description).probability)


def test_who_a_component_is_says_nothing_of_services_that_were_never_confirmed(make: Make, describe: Describe) -> None:
    model = train(describe(make(40, roots=("ads-0", "bank-0")))).model
    named = {name for group, name in model.columns.features if group in ("service", "component")}
    assert named == {"ads", "ads-0", "ads-1", "bank", "bank-0", "bank-1"}


def test_folds_are_apart_complete_and_stratified(confirmed: list[Confirmed]) -> None:
    folds = deal_folds(confirmed, 5, seed=0)
    assert sorted(np.concatenate(folds).tolist()) == list(range(len(confirmed)))
    counts = [sum(confirmed[i].component == "ads-0" for i in fold) for fold in folds]
    assert max(counts) - min(counts) <= 1


def test_a_service_stands_for_its_replicas(confirmed: list[Confirmed]) -> None:
    description = confirmed[0].description
    one = confirm(description, ["cart"])
    assert one is not None
    assert {description.candidates[i] for i in one.causes} == {"cart-0", "cart-1"}


def test_a_cause_that_is_no_candidate_teaches_nothing(confirmed: list[Confirmed]) -> None:
    assert confirm(confirmed[0].description, ["elsewhere"]) is None


def test_two_incidents_are_too_few(confirmed: list[Confirmed]) -> None:
    with pytest.raises(TrainingError, match="too few"):
        train(confirmed[:2])


def test_the_weight_that_matters_is_among_those_that_moved_most(confirmed: list[Confirmed]) -> None:
    training = train(confirmed)
    moved = explain_weights(training, None)
    pool = [row for row in moved if "pool_wait" in row.what]
    assert pool and all(row.before == 0.0 for row in moved)
    assert max(row.support for row in pool) == len(confirmed)


def test_against_itself_no_weight_moved(confirmed: list[Confirmed]) -> None:
    training = train(confirmed)
    assert all(row.before == row.after for row in explain_weights(training, training.model))


@pytest.mark.parametrize("count", [ENOUGH - 1, ENOUGH])
def test_twenty_labels_are_enough(confirmed: list[Confirmed], count: int) -> None:
    assert train(confirmed[:count]).model.is_enough == (count >= ENOUGH)
