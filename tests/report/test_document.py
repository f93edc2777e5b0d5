from __future__ import annotations

import json
from dataclasses import replace

from rca.report.document import SCHEMA, to_document, to_json
from rca.types import Report


def test_the_document_names_its_schema_and_the_cause(report: Report) -> None:
    document = json.loads(to_json(report))
    assert document["schema"] == SCHEMA
    first = document["root_causes"][0]
    assert (first["rank"], first["component"], first["confidence"]) == (1, "payment", 0.86)
    assert document["culprit"] == first["change"] == "cfg-418"


def test_every_event_that_is_mentioned_is_described_once(report: Report) -> None:
    document = to_document(report)
    mentioned = {*document["critical"], *document["operational"]}
    for cause in document["root_causes"]:
        mentioned |= {cause["event"], *cause["because"], *cause["beside"], *cause["chain"]}
    assert mentioned == set(document["events"])


def test_edges_join_mentioned_events_and_name_their_rule(report: Report) -> None:
    document = to_document(report)
    assert len(document["edges"]) == 6
    for edge in document["edges"]:
        assert {edge["cause"], edge["effect"]} <= set(document["events"])
        assert edge["rule"]
        assert edge["lag_seconds"] >= 0


def test_timings_are_left_out_unless_asked_for_because_they_differ(report: Report) -> None:
    slower = replace(report, timings={"events": 9.0})
    assert to_json(report) == to_json(slower)
    assert to_document(slower, timings=True)["timings"] == {"events": 9.0}


def test_ranking_and_scores_stand_together(report: Report) -> None:
    assert to_document(report)["ranking"][1] == {"component": "checkout", "score": 0.21}


def test_the_last_bits_of_a_score_do_not_reach_the_document(report: Report) -> None:
    first, *others = report.root_causes
    blurred = replace(report, root_causes=(replace(first, score=first.score + 1e-12), *others))
    assert to_json(blurred) == to_json(report)


def test_a_report_of_nothing_has_a_document(report: Report) -> None:
    nothing = replace(
        report,
        verdict="healthy",
        root_causes=(),
        ranking=(),
        scores=(),
        critical=(),
        suspects=(),
        operational=(),
        onset=None,
    )
    document = to_document(nothing)
    assert document["onset"] is None
    assert document["events"] == {}
    assert document["edges"] == []
