"""What is too large, too deep, too slow or too much is refused, and the service goes on answering."""

from __future__ import annotations

import gzip
import io
import json
import socket
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from rca.service.examples import WINDOW
from rca.service.reading import ARROW, JSON, PARQUET, ZIP

POST = "/api/v1/incidents?wait=60"
MIB = 1 << 20
QUERY = {"detected_at": "2026-01-01T00:33:00Z"}


def bomb(inflated: int) -> bytes:
    """Zeros by gzip: a thousandth of their size."""
    return gzip.compress(bytes(inflated), 9)


def test_gzip_and_zstd_bombs_are_refused_wherever_bodies_are_inflated(http: httpx.Client) -> None:
    small = bomb(100 * MIB)
    assert len(small) < MIB
    for path, media in ((POST, JSON), (POST, ARROW), ("/v1/logs", "application/json"), ("/loki/api/v1/push", JSON)):
        answer = http.post(path, content=small, headers={"Content-Type": media, "Content-Encoding": "gzip"})
        assert answer.status_code == 413, (path, answer.text)
    huge = zstandard.ZstdCompressor(level=3).compress(bytes(200 * MIB))
    answer = http.post(POST, content=huge, headers={"Content-Type": JSON, "Content-Encoding": "zstd"})
    assert answer.status_code == 413
    body = b'{"opinion": "note", "note": "' + b"x" * 100_000 + b'"}'
    headers = {"Content-Type": JSON, "Content-Encoding": "gzip"}
    assert http.post("/api/v1/incidents/x/feedback", content=gzip.compress(body), headers=headers).status_code == 413


def test_a_parquet_file_that_claims_a_billion_values_is_refused(http: httpx.Client) -> None:
    rows = 5_000_000  # twenty times as many repeat in as few bytes
    columns = {"time": np.zeros(rows, np.int64), "value": np.zeros(rows, np.float32)}
    names = pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), ["cart"])
    sink = io.BytesIO()
    table = pa.table({**columns, "component": names, "metric": names})
    pq.write_table(table, sink, compression="zstd")
    assert sink.tell() < MIB
    answer = http.post(POST, content=sink.getvalue(), headers={"Content-Type": PARQUET}, params=QUERY)
    assert answer.status_code == 413, answer.text


def test_a_parquet_file_of_one_long_text_many_times_is_refused(http: httpx.Client) -> None:
    rows = 2_000
    text = pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), ["x" * MIB])
    cart = pa.array(["cart"] * rows)
    table = pa.table({"time": pa.array(np.arange(rows) + 1_700_000_000), "component": cart, "message": text})
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    answer = http.post(POST, content=sink.getvalue(), headers={"Content-Type": PARQUET}, params=QUERY)
    assert answer.status_code in (413, 422), answer.text


def test_an_arrow_stream_that_inflates_too_far_is_refused(http: httpx.Client) -> None:
    table = pa.table({"time": np.zeros(20_000_000, np.int64)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    content = sink.getvalue().to_pybytes()
    assert len(content) < MIB
    assert http.post(POST, content=content, headers={"Content-Type": ARROW}, params=QUERY).status_code == 413


def test_a_zip_bomb_and_names_that_lead_elsewhere_are_refused(http: httpx.Client) -> None:
    for name, content in (("metrics.json", bytes(200 * MIB)), ("../../etc/passwd", b"x"), ("/case.json", b"{}")):
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("case.json", json.dumps(QUERY))
            archive.writestr(name, content)
        answer = http.post(POST, content=sink.getvalue(), headers={"Content-Type": ZIP})
        assert answer.status_code in (413, 422), answer.text


def test_a_body_that_is_too_large_is_refused_before_it_is_read(http: httpx.Client) -> None:
    assert http.post(POST, content=bytes(9 * MIB), headers={"Content-Type": JSON}).status_code == 413

    def endless() -> Any:
        while True:
            yield bytes(MIB)

    with answered_or_closed() as seen:
        seen.append(http.post(POST, content=endless(), headers={"Content-Type": JSON}).status_code)
    assert seen in ([413], ["closed"])
    assert http.get("/healthz").status_code == 200


@contextmanager
def answered_or_closed() -> Iterator[list[Any]]:
    """The status that was answered, or that the connection was closed under the sender."""
    seen: list[Any] = []
    try:
        yield seen
    except httpx.TransportError:
        seen.append("closed")


def test_headers_that_are_too_long_are_refused(server: Any, http: httpx.Client) -> None:
    assert http.get("/api/v1/rules", headers={"X-Long": "x" * 40_000}).status_code == 431
    assert http.get("/api/v1/rules?" + "x" * 40_000).status_code == 431
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.settimeout(10)
        raw.sendall(b"GET /healthz HTTP/1.1\r\nX-Endless: ")
        with pytest.raises(ConnectionError):
            for _ in range(1_000):
                raw.sendall(b"x" * 4_096)


def test_three_hundred_slow_senders_are_closed_while_others_are_answered(server: Any, http: httpx.Client) -> None:
    begun = b"POST /api/v1/changes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + b"a" * 40 + b"\r\n"
    half = begun + b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n[{"
    starts = [begun, half, b"", b"GET /heal"]
    slow = []
    for number in range(300):
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        connection.sendall(starts[number % len(starts)])
        slow.append(connection)
    started = time.monotonic()
    for _ in range(5):
        assert http.get("/healthz").status_code == 200
    assert time.monotonic() - started < 5
    try:
        for connection in slow:
            while connection.recv(4_096):
                pass
    except ConnectionResetError:
        pass
    finally:
        for connection in slow:
            connection.close()
    assert time.monotonic() - started < 60
    assert http.get("/healthz").status_code == 200


def test_a_body_that_drips_is_cut_off(server: Any, http: httpx.Client) -> None:
    """Each byte comes before the idle time ends, the whole body does not come before its own."""
    token = server.configuration.admin_token.encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as drip:
        head = b"POST /api/v1/changes HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nAuthorization: Bearer "
        drip.sendall(head + token + b"\r\n\r\n")
        started = time.monotonic()
        answer = b""
        drip.settimeout(0.5)
        while time.monotonic() - started < 30:
            try:
                part = drip.recv(4_096)
                if not part:
                    break
                answer += part
            except TimeoutError:
                drip.sendall(b"[")
            except ConnectionError:
                break
        assert time.monotonic() - started < 25
        assert answer == b"" or b" 408 " in answer.splitlines()[0]


@pytest.mark.parametrize("path", [POST, "/api/v1/changes", "/v1/logs", "/api/v1/evaluate", "/loki/api/v1/push"])
def test_deep_nesting_is_refused_at_once(http: httpx.Client, path: str) -> None:
    for body in (b"[" * 100_000, b'{"a":' * 50_000 + b"1" + b"}" * 50_000, b"[" * 50_000 + b"]" * 50_000):
        answer = http.post(path, content=body, headers={"Content-Type": JSON})
        assert 400 <= answer.status_code < 500, (path, answer.status_code)


def test_more_analyses_than_may_wait_are_shed_with_retry_after(run_service: Any) -> None:
    body = json.dumps(WINDOW).encode()
    crowded = run_service(max_queued=2)
    with crowded.client() as client:

        def post(_: int) -> httpx.Response:
            return client.post("/api/v1/incidents?wait=0", content=body, headers={"Content-Type": JSON})

        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(post, range(30)))
        statuses = {answer.status_code for answer in answers}
        assert statuses == {202, 503}
        assert all(answer.headers["retry-after"] for answer in answers if answer.status_code == 503)
        accepted = [answer.json()["id"] for answer in answers if answer.status_code == 202]
        for job in accepted:
            with client.stream("GET", f"/api/v1/jobs/{job}/events") as events:
                assert "event: done" in list(events.iter_lines())
