"""RootCauseBench's folders become cases: nothing of a line is lost, and the answer stays apart."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from rca.cases.rootcausebench import load, read_case
from rca.errors import CaseError, RCAError, TelemetryError
from rca.types import MINUTE, to_nanoseconds

ALERT = {
    "service": "cart",
    "metric": "p99_ms",
    "fired_at": "2026-06-18T15:30:00Z",
    "severity": "critical",
    "monitor": "cart-latency",
    "summary": "cart is slow",
}
LOGS = [
    {"timestamp": "2026-06-18T15:29:00Z", "service": "cart", "severity_text": "WARN", "msg": "slow", "db.calls": 42},
    {
        "timestamp": "2026-06-18T15:29:30Z",
        "service": "cart",
        "severity_text": "ERROR",
        "msg": "failed",
        "stack": "a.go:7",
    },
]
SPAN = {"service": "cart", "name": "add", "start": "2026-06-18T15:29:00Z", "duration_ms": 2.5, "status": "ERROR"}
TRACES = [
    {**SPAN, "trace_id": "t1", "span_id": "a", "parent_id": None, "error": "no rows"},
    {**SPAN, "trace_id": "same", "span_id": "b", "parent_id": "a", "status": "OK", "attributes": {"rows": 3}},
]
COMMIT = {
    "sha": "c" * 40,
    "author": "ada",
    "timestamp": "2026-06-18T15:00:00Z",
    "message": "load items",
    "files_changed": ["cart/load.go"],
    "diff": None,
}
DEPLOY = {"timestamp": "2026-06-18T15:10:00Z", "service": "cart", "commit_sha": "c" * 40, "version": "v2"}
FLAG = {"timestamp": "2026-06-18T15:11:00Z", "flag": "fast", "service": "web", "change": "off->on", "actor": "bob"}
TRUTH = {"root_cause_commit": "c" * 40, "first_failing_service": "cart", "decoy_deploy_commits": ["d" * 40]}


@pytest.fixture
def incident(tmp_path: Path) -> Path:
    folder = tmp_path / "slow-cart"
    (folder / "data" / "context").mkdir(parents=True)
    data = folder / "data"
    (data / "alert.json").write_text(json.dumps(ALERT))
    rows = [f"2026-06-18T15:{minute:02d}:00Z,cart,p99_ms,{minute}" for minute in range(0, 36)]
    (data / "metrics.csv").write_text("\n".join(["timestamp,service,metric,value", *rows]) + "\n")
    (data / "logs.ndjson").write_text("".join(json.dumps(line) + "\n" for line in LOGS))
    (data / "traces.json").write_text(json.dumps(TRACES))
    for name, record in (("commits", COMMIT), ("deploys", DEPLOY), ("flags", FLAG)):
        (data / "context" / f"{name}.json").write_text(json.dumps([record]))
    (folder / "ground_truth.json").write_text(json.dumps(TRUTH))
    return folder


def test_every_attribute_of_a_log_line_is_kept_in_its_message(incident: Path) -> None:
    logs = read_case(incident).telemetry.logs
    assert list(logs.message) == ["slow db.calls=42", "failed stack=a.go:7"]
    assert list(logs.level) == [4, 5]


def test_a_trace_called_same_is_the_trace_of_the_span_before(incident: Path) -> None:
    spans = read_case(incident).telemetry.spans
    assert list(spans.trace) == ["t1", "t1"]
    assert list(spans.parent) == ["", "a"]
    assert list(spans.duration) == [2_500_000, 2_500_000]
    assert list(spans.status) == [2, 1]
    assert list(spans.text) == ["error=no rows", "rows=3"]


def test_the_first_third_before_the_alert_is_the_baseline_and_the_rest_the_window(incident: Path) -> None:
    found = read_case(incident).incident
    start = to_nanoseconds("2026-06-18T15:00:00Z")
    assert found.baseline is not None
    assert (found.baseline.start, found.baseline.end) == (start, start + 10 * MINUTE)
    assert found.window.start == found.baseline.end
    assert found.detected_at == start + 30 * MINUTE
    assert (found.symptoms[0].component, found.symptoms[0].metric, found.onset) == ("cart", "p99_ms", None)


def test_commits_deployments_and_flags_become_changes_that_know_each_other(incident: Path) -> None:
    commit, deployment, flag = read_case(incident).telemetry.changes
    assert (commit.id, commit.kind, commit.component, commit.diff) == ("c" * 40, "change.commit", "cart", "")
    assert (deployment.kind, deployment.attributes["commit"]) == ("change.deployment", commit.id)
    assert (flag.kind, flag.component, flag.attributes["value"]) == ("change.flag", "web", "off->on")


def test_the_answer_stands_apart_from_the_case(incident: Path) -> None:
    ((case, answer),) = load(incident.parent)
    assert (answer.first_failing, answer.change, answer.decoys) == ("cart", "c" * 40, ("d" * 40,))
    (incident / "ground_truth.json").unlink()
    assert read_case(incident).incident == case.incident


@pytest.mark.parametrize(
    ("file", "text", "error", "where"),
    [
        ("alert.json", "{", CaseError, "alert.json"),
        ("alert.json", '{"service": "cart"}', TelemetryError, "alert.json"),
        ("metrics.csv", "timestamp,service,metric,value\nnow,cart,m,1\n", TelemetryError, "metrics.csv:2"),
        (
            "metrics.csv",
            "timestamp,service,metric,value\n2026-06-18T15:00:00Z,cart,m,x\n",
            TelemetryError,
            "metrics.csv:2",
        ),
        ("logs.ndjson", "{}\n", CaseError, "logs.ndjson:1"),
        ("logs.ndjson", "[]\n", CaseError, "logs.ndjson:1"),
        ("traces.json", "[1]", CaseError, "traces.json"),
        ("context/commits.json", '{"sha": 1}', CaseError, "commits.json"),
    ],
)
def test_a_malformed_file_is_an_error_that_names_it(
    incident: Path, file: str, text: str, error: type[RCAError], where: str
) -> None:
    (incident / "data" / file).write_text(text)
    with pytest.raises(error) as caught:
        read_case(incident)
    assert caught.value.where is not None
    assert caught.value.where.endswith(where)


def test_a_folder_without_incidents_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="no incident"):
        list(load(tmp_path))


@pytest.mark.data
def test_the_published_incidents_are_read_whole() -> None:
    data = Path(os.environ.get("RCA_DATA", Path(__file__).parents[2] / ".data")) / "rootcausebench"
    if not data.is_dir():
        pytest.skip("the unpacked set is not there: set RCA_DATA to the folder that holds rootcausebench")
    labelled = list(load(data))
    assert len(labelled) == 12
    assert sum(answer.change == "none" for _, answer in labelled) == 3
    assert sum(len(case.telemetry.logs) for case, _ in labelled) == 1298
    assert sum(len(case.telemetry.spans) for case, _ in labelled) == 100
