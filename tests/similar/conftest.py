"""A shop of four services, two replicas each, with two kinds of faults that resemble each other.

In each incident the root shows ``queue_length``; of the kind "leak" also ``heap``, of the kind "loss" ``retries``. A
bystander shows the sign of the other kind, so that only who is the root tells the kinds apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from rca.cases.labelled import LabelledCase
from rca.health import HealthProfile
from rca.health.events import EventHistory
from rca.pipeline import trace_causes
from rca.settings import Settings
from rca.similar import Precedent, portray
from rca.stages import Stages
from rca.telemetry import Telemetry
from rca.topology import Topology
from rca.types import MINUTE, Alert, Answer, Case, Incident, Window

SERVICES = ("ads", "bank", "cart", "desk")
COMPONENTS = tuple(f"{service}-{i}" for service in SERVICES for i in (0, 1))
TOPOLOGY = Topology.from_edges(
    [(f"{a}-{i}", f"{b}-{i}") for a, b in pairwise(SERVICES) for i in (0, 1)],
    components=COMPONENTS,
    replica_of={name: name[:-2] for name in COMPONENTS},
)
SIGN = {"leak": "heap", "loss": "retries"}
DAY = 1_440 * MINUTE


def alert(component: str, name: str) -> Alert:
    return Alert(component=component, name=name, kind="alert.firing", direction="up")


def bare_case(number: int, root: str, bystander: str, kind: str) -> LabelledCase:
    start = number * DAY
    other = next(each for each in SIGN if each != kind)
    alerts = (
        alert(root, "queue_length"),
        alert(root, SIGN[kind]),
        alert(bystander, SIGN[other]),
    )
    case = Case(
        incident=Incident(id=f"i-{number:03d}", window=Window(start=start, end=start + 10 * MINUTE), title="slow"),
        telemetry=Telemetry(alerts=alerts),
        topology=TOPOLOGY,
    )
    return LabelledCase(case, Answer(components=(root,), kind=kind))


def make_cases(count: int, *, seed: int = 1) -> list[LabelledCase]:
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        root, bystander = (COMPONENTS[i] for i in rng.choice(len(COMPONENTS), 2, replace=False))
        made.append(bare_case(number, root, bystander, ("leak", "loss")[number % 2]))
    return made


def with_history(labelled: list[LabelledCase], others: list[LabelledCase]) -> list[LabelledCase]:
    """The cases with what all of them and the others raised: without it no alert is unusual."""
    health = HealthProfile(events=EventHistory.build([case for case, _ in (*labelled, *others)]))
    return [LabelledCase(replace(case, health=health), answer) for case, answer in labelled]


def make_case(number: int, root: str, bystander: str, kind: str) -> LabelledCase:
    return with_history([bare_case(number, root, bystander, kind)], make_cases(44))[0]


def remember(labelled: LabelledCase, *, resolutions: tuple[str, ...] = ()) -> Precedent:
    case, answer = labelled
    context, graph, ranking = trace_causes(case, Settings(), Stages())
    scores = dict(zip(ranking.names, ranking.scores.tolist(), strict=True))
    return Precedent(
        portrait=portray(graph, scores, context.topology, incident=case.incident.id),
        components=answer.components,
        kind=answer.kind,
        title=case.incident.title,
        start=case.incident.window.start,
        resolutions=resolutions,
    )


@pytest.fixture(scope="session")
def cases() -> list[LabelledCase]:
    return with_history(make_cases(44), [])


@pytest.fixture(scope="session")
def past(cases: list[LabelledCase]) -> list[Precedent]:
    return [remember(one, resolutions=("restarted it",)) for one in cases]


@pytest.fixture(scope="session")
def make() -> Callable[..., LabelledCase]:
    return make_case


@pytest.fixture(scope="session")
def look() -> Callable[..., Precedent]:
    return remember


@pytest.fixture
def home(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for name in ("RCA_GRAPH", "RCA_TENANT", "RCA_STATE_DIR", "RCA_NEO4J_URI"):
        monkeypatch.delenv(name, raising=False)
    yield
