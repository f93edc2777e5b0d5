"""What must not change an answer: the order of rows, names, the date, components that have nothing to do with it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from rca.pipeline import analyze
from rca.report.document import to_json
from rca.settings import Settings
from rca.simulator import simulate
from rca.telemetry import MetricFrame, Telemetry, texts
from rca.topology import Topology
from rca.types import MINUTE, Case, Report, Window

SEEDS = (0, 4, 5)
DAY = 24 * 60 * MINUTE


@cache
def case_of(seed: int) -> Case:
    return simulate(seed=seed, components=12, traces_per_minute=10.0)[0]


@cache
def report_of(seed: int) -> Report:
    return analyze(case_of(seed))


def with_telemetry(case: Case, **parts: object) -> Case:
    return replace(case, telemetry=replace(case.telemetry, **parts))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_order_in_which_rows_arrive_does_not_matter(seed: int) -> None:
    case, rng = case_of(seed), np.random.default_rng(seed)
    told = case.telemetry
    shuffled = with_telemetry(
        case,
        metrics=told.metrics.select(rng.permutation(len(told.metrics.values))),
        logs=told.logs.take(rng.permutation(len(told.logs))),
        spans=told.spans.take(rng.permutation(len(told.spans))),
        alerts=tuple(told.alerts[i] for i in rng.permutation(len(told.alerts))),
        changes=tuple(told.changes[i] for i in rng.permutation(len(told.changes))),
    )
    assert to_json(analyze(shuffled)) == to_json(report_of(seed))


def new_names(components: tuple[str, ...]) -> dict[str, str]:
    """Other names in the opposite order: q-… for the last, down to e-… for the first."""
    letters = "qrstuvwxyzabcdefghijklmnop"
    return {name: f"{letters[::-1][i % 26]}{letters[i // 26]}-{name}" for i, name in enumerate(components)}


def renamed(case: Case, names: dict[str, str]) -> Case:
    pattern = re.compile(
        r"(?<![\w-])(" + "|".join(sorted(map(re.escape, names), key=len, reverse=True)) + r")(?![\w-])"
    )

    def text(value: str) -> str:
        return pattern.sub(lambda found: names[found[1]], value)

    def both(values: dict[str, str]) -> dict[str, str]:
        return {names.get(key, key): text(value) for key, value in values.items()}

    told, top = case.telemetry, case.topology
    components = tuple(names.get(name, name) for name in told.metrics.components)
    telemetry = Telemetry(
        metrics=replace(told.metrics, components=components),
        logs=replace(
            told.logs,
            components=tuple(names.get(name, name) for name in told.logs.components),
            message=texts([text(message) for message in told.logs.message]),
        ),
        spans=replace(
            told.spans,
            components=tuple(names.get(name, name) for name in told.spans.components),
            operations=tuple(text(name) for name in told.spans.operations),
            text=texts([text(said) for said in told.spans.text]),
        ),
        changes=tuple(replace(change, component=text(change.component)) for change in told.changes),
        alerts=tuple(
            replace(
                alert,
                component=text(alert.component),
                peer=text(alert.peer),
                text=text(alert.text),
                labels=both(dict(alert.labels)),
            )
            for alert in told.alerts
        ),
    )
    topology = None
    if top is not None:
        topology = Topology.from_edges(
            [
                (names[top.components[a]], names[top.components[b]], float(w))
                for a, b, w in zip(top.caller, top.callee, top.weight, strict=True)
            ],
            components=[names[name] for name in top.components],
            kinds={names[name]: kind for name, kind in top.kinds.items()},
            hosts=both(dict(top.hosts)),
            replica_of=both(dict(top.replica_of)),
            attributes={names[name]: facts for name, facts in top.attributes.items()},
        )
    symptoms = tuple(replace(symptom, component=names[symptom.component]) for symptom in case.incident.symptoms)
    return replace(case, incident=replace(case.incident, symptoms=symptoms), telemetry=telemetry, topology=topology)


@pytest.mark.parametrize("seed", SEEDS)
def test_other_names_give_the_same_ranking_of_the_same_components(seed: int) -> None:
    case = case_of(seed)
    everything = set(case.telemetry.components) | set(() if case.topology is None else case.topology.components)
    names = new_names(tuple(sorted(everything)))
    report, expected = analyze(renamed(case, names)), report_of(seed)
    found = dict(zip(report.ranking, report.scores, strict=True))
    assert found == pytest.approx(
        {names[name]: score for name, score in zip(expected.ranking, expected.scores, strict=True)}, abs=1e-9
    )
    assert report.ranking[0] == names[expected.ranking[0]]


def shifted(case: Case, by: int) -> Case:
    def later(window: Window | None) -> Window | None:
        return None if window is None else Window(start=window.start + by, end=window.end + by)

    told, incident = case.telemetry, case.incident
    telemetry = Telemetry(
        metrics=replace(told.metrics, times=told.metrics.times + by),
        logs=replace(told.logs, times=told.logs.times + by),
        spans=replace(told.spans, start=told.spans.start + by),
        changes=tuple(replace(change, time=change.time + by) for change in told.changes),
        alerts=tuple(replace(alert, time=None if alert.time is None else alert.time + by) for alert in told.alerts),
    )
    moved = replace(
        incident,
        window=later(incident.window),
        baseline=later(incident.baseline),
        detected_at=None if incident.detected_at is None else incident.detected_at + by,
    )
    return replace(case, incident=moved, telemetry=telemetry)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_incident_on_another_day_has_the_same_answer(seed: int) -> None:
    report, expected = analyze(shifted(case_of(seed), 400 * DAY)), report_of(seed)
    assert report.ranking == expected.ranking
    assert report.scores == pytest.approx(expected.scores, abs=1e-12)
    assert report.onset == (None if expected.onset is None else expected.onset + 400 * DAY)
    assert report.culprit == expected.culprit


@pytest.mark.parametrize("seed", SEEDS)
def test_a_healthy_component_that_nobody_calls_leaves_the_order_of_the_others(seed: int) -> None:
    case, expected = case_of(seed), report_of(seed)
    frame = case.telemetry.metrics
    code = len(frame.components)
    rng = np.random.default_rng(seed)
    wanted = [i for i, name in enumerate(frame.metrics) if "cpu" in name or "memory" in name][:2]
    assert wanted
    levels = rng.normal(0.3, 0.01, (len(wanted), len(frame.times))).astype(np.float32)
    more = MetricFrame(
        components=(*frame.components, "unrelated"),
        metrics=frame.metrics,
        component=np.append(frame.component, np.full(len(wanted), code, np.int32)),
        metric=np.append(frame.metric, np.array(wanted, np.int32)),
        peer=np.append(frame.peer, np.full(len(wanted), -1, np.int32)),
        times=frame.times,
        values=np.concatenate([frame.values, levels]),
    )
    report = analyze(with_telemetry(case, metrics=more))
    assert [name for name in report.ranking if name != "unrelated"][:3] == list(expected.ranking[:3])
    assert "unrelated" not in report.ranking[:3]


CHANGED: tuple[tuple[str, dict[str, object], Callable[[Report], object]], ...] = (
    ("top_k", {"top_k": 1}, lambda report: len(report.root_causes)),
    ("candidates", {"candidates": 3}, lambda report: report.scores),
    ("onset_step", {"onset_step": 90.0}, lambda report: report.scores),
    ("evidence", {"evidence": 60.0}, lambda report: report.scores),
    ("after_alert", {"after_alert": 10.0}, lambda report: report.scores),
    ("walk", {"walk": 0.0}, lambda report: report.scores),
    ("variant", {"variant": "dangling"}, lambda report: report.scores),
    ("damping", {"damping": 0.5}, lambda report: report.scores),
)


@pytest.mark.parametrize(("name", "values", "shown"), CHANGED, ids=[name for name, _, _ in CHANGED])
def test_every_setting_is_read_and_changes_the_answer(
    name: str, values: dict[str, object], shown: Callable[[Report], object]
) -> None:
    assert name in values
    assert shown(analyze(case_of(4), Settings(**values))) != shown(report_of(4))  # type: ignore[arg-type]


def test_the_table_of_settings_is_complete() -> None:
    assert [name for name, _, _ in CHANGED] == list(Settings.__dataclass_fields__)


SCRIPT = """
import hashlib
from rca.pipeline import analyze
from rca.report.document import to_json
from rca.simulator import simulate
case, _ = simulate(seed=4, components=12, traces_per_minute=4.0)
print(hashlib.sha256(to_json(analyze(case)).encode()).hexdigest())
"""


def test_the_same_bytes_come_out_whatever_the_hash_seed_and_the_number_of_threads() -> None:
    printed = set()
    for seed, threads in (("0", "1"), ("1", "2"), ("2", "1"), ("3", "2"), ("4", "1")):
        environment = os.environ | {
            "PYTHONHASHSEED": seed,
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
        }
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        printed.add(done.stdout)
    assert len(printed) == 1
