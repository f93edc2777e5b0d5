"""Each command does what it says, on a case made by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

import rca

Run = Callable[..., Result]


def test_analyze_names_the_component_that_began_it(run: Run, case_folder: Path) -> None:
    result = run("analyze", case_folder)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0].startswith(("ROOT CAUSE  db", "INCONCLUSIVE"))


def test_json_on_standard_output_is_nothing_but_json(run: Run, case_folder: Path, tmp_path: Path) -> None:
    result = run("analyze", case_folder, "--format", "json", "--html", tmp_path / "page.html")
    document = json.loads(result.stdout)
    assert document["root_causes"][0]["component"] == "db"
    assert "Incident page" in result.stderr


def test_top_k_limits_the_candidates(run: Run, case_folder: Path) -> None:
    documents = [json.loads(run("analyze", case_folder, "--format", "json", "--top-k", k).stdout) for k in ("1", "3")]
    assert len(documents[0]["root_causes"]) == 1
    assert len(documents[1]["root_causes"]) > 1


def test_the_incident_page_is_written_whole(run: Run, case_folder: Path, tmp_path: Path) -> None:
    run("analyze", case_folder, "--html", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.rstrip().endswith("</html>")
    assert "<h1>" in page


def test_a_given_onset_is_used(run: Run, case_folder: Path) -> None:
    result = run("analyze", case_folder, "--format", "json", "--onset", "2026-01-31T13:00:30Z")
    document = json.loads(result.stdout)
    assert document["incident"]["onset"] == "2026-01-31T13:00:30Z"
    assert document["onset"] in ("2026-01-31T13:00:00Z", "2026-01-31T13:00:30Z")  # samples come once a minute


def test_a_profile_can_be_built_shown_merged_and_used(run: Run, case_folder: Path, tmp_path: Path) -> None:
    one, two, both = (tmp_path / f"{name}.npz" for name in ("one", "two", "both"))
    assert run("profile", "build", case_folder, "--out", one).exit_code == 0
    window = "2026-01-31T12:10:00Z/2026-01-31T12:50:00Z"
    cut = "2026-01-31T12:20:00Z/2026-01-31T12:30:00Z"
    assert run("profile", "build", case_folder, "--out", two, "--window", window, "--exclude", cut).exit_code == 0
    assert run("profile", "merge", one, two, "--out", both).exit_code == 0
    shown = run("profile", "show", both)
    assert shown.exit_code == 0
    assert "5 series" in shown.stdout
    document = json.loads(run("analyze", case_folder, "--history", both, "--format", "json").stdout)
    assert document["root_causes"][0]["component"] == "db"
    assert not [warning for warning in document["warnings"] if "no health profile" in warning]


def test_the_doctor_says_what_is_missing(run: Run, case_folder: Path) -> None:
    result = run("doctor", case_folder)
    assert result.exit_code == 0
    assert "no changes are given" in result.stdout
    findings = json.loads(run("doctor", case_folder, "--format", "json").stdout)
    assert {"severity", "what", "remedy"} == set(findings[0])


def test_the_doctor_fails_where_no_analysis_is_possible(run: Run, case_folder: Path) -> None:
    (case_folder / "metrics.csv").unlink()
    (case_folder / "case.json").write_text('{"detected_at": "2026-01-31T13:05:00Z"}')
    result = run("doctor", case_folder)
    assert result.exit_code == 1
    assert "no telemetry" in result.stdout


def test_simulate_makes_a_case_that_can_be_analysed(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    made = run("simulate", "--seed", "3", "--components", "12", "--fault", "cpu", "--out", folder)
    assert made.exit_code == 0
    assert json.loads((folder / "answer.json").read_text())["kind"] == "cpu"
    assert run("analyze", folder).exit_code == 0


def test_simulate_never_overwrites(run: Run, case_folder: Path) -> None:
    result = run("simulate", "--seed", "3", "--components", "12", "--out", case_folder)
    assert result.exit_code == 2
    assert "there already" in result.stderr


def test_simulate_lists_its_faults(run: Run) -> None:
    names = run("simulate", "--list").stdout.split()
    assert {"cpu", "bad_config", "none"} <= set(names)


def test_the_bundled_rules_are_well_formed_and_many(run: Run) -> None:
    result = run("rules", "check")
    assert result.exit_code == 0
    assert int(result.stdout.split()[0]) >= 60


def test_rules_can_be_listed_by_kind(run: Run) -> None:
    rows = json.loads(run("rules", "list", "--kind", "latency.up", "--format", "json").stdout)
    assert rows
    assert all("latency.up" in row["cause"] + row["effect"] for row in rows)
    assert "relation" in run("rules", "list").stdout


def test_the_demo_names_the_true_cause_first(run: Run, tmp_path: Path) -> None:
    result = run("demo", "--html", tmp_path / "demo.html")
    assert result.exit_code == 0
    assert "named it first" in result.stdout
    assert (tmp_path / "demo.html").is_file()


def test_the_demo_lists_fourteen_incidents(run: Run) -> None:
    assert len(run("demo", "--list").stdout.split()) == 14


def test_evaluate_prints_and_writes_the_same_figures(run: Run, case_folder: Path, tmp_path: Path) -> None:
    (case_folder / "answer.json").write_text('{"components": ["db"]}')
    figures, page = tmp_path / "figures.json", tmp_path / "page.html"
    result = run("evaluate", "native", "--data", case_folder.parent, "--json", figures, "--html", page)
    assert result.exit_code == 0
    written = json.loads(figures.read_text())
    assert written["n"] == 1
    assert written["methods"]["rca"]["AC@1"] == 1.0
    assert "1.000" in result.stdout
    assert page.read_text(encoding="utf-8").rstrip().endswith("</html>")


def test_the_version_is_that_of_the_package(run: Run) -> None:
    assert run("version").stdout.strip() == f"rca {rca.__version__}"
    assert "numpy" in run("version", "--verbose").stdout


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
def test_help_lists_the_commands_in_the_order_of_use(run: Run, arguments: list[str]) -> None:
    result = run(*arguments)
    text = result.stdout + result.stderr
    places = [text.index(f"\n  {name}") for name in ("demo", "analyze", "doctor", "profile", "evaluate")]
    assert places == sorted(places)


def test_the_installed_command_works_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from rca.cli import main; main()", "version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == f"rca {rca.__version__}"


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -c 'from rca.cli import main; main()' rules list --format json | head -c 10"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


def test_several_incidents_fill_a_folder_that_evaluate_reads(run: Run, tmp_path: Path) -> None:
    result = run("simulate", "--components", "10", "--count", "2", "--out", tmp_path / "many")
    assert result.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "many").iterdir()) == ["000000", "000001"]
    measured = run("evaluate", "native", "--data", tmp_path / "many", "--method", "rca")
    assert measured.exit_code == 0
