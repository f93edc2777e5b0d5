"""Each receiver gets what it understands, within its limits, whatever telemetry held."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rca.cases.folder import read_case
from rca.errors import SourceError
from rca.notify import FORMS, Occasion, Summary, render, summarize
from rca.notify.annotations import find_annotation, holds_annotation, holds_opsgenie_note, list_opsgenie_notes
from rca.notify.pagerduty import holds_reference, read_alert_keys
from rca.pipeline import analyze
from rca.report.document import to_document
from rca.sources.cloudevents import decode_cloudevents

ROOT = Path(__file__).resolve().parents[2]
DOCS = (ROOT / "docs" / "alerting.md").read_text(encoding="utf-8")
URL = "https://rca.example/api/v1/incidents/i1/page"
ON = Occasion(
    secret="hidden",
    sender="ada@shop.example",
    page="PD1",
    group="g" * 64,
    now="2026-01-31T12:00:00Z",
    reference="dlv-1",
)


@pytest.fixture(scope="module")
def summary() -> Summary:
    """Of a bundled incident: a bad deployment."""
    case = read_case(ROOT / "datasets" / "demo-shop" / "01-bad-deployment")
    return summarize(to_document(analyze(case), case=case), url=URL)


def body_of(form: str, summary: Summary, on: Occasion = ON) -> Any:
    return json.loads(render(form, summary, on).body)


def test_the_text_says_all_that_a_responder_needs(summary: Summary) -> None:
    lines = summary.lines()
    assert lines[0].startswith(f"ROOT CAUSE  {summary.component}  (")
    assert lines[1] == summary.headline
    for begin in ("- ", "What changed: ", "How it travelled: ", "Do first: "):
        assert any(line.startswith(begin) for line in lines), begin
    assert lines[-1] == URL


def test_an_inconclusive_answer_is_called_so_and_says_what_is_missing(summary: Summary) -> None:
    case = read_case(ROOT / "datasets" / "demo-shop" / "12-no-fault")
    document = to_document(analyze(case), case=case)
    told = summarize({**document, "verdict": "inconclusive", "missing": ["spans of cart"]})
    assert told.lines()[0] == "INCONCLUSIVE"
    assert "Missing: spans of cart" in told.lines()
    assert told.change == ""
    healthy = summarize({**document, "verdict": "healthy"})
    assert healthy.lines()[0] == "NOTHING ABNORMAL"
    assert healthy.component == ""


def test_a_note_goes_to_the_page_with_the_headers_that_pagerduty_wants(summary: Summary) -> None:
    made = render("pagerduty-note", summary, ON)
    assert (made.method, made.path) == ("POST", "/incidents/PD1/notes")
    assert dict(made.headers) == {
        "Authorization": "Token token=hidden",
        "Accept": "application/vnd.pagerduty+json;version=2",
        "From": "ada@shop.example",
        "Content-Type": "application/json",
    }
    content = json.loads(made.body)["note"]["content"]
    assert content.splitlines()[-1] == "Reference: dlv-1"
    answer = json.dumps({"notes": [{"content": content}]}).encode()
    assert holds_reference(answer, ON)
    assert not holds_reference(b'{"notes": []}', ON)
    assert not holds_reference(b"<html>", ON)


def test_an_event_joins_the_alert_of_its_group_and_is_ended_by_the_same_key(summary: Summary) -> None:
    event = body_of("pagerduty-event", summary)
    assert (event["dedup_key"], event["event_action"], event["routing_key"]) == ("g" * 64, "trigger", "hidden")
    assert event["payload"]["severity"] in ("critical", "error", "warning", "info")
    assert {"summary", "source", "severity"} <= event["payload"].keys()
    assert {"href": URL, "text": "Incident page"} in event["links"]
    resolve = FORMS["pagerduty-event"].resolve
    assert resolve is not None
    ended = json.loads(resolve(summary, ON).body)
    assert ended == {"routing_key": "hidden", "event_action": "resolve", "dedup_key": "g" * 64}
    alone = body_of("pagerduty-event", summary, Occasion(secret="s"))
    assert alone["dedup_key"] == f"rca-{summary.incident}"


def test_the_keys_of_a_pages_alerts_are_read() -> None:
    assert read_alert_keys(b'{"alerts": [{"alert_key": "k", "id": "A"}, {"alert_key": null}, {"alert_key": "k"}]}') == (
        "k",
    )
    with pytest.raises(SourceError):
        read_alert_keys(b"[]")


def test_a_change_stands_on_the_timeline(summary: Summary) -> None:
    event = body_of("pagerduty-change", summary)
    assert event["payload"]["summary"] == summary.change
    assert event["payload"]["timestamp"] == summary.onset


def test_an_annotation_spans_onset_to_alert(summary: Summary) -> None:
    made = body_of("grafana", summary)
    assert made["time"] <= made["timeEnd"]
    assert f"component:{summary.component}" in made["tags"]
    assert render("grafana", summary, ON).headers["Authorization"] == "Bearer hidden"


def test_opsgenie_gets_a_note_by_the_alias_of_the_group(summary: Summary) -> None:
    made = render("opsgenie", summary, Occasion(secret="k", page="g1", group="g1"))
    assert made.path == "/v2/alerts/g1/notes?identifierType=alias"
    assert made.headers["Authorization"] == "GenieKey k"


def test_an_annotation_and_a_note_of_an_earlier_attempt_are_found_by_their_reference(summary: Summary) -> None:
    annotation = body_of("grafana", summary)
    asked = find_annotation(ON)
    assert (asked.method, asked.path) == ("GET", "/api/annotations?tags=rca&tags=delivery%3Adlv-1&limit=1")
    assert holds_annotation(json.dumps([{"id": 7, "tags": annotation["tags"]}]).encode(), ON)

    note = body_of("opsgenie", summary)["note"]
    asked = list_opsgenie_notes(ON)
    assert (asked.method, asked.path) == ("GET", "/v2/alerts/PD1/notes?identifierType=alias&order=desc&limit=100")
    assert holds_opsgenie_note(json.dumps({"data": [{"note": "others"}, {"note": note}]}).encode(), ON)
    for nothing in (b"[]", b"{}", b'{"data": []}', b'[{"tags": null}]', b"<html>", b"\xff"):
        assert not holds_annotation(nothing, ON)
        assert not holds_opsgenie_note(nothing, ON)


def test_the_signature_of_a_webhook_is_checked_as_the_docs_say(summary: Summary) -> None:
    (code,) = re.findall(r"^```python signature\n(.*?)^```", DOCS, re.MULTILINE | re.DOTALL)
    space: dict[str, Any] = {}
    exec(compile(code, "docs/alerting.md", "exec"), space)
    made = render("webhook", summary, ON)
    header = made.headers["X-RCA-Signature-256"]
    assert space["is_ours"](b"hidden", made.body, header)
    assert not space["is_ours"](b"another", made.body, header)
    assert not space["is_ours"](b"hidden", made.body + b" ", header)
    assert made.headers["Idempotency-Key"] == "dlv-1"
    assert json.loads(made.body)["schema"] == "rca.summary/1"


def test_cdevents_are_cloudevents_that_our_own_reader_takes(summary: Summary) -> None:
    made = render("cdevents", summary, ON)
    event = json.loads(made.body)
    assert {"specversion", "id", "source", "type"} <= event.keys()
    assert event["data"]["context"]["type"] == event["type"] == "dev.cdevents.incident.detected.0.3.0"
    assert event["data"]["subject"]["content"]["service"]["id"] == summary.component
    decode_cloudevents(made.body, headers=dict(made.headers))


def test_a_document_of_an_index_is_known_by_its_incident(summary: Summary) -> None:
    made = render("elastic", summary, ON)
    assert (made.method, made.path) == ("PUT", f"/_doc/{summary.incident}")
    document = json.loads(made.body)
    assert document["service"]["name"] == summary.component
    assert document["@timestamp"] == summary.detected


TEXT = st.text(max_size=400)
SUMMARIES = st.builds(
    Summary,
    incident=st.text(min_size=1, max_size=40),
    title=TEXT,
    url=st.sampled_from(["", URL]),
    verdict=st.sampled_from(["cause", "inconclusive", "healthy"]),
    headline=TEXT,
    component=TEXT,
    confidence=st.floats(0, 1),
    reasons=st.lists(TEXT, max_size=3).map(tuple),
    chain=st.lists(TEXT, max_size=12).map(tuple),
    change=TEXT,
    owner=TEXT,
    runbook=TEXT,
    steps=st.lists(TEXT, max_size=4).map(tuple),
    others=st.lists(st.tuples(TEXT, st.floats(0, 1)), max_size=3).map(tuple),
    missing=st.lists(TEXT, max_size=2).map(tuple),
    degraded=st.lists(TEXT, max_size=9).map(tuple),
    onset=st.sampled_from(["", "2026-01-31T11:55:00Z"]),
    detected=st.sampled_from(["", "2026-01-31T12:00:00.123Z"]),
)


@settings(max_examples=60, deadline=None)
@given(SUMMARIES)
def test_whatever_telemetry_held_every_form_stays_within_its_receivers_limits(summary: Summary) -> None:
    for form in FORMS:
        made = render(form, summary, ON)
        assert len(made.body) < 512_000
        json.loads(made.body)
        assert "\n" not in "".join(made.headers.values())
    assert len(body_of("pagerduty-note", summary)["note"]["content"]) <= 25_000
    assert len(body_of("pagerduty-event", summary)["payload"]["summary"]) <= 1_024
    message = body_of("slack", summary)
    assert len(message["blocks"]) <= 50
    for block in message["blocks"]:
        if block["type"] == "header":
            assert 0 < len(block["text"]["text"]) <= 150
        if block["type"] == "section":
            assert 0 < len(block["text"]["text"]) <= 3_000
        if block["type"] == "context":
            assert 0 < len(block["elements"]) <= 10
    assert len(json.dumps(message["blocks"], ensure_ascii=False)) <= 13_000 + 3_000


def test_nothing_in_telemetry_becomes_a_link_or_a_mention_in_a_chat(summary: Summary) -> None:
    import dataclasses

    evil = dataclasses.replace(summary, headline="<!channel> & <https://evil.example|click>")
    shown = json.dumps(body_of("slack", evil))
    assert "<!channel>" not in shown
    assert "&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;" in shown
