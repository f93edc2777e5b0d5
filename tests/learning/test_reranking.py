from __future__ import annotations

import math

import numpy as np
import pytest

from rca.cases.labelled import LabelledCase
from rca.learning.confirmed import Confirmed
from rca.learning.contributions import REST, UNCONFIRMED, UNTRAINED
from rca.learning.learned import LearnedModel
from rca.learning.scene import look_at
from rca.learning.training import train
from rca.pipeline import analyze, trace_causes
from rca.report.document import to_document
from rca.report.text import render_text
from rca.settings import Settings
from rca.similar.history import read_scores
from rca.stages import Stages
from rca.types import Report


@pytest.fixture(scope="module")
def model(confirmed: list[Confirmed]) -> LearnedModel:
    return train(confirmed).model


@pytest.fixture(scope="module")
def report(model: LearnedModel, incidents: list[LabelledCase]) -> Report:
    return analyze(incidents[0].case, learned=model)


def test_the_report_ranks_by_what_was_learnt_and_says_so(
    report: Report, model: LearnedModel, incidents: list[LabelledCase]
) -> None:
    assert report.ranking[0] in incidents[0].answer.components
    assert any("learned weights" in warning and "60 confirmed" in warning for warning in report.warnings)
    assert list(report.scores) == sorted(report.scores, reverse=True)


def test_every_score_adds_up_from_its_parts(report: Report) -> None:
    for cause in report.root_causes:
        odds = math.log(cause.score / (1.0 - cause.score))
        assert sum(part.value for part in cause.learned) == pytest.approx(odds, abs=1e-6)
        assert cause.learned[-1].what == REST
        assert UNTRAINED in {part.what for part in cause.learned}


def test_the_cause_is_named_for_the_event_that_tells_it(report: Report) -> None:
    strongest = report.root_causes[0].learned[0]
    assert any("pool_wait" in event for event in strongest.events)


def test_confidence_is_the_calibrated_belief(report: Report) -> None:
    assert report.root_causes[0].confidence == pytest.approx(report.root_causes[0].score)


def test_the_parts_stand_in_the_document_and_in_the_text(report: Report) -> None:
    document = to_document(report)
    parts = document["root_causes"][0]["learned"]
    assert all(event in document["events"] for part in parts for event in part["events"])
    assert "What confirmed causes taught of it" in render_text(report)


def test_without_learning_the_document_has_no_parts(incidents: list[LabelledCase]) -> None:
    document = to_document(analyze(incidents[0].case))
    assert all("learned" not in cause for cause in document["root_causes"])


def test_with_too_few_labels_the_untrained_answer_stands(
    confirmed: list[Confirmed], incidents: list[LabelledCase]
) -> None:
    few = train(confirmed[:10]).model
    case = incidents[0].case
    plain, asked = analyze(case), analyze(case, learned=few)
    assert asked.ranking == plain.ranking and asked.scores == plain.scores
    assert any("10 confirmed incidents" in warning for warning in asked.warnings)


def test_learned_weights_make_no_incident_of_health(model: LearnedModel, incidents: list[LabelledCase]) -> None:
    from dataclasses import replace

    case = incidents[0].case
    calm = replace(case, telemetry=replace(case.telemetry, alerts=()))
    plain, asked = analyze(calm), analyze(calm, learned=model)
    assert asked.verdict == plain.verdict and asked.ranking == plain.ranking


def test_no_sign_carries_the_name_of_a_component(incidents: list[LabelledCase]) -> None:
    for case, _ in incidents[:10]:
        context, graph, ranking = trace_causes(case, Settings(), Stages())
        scene = look_at(graph, ranking, context.topology, context.members)
        tokens = {token for shown in scene.tokens for _, token in shown}
        assert not any(name in token for token in tokens for name in scene.candidates)


def test_a_service_that_was_never_confirmed_is_told_by_the_untrained_answer(
    confirmed: list[Confirmed], incidents: list[LabelledCase]
) -> None:
    service = confirmed[0].service
    strange = train([one for one in confirmed if one.service != service]).model
    report = analyze(incidents[0].case, Settings(top_k=20), learned=strange)
    cause = next(one for one in report.root_causes if one.component in incidents[0].answer.components)
    assert [part.what for part in cause.learned] == [UNTRAINED, UNCONFIRMED]
    assert sum(part.value for part in cause.learned) == pytest.approx(math.log(cause.score / (1 - cause.score)))


def test_services_that_were_never_confirmed_keep_the_order_of_the_untrained_answer(confirmed: list[Confirmed]) -> None:
    description = confirmed[0].description
    known = sorted({one.service for one in confirmed})[:2]
    strange = train([one for one in confirmed if one.service in known]).model
    belief = strange.posterior(description).probability
    places = [i for i, service in enumerate(description.services) if service not in strange.services]
    untrained = description.untrained[places]
    assert len(places) > 2
    for i, j in zip(*np.where(untrained[:, None] > untrained[None, :]), strict=True):
        assert belief[places[i]] > belief[places[j]]


def test_the_untrained_scores_stay_in_the_document_for_later_comparison(
    report: Report, incidents: list[LabelledCase]
) -> None:
    plain = analyze(incidents[0].case)
    assert read_scores(to_document(report)) == read_scores(to_document(plain))
    assert list(to_document(report)["ranking"]) != list(to_document(plain)["ranking"])
    assert "untrained" not in to_document(plain)
