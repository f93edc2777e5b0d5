from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rca.cases.folder import write_case
from rca.cases.labelled import LabelledCase
from rca.cli.app import app

Make = Callable[..., list[LabelledCase]]


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def cases(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cases")
    for case, answer in make(24):
        write_case(case, root / case.incident.id, answer)
    return root


def feedback(cases: Path, file: Path, folders: Sequence[Path], who: str) -> Path:
    lines = []
    for folder in folders:
        [component] = json.loads((folder / "answer.json").read_text())["components"]
        lines.append({"case": str(folder), "component": component, "who": who, "time": "2026-03-02T12:00:00Z"})
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_learn_show_analyze_and_roll_back(cases: Path, tmp_path: Path) -> None:
    place = ("--name", "shop", "--out", tmp_path / "learned")
    first = run("learn", "--data", cases, *place)
    assert first.exit_code == 0 and "shop 0001: in use now" in first.stdout
    again = run("learn", "--data", cases, *place)
    assert again.exit_code == 0 and "nothing is new" in again.stdout
    shown = run("learn", "show", *place)
    assert "0001" in shown.stdout and "in use" in shown.stdout and "pool_wait" in shown.stdout
    folder = sorted(cases.iterdir())[0]
    answered = run("analyze", folder, "--format", "json", "--learned", tmp_path / "learned" / "shop")
    document = json.loads(answered.stdout)
    right = json.loads((folder / "answer.json").read_text())["components"]
    assert document["root_causes"][0]["component"] in right
    assert document["root_causes"][0]["learned"]
    assert "untrained answer is in use" in run("learn", "rollback", *place).stdout
    assert run("learn", "rollback", *place).exit_code == 2


def test_feedback_of_people_teaches_as_answers_do(cases: Path, tmp_path: Path) -> None:
    file = feedback(cases, tmp_path / "feedback.jsonl", sorted(cases.iterdir()), "ada")
    result = run("learn", "--feedback", file, "--out", tmp_path / "learned")
    assert result.exit_code == 0 and "default 0001" in result.stdout
    card = json.loads((tmp_path / "learned" / "default" / "0001" / "card.json").read_text())
    assert card["users"] == ["ada"] and card["incidents"] == 24


def test_few_confirmations_leave_the_untrained_answer(cases: Path, tmp_path: Path) -> None:
    file = feedback(cases, tmp_path / "feedback.jsonl", sorted(cases.iterdir())[:5], "ada")
    result = run("learn", "--feedback", file, "--out", tmp_path / "learned")
    assert result.exit_code == 0 and "untrained answer stays" in result.stdout
    assert "nothing was learnt yet" in run("learn", "show", "--out", tmp_path / "learned").stdout


@pytest.mark.parametrize(
    "words", [(), ("--data", "nowhere"), ("--data", "a", "--feedback", "b"), ("--feedback", "nowhere.jsonl")]
)
def test_bad_input_is_said_with_its_remedy(words: tuple[str, ...], tmp_path: Path) -> None:
    result = run("learn", *words, "--out", tmp_path)
    assert result.exit_code == 2
    assert "Remedy" in result.stderr and "Traceback" not in result.stderr
