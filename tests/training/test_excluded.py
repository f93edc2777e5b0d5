"""Times to leave out, from the command line or from files of incidents."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rca.errors import InputError
from rca.training.excluded import read_excluded
from rca.types import Window, to_nanoseconds

NOON, ONE, TWO = (to_nanoseconds(f"2026-03-01T{hour}:00:00Z") for hour in (12, 13, 14))


@pytest.mark.parametrize("mark", ["..", "/", " .. "])
def test_a_stretch_of_time(mark: str) -> None:
    assert read_excluded([f"2026-03-01T12:00:00Z{mark}2026-03-01T13:00:00Z"]) == (Window(start=NOON, end=ONE),)


def test_windows_are_sorted_and_joined_where_they_touch() -> None:
    texts = ["2026-03-01T13:00:00Z..2026-03-01T14:00:00Z", "2026-03-01T12:00:00Z..2026-03-01T13:00:00Z"]
    assert read_excluded(texts) == (Window(start=NOON, end=TWO),)


@pytest.mark.parametrize(
    "told",
    [
        [{"start": "2026-03-01T12:00:00Z", "end": "2026-03-01T13:00:00Z", "title": "slow"}],
        {"incidents": [{"window": {"start": NOON, "end": ONE}}]},
        {"id": "x", "window": {"start": "2026-03-01T12:00:00Z", "end": "2026-03-01T13:00:00Z"}, "symptoms": []},
    ],
)
def test_files_of_incidents(told, tmp_path: Path) -> None:
    (tmp_path / "incidents.json").write_text(json.dumps(told))
    assert read_excluded([str(tmp_path / "incidents.json")]) == (Window(start=NOON, end=ONE),)


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", '[{"start": 1}]', '[{"start": [], "end": {}}]', '[{"start":5,"end":1}]']
)
def test_malformed_files_are_errors_with_a_remedy(content: str, tmp_path: Path) -> None:
    path = tmp_path / "incidents.json"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        read_excluded([str(path)])
    assert caught.value.remedy


@pytest.mark.parametrize("text", ["yesterday", "2026-03-01..2026-03-02", "nothing.json", ".."])
def test_what_is_no_time_is_an_error(text: str) -> None:
    with pytest.raises(InputError):
        read_excluded([text])
