"""Ranges out of Prometheus' API: answers as they were captured, long windows, and real servers."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import numpy as np
import pytest

from rca.errors import SourceError
from rca.sources.asking import Server
from rca.sources.errors import TooLargeError, UnavailableError
from rca.sources.prometheus import MAX_POINTS, cut_window, parse_matrix, query_range
from rca.sources.remote_write import decode_remote_write
from rca.types import MINUTE, SECOND, Window, to_nanoseconds

PAYLOADS = Path(__file__).parent / "payloads"
START = to_nanoseconds("2026-03-02T12:00:00Z")


def read(name: str) -> bytes:
    return (PAYLOADS / name).read_bytes()


def matrix(rows: list[tuple[dict[str, str], list[tuple[float, str]]]], **more: object) -> bytes:
    result = [{"metric": labels, "values": values} for labels, values in rows]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}, **more}).encode()


def asked(handler) -> Server:
    client = httpx.Client(transport=httpx.MockTransport(handler))
    return Server(name="Prometheus", url="http://prometheus:9090/", client=client)


def test_a_captured_answer_gives_its_samples() -> None:
    received = parse_matrix(read("prom_query_range.json"))
    told = {key.component: key.metric for key in received.samples.keys}
    assert told == {"prometheus": "up", "127.0.0.1": "up", "checkout": "up"}
    assert received.samples.values.tolist() == [1.0] * 9
    assert received.samples.times[:3].tolist() == [t * SECOND for t in (1795300355, 1795300360, 1795300365)]


def test_a_captured_instant_answer_gives_one_sample_per_series() -> None:
    samples = parse_matrix(read("prom_query_instant.json")).samples
    assert len(samples) == 3
    assert samples.times[0] == 1_795_300_365_755_000_000  # exact to the millisecond


def test_infinite_and_missing_values_are_missing_samples() -> None:
    assert np.isnan(parse_matrix(read("prom_query_range_inf.json")).samples.values).all()
    values = [(1.0, "NaN"), (2.0, "-Inf"), (3.0, "1e3"), (4.0, "0x1p4")]
    read_values = parse_matrix(matrix([({"__name__": "m", "job": "a"}, values)])).samples.values
    assert [value for value in read_values if not math.isnan(value)] == [1000.0]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        read("prom_query_range_error.txt").splitlines()[0],
        read("prom_alerts.json"),
        matrix([({"__name__": "m", "job": "a"}, [(1e300, "1")])]),
        matrix([({"__name__": "m", "job": "a"}, [("x", "1")])]),
        b'{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}',
        b'{"status":"success","data":{"resultType":"matrix","result":[5]}}',
    ],
)
def test_every_other_answer_is_an_error(content: bytes) -> None:
    with pytest.raises(SourceError):
        parse_matrix(content)


@pytest.mark.parametrize("steps", [1, 10_998, 10_999, 11_000, 11_001, 50_000])
def test_a_long_window_is_asked_for_in_pieces_that_leave_out_and_repeat_nothing(steps: int) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        first, last, step = (float(form[name]) for name in ("start", "end", "step"))
        times = np.arange(first, last + step / 2, step)
        assert len(times) <= MAX_POINTS
        return httpx.Response(
            200, content=matrix([({"__name__": "m", "job": "a"}, [(t, "1") for t in times.tolist()])])
        )

    window = Window(start=START, end=START + steps * SECOND)
    samples = query_range(asked(answer), ["m"], window, step=SECOND).samples
    assert samples.times.tolist() == list(range(START, window.end, SECOND))
    assert [(piece.start - START) % SECOND for piece in cut_window(window, SECOND)] == [0] * math.ceil(steps / 10_999)


def test_a_query_that_fails_is_a_warning_and_the_others_are_answered() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if b"broken" in request.content:
            return httpx.Response(400, content=read("prom_query_range_error.txt").splitlines()[0])
        return httpx.Response(
            200, content=matrix([({"job": "a"}, [(START / 1e9, "2")])], warnings=["partial response"])
        )

    queries = {"load": "sum by (job) (load)", "b": "broken{"}
    received = query_range(asked(answer), queries, Window(start=START, end=START + MINUTE), step=15 * SECOND)
    assert [(key.component, key.metric) for key in received.samples.keys] == [("a", "load")]
    assert received.warnings[0] == "Prometheus warns: partial response"
    assert "broken" in received.warnings[1] and "parse error" in received.warnings[1]


def test_where_every_query_fails_the_server_did_not_answer() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(UnavailableError, match="Prometheus: does not answer"):
        query_range(asked(answer), ["up"], Window(start=START, end=START + MINUTE), step=SECOND)


def test_an_answer_without_end_is_cut_off() -> None:
    server = asked(lambda request: httpx.Response(200, content=b"[" + b"1," * 1_000))
    with pytest.raises(TooLargeError):
        server.ask("GET", "/", list, max_bytes=100)


@pytest.mark.parametrize("url", ["http://[", "ftp://x", "http://a b", ""])
def test_a_url_that_is_none_is_an_error(url: str) -> None:
    with httpx.Client() as client, pytest.raises(UnavailableError):
        Server(name="x", url=url, client=client).ask("GET", "/", dict)


def test_old_incidents_are_read_from_a_real_victoria_metrics(victoria_metrics: str, client: httpx.Client) -> None:
    start = to_nanoseconds("2024-05-06T07:00:00Z")
    first = start // 10**6
    lines = [
        f'http_requests_total{{service="{name}",code="{code}",instance="{name}-{i}"}} {n * rate} {first + n * 15_000}'
        for name, code, rate in (("cart", 200, 150), ("cart", 500, 50), ("pay", 200, 30))
        for i in (1, 2)
        for n in range(40)
    ]
    imported = client.post(f"{victoria_metrics}/api/v1/import/prometheus", content="\n".join(lines) + "\n")
    assert imported.status_code == 204
    client.get(f"{victoria_metrics}/internal/force_flush")
    server = Server(name="VictoriaMetrics", url=victoria_metrics, client=client)
    window = Window(start=start, end=start + 10 * MINUTE)
    received = query_range(server, ["http_requests_total"], window, step=15 * SECOND)
    assert received.warnings == ()
    assert received.topology.replica_of == {"cart-1": "cart", "cart-2": "cart", "pay-1": "pay", "pay-2": "pay"}
    frame = received.telemetry(step=15 * SECOND, window=window).metrics
    level = {
        (frame.components[component], frame.metrics[metric]): float(np.nanmedian(row))
        for component, metric, row in zip(frame.component, frame.metric, frame.values, strict=True)
    }
    # 150 and 50 requests in 15 seconds, on two instances.
    assert level == pytest.approx(
        {
            ("cart", "http_requests_per_second"): 2 * (150 + 50) / 15,
            ("cart", "http_requests_error_ratio"): 0.25,
            ("pay", "http_requests_per_second"): 2 * 30 / 15,
        },
        rel=1e-5,
    )


def test_a_real_prometheus_writes_what_it_answers(writing_prometheus, client: httpx.Client) -> None:
    url, receiver = writing_prometheus
    end = time.monotonic() + 60
    written = []
    while time.monotonic() < end and len({int(t) for one in written for t in one.samples.times}) < 4:
        time.sleep(0.5)
        written = [decode_remote_write(body, headers=headers) for _, body, headers in list(receiver.requests)]
    assert all(one.rejected == 0 for one in written)
    written_up = {
        int(time)
        for one in written
        for time, code in zip(one.samples.times, one.samples.series, strict=True)
        if one.samples.keys[code].metric == "up"
    }
    assert len(written_up) >= 3
    window = Window(start=min(written_up) - SECOND, end=max(written_up) + SECOND)
    server = Server(name="Prometheus", url=url, client=client)
    received = query_range(server, ["up", "prometheus_http_requests_total"], window, step=SECOND)
    assert received.warnings == ()
    components = {(key.component, key.metric) for key in received.samples.keys}
    assert ("prometheus", "up") in components
    wrong = query_range(server, ["up", "sum("], window, step=SECOND)
    assert "parse error" in wrong.warnings[0]


def test_a_proxy_that_only_reads_is_asked_by_get() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(405)
        assert request.url.params["query"] == "up"
        return httpx.Response(200, content=matrix([({"__name__": "up", "job": "a"}, [(START / 1e9, "1")])]))

    assert len(query_range(asked(answer), ["up"], Window(start=START, end=START + 1), step=SECOND).samples) == 1
