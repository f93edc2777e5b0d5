"""The docs say what is there: every command and option, every make target, every link, every key."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import rca
from rca.cases.registry import SETS
from rca.cli import app

ROOT = Path(__file__).resolve().parents[2]
DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCS += [path for folder in ("datasets", "graphs", "models") for path in sorted((ROOT / folder).glob("**/README.md"))]
CLI = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands(command: Any, path: tuple[str, ...] = ("rca",)) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        if len(path) > 1 and command.invoke_without_command:  # a group that does something by itself
            yield " ".join(path), command
        for name, child in command.commands.items():
            yield from commands(child, (*path, name))
    else:
        yield " ".join(path), command


COMMANDS = dict(commands(typer.main.get_command(app)))


def section_of(command: str) -> str:
    """The part of docs/cli.md below the heading of the command, or of the group that it belongs to."""
    name = command.split()[1]
    return CLI.split(f"\n## rca {name}", 1)[1].split("\n## ", 1)[0]


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_stands_in_the_docs_with_all_its_options(command: str) -> None:
    assert f"rca {command.split()[1]}" in CLI
    section = f"rca {command.split()[1]}" + section_of(command)
    assert command in section
    for parameter in COMMANDS[command].params:
        for option in [option for option in parameter.opts if option.startswith("--")]:
            assert option == "--help" or f"`{option}" in section, option


def test_no_option_stands_in_the_docs_that_does_not_exist() -> None:
    parameters = [parameter for command in COMMANDS.values() for parameter in command.params]
    known = {option for each in parameters for option in (*each.opts, *each.secondary_opts)}
    known |= {"--help", "--debug"}
    written = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", CLI))
    assert written <= known


def test_every_data_set_is_named_in_the_docs() -> None:
    overview = (ROOT / "datasets" / "README.md").read_text(encoding="utf-8")
    for name in SETS:
        assert f"`{name}`" in CLI
        assert f"`{name}`" in overview


def test_the_make_targets_that_the_docs_name_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for path in DOCS:
        text = path.read_text(encoding="utf-8")
        commands = re.findall(r"`make\s+([a-z]+)", text) + re.findall(r"^make ([a-z]+)", text, re.MULTILINE)
        assert set(commands) <= targets, path
    assert {"demo", "test"} <= set(re.findall(r"^make ([a-z]+)", README, re.MULTILINE))


def test_ci_runs_what_the_readme_says_of_tests() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    lines = [line for line in script.splitlines() if line and not line.startswith("#")]
    assert lines[-2:] == ["make servers", "make test"]
    assert {"`make servers`", "make test"} <= set(re.findall(r"`make servers`|make test", README))


def test_the_commands_in_the_docs_are_commands() -> None:
    first_words = {command.split()[1] for command in COMMANDS}
    for path in DOCS:
        text = path.read_text(encoding="utf-8")
        for block in re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            for name in re.findall(r"^(?:\.venv/bin/)?rca ([a-z]+)", block, re.MULTILINE):
                assert name in first_words, (path.name, name)


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_within_the_project_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (path.parent / target).exists(), target


def test_json_and_python_in_the_docs_can_be_parsed() -> None:
    for path in DOCS:
        for language, block in re.findall(r"^```(json|python)\n(.*?)^```", path.read_text("utf-8"), re.M | re.S):
            if language == "json":
                json.loads(block)
            else:
                compile(block, str(path), "exec")


def test_the_report_document_is_described_key_by_key() -> None:
    described = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
    source = (ROOT / "rca" / "report" / "document.py").read_text(encoding="utf-8")
    body = source.split("document: dict[str, Any] = {", 1)[1].split("\n    }\n", 1)[0]
    keys = re.findall(r'^        "(\w+)":', body, re.MULTILINE)
    assert len(keys) > 10
    for key in keys:
        assert f"`{key}`" in described, key


def test_every_public_name_is_reachable_and_the_version_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == rca.__version__


def test_the_pins_hold_what_the_project_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    needed = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[<>=\[ ]", requirement)[0].lower().replace("_", "-") for requirement in needed}
    assert names - {project["name"]} <= pinned


def test_the_readme_shows_what_the_demo_prints() -> None:
    spec = importlib.util.spec_from_file_location("renew_readme", ROOT / "scripts" / "renew_readme.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.renewed(README, script.demo_excerpt()) == README, "run `make readme`"


def test_make_help_lists_every_target() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("demo", "test", "check", "bench", "docs", "wheel"):
        assert re.search(rf"^{target} ", listed, re.MULTILINE)
