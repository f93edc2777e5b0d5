"""History from a server: what is asked, what is kept, and what a server that fails makes of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pytest

from rca.errors import TrainingError
from rca.registry import load_model
from rca.training import Order, train
from rca.training import prometheus as asking
from rca.training.history import open_history
from rca.training.prometheus import DAY, Queries, align, fetch, name_queries, parse_duration
from rca.types import SECOND, Window

START = 1_772_323_200  # 2026-03-01T00:00:00Z


class FakePrometheus(ThreadingHTTPServer):
    """Answers ``query_range`` with one gauge and one counter of three services, and notes what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, str]] = []
        self.headers: list[str | None] = []
        self.failing: str | None = None
        self.most_points = 11_000

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: FakePrometheus

    def do_POST(self) -> None:
        form = {
            key: values[0]
            for key, values in parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()).items()
        }
        self.server.asked.append(form)
        self.server.headers.append(self.headers.get("Authorization"))
        times = np.arange(float(form["start"]), float(form["end"]) + 1e-6, float(form["step"]))
        if self.server.failing or len(times) > self.server.most_points:
            error = self.server.failing or "exceeded maximum resolution of 11,000 points per timeseries"
            return self._send(400, {"status": "error", "errorType": "bad_data", "error": error})
        result = []
        if "nothing" not in form["query"]:
            for i, service in enumerate(("cart", "pay", "shop")):
                if "total" in form["query"]:
                    labels = {"__name__": "requests_total", "service": service}
                    values = [[t, str(5.0 * (i + 1) * (t - START + 1e6))] for t in times.tolist()]
                else:
                    labels = {"__name__": "cpu", "service": service}
                    values = [[t, "NaN" if t % 600 == 0 else f"{10 + i + np.sin(t):.6f}"] for t in times.tolist()]
                result.append({"metric": labels, "values": values})
        return self._send(200, {"status": "success", "data": {"resultType": "matrix", "result": result}})

    def _send(self, status: int, answer: object) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[FakePrometheus]:
    with FakePrometheus() as found:
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def queries(server: FakePrometheus, *, days: float = 2, step: int = 60, **named: str) -> Queries:
    window = Window(start=START * SECOND, end=int((START + days * 86_400) * SECOND))
    asked = named or {"cpu": "cpu", "requests": "requests_total"}
    return Queries(url=server.url, queries=asked, window=window, step=step * SECOND)


def silent(done: int, total: int) -> None:
    pass


def test_a_model_is_trained_from_a_server(server, tmp_path: Path) -> None:
    asked = queries(server)
    order = Order(name="shop", detector="robust")
    train(lambda staged, show: fetch(asked, staged, show), order, source=asked.source, models=tmp_path)
    model = load_model("shop", models=tmp_path)
    assert {(component, metric) for component, metric, _ in model.series.keys} == {
        (service, metric) for service in ("cart", "pay", "shop") for metric in ("cpu", "requests_per_second")
    }
    assert model.described.data.source == server.url
    assert model.described.data.start == "2026-03-01T00:00:00Z"


def test_counters_are_rates_without_a_seam_between_pieces(server, tmp_path: Path) -> None:
    files = fetch(queries(server, requests="requests_total"), tmp_path, silent)
    frame = open_history(files, source="").read()
    assert len(files) == 2
    assert len(frame.times) == 2 * 1440
    np.testing.assert_allclose(frame.values, np.broadcast_to([[5], [10], [15]], frame.values.shape), rtol=1e-3)


def test_nan_is_a_sample_that_is_missing(server, tmp_path: Path) -> None:
    frame = open_history(fetch(queries(server, cpu="cpu"), tmp_path, silent), source="").read()
    missing = np.isnan(frame.values).all(axis=0)
    seconds = frame.times // SECOND
    assert (seconds[missing] % 600 == 0).all()
    assert not (seconds[~missing] % 600 == 0).any()


def test_no_request_asks_for_more_points_than_a_server_gives(server, tmp_path: Path) -> None:
    fetch(queries(server, step=5, days=1, cpu="cpu"), tmp_path, silent)
    points = [(float(form["end"]) - float(form["start"])) / float(form["step"]) + 1 for form in server.asked]
    assert len(points) == 2
    assert max(points) < 11_000


def test_an_interrupted_training_asks_for_the_rest_only(server, tmp_path: Path) -> None:
    asked = queries(server, days=4, cpu="cpu")

    def fail_on_the_third(done: int, total: int) -> None:
        assert total == 4
        server.failing = "out of disk" if done == 2 else None

    with pytest.raises(TrainingError, match="out of disk") as caught:
        fetch(asked, tmp_path, fail_on_the_third)
    assert caught.value.remedy
    server.failing = None
    server.asked.clear()
    assert len(fetch(asked, tmp_path, silent)) == 4
    assert len(server.asked) == 2


def test_answers_that_are_too_large_are_asked_for_in_halves(server, tmp_path: Path, monkeypatch) -> None:
    whole = fetch(queries(server, days=1, cpu="cpu"), tmp_path / "whole", silent)
    from rca.sources import asking as client

    monkeypatch.setattr(client.Server.ask, "__kwdefaults__", client.Server.ask.__kwdefaults__ | {"max_bytes": 60_000})
    server.asked.clear()
    halves = fetch(queries(server, days=1, cpu="cpu"), tmp_path / "halves", silent)
    assert len(server.asked) > 2
    frames = [open_history(files, source="").read() for files in (whole, halves)]
    np.testing.assert_array_equal(frames[0].times, frames[1].times)
    np.testing.assert_array_equal(frames[0].values, frames[1].values)


def test_a_token_is_sent_and_credentials_are_not_kept(server, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv(asking.TOKEN, "secret")
    asked = queries(server, days=1, cpu="cpu")
    fetch(asked, tmp_path, silent)
    assert server.headers == ["Bearer secret"]
    named = Queries(url="https://me:secret@prom:9090/x?a=b", queries={}, window=asked.window, step=SECOND)
    assert named.source == "https://prom:9090/x"


def test_a_server_without_samples_or_without_an_answer_is_an_error(server, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no such samples") as caught:
        fetch(queries(server, days=1, nothing="nothing"), tmp_path, silent)
    assert caught.value.remedy
    gone = Queries(url="http://127.0.0.1:1", queries={"a": "a"}, window=queries(server).window, step=SECOND)
    with pytest.raises(TrainingError, match="does not answer") as caught:
        fetch(gone, tmp_path, silent)
    assert caught.value.remedy


def test_queries_have_names_and_selectors_need_none() -> None:
    named = name_queries(["load=sum by (service) (rate(x[1m]))"], ['{job="shop"}'])
    assert named == {"load": "sum by (service) (rate(x[1m]))", '{job="shop"}': '{job="shop"}'}
    for bad in (["rate(x[1m])"], ["=x"], ["load="], []):
        with pytest.raises(TrainingError) as caught:
            name_queries(bad, [])
        assert caught.value.remedy


def test_durations_and_whole_steps() -> None:
    assert [parse_duration(text) for text in ("90s", "15m", "2h", "7d", "1w")] == [
        90 * SECOND,
        900 * SECOND,
        7200 * SECOND,
        7 * DAY,
        7 * DAY,
    ]
    for bad in ("", "0s", "5", "-1d", "1.5h", "d"):
        with pytest.raises(TrainingError):
            parse_duration(bad)
    assert align(Window(start=61, end=179), 60) == Window(start=60, end=120)
