from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rca.errors import InputError
from rca.learning.feedback import fingerprint, read_feedback

LINE = {"case": "one", "component": "cart", "kind": "memory", "who": "ada", "time": "2026-03-02T12:00:00Z"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "case.json").write_text("{}")
    return tmp_path


def write(folder: Path, *lines: dict[str, Any]) -> Path:
    file = folder / "feedback.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return file


def test_a_confirmation_says_who_and_when(folder: Path) -> None:
    [found] = read_feedback(write(folder, LINE))
    assert (found.component, found.kind, found.who) == ("cart", "memory", "ada")
    assert found.case == (folder / "one").resolve() and found.time > 0


def test_the_latest_word_on_an_incident_counts(folder: Path) -> None:
    later = {**LINE, "component": "pay", "who": "bob", "time": "2026-03-03T12:00:00Z"}
    [found] = read_feedback(write(folder, later, LINE))
    assert found.component == "pay" and found.who == "bob"


def test_notes_and_denials_teach_nothing(folder: Path) -> None:
    assert read_feedback(write(folder, {**LINE, "opinion": "wrong"}, {**LINE, "opinion": "note"})) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"who": ""},
        {"time": "yesterday"},
        {"time": "2026-03-02T12:00:00"},
        {"component": " "},
        {"case": "three"},
        {"unknown": 1},
        {"opinion": "guess"},
        {"who": "x" * 201},
    ],
)
def test_what_says_not_who_when_what_or_where_is_refused(folder: Path, change: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        read_feedback(write(folder, {**LINE, **change}))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=200))
def test_any_text_is_feedback_or_an_input_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "any.jsonl"
    file.write_text(text, encoding="utf-8", errors="replace")
    try:
        assert read_feedback(file) == ()
    except InputError as error:
        assert error.where is not None


def test_the_fingerprint_changes_with_a_file(folder: Path) -> None:
    before = fingerprint([folder], salt="")
    assert fingerprint([folder], salt="") == before
    (folder / "two" / "answer.json").write_text("{}")
    assert fingerprint([folder], salt="") != before
