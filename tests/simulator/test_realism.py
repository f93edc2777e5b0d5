"""The incidents are neither trivial nor insoluble: the loudest component is seldom the cause, which still shows."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt
import pytest

from rca.simulator import FAULTS, simulate
from rca.telemetry import SPAN_CLIENT, SPAN_SERVER
from rca.types import MINUTE, SECOND, Answer, Case


def deviations(case: Case) -> npt.NDArray[np.float64]:
    """|mean after - mean before| / standard deviation before, per series; NaN where it never varied."""
    frame, incident = case.telemetry.metrics, case.incident
    assert incident.baseline is not None
    before = frame.slice(incident.baseline).values.astype(np.float64)
    after = frame.values[:, frame.times >= incident.alert_time - 2 * MINUTE].astype(np.float64)

    def moments(values: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        known = np.isfinite(values)
        count = np.where(known.sum(axis=1) > 0, known.sum(axis=1), np.nan)
        mean = np.where(known, values, 0.0).sum(axis=1) / count
        spread = np.where(known, (values - mean[:, None]) ** 2, 0.0).sum(axis=1) / count
        return mean, np.sqrt(spread)

    usual, noise = moments(before)
    noise = np.where(noise > 1e-9 * np.abs(usual), noise, np.nan)
    return np.asarray(np.abs(moments(after)[0] - usual) / noise)


def loudest(case: Case) -> list[str]:
    """Components by their largest deviation: the max |z| baseline."""
    frame, found = case.telemetry.metrics, defaultdict[str, float](float)
    for code, size in zip(frame.component, deviations(case), strict=True):
        if np.isfinite(size):
            name = frame.components[code]
            found[name] = max(found[name], float(size))
    return sorted(found, key=lambda name: (-found[name], name))


def shows(case: Case, component: str) -> bool:
    """Whether a component has evidence of its own: its metrics, or the calls into it, deviate."""
    frame = case.telemetry.metrics
    about = np.array([frame.components[c] for c in frame.component]) == component
    about |= np.array([frame.components[p] if p >= 0 else "" for p in frame.peer]) == component
    restarts = frame.values[about & (frame.metric == frame.metrics.index("container_restarts_total"))]
    return bool(
        (np.nan_to_num(deviations(case)[about]) > 6.0).any()
        or (np.nan_to_num(restarts) > 0).any()
        or called_differently(case, component)
    )


def called_differently(case: Case, component: str) -> bool:
    """Whether client spans into a component, without its own work, are longer or fail more than before."""
    spans, incident = case.telemetry.spans, case.incident
    index = {name: i for i, name in enumerate(spans.span)}
    server = np.flatnonzero((spans.kind == SPAN_SERVER) & (spans.parent != ""))
    parent = np.array([index[name] for name in spans.parent[server]], np.int64)
    callee, work = spans.peer.astype(np.int64), np.zeros(len(spans), np.int64)
    callee[parent], work[parent] = spans.component[server], spans.duration[server]
    code = spans.components.index(component) if component in spans.components else -2
    calls = np.flatnonzero((callee == code) & (spans.kind == SPAN_CLIENT))
    late = spans.start[calls] >= incident.alert_time - MINUTE
    early = spans.start[calls] < incident.window.start
    if min(late.sum(), early.sum()) < 10:
        return False
    wire = (spans.duration[calls] - work[calls]) / SECOND
    failed = spans.status[calls] == 2
    longer = np.median(wire[late]) > np.quantile(wire[early], 0.95)
    return bool(longer or failed[late].mean() > 5 * failed[early].mean() + 0.03)


@pytest.fixture(scope="module")
def incidents() -> list[tuple[Case, Answer]]:
    return [simulate(seed=1_000 + i, fault=fault) for i, fault in enumerate(FAULTS * 2)]


def test_the_loudest_component_is_the_cause_in_less_than_half_of_the_incidents(
    incidents: list[tuple[Case, Answer]],
) -> None:
    hits = [loudest(case)[0] in answer.components for case, answer in incidents]
    assert np.mean(hits) < 0.5


def test_the_cause_nearly_always_has_evidence_of_its_own(incidents: list[tuple[Case, Answer]]) -> None:
    shown = [any(shows(case, name) for name in answer.components) for case, answer in incidents]
    assert np.mean(shown) >= 0.97


def test_without_a_fault_few_components_show_anything() -> None:
    share = []
    for seed in range(4):
        case, _ = simulate(seed=2_000 + seed, fault=None)
        names = case.telemetry.metrics.components
        share.append(np.mean([shows(case, name) for name in names]))
    assert np.mean(share) < 0.15


def test_users_feel_nearly_every_fault_at_the_component_that_was_paged(incidents: list[tuple[Case, Answer]]) -> None:
    felt = []
    for case, _ in incidents:
        frame, symptom = case.telemetry.metrics, case.incident.symptoms[0]
        series = (frame.component == frame.components.index(symptom.component)) & (
            frame.metric == frame.metrics.index(symptom.metric)
        )
        felt.append(float(deviations(case)[series][0]) > 3.0)
    assert np.mean(felt) >= 0.97
