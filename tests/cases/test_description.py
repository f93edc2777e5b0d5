from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rca.cases.description import case_to_json, incident_window_from_json
from rca.errors import CaseError, RCAError, TelemetryError
from rca.formats import telemetry_to_json
from rca.telemetry import MetricFrame, Telemetry
from rca.topology import Topology
from rca.types import Case, Incident, Symptom, Window


@settings(max_examples=40, deadline=None)
@given(
    start=st.integers(-(10**18), 10**18),
    length=st.integers(1, 10**15),
    before=st.one_of(st.none(), st.integers(1, 10**15)),
    detected=st.one_of(st.none(), st.integers(0, 10**18)),
    title=st.text(max_size=5),
    symptoms=st.lists(st.sampled_from(["a", "b"]), max_size=2),
)
def test_any_window_is_read_back_from_one_document(
    start: int, length: int, before: int | None, detected: int | None, title: str, symptoms: list[str]
) -> None:
    incident = Incident(
        id="i",
        title=title,
        window=Window(start=start, end=start + length),
        baseline=None if before is None else Window(start=start - before, end=start),
        detected_at=detected,
        symptoms=tuple(Symptom(component=name, direction="down") for name in symptoms),
    )
    frame = MetricFrame.from_rows(
        times=np.array([start - 5, start]), components=["a", "b"], metrics=["m", "m"], values=np.array([1.0, 2.0])
    )
    case = Case(incident=incident, telemetry=Telemetry(metrics=frame), topology=Topology.from_edges([("a", "b", 2.0)]))
    read = incident_window_from_json(case_to_json(case))
    assert read.incident == incident
    assert telemetry_to_json(read.telemetry) == telemetry_to_json(case.telemetry)
    assert read.topology is not None
    assert read.topology.callees("a") == ("b",)


def test_a_document_needs_little_more_than_telemetry_and_a_time() -> None:
    lines = b'{"logs": {"time": [10, 900], "component": ["a", "a"], "message": ["x", "y"]}}'
    case = incident_window_from_json(b'{"detected_at": 800, "telemetry": ' + lines + b"}")
    assert case.incident.id == "incident"
    assert case.incident.window == Window(start=200 * 10**9, end=900 * 10**9 + 1)
    assert case.incident.baseline == Window(start=10 * 10**9, end=200 * 10**9)


def test_a_document_never_reads_a_file() -> None:
    with pytest.raises(CaseError, match="names a file"):
        incident_window_from_json(b'{"detected_at": 800, "topology": "/etc/passwd"}')


def test_errors_name_the_place_within_the_document() -> None:
    body = b'{"detected_at": 800, "telemetry": {"logs": {"time": [1], "component": ["a"]}}}'
    with pytest.raises(TelemetryError, match=r"^POST /incidents\.telemetry\.logs: the column 'message' is missing"):
        incident_window_from_json(body, where="POST /incidents")


def test_a_document_beyond_the_limit_is_refused() -> None:
    with pytest.raises(CaseError, match="more than 10"):
        incident_window_from_json(b'{"detected_at": 800}', max_bytes=10)


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.binary(max_size=80), st.text(alphabet='[]{}:,"1a', max_size=60).map(str.encode)))
def test_arbitrary_bytes_give_a_case_or_an_error(content: bytes) -> None:
    try:
        incident_window_from_json(content, where="body")
    except RCAError as error:
        assert str(error).startswith("body")
