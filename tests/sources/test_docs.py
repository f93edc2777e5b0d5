"""docs/sources.md says what is there, and its examples work."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from rca.sources.argocd import _Body, decode_argocd
from rca.sources.cloudevents import decode_cloudevents
from rca.sources.generic_json import decode_generic
from rca.sources.kafka import TOPICS
from rca.sources.registry import PUSH_SOURCES

TEXT = (Path(__file__).parents[2] / "docs" / "sources.md").read_text(encoding="utf-8")


def examples(kind: str) -> list[str]:
    found = re.findall(rf"^```[a-z]+ {kind}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert found, kind
    return found


def test_every_source_stands_in_the_table_with_its_path_and_its_statuses() -> None:
    rows = [row for row in TEXT.splitlines() if row.startswith("|")]
    for source in PUSH_SOURCES.values():
        row = next(row for row in rows if f"`{source.path}`" in row)
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[2:4] == [str(source.accepted), str(source.overloaded)]
        assert cells[4] == {"never": "", "optional": "optional", "required": "required"}[source.signed]


def test_the_topics_that_are_named_are_those_that_are_read() -> None:
    section = TEXT.split("## Kafka", 1)[1].split("\n## ", 1)[0]
    assert set(re.findall(r"`((?:otlp|rca)_(?:spans|metrics|logs|changes))`", section)) == set(TOPICS)


def test_the_examples_of_changes_and_events_are_taken() -> None:
    assert [decode_generic(body.encode()).accepted for body in examples("changes")] == [1, 2]
    event = examples("cloudevent")[0].encode()
    received = decode_cloudevents(event, headers={"Content-Type": "application/cloudevents+json"})
    assert received.changes[0].component == "cart"


def test_the_template_for_argo_sends_what_is_read() -> None:
    settings = yaml.safe_load(examples("argocd")[0])
    body = yaml.safe_load(settings["template.rca-sync"])["webhook"]["rca"]["body"]
    filled = re.sub(r"\{\{ (\S+) \| toJson \}\}", lambda found: json.dumps("2026-01-31T12:00:00Z"), body)
    filled = filled.replace('"phase": "2026-01-31T12:00:00Z"', '"phase": "Succeeded"')
    assert set(json.loads(filled)) <= set(_Body.__struct_encode_fields__)
    assert decode_argocd(filled.encode()).accepted == 1
    assert {"url", "headers"} <= set(yaml.safe_load(settings["service.webhook.rca"]))


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("prometheus", ["promtool", "check", "config", "--syntax-only"]),
        ("alertmanager", ["amtool", "check-config"]),
    ],
)
def test_the_real_tools_accept_the_configurations(kind: str, command: list[str], tmp_path: Path) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    (tmp_path / "config.yml").write_text(examples(kind)[0])
    done = subprocess.run([*command, str(tmp_path / "config.yml")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_collectors_exporters_post_to_paths_that_are_there() -> None:
    exporters = yaml.safe_load(examples("collector")[0])["exporters"]
    assert exporters["otlphttp/rca"]["endpoint"].count("/") == 2  # the exporter appends /v1/traces and so on
    assert {f"/v1/{signal}" for signal in ("traces", "metrics", "logs")} <= {s.path for s in PUSH_SOURCES.values()}


def test_the_functions_and_classes_that_are_named_exist() -> None:
    import importlib

    names = set(re.findall(r"`(rca\.sources\.[a-z_]+)\.([A-Za-z_]+)`", TEXT))
    assert len(names) >= 8
    for module, name in names:
        assert hasattr(importlib.import_module(module), name), f"{module}.{name}"
