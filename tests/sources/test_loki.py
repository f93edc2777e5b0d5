"""Lines pushed by Loki's clients, and asked of Loki page by page."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import cramjam
import httpx
import pytest

from rca.errors import SourceError
from rca.sources.asking import Server
from rca.sources.errors import UnavailableError, UnsupportedError
from rca.sources.loki import decode_loki, parse_labels
from rca.sources.loki_query import PAGE, query_logs
from rca.sources.messages import message_type
from rca.telemetry import ERROR, WARN
from rca.types import SECOND, Window

JSON = {"Content-Type": "application/json"}
T = 1_795_300_000 * SECOND
WINDOW = Window(start=T, end=T + 60 * SECOND)


def push(*values: list[Any], **labels: str) -> bytes:
    return json.dumps({"streams": [{"stream": labels or {"app": "cart"}, "values": list(values)}]}).encode()


@pytest.mark.parametrize(
    ("line", "facts", "labels", "level"),
    [
        ("x", {"detected_level": "error"}, {"level": "info"}, ERROR),
        ("x", {}, {"level": "warn"}, WARN),
        ("level=error msg=x", {}, {}, ERROR),
        ("an error", {}, {}, 0),
    ],
)
def test_the_level_is_what_metadata_labels_or_the_line_say(
    line: str, facts: dict[str, str], labels: dict[str, str], level: int
) -> None:
    received = decode_loki(push([str(T), line, facts], app="cart", **labels), headers=JSON)
    assert received.logs.level.tolist() == [level]
    assert received.logs.components == ("cart",)


def test_protobuf_and_json_mean_the_same() -> None:
    request: Any = message_type("logproto.PushRequest")()
    stream = request.streams.add(labels='{service_name="cart", pod="cart-0", note="a \\"b\\" \\\\ c"}')
    entry = stream.entries.add(line="slow")
    entry.timestamp.seconds, entry.timestamp.nanos = T // SECOND, 7
    entry.structured_metadata.add(name="trace_id", value="abc")
    body = bytes(cramjam.snappy.compress_raw(request.SerializeToString()))
    told = decode_loki(body, headers={"Content-Type": "application/x-protobuf"})
    written = decode_loki(
        push([str(T + 7), "slow", {"trace_id": "abc"}], service_name="cart", pod="cart-0"), headers=JSON
    )
    for received in (told, written):
        assert received.logs.times.tolist() == [T + 7]
        assert received.logs.trace.tolist() == ["abc"]
        assert received.topology.replica_of == {"cart-0": "cart"}


def test_lines_without_words_or_time_are_rejected() -> None:
    received = decode_loki(push([str(T), "x"], ["soon", "x"], [str(T), ""], ["1", 5], []), headers=JSON)
    assert (len(received.logs), received.rejected) == (1, 4)


@pytest.mark.parametrize("text", ["", "a=b", '{a="b"', "{a=b}", '{a="b" c="d"}', '{="b"}'])
def test_labels_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(SourceError):
        parse_labels(text)


def test_escapes_in_labels_are_read() -> None:
    assert parse_labels('{a="b\\n\\"c\\"", d="\\\\",}') == {"a": 'b\n"c"', "d": "\\"}
    assert parse_labels("{}") == {}


def test_other_content_types_are_refused() -> None:
    with pytest.raises(UnsupportedError):
        decode_loki(b"", headers={"Content-Type": "text/plain"})


def loki(lines: list[tuple[int, str]], fail_from: int = 10**30) -> Server:
    """A Loki that answers as its API says: lines from start on, before end, at most limit, oldest first."""

    def answer(request: httpx.Request) -> httpx.Response:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(str(request.url)).query).items()}
        start, end, limit = (int(asked[name]) for name in ("start", "end", "limit"))
        if start >= fail_from:
            return httpx.Response(500, content=b"too many outstanding requests")
        found = [(time, line) for time, line in sorted(lines) if start <= time < end][:limit]
        streams: dict[str, list[list[str]]] = {}
        for time, line in found:
            streams.setdefault(line[:1], []).append([str(time), line])
        result = [{"stream": {"app": "cart", "kind": kind}, "values": rows} for kind, rows in streams.items()]
        return httpx.Response(200, json={"status": "success", "data": {"resultType": "streams", "result": result}})

    return Server(name="Loki", url="http://loki:3100", client=httpx.Client(transport=httpx.MockTransport(answer)))


def test_pages_fit_together_where_many_lines_share_one_time() -> None:
    lines = [(T + i // 700, f"{'ab'[i % 2]} line {i}") for i in range(2 * PAGE + 100)]
    received = query_logs(loki(lines), '{app="cart"}', WINDOW)
    assert sorted(received.logs.message) == sorted(line for _, line in lines)
    assert received.warnings == ()


def test_lines_that_are_not_read_are_told() -> None:
    lines = [(T + i, f"a line {i}") for i in range(PAGE + 10)]
    most = query_logs(loki(lines), "{}", WINDOW, most=100)
    assert (len(most.logs), len(most.warnings)) == (100, 1)
    cut = query_logs(loki(lines, fail_from=T + 1), "{}", WINDOW)
    assert len(cut.logs) == PAGE
    assert "too many outstanding requests" in cut.warnings[0]


def test_a_loki_that_does_not_answer_and_a_query_for_numbers_are_errors() -> None:
    with pytest.raises(UnavailableError):
        query_logs(loki([], fail_from=0), "{}", WINDOW)
    numbers = httpx.Response(200, json={"status": "success", "data": {"resultType": "matrix", "result": []}})
    client = httpx.Client(transport=httpx.MockTransport(lambda request: numbers))
    with pytest.raises(SourceError, match="matrix"):
        query_logs(Server(name="Loki", url="http://loki", client=client), "rate({}[1m])", WINDOW)
