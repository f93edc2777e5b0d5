"""A system whose untrained answer is usually wrong, and what teaches it better.

Six services of two replicas call each other in a row. In each incident the cause shows one unusual alert,
``pool_wait``; a bystander shows two others that say more by count, ``disk_io`` and ``net_in``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from rca.cases.labelled import LabelledCase
from rca.health import HealthProfile
from rca.health.events import EventHistory
from rca.learning.confirmed import Confirmed, confirm
from rca.learning.observing import observe
from rca.telemetry import Telemetry
from rca.topology import Topology
from rca.types import MINUTE, Alert, Answer, Case, Incident, Window

SERVICES = ("ads", "bank", "cart", "desk", "edge", "feed")
COMPONENTS = tuple(f"{service}-{i}" for service in SERVICES for i in (0, 1))
TOPOLOGY = Topology.from_edges(
    [(f"{a}-{i}", f"{b}-{i}") for a, b in pairwise(SERVICES) for i in (0, 1)],
    components=COMPONENTS,
    replica_of={f"{service}-{i}": service for service in SERVICES for i in (0, 1)},
)


def alert(component: str, name: str) -> Alert:
    return Alert(component=component, name=name, kind="alert.firing", direction="up")


def incident(number: int, root: str, bystander: str) -> LabelledCase:
    """One incident, without a history yet."""
    alerts = [alert(root, "pool_wait"), alert(bystander, "disk_io"), alert(bystander, "net_in")]
    case = Case(
        incident=Incident(id=f"incident-{number:03d}", window=Window(start=0, end=MINUTE)),
        telemetry=Telemetry(alerts=tuple(alerts)),
        topology=TOPOLOGY,
    )
    return LabelledCase(case, Answer(components=(root,), kind="pool"))


def make_incidents(count: int, *, seed: int = 1, roots: Sequence[str] = COMPONENTS) -> list[LabelledCase]:
    """Incidents with the history of all others."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        root = roots[int(rng.integers(len(roots)))]
        others = [name for name in COMPONENTS if name != root]
        made.append(incident(number, root, others[int(rng.integers(len(others)))]))
    health = HealthProfile(events=EventHistory.build([case for case, _ in made]))
    return [LabelledCase(replace(case, health=health), answer) for case, answer in made]


def describe_all(labelled: Sequence[LabelledCase], *, who: str = "") -> list[Confirmed]:
    found = [confirm(observe(case), answer.components, kind=answer.kind, who=who) for case, answer in labelled]
    return [one for one in found if one is not None]


@pytest.fixture(scope="session")
def incidents() -> list[LabelledCase]:
    return make_incidents(60)


@pytest.fixture(scope="session")
def confirmed(incidents: list[LabelledCase]) -> list[Confirmed]:
    return describe_all(incidents)


@pytest.fixture(scope="session")
def make() -> Callable[..., list[LabelledCase]]:
    return make_incidents


@pytest.fixture(scope="session")
def describe() -> Callable[..., list[Confirmed]]:
    return describe_all
