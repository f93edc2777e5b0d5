"""Windows in every form, answered with the report; what is malformed is refused with its reason."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

import rca
from rca.formats.metrics import frame_to_grid
from rca.report.document import to_json
from rca.resources import bundled
from rca.service.examples import REFERENCE, WINDOW
from rca.service.reading import ARROW, PARQUET, ZIP
from rca.stores.snapshots import pack_case, unpack_case

DEMO = bundled("datasets", "demo-shop/01-bad-deployment")
CASE_QUERY = {"detected_at": "2026-01-01T00:33:00Z", "symptom": "web/latency_ms"}
POST = "/api/v1/incidents?wait=60"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def window() -> bytes:
    return json.dumps(WINDOW).encode()


def stream(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, **options) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def metrics_table() -> pa.Table:
    from rca.cases.description import incident_window_from_json

    return frame_to_grid(incident_window_from_json(json.dumps(WINDOW).encode()).telemetry.metrics)


def test_the_report_is_the_one_that_the_engine_gives(run_service: Callable[..., Any]) -> None:
    case = rca.read_case(DEMO)
    with run_service().client() as http:  # of its own: what is confirmed in a shared one has a say in its answers
        answer = http.post(POST, content=pack_case(case), headers={"Content-Type": ZIP})
        assert answer.status_code == 200, answer.text
        assert answer.json() == json.loads(to_json(rca.analyze(case), case=case))
        incident = answer.headers["location"]
        assert answer.json()["incident"]["id"] == incident.rsplit("/", 1)[1] == case.incident.id
        assert http.get(f"{incident}/report").json() == answer.json()
        assert "<html" in http.get(f"{incident}/page").text
        assert http.get(f"{incident}/graph").json()["events"]
        assert http.get(f"{incident}/graph?format=graphml").text.startswith("<graphml")
        shown = http.get(incident).json()
        assert shown["cause"] == answer.json()["root_causes"][0]["component"]
        assert [job["state"] for job in shown["jobs"]] == ["done"]


def test_the_page_may_not_load_anything(http: httpx.Client, window: bytes) -> None:
    incident = http.post(POST, content=window, headers=JSON).headers["location"]
    page = http.get(f"{incident}/page")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("encoding", ["", "gzip", "zstd"])
def test_columnar_json_is_answered_compressed_or_not(http: httpx.Client, window: bytes, encoding: str) -> None:
    body = {"": window, "gzip": gzip.compress(window), "zstd": zstandard.compress(window)}[encoding]
    headers = JSON | ({"Content-Encoding": encoding} if encoding else {})
    answer = http.post(POST, content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["root_causes"][0]["component"] == "cart-db"


def test_an_arrow_stream_is_answered_with_its_description_in_the_query(http: httpx.Client) -> None:
    body = stream(metrics_table())
    headers = {"Content-Type": ARROW}
    answer = http.post(POST, content=body, headers=headers, params={"wait": "60", **CASE_QUERY})
    assert answer.status_code == 200, answer.text
    assert answer.json()["root_causes"][0]["component"] == "cart-db"


def test_an_arrow_stream_may_carry_its_description(http: httpx.Client) -> None:
    table = metrics_table()
    described = msgspec.json.encode({name: WINDOW[name] for name in ("detected_at", "symptoms", "topology")})
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), b"rca.case": described})
    headers = {"Content-Type": ARROW}
    answer = http.post(POST, content=stream(table), headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["incident"]["symptoms"][0]["component"] == "web"


def test_parquet_is_answered(http: httpx.Client) -> None:
    sink = io.BytesIO()
    pq.write_table(metrics_table(), sink)
    headers = {"Content-Type": PARQUET}
    answer = http.post(POST, content=sink.getvalue(), headers=headers, params={"wait": "60", **CASE_QUERY})
    assert answer.status_code == 200, answer.text
    assert answer.json()["root_causes"][0]["component"] == "cart-db"


def test_a_snapshot_unpacks_into_a_case_folder_that_gives_the_same_report(tmp_path: Path) -> None:
    import zipfile

    case = rca.read_case(DEMO)
    packed = pack_case(case)
    assert pack_case(unpack_case(packed)) == packed == pack_case(case)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        archive.extractall(tmp_path / "again")
    assert to_json(rca.analyze(rca.read_case(tmp_path / "again"))) == to_json(rca.analyze(case))


def test_a_replay_of_a_snapshot_gives_the_same_report_and_one_incident(http: httpx.Client, window: bytes) -> None:
    first = http.post(POST, content=window, headers=JSON)
    again = http.post(f"{first.headers['location']}/analyses?wait=60")
    assert again.status_code == 200, again.text
    assert again.content == first.content
    assert len(http.get(first.headers["location"]).json()["jobs"]) == 2


def test_the_same_idempotency_key_and_body_have_one_effect(http: httpx.Client, window: bytes) -> None:
    headers = JSON | {"Idempotency-Key": "key-1"}
    first, again = (http.post(POST, content=window, headers=headers) for _ in range(2))
    assert first.headers["location"] == again.headers["location"]
    assert first.content == again.content
    assert len(http.get(first.headers["location"]).json()["jobs"]) == 1
    other = http.post(POST, content=window.replace(b"slow", b"late"), headers=headers)
    assert other.status_code == 409
    assert other.headers["content-type"] == "application/problem+json"


def test_a_window_with_a_name_of_its_own_is_filed_under_it_once(http: httpx.Client) -> None:
    body = json.dumps(WINDOW | {"id": "checkout-7"}).encode()
    for _ in range(2):
        assert http.post(POST, content=body, headers=JSON).headers["location"] == "/api/v1/incidents/checkout-7"
    assert len(http.get("/api/v1/incidents/checkout-7").json()["jobs"]) == 1
    later = json.dumps(WINDOW | {"id": "checkout-7", "title": "Later"}).encode()
    assert http.post(POST, content=later, headers=JSON).status_code == 200
    shown = http.get("/api/v1/incidents/checkout-7").json()
    assert (shown["title"], len(shown["jobs"])) == ("Later", 2)


def test_who_does_not_want_to_wait_gets_the_job_and_can_follow_it(http: httpx.Client, window: bytes) -> None:
    answer = http.post("/api/v1/incidents", content=window, headers=JSON | {"Prefer": "respond-async"})
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == job["links"]["self"]
    with http.stream("GET", job["links"]["events"]) as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in events.iter_lines() if line.startswith(("event", "data"))]
    assert lines[-2] == "event: done"
    assert json.loads(lines[-1].removeprefix("data: "))["state"] == "done"
    assert http.get(job["links"]["self"]).json()["state"] == "done"
    assert http.get(job["links"]["incident"] + "/report").status_code == 200


def test_a_reference_to_nothing_says_so(http: httpx.Client) -> None:
    answer = http.post(POST, json=REFERENCE | {"detected_at": "1999-01-01T00:00:00Z"})
    assert answer.status_code == 404
    assert "nothing was ingested" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"[]", 422),
        (b"\xff\xfe", 422),
        (b'{"detected_at": "yesterday", "telemetry": {}}', 422),
        (b'{"telemetry": {"metrics": {"times": [1], "series": [{"component": 1}]}}}', 422),
        (b'{"nonsense": 1}', 422),
        (b"[" * 200_000, 422),
        (b'{"telemetry":' * 5_000, 422),
        (b'{"detected_at": NaN}', 422),
    ],
)
def test_malformed_json_is_a_problem_and_no_mistake(http: httpx.Client, body: bytes, status: int) -> None:
    answer = http.post(POST, content=body, headers=JSON)
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert told["status"] == status
    assert told["type"].startswith("urn:rca:problem:")
    assert told["instance"] == "/api/v1/incidents"


@pytest.mark.parametrize("media", [ARROW, PARQUET, ZIP])
def test_malformed_tables_are_problems(http: httpx.Client, media: str) -> None:
    good = {
        ZIP: pack_case(rca.read_case(DEMO)),
        ARROW: stream(metrics_table()),
    }.get(media, b"PAR1" + b"\x00" * 100 + b"PAR1")
    rng = np.random.default_rng(3)
    for _ in range(6):
        body = bytearray(good)
        for place in rng.integers(0, len(body), 20):
            body[place] = rng.integers(0, 256)
        answer = http.post(POST, content=bytes(body[: rng.integers(1, len(body))]), headers={"Content-Type": media})
        assert answer.status_code in (200, 202, 413, 422), answer.text


def test_other_media_types_and_encodings_are_refused(http: httpx.Client, window: bytes) -> None:
    assert http.post(POST, content=window, headers={"Content-Type": "text/csv"}).status_code == 415
    assert http.post(POST, content=window, headers=JSON | {"Content-Encoding": "br"}).status_code == 415
    assert http.post(POST, content=window, headers=JSON | {"Content-Encoding": "gzip"}).status_code == 400
