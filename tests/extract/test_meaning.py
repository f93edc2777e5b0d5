"""What metrics mean, by their names in the wild."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rca.errors import RuleError
from rca.extract.meaning import FAMILIES, classify, kind_of, load_meanings, normalise
from rca.kinds import load_kinds

NAMES = [
    ("http.server.request.duration", "latency", "component", "server"),
    ("http.client.request.duration", "latency", "component", "client"),
    ("PodServerLatencyP90(s)", "latency", "component", "server"),
    ("http_requests_total", "traffic", "component", "server"),
    ("http_requests_5xx_total", "errors", "component", "server"),
    ("request_success_rate", "availability", "component", "server"),
    ("container_cpu_usage_seconds_total", "cpu", "component", "server"),
    ("node_cpu_seconds_total", "cpu", "host", "server"),
    ("container_memory_working_set_bytes", "memory", "component", "server"),
    ("jvm_gc_pause_seconds_sum", "gc", "component", "server"),
    ("hikaricp_connections_active", "connections", "component", "server"),
    ("jvm_threads_live", "threads", "component", "server"),
    ("kafka_consumergroup_lag", "queue", "component", "server"),
    ("node_filesystem_avail_bytes", "disk", "host", "server"),
    ("container_network_receive_bytes_total", "network", "component", "server"),
    ("conversion_rate", "kpi", "component", "server"),
    ("temperature_of_the_moon", "other", "component", "server"),
]


@pytest.mark.parametrize(("name", "family", "scope", "side"), NAMES, ids=[row[0] for row in NAMES])
def test_names_of_common_exporters_are_understood(name: str, family: str, scope: str, side: str) -> None:
    meaning = classify(name)
    assert (meaning.family, meaning.scope, meaning.side) == (family, scope, side)


def test_names_are_compared_in_lower_case_words() -> None:
    assert normalise("PodServerLatencyP90(s)") == "pod_server_latency_p90_s"
    assert normalise("HTTPRequests.total/sec") == "http_requests_total_sec"


@settings(max_examples=50)
@given(st.text(max_size=40), st.sampled_from(["up", "down"]))
def test_any_name_has_a_family_and_a_kind_of_the_catalogue(name: str, direction: str) -> None:
    assert classify(name).family in FAMILIES
    assert kind_of(name, direction) in load_kinds()


@pytest.mark.parametrize(
    ("name", "direction"), [("error_rate", "up"), ("availability", "down"), ("conversion_rate", "down")]
)
def test_metrics_get_worse_in_their_own_direction(name: str, direction: str) -> None:
    assert classify(name).bad_direction == direction
    assert classify("request_rate").bad_direction == "both"


def test_own_patterns_are_tried_before_the_bundled_ones(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("families:\n  - {pattern: 'moon', family: latency}\n  - {pattern: 'cpu', family: queue}\n")
    table = load_meanings(path)
    assert table.classify("temperature_of_the_moon").family == "latency"
    assert table.classify("cpu_usage").family == "queue"
    assert table.classify("heap_bytes").family == "memory"


@pytest.mark.parametrize(
    "text",
    [
        "- a list",
        "colours: []",
        "families: text",
        "families:\n  - {pattern: 'x', family: happiness}",
        "families:\n  - {pattern: '(', family: cpu}",
        "families:\n  - {pattern: 'x'}",
        "scopes:\n  - {pattern: 'x', scope: planet}",
        "families: [",
    ],
)
def test_a_mistake_in_a_file_of_patterns_is_a_rule_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(RuleError) as caught:
        load_meanings(path)
    assert "own.yaml" in str(caught.value)


def test_a_missing_file_of_patterns_is_a_rule_error(tmp_path: Path) -> None:
    with pytest.raises(RuleError):
        load_meanings(tmp_path / "none.yaml")
