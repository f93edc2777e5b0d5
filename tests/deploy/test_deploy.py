"""What deploy/ holds can be read by the programs that it is for, and fits together."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from rca.notify.endpoints import METRICS
from rca.service.configuration import Configuration
from rca.service.configuration_reading import load_configuration
from rca.sources.registry import PUSH_SOURCES

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
SECRET = "/run/secrets/admin-token"


def documents(path: Path) -> list[Any]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def run(program: str, *arguments: object) -> str:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def with_secret(folder: Path, source: Path) -> Path:
    """A copy whose secrets are files that exist."""
    token = folder / "token"
    token.write_text("t")
    for path in source.parent.glob("*.yml"):
        (folder / path.name).write_text(path.read_text(encoding="utf-8").replace(SECRET, str(token)))
    return folder / source.name


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.y*ml")), ids=lambda path: path.name)
def test_every_yaml_file_is_yaml(path: Path) -> None:
    assert all(isinstance(each, dict) for each in documents(path))


def test_prometheus_takes_its_configuration_and_rules(tmp_path: Path) -> None:
    run("promtool", "check", "config", with_secret(tmp_path, DEPLOY / "prometheus" / "prometheus.yml"))
    assert "5 rules found" in run("promtool", "check", "rules", DEPLOY / "prometheus" / "rules.yml")


def test_alertmanager_takes_its_configuration(tmp_path: Path) -> None:
    run("amtool", "check-config", with_secret(tmp_path, DEPLOY / "alertmanager" / "alertmanager.yml"))


def test_alertmanager_takes_what_the_docs_show(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "alerting.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml alertmanager\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    path = tmp_path / "alertmanager.yml"
    path.write_text(block)
    run("amtool", "check-config", path)


def test_alertmanager_sends_to_a_route_that_the_engine_has() -> None:
    (config,) = documents(DEPLOY / "alertmanager" / "alertmanager.yml")
    (hook,) = config["receivers"][0]["webhook_configs"]
    assert hook["url"].endswith(PUSH_SOURCES["alertmanager"].path)
    assert hook["send_resolved"]


def test_the_labels_of_rules_name_kinds_that_the_catalogue_has() -> None:
    from rca.kinds import load_kinds

    (rules,) = documents(DEPLOY / "prometheus" / "rules.yml")
    named = [rule["labels"].get("rca_kind") for group in rules["groups"] for rule in group["rules"]]
    assert {name for name in named if name} <= set(load_kinds())


def test_the_engine_takes_its_configurations(tmp_path: Path) -> None:
    compose = load_configuration(DEPLOY / "rca.yaml", environment={})
    maps = [each for each in documents(DEPLOY / "kubernetes" / "rca.yaml") if each["kind"] == "ConfigMap"]
    path = tmp_path / "rca.yaml"
    path.write_text(maps[0]["data"]["rca.yaml"])
    for configuration in (compose, load_configuration(path, environment={})):
        assert isinstance(configuration, Configuration)
        assert configuration.sources[0].kind in METRICS


def test_the_targets_that_are_commented_out_would_be_taken(tmp_path: Path) -> None:
    text = (DEPLOY / "rca.yaml").read_text(encoding="utf-8").replace("targets: []", "targets:")
    for name, content in (("pagerduty-token", "t"), ("slack-url", "https://hooks.slack.com/services/T/B/X")):
        (tmp_path / name).write_text(content)
    text = re.sub(r"^#( {2,}.*)$", r"\1", text, flags=re.MULTILINE).replace("/run/secrets", str(tmp_path))
    path = tmp_path / "rca.yaml"
    path.write_text(text)
    assert [target.form for target in load_configuration(path, environment={}).targets] == ["pagerduty-note", "slack"]


def test_every_metric_of_dashboard_and_rules_is_one_that_the_engine_has() -> None:
    from rca.service.metrics import Metrics

    have = set(re.findall(r"^# HELP (\w+)", Metrics().page().decode(), re.MULTILINE))
    have |= {f"{name}_bucket" for name in have}
    dashboard = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
    asked = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    (rules,) = documents(DEPLOY / "prometheus" / "rules.yml")
    asked += " " + " ".join(rule["expr"] for group in rules["groups"] for rule in group["rules"])
    named = set(re.findall(r"\brca_\w+", asked))
    assert len(named) > 12
    assert named <= have


def test_the_dashboards_queries_can_be_parsed(tmp_path: Path) -> None:
    dashboard = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(asked)]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(asked)} rules found" in run("promtool", "check", "rules", path)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_the_collector_sends_to_the_engine_what_it_receives() -> None:
    (config,) = documents(DEPLOY / "collector" / "collector.yaml")
    parts = {**config["receivers"], **config["processors"], **config["exporters"], **config["connectors"]}
    for pipeline in config["service"]["pipelines"].values():
        assert {name for names in pipeline.values() for name in names} <= set(parts)
        assert "otlphttp/rca" in pipeline["exporters"]


def test_compose_mounts_what_is_there_and_reads_the_secret_where_it_is_mounted() -> None:
    (compose,) = documents(DEPLOY / "compose.yaml")
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in compose["volumes"]
    assert compose["services"]["rca"]["environment"]["RCA_ADMIN_TOKEN_FILE"] == SECRET
    assert (DEPLOY.parent / compose["services"]["rca"]["build"]["dockerfile"]).is_file()


def test_kubernetes_runs_it_without_rights_and_with_what_it_mounts() -> None:
    made = {each["kind"]: each for each in documents(DEPLOY / "kubernetes" / "rca.yaml")}
    pod = made["StatefulSet"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    claimed = {claim["metadata"]["name"] for claim in made["StatefulSet"]["spec"]["volumeClaimTemplates"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]} | claimed
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["terminationGracePeriodSeconds"] > Configuration().stop_seconds
    labels = made["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    assert made["Service"]["spec"]["selector"] == made["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels


def test_the_container_copies_what_the_project_has_and_runs_as_nobody() -> None:
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    copied = [word for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE) for word in line.split()[:-1]]
    assert copied
    assert all((ROOT / name).exists() for name in copied)
    assert "USER 10001" in text
