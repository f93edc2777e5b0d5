"""The whole engine: answers that must be defined whatever is told, and the shop's faults found."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from functools import cache

import numpy as np
import pytest

from rca.errors import InputError
from rca.health.build import build_profile
from rca.pipeline import analyze
from rca.report.document import to_json
from rca.rules import parse_rules
from rca.settings import Settings
from rca.simulator import simulate
from rca.telemetry import MetricFrame, Telemetry
from rca.types import MINUTE, Alert, Case, Change, Incident, Report, Symptom, Window

FOUND = {
    "network": "cart",
    "own time": "pay",
    "lost": "pay",
    "missing": "cart",
    "cpu": "cart",
    "demand": "shop",
}


def numbers(value: object) -> Iterator[float]:
    """Every float in a report, however deep."""
    if isinstance(value, (float, np.floating)):
        yield float(value)
    elif isinstance(value, np.ndarray):
        if value.dtype.kind == "f":
            yield from value.ravel().tolist()
    elif is_dataclass(value):
        for field in fields(value):
            yield from numbers(getattr(value, field.name))
    elif isinstance(value, dict):
        for item in value.values():
            yield from numbers(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from numbers(item)


def check(report: Report) -> Report:
    """What holds of every report."""
    assert all(math.isfinite(number) for number in numbers(report))
    assert "NaN" not in to_json(report)
    assert report.verdict in ("cause", "inconclusive", "healthy")
    assert len(report.ranking) == len(report.scores) == len(set(report.ranking))
    assert list(report.scores) == sorted(report.scores, reverse=True)
    assert all(0 <= score <= 1 for score in report.scores)
    assert sum(cause.confidence for cause in report.root_causes) <= 1 + 1e-9
    assert [cause.component for cause in report.root_causes] == list(report.ranking[: len(report.root_causes)])
    for cause in report.root_causes:
        assert cause.because
        assert not {event.id for event in cause.because} & {event.id for event in cause.beside}
        assert not cause.chain or cause.event is None or cause.chain[0].id == cause.event.id
    if report.verdict != "cause":
        assert report.culprit == "none"
    if report.verdict == "inconclusive":
        assert report.missing
    return report


@pytest.mark.parametrize(("fault", "component"), FOUND.items())
@pytest.mark.parametrize("told", [True, False], ids=["onset known", "onset estimated"])
def test_the_faults_of_the_shop_are_found(shop, fault: str, component: str, told: bool) -> None:
    case = replace(shop, fault=fault).case(detected_at=shop.onset + 3 * MINUTE)
    if not told:
        case = replace(case, incident=replace(case.incident, onset=None))
    report = check(analyze(case))
    assert report.ranking[0] == component
    assert report.verdict == "cause"


def test_a_healthy_shop_has_no_cause(shop) -> None:
    assert check(analyze(shop.case())).verdict == "inconclusive"
    assert check(analyze(shop.case(symptoms=()))).verdict == "healthy"


def test_a_given_profile_is_as_good_as_the_baseline_and_is_not_warned_about(shop) -> None:
    case = replace(shop, fault="missing").case()
    small, given = analyze(case), analyze(replace(case, health=build_profile(shop.telemetry().slice(shop.health))))
    assert given.ranking == small.ranking
    assert given.warnings == ()
    assert "no health profile was given" in small.warnings[0]


def test_the_reason_names_numbers_and_units(shop) -> None:
    report = analyze(replace(shop, fault="missing").case())
    sentences = [event.evidence.sentence for event in report.root_causes[0].because if event.evidence]
    assert any("0 of 30 requests, healthy 300 of 300" in sentence for sentence in sentences)
    assert report.root_causes[0].sentence.startswith("cart: ")


def test_a_change_on_the_culprit_shortly_before_the_onset_is_the_change_to_blame(shop) -> None:
    case = replace(shop, fault="missing").case()
    guilty = Change(id="d1", component="cart", kind="change.deployment", name="cart 1.2", time=shop.onset - 30 * 10**9)
    late = Change(id="d2", component="pay", kind="change.deployment", name="pay 7", time=shop.window.end - 1)
    told = replace(case.telemetry, changes=(late, guilty))
    report = check(analyze(replace(case, telemetry=told)))
    assert report.culprit == "d1"
    cause = report.root_causes[0]
    assert cause.event is not None
    assert cause.event.kind == "change.deployment"
    assert cause.chain[0] == cause.event
    assert cause.chain[1].component == "cart"
    assert "since the deployment “cart 1.2” at" in cause.sentence
    assert report.onset is not None
    assert report.onset >= guilty.time


def test_other_candidates_say_why_they_are_not_the_first(shop) -> None:
    report = analyze(replace(shop, fault="breaks off").case())
    assert report.root_causes[0].against == ""
    assert all("as much evidence as against" in cause.against for cause in report.root_causes[1:])
    assert len(report.root_causes) > 1


def test_without_rules_there_is_no_graph_but_still_a_ranking(shop) -> None:
    case = replace(shop, fault="missing").case()
    report = check(analyze(case, rules=()))
    assert len(report.graph.cause) == 0
    assert report.ranking[0] == "cart"
    one = parse_rules(
        "- {name: r, cause: request.missing, effect: alert.firing, relation: dependency, max_lag: 1h,"
        " weight: 1, why: Test.}"
    )
    assert len(analyze(case, rules=one).graph.cause) == 1


@cache
def incident() -> Case:
    return simulate(seed=3, components=12, traces_per_minute=4.0)[0]


def telling(**parts: object) -> Case:
    return replace(incident(), telemetry=Telemetry(**parts))


def with_metrics(frame: MetricFrame) -> Case:
    return replace(incident(), telemetry=replace(incident().telemetry, metrics=frame))


def values(change: Callable[[np.ndarray], np.ndarray]) -> Case:
    frame = incident().telemetry.metrics
    return with_metrics(replace(frame, values=change(frame.values).astype(np.float32)))


def one_sample() -> MetricFrame:
    frame = incident().telemetry.metrics
    return replace(frame, values=frame.values[:, -5:-4], times=frame.times[-5:-4])


def noticed(**facts: object) -> Case:
    return replace(incident(), incident=replace(incident().incident, **facts))


def symptoms(*names: str) -> tuple[Symptom, ...]:
    return tuple(Symptom(component=name) for name in names)


BARE = Incident(id="bare", window=Window(start=0, end=MINUTE))
START = incident().incident.window.start
CASES: dict[str, Callable[[], Case]] = {
    "no telemetry": telling,
    "nothing at all": lambda: Case(incident=BARE, telemetry=Telemetry()),
    "only logs": lambda: telling(logs=incident().telemetry.logs),
    "only spans": lambda: telling(spans=incident().telemetry.spans),
    "only metrics": lambda: telling(metrics=incident().telemetry.metrics),
    "only alerts": lambda: telling(alerts=incident().telemetry.alerts),
    "only changes": lambda: telling(changes=incident().telemetry.changes),
    "no topology": lambda: replace(incident(), topology=None),
    "several symptoms": lambda: noticed(symptoms=symptoms(*incident().telemetry.components[:3])),
    "the same symptom twice": lambda: noticed(symptoms=incident().incident.symptoms * 2),
    "no symptom": lambda: noticed(symptoms=()),
    "an unknown symptom": lambda: noticed(symptoms=symptoms("nobody")),
    "no baseline": lambda: noticed(baseline=None),
    "a baseline without telemetry": lambda: noticed(baseline=Window(start=0, end=10)),
    "an onset after the window": lambda: noticed(onset=START + 10**15),
    "an onset before all telemetry": lambda: noticed(onset=START - 10**15),
    "an alert before all telemetry": lambda: noticed(detected_at=0),
    "an alert after the window": lambda: noticed(detected_at=START + 10**15),
    "constant metrics": lambda: values(np.ones_like),
    "metrics at zero": lambda: values(np.zeros_like),
    "missing metrics": lambda: values(lambda known: np.full_like(known, np.nan)),
    "negative metrics": lambda: values(np.negative),
    "huge metrics": lambda: values(lambda known: known * np.float32(1e25)),
    "one sample": lambda: with_metrics(one_sample()),
    "one sample only": lambda: telling(metrics=one_sample()),
    "series without samples": lambda: telling(
        metrics=replace(
            one_sample(), values=np.zeros((len(one_sample().values), 0), np.float32), times=np.zeros(0, np.int64)
        )
    ),
    "an alert on a stranger": lambda: telling(alerts=(Alert(component="stranger", name="Down"),)),
}


@pytest.mark.parametrize("name", CASES)
def test_whatever_is_told_the_answer_is_defined(name: str) -> None:
    check(analyze(CASES[name]()))


@pytest.mark.parametrize(
    "name", ["no telemetry", "nothing at all", "only changes", "missing metrics", "one sample only"]
)
def test_where_nothing_can_be_seen_no_cause_is_named(name: str) -> None:
    case = CASES[name]()
    if name == "missing metrics":
        case = replace(case, telemetry=Telemetry(metrics=case.telemetry.metrics))
    assert analyze(case).verdict == "inconclusive"


def test_a_window_that_overlaps_its_baseline_is_an_input_error() -> None:
    with pytest.raises(InputError):
        noticed(baseline=incident().incident.window)


def test_no_more_causes_than_asked_for_and_no_more_than_there_are() -> None:
    assert len(analyze(incident(), Settings(top_k=2)).root_causes) == 2
    everything = analyze(incident(), Settings(top_k=1000))
    assert len(everything.root_causes) == len(everything.ranking)
