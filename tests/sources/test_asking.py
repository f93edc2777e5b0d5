"""Other systems are asked within bounds, and whoever does not answer is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from rca.errors import SourceError
from rca.sources import elastic
from rca.sources.asking import Server
from rca.sources.elastic import LogQuery, query_logs, write_documents
from rca.sources.elastic_reports import report_document
from rca.sources.errors import TooLargeError, UnavailableError
from rca.types import SECOND, Window

WINDOW = Window(start=1_795_300_000 * SECOND, end=1_795_300_600 * SECOND)


def server(answer: Callable[[httpx.Request], httpx.Response]) -> Server:
    client = httpx.Client(transport=httpx.MockTransport(answer))
    return Server(name="Server", url="http://server:1/base/", client=client, headers={"X-Scope-OrgID": "shop"})


@pytest.mark.parametrize(
    ("status", "content", "told"),
    [
        (500, b"oops", "answers 500: oops"),
        (401, b'{"message": "who are you"}', "who are you. Check the credentials"),
        (400, b'{"error": {"reason": "no such field"}}', "no such field"),
        (302, b"", "answers 302"),
        (404, b"[1]", "answers 404: [1]"),
    ],
)
def test_an_error_and_a_redirect_are_errors_with_their_reason(status: int, content: bytes, told: str) -> None:
    asked = server(lambda request: httpx.Response(status, content=content, headers={"Location": "http://other/"}))
    with pytest.raises(UnavailableError) as refused:
        asked.ask("GET", "/x", dict)
    assert told in str(refused.value)
    assert refused.value.answered == status


@pytest.mark.parametrize(
    "failure", [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("x")]
)
def test_a_server_that_does_not_answer_is_named(failure: Exception) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise failure

    with pytest.raises(UnavailableError, match=f"Server: does not answer \\({type(failure).__name__}") as refused:
        server(answer).ask("GET", "/x", dict)
    assert refused.value.answered == 0


def test_requests_go_below_the_base_url_with_the_servers_headers() -> None:
    asked: list[httpx.Request] = []
    told = server(lambda request: (asked.append(request), httpx.Response(200, json={"a": 1}))[1]).ask("GET", "/x", dict)
    assert told == {"a": 1}
    assert (str(asked[0].url), asked[0].headers["X-Scope-OrgID"]) == ("http://server:1/base/x", "shop")


def test_an_answer_that_is_no_json_or_too_large_is_an_error() -> None:
    with pytest.raises(SourceError, match="no JSON"):
        server(lambda request: httpx.Response(200, content=b"<html>")).ask("GET", "/x", dict)
    with pytest.raises(TooLargeError):
        server(lambda request: httpx.Response(200, content=b"{}" * 100)).ask("GET", "/x", dict, max_bytes=150)


class Elasticsearch:
    """Answers as Elasticsearch does: its own API of points in time, and ``hits`` in pages."""

    def __init__(self, hits: list[dict[str, Any]], fail_on: int = 0) -> None:
        self.hits, self.fail_on = hits, fail_on
        self.asked: list[tuple[str, str, Any]] = []
        self.searches = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/base")
        body = json.loads(request.content) if request.content else None
        self.asked.append((request.method, path, body))
        if path == "/":
            return httpx.Response(200, json={"version": {"number": "8.15.0", "build_flavor": "default"}})
        if path.endswith("_pit"):
            return httpx.Response(200, json={"id": "point"} if request.method == "POST" else {"succeeded": True})
        self.searches += 1
        if self.searches == self.fail_on:
            return httpx.Response(503, json={"error": {"reason": "circuit breaker"}})
        after = body.get("search_after", [0, -1])
        found = [hit for hit in self.hits if hit["sort"] > after][: body["size"]]
        return httpx.Response(200, json={"pit_id": "point", "hits": {"hits": found}})


def hits(count: int) -> list[dict[str, Any]]:
    source = {"message": "m", "service": {"name": "cart"}}
    # Two shards: each time and number stands twice.
    return [
        {"_index": "logs", "_id": str(i), "_source": source, "sort": [WINDOW.start + i // 4, i // 2 % 2]}
        for i in range(count)
    ]


def test_elasticsearch_is_asked_by_its_own_api_and_its_point_in_time_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elastic, "PAGE", 5)
    answering = Elasticsearch(hits(23))
    received = query_logs(server(answering), LogQuery(index="logs-*"), WINDOW)
    assert (len(received.logs), received.warnings) == (23, ())
    assert answering.asked[1][:2] == ("POST", "/logs-*/_pit")
    assert answering.asked[-1] == ("DELETE", "/_pit", {"id": "point"})


def test_a_page_that_fails_leaves_the_lines_before_it_and_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elastic, "PAGE", 5)
    received = query_logs(server(Elasticsearch(hits(23), fail_on=2)), LogQuery(), WINDOW)
    assert len(received.logs) == 5
    assert "circuit breaker" in received.warnings[0]
    with pytest.raises(UnavailableError, match="circuit breaker"):
        query_logs(server(Elasticsearch(hits(23), fail_on=1)), LogQuery(), WINDOW)


def test_documents_are_written_in_portions_under_their_ids() -> None:
    bodies: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        assert request.headers["Content-Type"] == "application/x-ndjson"
        return httpx.Response(200, json={"errors": False, "items": []})

    assert write_documents(server(answer), "rca", [(str(i), {"n": i}) for i in range(1_001)]) == 1_001
    assert [body.count(b"\n") for body in bodies] == [1_000, 1_000, 2]
    assert bodies[2] == b'{"index":{"_index":"rca","_id":"1000"}}\n{"n":1000}\n'


@pytest.mark.parametrize(
    ("verdict", "message"), [("inconclusive", "Inconclusive: traces"), ("healthy", "Nothing abnormal was found")]
)
def test_a_report_without_a_cause_blames_nobody(verdict: str, message: str) -> None:
    cause = {
        "rank": 1,
        "component": "cart",
        "score": 0.2,
        "confidence": 0.3,
        "sentence": "cart is slow",
        "event": None,
        "change": None,
    }
    document = {
        "incident": {"id": "i", "title": "", "window": {"start": "a", "end": "b"}, "detected_at": None},
        "verdict": verdict,
        "onset": None,
        "root_causes": [cause],
        "events": {},
        "culprit": "none",
        "suspects": [],
        "blast_radius": [],
        "missing": ["traces"],
        "warnings": [],
    }
    id, content = report_document(document)
    assert (id, content["message"], content["service"]["name"]) == ("i", message, "")
