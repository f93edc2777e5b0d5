"""Log lines out of a real OpenSearch, and reports into it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest

from rca import analyze
from rca.report.document import to_document
from rca.sources import elastic
from rca.sources.asking import Server
from rca.sources.elastic import LogQuery, query_logs, write_documents
from rca.sources.elastic_reports import report_document
from rca.sources.errors import UnavailableError
from rca.telemetry import ERROR, INFO, WARN
from rca.types import MINUTE, SECOND, Window, to_nanoseconds, to_text

START = to_nanoseconds("2026-03-02T12:00:00Z")
WINDOW = Window(start=START, end=START + 10 * MINUTE)
KEYWORD = {"type": "keyword"}
MAPPING = {
    "settings": {"number_of_shards": 3, "number_of_replicas": 0},
    "mappings": {"properties": {"@timestamp": {"type": "date"}}},
}


@pytest.fixture(scope="module")
def server(opensearch: str) -> Iterator[Server]:
    with httpx.Client(timeout=30, trust_env=False) as client:
        yield Server(name="OpenSearch", url=opensearch, client=client)


def create(server: Server, index: str, documents: list[dict[str, Any]], mapping: dict[str, Any] = MAPPING) -> None:
    server.ask("PUT", f"/{index}", dict[str, Any], json=mapping)
    write_documents(server, index, [(f"{i}", one) for i, one in enumerate(documents)], refresh=True)


def test_documents_of_both_schemas_become_lines(server: Server) -> None:
    at = to_text(START + SECOND)
    create(
        server,
        "logs-schemas",
        [
            {
                "@timestamp": at,
                "message": "ecs line",
                "log": {"level": "error"},
                "service": {"name": "cart"},
                "trace": {"id": "a" * 32},
                "span": {"id": "b" * 16},
                "error": {"type": "IOError", "message": "disk gone"},
            },
            {"@timestamp": at, "message": "dotted", "log.level": "WARN", "service.name": "pay"},
            {
                "@timestamp": at,
                "body": {"text": "otel line"},
                "severity_number": 9,
                "resource": {"attributes": {"service.name": "shop", "k8s.pod.name": "shop-7d9f8b6c5-x2k4q"}},
                "trace_id": "c" * 32,
            },
            {"@timestamp": at, "log": "fluent bit line level=warn", "kubernetes": {"pod_name": "db-0", "host": "n1"}},
            {"@timestamp": at, "nothing": "to say"},
        ],
        {
            "settings": {"number_of_shards": 1},
            "mappings": {"dynamic": False, "properties": {"@timestamp": {"type": "date"}}},
        },
    )
    received = query_logs(server, LogQuery(index="logs-schemas"), WINDOW)
    logs = received.logs
    lines = {
        message: (logs.components[component], level, trace, span)
        for message, component, level, trace, span in zip(
            logs.message, logs.component, logs.level.tolist(), logs.trace, logs.span, strict=True
        )
    }
    assert lines == {
        "ecs line IOError: disk gone": ("cart", ERROR, "a" * 32, "b" * 16),
        "dotted": ("pay", WARN, "", ""),
        "otel line": ("shop", INFO, "c" * 32, ""),
        "fluent bit line level=warn": ("db", WARN, "", ""),
    }
    assert received.topology.replica_of == {"shop-7d9f8b6c5-x2k4q": "shop", "db-0": "db"}
    assert received.rejected == 1


def test_pages_fit_together_where_many_lines_share_one_time(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    # Three shards, 1,000 lines at 7 times: pages of 90 end in the middle of equal times and equal numbers.
    documents = [
        {"@timestamp": to_text(START + i % 7 * SECOND), "message": f"line {i}", "service": {"name": "cart"}}
        for i in range(1_000)
    ]
    create(server, "logs-pages", documents)
    monkeypatch.setattr(elastic, "PAGE", 90)
    received = query_logs(server, LogQuery(index="logs-pages"), WINDOW)
    assert sorted(received.logs.message) == sorted(document["message"] for document in documents)
    assert received.warnings == ()


def test_only_the_window_and_the_condition_are_read_and_what_is_left_is_said(server: Server) -> None:
    documents = [
        {"@timestamp": to_text(START + i * MINUTE), "message": f"line {i}", "level": "warn" if i % 2 else "info"}
        for i in range(-3, 15)
    ]
    create(server, "logs-window", documents)
    every = query_logs(server, LogQuery(index="logs-window"), WINDOW)
    assert every.logs.message.tolist() == [f"line {i}" for i in range(10)]
    warned = query_logs(server, LogQuery(index="logs-window", query="level:warn", most=3), WINDOW)
    assert warned.logs.message.tolist() == ["line 1", "line 3", "line 5"]
    assert "more than 3 lines" in warned.warnings[0]


def test_an_index_that_is_not_there_gives_no_lines_and_says_so(server: Server) -> None:
    received = query_logs(server, LogQuery(index="logs-nowhere-*"), WINDOW)
    assert len(received.logs) == 0
    assert received.warnings == ("OpenSearch: there is no index logs-nowhere-*",)


def test_a_query_that_cannot_be_read_is_an_error_with_its_reason(server: Server) -> None:
    create(server, "logs-broken", [{"@timestamp": to_text(START), "message": "x"}])
    with pytest.raises(UnavailableError, match=r"OpenSearch: .*Failed to parse query"):
        query_logs(server, LogQuery(index="logs-broken", query="level:("), WINDOW)


def test_a_report_is_one_document_however_often_it_is_written(server: Server, shop) -> None:
    report = analyze(shop.case())
    id, document = report_document(to_document(report), url="https://rca.example/incidents/shop")
    for _ in range(2):
        assert write_documents(server, "rca-reports", [(id, document)], refresh=True) == 1
    found = server.ask("GET", "/rca-reports/_search", dict[str, Any])
    assert [hit["_source"] for hit in found["hits"]["hits"]] == [msgspec.json.decode(msgspec.json.encode(document))]
    assert document["rca"]["verdict"] == report.verdict


def test_a_document_that_is_refused_is_an_error(server: Server) -> None:
    create(server, "rca-strict", [{"@timestamp": to_text(START)}])
    with pytest.raises(UnavailableError, match="refused"):
        write_documents(server, "rca-strict", [("1", {"@timestamp": "no time"})])
