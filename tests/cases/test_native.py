from dataclasses import replace

import numpy as np
import pytest

from rca.cases.folder import write_case
from rca.cases.native import load
from rca.errors import CaseError
from rca.telemetry import MetricFrame, Telemetry
from rca.types import MINUTE, Answer, Case, Incident, Window


def case_of(name):
    times = np.arange(5, dtype=np.int64) * MINUTE
    metrics = MetricFrame.from_rows(times=times, components=["a"] * 5, metrics=["cpu"] * 5, values=np.arange(5.0))
    window = Window(start=2 * MINUTE, end=5 * MINUTE)
    return Case(incident=Incident(id=name, window=window, onset=3 * MINUTE), telemetry=Telemetry(metrics=metrics))


@pytest.fixture
def folder(tmp_path):
    for name, root in (("second", "b"), ("first", "a")):
        write_case(case_of(name), tmp_path / name, Answer(components=(root,), kind="cpu"))
    return tmp_path


def test_a_folder_of_cases_is_read_in_order_of_name(folder):
    found = [(case.incident.id, answer.components) for case, answer in load(folder)]
    assert found == [("first", ("a",)), ("second", ("b",))]


def test_one_case_folder_is_a_set_of_one(folder):
    assert [case.incident.id for case, _ in load(folder / "first")] == ["first"]


def test_an_onset_is_only_told_where_it_is_asked_for(folder):
    assert {case.incident.onset for case, _ in load(folder)} == {None}
    assert {case.incident.onset for case, _ in load(folder, onset="given")} == {3 * MINUTE}


def test_a_case_is_otherwise_unchanged(folder):
    incident = next(load(folder)).case.incident
    assert incident == replace(case_of("first").incident, onset=None)


def test_a_folder_without_cases_is_an_error(tmp_path):
    with pytest.raises(CaseError, match=r"case\.json"):
        next(load(tmp_path))


def test_a_case_without_an_answer_is_an_error(folder):
    (folder / "first" / "answer.json").unlink()
    with pytest.raises(CaseError, match="answer"):
        next(load(folder))
