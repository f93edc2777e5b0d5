"""Candidate onsets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rca.extract.onsets import candidate_onsets
from rca.settings import Settings
from rca.telemetry import MetricFrame, Telemetry
from rca.types import MINUTE, SECOND, Case, Incident, Window

HOUR = 60 * MINUTE
WINDOW = Window(start=HOUR, end=2 * HOUR)


def case(step: int = 0, **facts: object) -> Case:
    times = np.arange(HOUR, 2 * HOUR, step) if step else np.zeros(0, np.int64)
    frame = MetricFrame.from_rows(
        times=times, components=["a"] * len(times), metrics=["cpu"] * len(times), values=np.zeros(len(times))
    )
    return Case(incident=Incident(id="x", window=WINDOW, **facts), telemetry=Telemetry(metrics=frame))


def test_a_known_onset_is_the_only_candidate() -> None:
    onsets, ends = candidate_onsets(case(onset=90 * MINUTE, detected_at=100 * MINUTE), Settings())
    assert onsets.tolist() == [90 * MINUTE]
    assert ends.tolist() == [93 * MINUTE]


def test_candidates_step_back_from_the_alert_and_their_evidence_ends_soon_after_it() -> None:
    alert = 90 * MINUTE
    onsets, ends = candidate_onsets(case(detected_at=alert), Settings())
    assert onsets.tolist() == [alert - 30 * SECOND * k for k in range(10, -1, -1)]
    assert ends[0] == onsets[0] + 180 * SECOND
    assert ends[-1] == alert + 90 * SECOND


def test_where_nobody_says_when_it_was_noticed_the_end_of_the_window_is_the_alert() -> None:
    onsets, ends = candidate_onsets(case(), Settings())
    assert onsets[-1] == WINDOW.end
    assert ends.max() == WINDOW.end + 1


@pytest.mark.parametrize(("step", "expected"), [(10 * SECOND, 30 * SECOND), (5 * MINUTE, 150 * SECOND)])
def test_coarse_metrics_stretch_the_steps(step: int, expected: int) -> None:
    onsets, ends = candidate_onsets(case(step, detected_at=90 * MINUTE), Settings())
    assert set(np.diff(onsets).tolist()) == {expected}
    assert ends[0] - onsets[0] == 6 * expected


@given(alert=st.integers(-HOUR, 4 * HOUR), known=st.booleans(), candidates=st.integers(1, 30))
def test_each_candidate_has_evidence_and_they_increase(alert: int, known: bool, candidates: int) -> None:
    told = case(onset=alert if known else None, detected_at=alert)
    onsets, ends = candidate_onsets(told, replace(Settings(), candidates=candidates))
    assert len(onsets) == len(ends) == (1 if known else candidates)
    assert (ends > onsets).all()
    assert (np.diff(onsets) > 0).all()
