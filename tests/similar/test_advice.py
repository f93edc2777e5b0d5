from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rca.cases.labelled import LabelledCase
from rca.learning.confirmed import Confirmed
from rca.learning.training import train
from rca.pipeline import analyze, trace_causes
from rca.ranking import Ranking
from rca.report.document import to_document, to_json
from rca.report.page import render_page
from rca.report.text import render_text
from rca.settings import Settings
from rca.similar import Precedent, Precedents
from rca.similar.advice import MOST_RAISED, Advice, ask_precedents
from rca.stages import Stages
from rca.types import Case

Make = Callable[..., LabelledCase]
Look = Callable[..., Precedent]


def without_evidence(case: Case) -> Case:
    """The same case with alerts of nothing."""
    return replace(case, telemetry=replace(case.telemetry, alerts=()))


@pytest.fixture(scope="module")
def ranking(cases: list[LabelledCase]) -> Ranking:
    return trace_causes(cases[0].case, Settings(), Stages())[2]


def weighed(ranking: Ranking, raised: dict[str, float]) -> tuple[list[str], list[float], list[float], Stages]:
    """Names before, strengths before, strengths after by the same names, and what was said."""
    stages = Stages()
    after = Advice(neighbours=(), raised=raised).weigh(ranking, stages)
    found = dict(zip(after.names, after.strength.tolist(), strict=True))
    return list(ranking.names), ranking.strength.tolist(), [found[name] for name in ranking.names], stages


def test_nothing_changes_where_no_history_is_given_or_it_is_empty(cases: list[LabelledCase]) -> None:
    for case, _ in cases[:3]:
        plain = to_json(analyze(case))
        assert to_json(analyze(case, precedents=Precedents(()))) == plain
        assert "precedent" not in plain
        assert "similar" not in json.loads(plain)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_precedents_never_overrule_evidence_that_separates(ranking: Ranking, data: st.DataObject) -> None:
    drawn = data.draw(st.lists(st.floats(0.01, 5), min_size=len(ranking.names), max_size=len(ranking.names)))
    given_strength = replace(ranking, strength=np.sort(np.array(drawn))[::-1])
    raised = {name: data.draw(st.floats(0, MOST_RAISED)) for name in ranking.names}
    _, before, after, _ = weighed(given_strength, raised)
    for a, b in zip(before, after, strict=True):
        assert a <= b <= a * (1 + MOST_RAISED) + 1e-12
    for i, first in enumerate(before):
        for j, second in enumerate(before):
            if second < 0.9 * first * (1 - 1e-9):
                assert after[j] < after[i]


def test_precedents_decide_between_candidates_that_are_not_separated(make: Make) -> None:
    case = make(900, "bank-0", "ads-1", "leak").case
    alerts = tuple(alert for alert in case.telemetry.alerts if alert.name != "queue_length")
    case = replace(case, telemetry=replace(case.telemetry, alerts=alerts))
    ranking = trace_causes(case, Settings(), Stages())[2]
    names, before, _, _ = weighed(ranking, {})
    assert before[1] > 0.9 * before[0]
    _, _, _, stages = weighed(ranking, {names[1]: MOST_RAISED})
    assert any(f"put {names[1]} first; without them the answer is {names[0]}" in word for word in stages.warnings)


def test_a_precedent_speaks_for_the_service_of_its_cause_and_for_what_its_cause_showed(
    past: list[Precedent], make: Make
) -> None:
    root = past[0].components[0]
    bystander = next(name for name in ("desk-0", "ads-0") if name[:-2] != root[:-2])
    case = make(901, root, bystander, past[0].kind).case
    context, graph, ranking = trace_causes(case, Settings(), Stages())
    advice = ask_precedents(ranking, graph, context, Precedents(past[:1]))
    assert advice.raised[root] > advice.raised.get(bystander, 0.0)
    assert all(0 < value <= MOST_RAISED for value in advice.raised.values())


def test_a_precedent_speaks_for_what_its_cause_showed_in_a_shop_of_other_names(
    past: list[Precedent], make: Make
) -> None:
    case = make(902, "ads-0", "cart-1", "leak").case
    renamed = tuple(replace(alert, component=f"far-{alert.component}") for alert in case.telemetry.alerts)
    case = replace(case, telemetry=replace(case.telemetry, alerts=renamed), topology=None)
    context, graph, ranking = trace_causes(case, Settings(), Stages())
    leaks = [one for one in past if one.kind == "leak"][:5]
    raised = ask_precedents(ranking, graph, context, Precedents(leaks)).raised
    assert raised["far-ads-0"] > raised.get("far-cart-1", 0.0)


def test_where_nothing_is_abnormal_nothing_is_similar(past: list[Precedent], cases: list[LabelledCase]) -> None:
    report = analyze(without_evidence(cases[0].case), precedents=Precedents(past))
    assert report.similar == ()
    assert report.ranking == ()


def test_learned_weights_know_the_precedents_already(past: list[Precedent], make: Make) -> None:
    case = make(903, "ads-0", "cart-1", "leak").case
    known: list[Confirmed] = [one.confirmed for one in past if one.confirmed is not None]
    model = train(known).model
    plain, told = analyze(case, learned=model), analyze(case, learned=model, precedents=Precedents(past))
    assert (told.ranking, told.scores) == (plain.ranking, plain.scores)
    assert told.similar
    assert not any(cause.precedent for cause in told.root_causes)


def test_the_report_names_similar_incidents_their_causes_and_what_ended_them(past: list[Precedent], make: Make) -> None:
    case = make(904, "ads-0", "cart-1", "leak").case
    report = analyze(case, precedents=Precedents.learn(past))
    first = report.similar[0]
    assert first.kind == "leak"
    assert first.resolutions == ("restarted it",)
    document = to_document(report)
    assert [one["incident"] for one in document["similar"]] == [one.incident for one in report.similar]
    assert document["root_causes"][0]["precedent"] > 0
    text = render_text(report, case, width=200)
    assert "Similar past incidents" in text
    assert f"({first.incident}): {first.component}, leak; ended by: restarted it" in text
    assert "They raise the strength of" in text
    page = render_page(report, case)
    assert "Similar past incidents" in page
    assert "restarted it" in page
    assert first.incident in page


def test_what_people_wrote_of_a_past_incident_steers_neither_terminal_nor_page(
    past: list[Precedent], make: Make
) -> None:
    hostile = "\x1b[2J<script>alert(1)</script>\u202e"
    bad = [replace(one, title=hostile, kind=hostile, resolutions=(hostile,), change=hostile) for one in past[:3]]
    case = make(905, "ads-0", "cart-1", "leak").case
    report = analyze(case, precedents=Precedents(bad))
    assert len(report.similar) == 3
    text = render_text(report, case, width=200)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "<script>alert" not in render_page(report, case)


def test_scores_and_strengths_stay_finite_numbers(past: list[Precedent], cases: list[LabelledCase]) -> None:
    for case, _ in cases[:4]:
        report = analyze(case, precedents=Precedents.learn(past))
        assert np.isfinite(report.scores).all()
        assert sorted(report.scores, reverse=True) == list(report.scores)
