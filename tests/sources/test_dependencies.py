"""Who calls whom, asked of Jaeger and Zipkin."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from rca.errors import SourceError
from rca.sources.asking import Server
from rca.sources.errors import UnavailableError
from rca.sources.jaeger import query_dependencies
from rca.types import MINUTE, Window

WINDOW = Window(start=0, end=10 * MINUTE)
CALLS = [{"parent": "frontend", "child": "cart", "callCount": 42}, {"parent": "cart", "child": "db", "callCount": 7}]


def server(answer: Any, asked: list[httpx.URL] | None = None) -> Server:
    def respond(request: httpx.Request) -> httpx.Response:
        if asked is not None:
            asked.append(request.url)
        return httpx.Response(200, json=answer)

    return Server(name="Jaeger", url="http://jaeger:16686", client=httpx.Client(transport=httpx.MockTransport(respond)))


@pytest.mark.parametrize(
    ("answer", "zipkin", "path"),
    [
        ({"data": CALLS, "total": 0, "errors": None}, False, "/api/dependencies"),
        (CALLS, True, "/api/v2/dependencies"),
    ],
)
def test_calls_become_a_topology(answer: Any, zipkin: bool, path: str) -> None:
    asked: list[httpx.URL] = []
    topology = query_dependencies(server(answer, asked), WINDOW, zipkin=zipkin).topology
    assert topology.callees("frontend") == ("cart",)
    assert topology.weight.tolist() == [7.0, 42.0]
    assert (asked[0].path, dict(asked[0].params)) == (path, {"endTs": "600000", "lookback": "600000"})


@pytest.mark.parametrize("answer", [{"data": None, "errors": None}, {"data": []}, []])
def test_no_calls_are_said_to_be_none(answer: Any) -> None:
    received = query_dependencies(server(answer), WINDOW)
    assert received.topology.components == ()
    assert received.warnings == ("Jaeger saw no calls in the window",)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"data": None, "errors": [{"msg": "no storage"}]}, UnavailableError),
        ({"data": [5]}, SourceError),
        (5, SourceError),
    ],
)
def test_errors_and_other_answers_are_errors(answer: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        query_dependencies(server(answer), WINDOW)
