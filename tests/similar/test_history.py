"""Precedents from a history, and the commands that show them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rca.cases.folder import write_case
from rca.cases.labelled import LabelledCase
from rca.causality import CausalityGraph
from rca.cli import app
from rca.knowledge import Feedback, Knowledge, Resolution
from rca.knowledge.memory import MemoryStore
from rca.knowledge.surroundings import read_surroundings
from rca.pipeline import analyze
from rca.similar import Precedent, Precedents, portray
from rca.similar.history import portrait_of, read_precedents, read_scores, rule_named
from rca.topology import Topology

Look = Callable[..., Precedent]


def keep(knowledge: Knowledge, labelled: LabelledCase, *, kind: str | None = None) -> str:
    case, answer = labelled
    knowledge.record_incident(analyze(case), topology=case.topology)
    name = case.incident.id
    said = answer.kind if kind is None else kind
    knowledge.give_feedback(
        Feedback(incident=name, by="ann", at=1, verdict="confirmed", component=answer.components[0], kind=said)
    )
    return name


@pytest.fixture
def knowledge() -> Knowledge:
    return Knowledge(MemoryStore())


def test_a_kept_incident_looks_as_it_did_when_it_was_analysed(
    knowledge: Knowledge, cases: list[LabelledCase], past: list[Precedent]
) -> None:
    for labelled, live in zip(cases[:3], past, strict=False):
        kept = portrait_of(knowledge.incident(keep(knowledge, labelled)))
        assert kept.shape == live.portrait.shape
        one, other = kept.description, live.portrait.description
        assert (one.candidates, one.services, one.tokens) == (other.candidates, other.services, other.tokens)
        assert np.array_equal(one.untrained, other.untrained)
        assert one.context == other.context
        assert one.features == other.features


def test_a_precedent_carries_what_people_said(knowledge: Knowledge, cases: list[LabelledCase]) -> None:
    name = keep(knowledge, cases[0])
    knowledge.resolve(Resolution(incident=name, by="ann", at=2, text="raised the limit"))
    [found] = read_precedents(knowledge).all
    assert found.components == cases[0].answer.components
    assert (found.kind, found.resolutions, found.who, found.title) == ("leak", ("raised the limit",), "ann", "slow")


def test_what_nobody_confirmed_is_no_precedent(knowledge: Knowledge, cases: list[LabelledCase]) -> None:
    case = cases[0].case
    knowledge.record_incident(analyze(case))
    assert len(read_precedents(knowledge)) == 0
    knowledge.give_feedback(Feedback(incident=case.incident.id, by="ann", at=1, verdict="wrong"))
    assert len(read_precedents(knowledge)) == 0


def test_what_was_confirmed_of_an_incident_teaches_nothing_about_it(
    knowledge: Knowledge, cases: list[LabelledCase]
) -> None:
    names = [keep(knowledge, one) for one in cases[:22]]
    honest = read_precedents(knowledge, but=names[:1])
    portrait = portrait_of(knowledge.incident(names[0]))
    believed = [near.belief for near in honest.nearest(portrait)]
    keep(knowledge, cases[0], kind="loss")  # the last word on the same incident: another kind
    again = read_precedents(knowledge, but=names[:1]).nearest(portrait)
    assert [near.belief for near in again] == believed
    assert None not in believed


def test_a_history_without_reports_is_read_all_the_same(knowledge: Knowledge, cases: list[LabelledCase]) -> None:
    kept = knowledge.incident(keep(knowledge, cases[0]))
    portrait = portrait_of(replace(kept, report=""))
    assert portrait.shape["events"] == portrait_of(kept).shape["events"]
    assert not portrait.description.untrained.any()


def test_scores_that_round_to_one_stand_for_finite_strength() -> None:
    scores = read_scores({"ranking": [{"component": "a", "score": 1.0}, {"component": "b", "score": 0.0}]})
    found = portray(CausalityGraph(events=()), scores, Topology.from_edges(())).description.untrained
    assert np.isfinite(found).all()
    assert found[0] > 10 > found[1] == 0


def test_a_rule_that_is_no_longer_there_still_names_its_links() -> None:
    assert rule_named("a rule of long ago").name == "a rule of long ago"


def test_a_document_without_surroundings_knows_no_topology() -> None:
    assert read_surroundings({}).components == ()


def test_the_command_names_similar_incidents_and_what_ended_them(
    home: None, cases: list[LabelledCase], tmp_path: Path
) -> None:
    def run(*words: object) -> str:
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == 0, result.output
        return result.stdout

    folders = [tmp_path / case.incident.id for case, _ in cases[:4]]
    for (case, _), folder in zip(cases, folders, strict=False):
        write_case(case, folder)
    run("history", "add", *folders)
    for number in (0, 1):
        run("history", "confirm", f"i-{number:03d}", "--component", cases[number].answer.components[0], "--kind", "x")
    run("history", "resolve", "i-000", "restarted it")
    rows = json.loads(run("history", "similar", "i-002", "--format", "json"))
    ended = {row["incident"]: row["resolutions"] for row in rows}
    assert ended == {"i-000": ["restarted it"], "i-001": []}
    assert len(json.loads(run("history", "similar", "i-002", "--format", "json", "--most", "1"))) == 1
    assert "ended by" in run("history", "similar", "i-002")
    report = json.loads(run("analyze", folders[2], "--similar", "--format", "json"))
    assert sorted(row["incident"] for row in report["similar"]) == ["i-000", "i-001"]
    of_itself = json.loads(run("analyze", folders[0], "--similar", "--format", "json"))
    assert [row["incident"] for row in of_itself["similar"]] == ["i-001"]


def test_the_command_says_that_there_is_no_such_incident(home: None) -> None:
    result = CliRunner().invoke(app, ["history", "similar", "nowhere"])
    assert result.exit_code != 0


def test_precedents_of_an_empty_history_are_none(knowledge: Knowledge, past: list[Precedent]) -> None:
    precedents = read_precedents(knowledge)
    assert isinstance(precedents, Precedents)
    assert precedents.nearest(past[0].portrait) == ()
