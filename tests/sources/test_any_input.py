"""Whatever bytes arrive: a result that the engine can read, or a SourceError; never another error."""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import cramjam
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rca.errors import RCAError, SourceError
from rca.sources.bodies import Limits, inflate
from rca.sources.errors import TooLargeError, UnsupportedError
from rca.sources.kafka import KafkaSettings, KafkaSource
from rca.sources.loki import parse_labels
from rca.sources.prometheus import parse_matrix
from rca.sources.received import Received
from rca.sources.registry import PUSH_SOURCES
from rca.sources.signatures import sign

PAYLOADS = Path(__file__).parent / "payloads"
SECRET = b"secret"
QUICK = settings(max_examples=30, deadline=None)
LIMITS = Limits(inflated=1 << 20, records=10_000)
MEDIA = (
    "application/json",
    "application/x-protobuf",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "",
)
SENT = {
    "otlp_traces": "otlp_http_traces.json",
    "otlp_metrics": "otlp_http_metrics.json",
    "otlp_logs": "otlp_http_logs.json",
    "loki": "loki_push.json",
    "alertmanager": "alertmanager_webhook_v4_firing.json",
    "grafana": "alertmanager_webhook_v4_resolved.json",
    "pagerduty": "pagerduty_webhook_v3_incident_triggered.derived.json",
    "github": "github_deployment_status.example.json",
}
WRITTEN: dict[str, Any] = {
    "changes": {"component": "cart", "kind": "deployment", "time": "2026-01-31T12:00:00Z", "attributes": {"a": "b"}},
    "argocd": {"app": "cart", "phase": "Succeeded", "revision": "abc", "finishedAt": "2026-01-31T12:00:00Z"},
    "kubernetes": {
        "involvedObject": {"kind": "Pod", "name": "cart-7d9f8b6c5-x2k4q", "namespace": "shop"},
        "metadata": {"name": "e", "namespace": "shop"},
        "reason": "OOMKilling",
        "type": "Warning",
        "count": 3,
        "firstTimestamp": "2026-01-31T12:00:00Z",
        "lastTimestamp": "2026-01-31T12:01:00Z",
    },
    "cloudevents": {
        "specversion": "1.0",
        "id": "1",
        "source": "/argo",
        "type": "dev.cdevents.service.deployed.0.3.0",
        "time": "2026-01-31T12:00:00Z",
        "data": {
            "context": {},
            "subject": {"id": "cart", "content": {"environment": {"id": "prod"}, "artifactId": "a"}},
        },
    },
    "remote_write": {},
}
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(
        ["9" * 30, "2026-01-31T12:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "NaN", "-1", "ff"]
    ),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)


def read(source: str, body: bytes, media: str, encoding: str = "") -> Received | None:
    """What a source makes of a body, None where it refuses it; the engine must be able to read it."""
    headers = {"Content-Type": media, "Content-Encoding": encoding}
    headers |= {
        "X-PagerDuty-Signature": f"v1={sign(SECRET, body)}",
        "X-Hub-Signature-256": f"sha256={sign(SECRET, body)}",
    }
    headers["X-Grafana-Alerting-Signature"] = sign(SECRET, body)
    try:
        received = PUSH_SOURCES[source].read(body, headers, secrets=[SECRET], limits=LIMITS)
    except SourceError as refused:
        assert refused.problem and 400 <= refused.status < 500
        return None
    try:
        telemetry = received.telemetry()
        assert np.isfinite(telemetry.metrics.values[~np.isnan(telemetry.metrics.values)]).all()
    except RCAError as refused:
        assert "too many" in str(refused)
    return received


def mutate(document: Any, path: list[int], value: Any) -> Any:
    """The document with one part exchanged, chosen by ``path``."""
    if not path or not isinstance(document, (dict, list)) or not document:
        return value
    keys = list(document) if isinstance(document, dict) else range(len(document))
    key = keys[path[0] % len(keys)]
    copy = document.copy()
    copy[key] = mutate(document[key], path[1:], value)
    return copy


@pytest.mark.parametrize("source", sorted(PUSH_SOURCES))
@QUICK
@given(
    body=st.binary(max_size=200), media=st.sampled_from(MEDIA), encoding=st.sampled_from(["", "gzip", "snappy", "br"])
)
def test_any_bytes_are_read_or_refused(source: str, body: bytes, media: str, encoding: str) -> None:
    read(source, body, media, encoding)


@pytest.mark.parametrize("source", sorted(PUSH_SOURCES))
@QUICK
@given(document=values)
def test_any_json_is_read_or_refused(source: str, document: Any) -> None:
    for media in MEDIA[:1] if source != "cloudevents" else MEDIA[2:4]:
        read(source, json.dumps(document).encode(), media)


@pytest.mark.parametrize("source", sorted({*SENT, *WRITTEN} - {"remote_write"}))
@settings(max_examples=60, deadline=None)
@given(path=st.lists(st.integers(0, 30), min_size=1, max_size=9), value=values)
def test_a_payload_with_one_part_exchanged_is_read_or_refused(source: str, path: list[int], value: Any) -> None:
    document = json.loads((PAYLOADS / SENT[source]).read_bytes()) if source in SENT else WRITTEN[source]
    media = "application/cloudevents+json" if source == "cloudevents" else "application/json"
    read(source, json.dumps(mutate(document, path, value)).encode(), media)


@pytest.mark.parametrize("source", sorted({*SENT, *WRITTEN} - {"remote_write"}))
def test_the_payloads_that_are_exchanged_in_parts_are_taken_whole(source: str) -> None:
    document = json.loads((PAYLOADS / SENT[source]).read_bytes()) if source in SENT else WRITTEN[source]
    media = "application/cloudevents+json" if source == "cloudevents" else "application/json"
    received = read(source, json.dumps(document).encode(), media)
    assert received is not None
    assert received.accepted > 0


PROTOBUF = [
    ("otlp_traces", gzip.decompress((PAYLOADS / "otlp_http_traces.pb.gz").read_bytes()), ""),
    ("otlp_metrics", (PAYLOADS / "otlp_http_metrics.pb").read_bytes(), ""),
    ("otlp_logs", (PAYLOADS / "otlp_http_logs.pb").read_bytes(), ""),
    (
        "remote_write",
        bytes(cramjam.snappy.decompress_raw((PAYLOADS / "remote_write_v1.snappy").read_bytes())),
        "snappy",
    ),
    ("loki", b'\n\x1e\n\x0f{service="cart"}\x12\x0b\n\x06\x08\x80\x92\xb8\xc3\x06\x12\x01x', "snappy"),
]


@pytest.mark.parametrize(("source", "content", "encoding"), PROTOBUF, ids=[source for source, _, _ in PROTOBUF])
@QUICK
@given(data=st.data())
def test_a_message_with_bytes_exchanged_is_read_or_refused(
    source: str, content: bytes, encoding: str, data: Any
) -> None:
    body = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(body[: data.draw(st.integers(len(body) // 2, len(body)))])
    read(source, bytes(cramjam.snappy.compress_raw(cut)) if encoding else cut, "application/x-protobuf", encoding)


@QUICK
@given(content=st.binary(max_size=100) | values.map(lambda value: json.dumps(value).encode()))
def test_any_answer_to_a_query_is_read_or_refused(content: bytes) -> None:
    with contextlib.suppress(SourceError):
        parse_matrix(content)


@QUICK
@given(
    topic=st.sampled_from(["otlp_spans", "otlp_metrics", "otlp_logs", "rca_changes", "other"]),
    value=st.binary(max_size=100),
)
def test_any_message_of_kafka_is_read_or_refused(topic: str, value: bytes) -> None:
    source = KafkaSource(KafkaSettings(servers="127.0.0.1:1"), lambda batch: None, lambda letter: None)
    with contextlib.suppress(SourceError):
        source.read(topic, value)


@QUICK
@given(st.text(max_size=60))
def test_any_text_is_labels_or_refused(text: str) -> None:
    with contextlib.suppress(SourceError):
        assert isinstance(parse_labels(text), dict)


def bomb(encoding: str, size: int) -> bytes:
    content = bytes(size)
    if encoding == "gzip":
        return gzip.compress(content)
    if encoding == "deflate":
        return zlib.compress(content)
    if encoding == "zstd":
        return bytes(pytest.importorskip("zstandard", reason="zstandard is not installed").compress(content))
    return bytes(cramjam.snappy.compress_raw(content))


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "snappy"])
def test_a_bomb_is_refused_before_it_is_inflated(encoding: str) -> None:
    import tracemalloc

    body = bomb(encoding, 64 << 20)
    tracemalloc.start()
    with pytest.raises(TooLargeError) as refused:
        inflate(body, encoding, where="test", limits=LIMITS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused.value.status == 413
    assert peak < 8 << 20


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "snappy"])
def test_an_inflated_body_is_what_was_compressed(encoding: str) -> None:
    assert inflate(bomb(encoding, 1_000), encoding, where="test") == bytes(1_000)
    with pytest.raises(SourceError):
        inflate(bomb(encoding, 1_000)[:-5], encoding, where="test")


def test_a_gzip_body_of_several_members_is_read_whole_and_bounded() -> None:
    body = gzip.compress(b"one ") + gzip.compress(b"two")
    assert inflate(body, "gzip", where="test") == b"one two"
    with pytest.raises(TooLargeError):
        inflate(gzip.compress(bytes(700_000)) * 2, "gzip", where="test", limits=LIMITS)


def test_an_unknown_encoding_is_told_what_is_known() -> None:
    with pytest.raises(UnsupportedError, match="Use gzip") as refused:
        inflate(b"", "br", where="test")
    assert refused.value.status == 415


@pytest.mark.parametrize("source", sorted(PUSH_SOURCES))
def test_json_that_nests_without_end_is_refused(source: str) -> None:
    for body in (b"[" * 100_000, b'{"a":' * 100_000, b'{"alerts":' + b"[" * 100_000):
        for media in MEDIA:
            assert read(source, body, media) is None


@pytest.mark.parametrize("source", sorted(PUSH_SOURCES))
def test_more_records_than_are_taken_are_refused(source: str) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "s", "type": "t"}
    record = {"timeUnixNano": "1", "body": {"stringValue": "x"}}
    point = {"timeUnixNano": "1", "asInt": "1"}
    many = {
        "alertmanager": {"alerts": [{"labels": {"alertname": str(i)}} for i in range(20)]},
        "grafana": {"alerts": [{"labels": {"alertname": str(i)}} for i in range(20)]},
        "changes": [{"kind": "config", "component": str(i)} for i in range(20)],
        "kubernetes": [{}] * 20,
        "cloudevents": [event] * 20,
        "loki": {"streams": [{"stream": {"app": "a"}, "values": [["1", "x"]] * 20}]},
        "otlp_logs": {"resourceLogs": [{"scopeLogs": [{"logRecords": [record] * 20}]}]},
        "otlp_traces": {"resourceSpans": [{"scopeSpans": [{"spans": [{}] * 20}]}]},
        "otlp_metrics": {
            "resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m", "gauge": {"dataPoints": [point] * 20}}]}]}]
        },
    }
    if source not in many:
        assert source in ("pagerduty", "github", "argocd", "remote_write")  # one event each; tested by itself
        return
    media = "application/cloudevents-batch+json" if source == "cloudevents" else "application/json"
    body = json.dumps(many[source]).encode()
    with pytest.raises(TooLargeError):
        PUSH_SOURCES[source].read(body, {"Content-Type": media}, limits=Limits(records=10))
