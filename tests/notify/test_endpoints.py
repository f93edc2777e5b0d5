"""Targets and sources: each field is documented and read, mistakes are named with their line, no secret is shown."""

from __future__ import annotations

import ast
import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from rca.errors import SettingsError
from rca.notify.endpoints import Endpoint, Source, Target, read_endpoints
from rca.notify.forms import FORMS
from rca.service.configuration_reading import load_configuration
from rca.yaml_files import load_yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = (ROOT / "docs" / "alerting.md").read_text(encoding="utf-8")
SECRETS = {"SLACK_URL": "https://hooks.slack.com/services/T/B/hidden", "KEY": "hidden", "EMPTY": " "}
PROMETHEUS = "- {name: m, kind: prometheus, url: 'https://p.example', queries: [up]"


def read(kind: Any, text: str) -> Any:
    return read_endpoints(kind, load_yaml(text, where="rca.yaml"), where="rca.yaml", environment=SECRETS)


FIELDS = {(kind, each.name) for kind in (Target, Source) for each in dataclasses.fields(kind)}


@pytest.mark.parametrize(("kind", "name"), sorted(FIELDS, key=str))
def test_each_field_is_documented_with_its_default(kind: type[Endpoint], name: str) -> None:
    field = next(each for each in dataclasses.fields(kind) if each.name == name)
    shown = "required" if field.default is dataclasses.MISSING else str(field.default)
    if field.default_factory is not dataclasses.MISSING:
        shown = "empty"
    shown = {"False": "false", "": "empty", "()": "empty"}.get(shown, shown)
    assert f"| `{name}` | {shown} | " in DOCS


def test_each_field_is_read_somewhere() -> None:
    loaded: set[str] = set()
    for path in [*(ROOT / "rca" / "service").rglob("*.py"), *(ROOT / "rca" / "notify").glob("*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        loaded |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert {name for _, name in FIELDS} <= loaded


def test_each_form_is_documented() -> None:
    for form in FORMS:
        assert f"| `{form}` |" in DOCS


def test_targets_are_read_with_their_secrets_from_environment_and_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hidden-token\n")
    chat, note = read(
        Target,
        "- {name: chat, form: slack, url_env: SLACK_URL, labels: {team: 'a*'}, networks: 10.0.0.0/8}\n"
        f"- {{name: n, form: pagerduty-note, secret_file: {tmp_path / 'token'}, sender: a@b.example, seconds: 3}}",
    )
    assert (chat.url, chat.labels, chat.networks) == (SECRETS["SLACK_URL"], {"team": "a*"}, ("10.0.0.0/8",))
    assert (note.secret, note.seconds) == ("hidden-token", 3.0)
    assert "hidden" not in f"{chat}{note}"


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        (Target, "{a: b}", "no list"),
        (Target, "- slack", "no list"),
        (Target, "- {name: x}", "form is missing"),
        (Target, "- {form: webhook, url: 'https://a.example'}", "name is missing"),
        (Target, "- {name: x, form: fax, url: 'https://a.example'}", "fax"),
        (Target, "- {name: x, form: slack}", "no sound URL"),
        (Target, "- {name: x, form: slack, url: 'http://a.example'}", "plain HTTP"),
        (Target, "- {name: x, form: slack, url: 'https://user:hidden@a.example'}", "no sound URL"),
        (Target, "- {name: x, form: slack, url: 'ftp://a.example', allow_http: true}", "no sound URL"),
        (Target, "- {name: x, form: slack, url_env: NOWHERE}", "NOWHERE is not in the environment"),
        (Target, "- {name: x, form: slack, url_env: EMPTY}", "EMPTY is not in the environment"),
        (Target, "- {name: x, form: webhook, url: 'https://a.example', secret: hidden}", "secret_env"),
        (Target, "- {name: x, form: webhook, url: 'https://a.example', secret_file: /none}", "cannot be read"),
        (Target, "- {name: x, form: grafana, url: 'https://a.example'}", "no secret"),
        (Target, "- {name: x, form: pagerduty-note, secret_env: KEY}", "sender"),
        (Target, "- {name: 'a b', form: webhook, url: 'https://a.example'}", "no name"),
        (Target, "- {name: x, form: webhook, url: 'https://a.example', verdicts: [maybe]}", "maybe"),
        (Target, "- {name: x, form: webhook, url: 'https://a.example', incidents: some}", "some"),
        (Target, "- {name: x, form: webhook, url: 'https://a.example', colour: red}", "colour"),
        (Target, "- {name: x, form: webhook, url: 'https://a.example', allow_http: 1}", "another type"),
        (Target, 2 * "- {name: x, form: webhook, url: 'https://a.example'}\n", "stands twice"),
        (Source, "- {name: m, kind: graphite, url: 'https://a.example'}", "graphite"),
        (Source, "- {name: m, kind: prometheus, url: 'https://a.example'}", "no queries"),
        (Source, f"{PROMETHEUS}, step: 0}}", "not above 0"),
        (Source, "- {name: m, kind: loki, url: 'https://a.example', queries: [1]}", "another type"),
    ],
)
def test_mistakes_are_named(kind: type[Endpoint], text: str, told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(kind, text)
    assert told in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_sources_say_who_they_are_by_bearer_or_basic() -> None:
    bearer, basic, bare = read(
        Source,
        f"{PROMETHEUS}, secret_env: KEY, headers: {{X-Scope-OrgID: shop}}}}\n"
        "- {name: o, kind: opensearch, url: 'https://o.example', secret_env: KEY, user: reader}\n"
        "- {name: j, kind: jaeger, url: 'https://j.example'}",
    )
    assert bearer.request_headers == {"X-Scope-OrgID": "shop", "Authorization": "Bearer hidden"}
    assert basic.request_headers == {"Authorization": "Basic cmVhZGVyOmhpZGRlbg=="}
    assert bare.request_headers == {}
    assert bearer.queries == {"up": "up"}


def test_a_file_of_authorities_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none")
    (target,) = read(
        Target, f"- {{name: x, form: webhook, url: 'https://a.example', authority: {tmp_path / 'ca.pem'}}}"
    )
    with pytest.raises(SettingsError, match="no PEM"):
        target.client()


def test_lists_cannot_stand_in_the_environment() -> None:
    with pytest.raises(SettingsError, match="RCA_TARGETS"):
        load_configuration(environment={"RCA_TARGETS": "x"})


BLOCKS = re.findall(r"^```yaml rca\n(.*?)^```", DOCS, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_the_configurations_in_the_docs_are_taken(block: str, tmp_path: Path) -> None:
    (tmp_path / "opensearch").write_text("password")
    path = tmp_path / "rca.yaml"
    path.write_text(block.replace("/run/secrets", str(tmp_path)))
    named = re.findall(r"_env: (\w+)", block)
    environment = {name: "https://hooks.example/x" if name.endswith("URL") else "s" for name in named}
    configuration = load_configuration(path, environment=environment)
    assert len(BLOCKS) >= 4
    assert configuration.targets or configuration.sources
