"""Everything that real senders sent is accepted, and means what they meant."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rca.sources.alertmanager import decode_alert_list
from rca.sources.otlp import decode_otlp
from rca.sources.registry import PUSH_SOURCES
from rca.sources.signatures import sign
from rca.telemetry import ERROR
from rca.types import to_nanoseconds

PAYLOADS = Path(__file__).parent / "payloads"
SECRET = b"a shared secret"
JSON = {"Content-Type": "application/json"}
PROTOBUF = {"Content-Type": "application/x-protobuf"}
GZIP = PROTOBUF | {"Content-Encoding": "gzip"}
SNAPPY = PROTOBUF | {"Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}

ACCEPTED = [
    ("otlp_traces", "otlp_http_traces.pb.gz", GZIP, 2),
    ("otlp_traces", "otlp_http_traces.json", JSON, 2),
    ("otlp_metrics", "otlp_http_metrics.pb", PROTOBUF, 20),
    ("otlp_metrics", "otlp_http_metrics.json", JSON, 20),
    ("otlp_logs", "otlp_http_logs.pb", PROTOBUF, 1),
    ("otlp_logs", "otlp_http_logs.json", JSON, 1),
    ("remote_write", "remote_write_v1.snappy", SNAPPY, 441),
    ("loki", "loki_push.json", JSON, 1),
    ("alertmanager", "alertmanager_webhook_v4_firing.json", JSON, 1),
    ("alertmanager", "alertmanager_webhook_v4_firing_warning.json", JSON, 1),
    ("alertmanager", "alertmanager_webhook_v4_resolved.json", JSON, 1),
    ("pagerduty", "pagerduty_webhook_v3_incident_triggered.derived.json", JSON, 1),
    ("github", "github_deployment_status.example.json", JSON | {"X-GitHub-Event": "deployment_status"}, 1),
]


def read(name: str) -> bytes:
    return (PAYLOADS / name).read_bytes()


@pytest.mark.parametrize(("source", "file", "headers", "records"), ACCEPTED)
def test_every_captured_payload_is_accepted_whole(
    source: str, file: str, headers: dict[str, str], records: int
) -> None:
    body = read(file)
    signed = {
        "X-PagerDuty-Signature": f"v1={sign(SECRET, body)}",
        "X-Hub-Signature-256": f"sha256={sign(SECRET, body)}",
    }
    received = PUSH_SOURCES[source].read(body, headers | signed, secrets=[SECRET])
    assert (received.accepted, received.rejected) == (records, 0)


def test_the_table_of_accepted_payloads_names_every_pushed_file() -> None:
    pulled = {"README.md", "am_v2_alerts.json", "remote_write_decoded_sample.json"}
    pushed = {path.name for path in PAYLOADS.iterdir() if path.name not in pulled and not path.name.startswith("prom_")}
    assert pushed == {file for _, file, _, _ in ACCEPTED}


def test_spans_in_json_and_protobuf_mean_the_same() -> None:
    from_json = decode_otlp("traces", read("otlp_http_traces.json"), headers=JSON).spans
    from_protobuf = decode_otlp("traces", read("otlp_http_traces.pb.gz"), headers=GZIP).spans
    for spans in (from_json, from_protobuf):
        names = [spans.operations[code] for code in spans.operation]
        assert names == ["POST /checkout", "payment.Charge"]
        assert spans.components[spans.component[0]] == "checkout"
        assert spans.components[spans.peer[1]] == "payment"
        assert spans.peer[0] == -1
        assert spans.kind.tolist() == [2, 3]
        assert spans.status.tolist() == [2, 2]
        assert spans.parent.tolist() == ["", spans.span[0]]
        assert "TimeoutError: deadline exceeded" in spans.text[1]
    assert from_json.trace[0] == "f85d23c08842c5eb1e4f4ab0675caca9"  # hex, as it was sent
    assert from_json.span.tolist() == ["72b9037b18ef6bfd", "aaa1f909a13a8a42"]


def test_a_pod_is_a_replica_of_its_service() -> None:
    received = decode_otlp("metrics", read("otlp_http_metrics.json"), headers=JSON)
    assert received.topology.replica_of == {"checkout-7f9c-abc": "checkout"}
    assert {key.component for key in received.samples.keys} == {"checkout"}


def test_a_log_record_keeps_its_level_and_its_trace() -> None:
    logs = decode_otlp("logs", read("otlp_http_logs.json"), headers=JSON).logs
    assert logs.level.tolist() == [ERROR]
    assert logs.message.tolist() == ["payment call failed: deadline exceeded"]
    assert (logs.trace[0], logs.span[0]) == ("f85d23c08842c5eb1e4f4ab0675caca9", "aaa1f909a13a8a42")


def test_remote_write_gives_the_samples_that_were_sent() -> None:
    samples = PUSH_SOURCES["remote_write"].read(read("remote_write_v1.snappy"), SNAPPY).samples
    told = json.loads(read("remote_write_decoded_sample.json"))
    up = [i for i, key in enumerate(samples.keys) if key.metric == "up" and key.component == told["labels"]["service"]]
    assert len(up) == 1
    rows = np.flatnonzero(samples.series == up[0])
    assert [[t // 1_000_000, v] for t, v in zip(samples.times[rows], samples.values[rows], strict=True)] == told[
        "samples"
    ]


def test_firing_and_resolved_are_two_notices_of_one_alert() -> None:
    firing, resolved = (
        PUSH_SOURCES["alertmanager"].read(read(f"alertmanager_webhook_v4_{name}.json"), JSON).alerts[0]
        for name in ("firing", "resolved")
    )
    assert firing.id != resolved.id
    assert firing.key == resolved.key
    assert (firing.status, firing.alert.end) == ("firing", None)
    assert resolved.alert.end == to_nanoseconds("2026-11-21T22:32:22.627Z")
    assert firing.alert.component == "checkout"
    assert firing.alert.severity == 1.0
    assert firing.links["runbook"] == "https://runbooks.example/TargetDown"
    # The dedup_key with which the same Alertmanager opened its PagerDuty incident.
    assert firing.group == "0ff35f143e13363d4b35253ab40293d0892320a2f39baed36bcfb7c46cf2b96b"


def test_a_listed_alert_is_the_one_that_the_webhook_told() -> None:
    listed = decode_alert_list(read("am_v2_alerts.json")).alerts[0]
    told = PUSH_SOURCES["alertmanager"].read(read("alertmanager_webhook_v4_firing_warning.json"), JSON).alerts[0]
    assert (listed.id, listed.key) == (told.id, told.key)


def test_a_pagerduty_incident_is_an_alert_on_its_service() -> None:
    body = read("pagerduty_webhook_v3_incident_triggered.derived.json")
    headers = {"x-pagerduty-signature": f"v1=00,v1={sign(SECRET, body)}"}
    notice = PUSH_SOURCES["pagerduty"].read(body, headers, secrets=[b"old", SECRET]).alerts[0]
    assert notice.alert.component == "API Service"
    assert notice.group == "d3640fbd41094207a1c11e58e46b1662"
    assert notice.alert.labels["pagerduty_incident"] == "PGR0VU2"
    assert notice.links["page"] == "https://acme.pagerduty.com/incidents/PGR0VU2"
    assert notice.alert.time == to_nanoseconds("2020-04-09T15:16:27Z")


def test_a_github_deployment_is_a_change_of_its_repository() -> None:
    body = read("github_deployment_status.example.json")
    headers = {"X-GitHub-Event": "deployment_status", "X-Hub-Signature-256": f"sha256={sign(SECRET, body)}"}
    change = PUSH_SOURCES["github"].read(body, headers, secrets=[SECRET]).changes[0]
    assert (change.component, change.kind) == ("Hello-World", "change.deployment")
    assert change.attributes["commit"] == "f95f852bd8fca8fcc58a9a2d6c842781e32a215e"
    assert change.attributes["author"] == "Codertocat"
    assert change.time == to_nanoseconds("2019-05-15T15:20:55Z")


@pytest.mark.parametrize("source", ["pagerduty", "github"])
@pytest.mark.parametrize("secrets", [[], [b"another"], [b""]])
def test_what_is_not_signed_is_not_taken(source: str, secrets: list[bytes]) -> None:
    from rca.sources.errors import SignatureError

    body = read("github_deployment_status.example.json")
    headers = {"X-PagerDuty-Signature": "v1=é", "X-Hub-Signature-256": sign(SECRET, body)}
    with pytest.raises(SignatureError) as refused:
        PUSH_SOURCES[source].read(body, headers, secrets=secrets)
    assert refused.value.status == 401
