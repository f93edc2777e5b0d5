"""Whatever is handed in: exit code 2, the problem with its place and remedy, and never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import Result

Run = Callable[..., Result]


def assert_refused(result: Result, *texts: str) -> None:
    assert result.exit_code == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    shown = result.stderr.replace("\n", " ")
    for text in ("Error:", *texts):
        assert text in shown, shown


def test_a_folder_that_is_not_there_is_named(run: Run, tmp_path: Path) -> None:
    assert_refused(run("analyze", tmp_path / "nowhere"), "nowhere")


@pytest.mark.parametrize("command", ["analyze", "doctor"])
@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "case.json"),
        ("{", "case.json"),
        ("[]", "case.json"),
        ('{"detected_at": "yesterday"}', "yesterday"),
        ('{"detected_at": "2026-01-31T13:05:00"}', "zone"),
        ('{"detected_at": "2026-01-31T13:05:00Z", "sympotms": []}', "sympotms"),
    ],
)
def test_a_malformed_description_is_named_with_its_field(
    run: Run, case_folder: Path, command: str, content: str, text: str
) -> None:
    (case_folder / "case.json").write_text(content)
    assert_refused(run(command, case_folder), text)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.csv", b"time,db/x\nnot-a-time,1\n"),
        ("metrics.csv", b"time,db/x\n2026-01-31T12:00:00Z,abc\n"),
        ("metrics.csv", b"\xff\xfe\x00"),
        ("topology.csv", b"a;b\nc;d\n"),
        ("logs.parquet", b"PAR1 but not really"),
        ("spans.arrow", b"ARROW1 but not really"),
        ("changes.json", b'{"columns": 3}'),
    ],
)
def test_a_malformed_table_is_named(run: Run, case_folder: Path, name: str, content: bytes) -> None:
    (case_folder / name).write_bytes(content)
    assert_refused(run("analyze", case_folder), name.partition(".")[0])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--top-k", "0"], "top_k"),
        (["--onset", "noon"], "noon"),
        (["--onset", "2026-01-31T13:00:00"], "zone"),
        (["--history", "/no/such/profile.npz"], "profile"),
        (["--html", "/no/such/folder/page.html"], "mkdir -p /no/such/folder"),
        (["--html", "/tmp"], "folder"),
    ],
)
def test_a_bad_option_of_analyze_is_explained(run: Run, case_folder: Path, arguments: list[str], text: str) -> None:
    assert_refused(run("analyze", case_folder, *arguments), text)


@pytest.mark.parametrize("arguments", [["--format", "xml"], ["--top-k", "many"], ["--unknown"]])
def test_usage_errors_are_typers_own(run: Run, case_folder: Path, arguments: list[str]) -> None:
    result = run("analyze", case_folder, *arguments)
    assert result.exit_code == 2
    assert "Usage:" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "no-such-set", "--data", "/tmp"],
        ["evaluate", "petshop", "--data", "/no/such/folder"],
        ["evaluate", "native", "--data", "."],
        ["simulate", "--components", "3", "--out", "unused"],
        ["simulate", "--fault", "gremlins", "--out", "unused"],
        ["simulate", "--seed", "-1", "--out", "unused"],
        ["rules", "check", "/no/such/rules.yaml"],
        ["profile", "show", "/no/such/profile.npz"],
        ["profile", "merge", "/no/such/profile.npz", "--out", "unused.npz"],
        ["profile", "build", "/no/such/case", "--out", "unused.npz"],
        ["demo", "--case", "no-such-case"],
        ["demo", "--case", "../../graphs"],
    ],
    ids=" ".join,
)
def test_every_command_refuses_what_it_cannot_use(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(run(*arguments))
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_rule_is_named_with_file_and_line(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("- name: broken\n  cause: latency.sideways\n  effect: errors.up\n")
    assert_refused(run("rules", "check", file), "mine.yaml, line 1")


@pytest.mark.parametrize("window", ["2026-01-31T12:00:00Z", "a/b", "2026-01-31T13:00:00Z/2026-01-31T12:00:00Z"])
def test_a_stretch_of_time_has_a_start_and_a_later_end(
    run: Run, case_folder: Path, tmp_path: Path, window: str
) -> None:
    assert_refused(run("profile", "build", case_folder, "--out", tmp_path / "p.npz", "--window", window))


def test_a_file_that_is_no_profile_is_refused(run: Run, case_folder: Path) -> None:
    assert_refused(run("analyze", case_folder, "--history", case_folder / "metrics.csv"), "metrics.csv")


def test_debug_shows_the_traceback_as_well(run: Run, tmp_path: Path) -> None:
    result = run("--debug", "analyze", tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert "Error:" in result.stderr


def test_a_mistake_of_ours_is_told_apart_from_bad_input(
    run: Run, case_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> None:
        raise ZeroDivisionError(f"reading {path}")

    monkeypatch.setattr("rca.cases.folder.read_case", fail)
    result = run("analyze", case_folder)
    assert result.exit_code == 70
    assert "mistake in rca itself" in result.stderr
    assert "Traceback" not in result.stderr


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_no_json_in_place_of_the_description_gives_a_traceback(run: Run, case_folder: Path, value: object) -> None:
    (case_folder / "case.json").write_text(json.dumps(value), encoding="utf-8")
    result = run("doctor", case_folder)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr


def test_the_program_itself_shows_no_traceback(case_folder: Path) -> None:
    (case_folder / "case.json").write_text("{")
    done = subprocess.run(
        [sys.executable, "-c", "from rca.cli import main; main()", "analyze", str(case_folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["Error", "Where", "Remedy"]
