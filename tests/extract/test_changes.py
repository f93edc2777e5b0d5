"""Changes are events without blame; which of them is suspect is decided elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rca.errors import TelemetryError
from rca.extract.changes import LOOK_BACK, extract_changes
from rca.extract.context import Context
from rca.health import HealthProfile
from rca.settings import Settings
from rca.telemetry import Telemetry
from rca.topology import Topology
from rca.types import MINUTE, Case, Change, Incident, Window

ONSET = 3 * LOOK_BACK
END = ONSET + 30 * MINUTE


def change(time: int, component: str = "cart", name: str = "v2") -> Change:
    return Change(
        id=f"{component}-{name}-{time}",
        component=component,
        kind="change.deployment",
        name=name,
        time=time,
        attributes={"author": "ada"},
    )


def make(*changes: Change) -> Context:
    incident = Incident(id="i", window=Window(start=ONSET - MINUTE, end=END))
    return Context(
        case=Case(incident=incident, telemetry=Telemetry(changes=changes)),
        topology=Topology.from_edges([]),
        health=HealthProfile(),
        onsets=np.array([ONSET, ONSET + MINUTE], np.int64),
        ends=np.array([END, END], np.int64),
        settings=Settings(),
    )


def test_a_change_is_an_event_of_its_kind_without_any_blame() -> None:
    (event,) = extract_changes(make(change(ONSET - 5 * MINUTE)))
    assert (event.kind, event.component, event.start) == ("change.deployment", "cart", ONSET - 5 * MINUTE)
    assert event.evidence is not None
    assert event.evidence.blame == 0
    assert event.evidence.group == "change"
    assert "5 min before the earliest onset" in event.evidence.sentence
    assert "by ada" in event.evidence.sentence


def test_the_look_back_is_a_day_and_ends_with_the_window() -> None:
    times = (ONSET - LOOK_BACK - 1, ONSET - LOOK_BACK, END - 1, END)
    assert [event.start for event in extract_changes(make(*map(change, times)))] == [ONSET - LOOK_BACK, END - 1]


def test_changes_come_in_order_of_time_and_once_each() -> None:
    one, two = change(ONSET - MINUTE), change(ONSET - 9 * MINUTE)
    assert [event.start for event in extract_changes(make(one, two, one))] == [two.time, one.time]


def test_a_change_of_no_known_component_is_no_event() -> None:
    assert extract_changes(make(change(ONSET, component=""))) == []


def test_a_change_of_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(TelemetryError, match="'magic' is unknown"):
        extract_changes(make(replace(change(ONSET), kind="magic")))
