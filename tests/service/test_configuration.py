"""Every field of the configuration is documented, read, and may come from a file or the environment."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path

import pytest

from rca.errors import SettingsError
from rca.service.configuration import Configuration
from rca.service.configuration_reading import PREFIX, SECRETS, load_configuration

ROOT = Path(__file__).resolve().parents[2]
FIELDS = [field.name for field in dataclasses.fields(Configuration)]
PAGES = ("service.md", "alerting.md")
LISTS = ("targets", "sources")  # of mappings: tests/notify/test_endpoints.py
PLAIN = [name for name in FIELDS if name not in LISTS]
# Another value than the default, and how it is written in the environment.
OTHER = {"bool": (True, "true"), "int": (7, "7"), "float": (7.5, "7.5"), "str": ("seven", "seven")}
SPECIAL = {
    "files": ("database", "database"),
    "log_level": ("debug", "debug"),
    "admin_token": ("s" * 40, "s" * 40),
    "store": ("sqlite:x.db", "sqlite:x.db"),
    "public_url": ("https://rca.example", "https://rca.example"),
    "allowed_networks": (("10.0.0.0/8", "fd00::/8"), "10.0.0.0/8, fd00::/8"),
}


def other(name: str) -> tuple[object, str]:
    kind = next(str(field.type) for field in dataclasses.fields(Configuration) if field.name == name)
    if name in SPECIAL:
        return SPECIAL[name]
    return (("seven", "eight"), "seven, eight") if kind.startswith("tuple") else OTHER[kind]


def paired(name: str) -> dict[str, str]:
    """What has to be given with a field."""
    return {"tls_certificate": {"tls_key": "x"}, "tls_key": {"tls_certificate": "x"}}.get(name, {})


@pytest.mark.parametrize("name", [name for name in FIELDS if name not in LISTS])
def test_each_field_is_documented(name: str) -> None:
    pages = [ROOT / "docs" / page for page in PAGES]
    text = "".join(page.read_text(encoding="utf-8") for page in pages if page.exists())
    field = next(field for field in dataclasses.fields(Configuration) if field.name == name)
    default = ", ".join(field.default) if isinstance(field.default, tuple) else str(field.default)
    shown = {"True": "true", "False": "false", "": "empty"}.get(default, default)
    assert f"| `{name}` | {shown} |" in text


def test_each_field_is_read_somewhere_in_the_service() -> None:
    read: set[str] = set()
    places = [*(ROOT / "rca" / "service").rglob("*.py"), *(ROOT / "rca" / "notify").rglob("*.py")]
    for path in [*places, ROOT / "rca" / "cli" / "serve.py"]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        read |= {
            node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
        }
        if path.name == "pushing.py":  # secrets are looked up by the source's name
            read |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value in SECRETS}
        if path.name == "server.py":  # files are checked one after the other
            read |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value in FIELDS}
    assert set(FIELDS) <= read


@pytest.mark.parametrize("name", PLAIN)
def test_each_field_may_stand_in_the_environment(name: str) -> None:
    value, text = other(name)
    environment = {PREFIX + field.upper(): given for field, given in {name: text, **paired(name)}.items()}
    assert getattr(load_configuration(environment=environment), name) == value
    assert getattr(Configuration(), name) != value


@pytest.mark.parametrize("name", PLAIN)
def test_each_field_may_stand_in_the_file(name: str, tmp_path: Path) -> None:
    value, text = other(name)
    written = f"[{text}]" if isinstance(value, tuple) else text
    lines = [f"{name}: {written}", *(f"{key}: {given}" for key, given in paired(name).items())]
    path = tmp_path / "rca.yaml"
    path.write_text("\n".join(lines))
    assert getattr(load_configuration(path, environment={}), name) == value


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(tmp_path: Path) -> None:
    path = tmp_path / "rca.yaml"
    path.write_text("port: 1\nhost: a\ntop_k: 3\n")
    environment = {"RCA_PORT": "2", "RCA_HOST": "b", "RCA_TOKEN": "not ours", "PATH": "/bin"}
    found = load_configuration(path, environment=environment, given={"port": 3, "data": None})
    assert (found.port, found.host, found.top_k, found.data) == (3, "b", 3, "rca-data")


def test_a_secret_may_be_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("t" * 40 + "\n")
    assert load_configuration(environment={"RCA_ADMIN_TOKEN_FILE": str(secret)}).admin_token == "t" * 40
    path = tmp_path / "rca.yaml"
    path.write_text(f"github_secrets_file: {secret}\n")
    assert load_configuration(path, environment={}).github_secrets == ("t" * 40,)
    with pytest.raises(SettingsError, match="cannot be read"):
        load_configuration(environment={"RCA_ADMIN_TOKEN_FILE": str(tmp_path / "none")})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("prot: 1", "unknown field 'prot'"),
        ("port: many", "no whole number"),
        ("port: 1.5", "no whole number"),
        ("port: true", "no whole number"),
        ("port: 70000", "port is 70000"),
        ("port: -1", "port is -1"),
        ("max_queued: 0", "max_queued is 0"),
        ("replicas: perhaps", "no true or false"),
        ("log_level: loud", "log_level is 'loud'"),
        ("tls_key: x", "belong together"),
        ("admin_token: short", "fewer than"),
        ("host_file: x", "unknown field"),
        ("- 1", "no mapping"),
        ("wait_seconds: soon", "no number"),
        ("a: [", "YAML"),
    ],
)
def test_mistakes_are_named_with_their_line(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "rca.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_configuration(path, environment={})
    assert told in str(caught.value)


def test_a_secret_is_not_told_in_an_error(tmp_path: Path) -> None:
    path = tmp_path / "rca.yaml"
    path.write_text("github_secrets: {a: hunter2}\n")
    with pytest.raises(SettingsError) as caught:
        load_configuration(path, environment={})
    assert "hunter2" not in str(caught.value)
