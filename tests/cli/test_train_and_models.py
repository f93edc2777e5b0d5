"""rca train and rca models: from a file to a version in use, and what they say when that cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rca.formats import read_changes


@pytest.fixture
def trained(run, case_folder: Path, tmp_path: Path):
    """Trains the model shop on the case's metrics; gives the folder of models."""
    models = tmp_path / "models"

    def train(*more: str):
        return run(
            "train",
            "--data",
            case_folder / "metrics.csv",
            "--name",
            "shop",
            "--detector",
            "robust",
            "--models",
            models,
            *more,
        )

    return models, train


def test_training_says_what_it_stored_and_listing_marks_what_is_in_use(run, trained) -> None:
    models, train = trained
    result = train("--to", "2026-01-31T13:00:00Z", "--html", str(models.parent / "report.html"))
    assert result.exit_code == 0, result.output
    assert "shop@0001: 4 components, 5 series, 300 samples" in result.output
    assert "<svg" in (models.parent / "report.html").read_text()
    train("--no-promote")
    listed = run("models", "list", "--models", models)
    assert listed.exit_code == 0
    rows = [line for line in listed.output.splitlines() if " shop " in line]
    assert [row.startswith("*") for row in rows] == [True, False]
    told = json.loads(run("models", "list", "--models", models, "--format", "json").output)
    own = [entry for entry in told if not entry["bundled"]]
    assert [(entry["version"], entry["current"], entry["components"]) for entry in own] == [
        ("0001", True, 4),
        ("0002", False, 4),
    ]


def test_promoting_going_back_and_showing(run, trained) -> None:
    models, train = trained
    train()
    train("--no-promote")
    assert "shop@0002 is in use" in run("models", "promote", "shop@0002", "--models", models).output
    assert "# shop 0002" in run("models", "show", "shop", "--models", models).output
    assert "shop@0001 is in use" in run("models", "rollback", "shop", "--models", models).output
    assert "# shop 0001" in run("models", "show", "shop", "--models", models).output
    assert json.loads(run("models", "show", "shop@0002", "--models", models, "--format", "json").output)["seed"] == 0


def test_verifying_finds_what_is_damaged_and_listing_goes_on(run, trained) -> None:
    models, train = trained
    train()
    train()
    assert run("models", "verify", "--models", models).exit_code == 0
    (models / "shop" / "0001" / "weights.safetensors").write_bytes(b"")
    (models / "shop" / "0002" / "model.json").write_bytes(b"{}")
    result = run("models", "verify", "shop", "--models", models)
    assert result.exit_code == 1
    assert "weights.safetensors" in result.output
    assert "model.json" in result.output
    listed = run("models", "list", "--models", models)
    assert listed.exit_code == 0
    assert "damaged" in listed.output
    (models / "shop" / "current.json").write_bytes(b"{")
    assert run("models", "list", "--models", models).exit_code == 0
    assert "current.json" in run("models", "verify", "--models", models).output


def test_changes_of_models_go_into_a_case(run, trained, case_folder: Path) -> None:
    models, train = trained
    train()
    result = run("models", "changes", "shop", "--models", models, "--out", case_folder / "changes.json")
    assert result.exit_code == 0
    changes = read_changes(case_folder / "changes.json")
    assert [change.kind for change in changes] == ["retraining.finished", "model.version_changed"]
    assert run("analyze", case_folder).exit_code == 0


def test_refreshing_tells_drift(run, trained) -> None:
    _, train = trained
    assert "--exclude" not in train("--to", "2026-01-31T13:00:00Z").output
    result = train("--refresh")
    assert result.exit_code == 0, result.output
    assert "shop@0002" in result.output


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--data", "nowhere", "--name", "shop"], "no such file"),
        (["--data", "nowhere", "--name", "../shop"], "no name of a model"),
        (["--data", "nowhere", "--name", "shop", "--refresh"], "no version is in use"),
        (["--data", "nowhere", "--name", "shop", "--detector", "magic"], "no detector"),
        (["--data", "nowhere", "--name", "shop", "--match", "x"], "ask a server"),
        (["--data", "nowhere", "--name", "shop", "--exclude", "noon"], "no stretch of time"),
        (["--data", "nowhere", "--name", "shop", "--from", "noon"], "not a time"),
        (["--data", "nowhere", "--name", "shop", "--jobs", "0"], "jobs is 0"),
        (["--data", "http://127.0.0.1:1", "--name", "shop"], "nothing is asked"),
        (["--data", "http://127.0.0.1:1", "--name", "shop", "--match", "x", "--step", "soon"], "no duration"),
        (["--data", "http://127.0.0.1:1", "--name", "shop", "--match", "x", "--detector", "robust"], "does not answer"),
    ],
)
def test_what_cannot_be_trained_is_said_with_a_remedy(run, tmp_path: Path, arguments, problem: str) -> None:
    result = run("train", *arguments, "--models", tmp_path)
    assert result.exit_code == 2, result.output
    assert problem in result.output
    assert "Remedy:" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "shop"],
        ["promote", "shop"],
        ["promote", "shop@0001"],
        ["rollback", "shop"],
        ["verify", "shop"],
        ["show", "a@b"],
    ],
)
def test_models_that_are_not_there_are_errors_with_a_remedy(run, tmp_path: Path, arguments) -> None:
    result = run("models", *arguments, "--models", tmp_path)
    assert result.exit_code == 2
    assert "Remedy:" in result.output


def test_an_empty_folder_of_models_lists_and_verifies(run, tmp_path: Path) -> None:
    for command in ("list", "verify", "changes"):
        assert run("models", command, "--models", tmp_path / "none").exit_code == 0
