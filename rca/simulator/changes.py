"""Changes and alerts: the culprit where there is one, innocent ones around it, and who was paged."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rca.simulator import diffs
from rca.simulator.dynamics import Effects, State
from rca.simulator.faults import Trigger
from rca.simulator.metrics import ERRORS, LAG, P95
from rca.simulator.world import World
from rca.types import MINUTE, SECOND, Alert, Change, Direction, Symptom, Window

AUTHORS = ("ada", "grace", "edsger", "barbara", "tony", "frances")


def culprit(rng: np.random.Generator, world: World, trigger: Trigger) -> Change:
    """The change that brought the fault."""
    service = world.services[trigger.root]
    if trigger.kind == "change.config":
        timeout = diffs.BAD_SETTINGS[1]
        key, old, new = timeout if trigger.mode == "errors" else diffs.BAD_SETTINGS[0]
        return _setting(rng, service, trigger.time, key, old, new)
    if trigger.kind == "change.flag":
        return _flag(rng, service, trigger.time)
    drafts = diffs.CULPRITS[trigger.mode]
    return _deployment(rng, service, trigger.time, drafts[int(rng.integers(len(drafts)))])


def innocent(
    rng: np.random.Generator,
    world: World,
    effects: Effects,
    times: npt.NDArray[np.int64],
    window: Window,
    onset: int,
    avoid: set[str],
) -> tuple[Change, ...]:
    """One to four changes elsewhere: one near the onset, the others in the hour around it.

    Deployments replace the replicas that they reach: a sample may be missing.
    """
    kinds = ("gateway", "frontend", "service", "consumer")
    services = sorted({s for s, k in zip(world.services, world.kinds, strict=True) if k in kinds and s not in avoid})
    if not services:
        return ()
    count = min(int(rng.integers(1, 5)), len(services))
    made = []
    for number, position in enumerate(rng.permutation(len(services))[:count]):
        service = services[int(position)]
        lead = rng.uniform(-1.0, 6.0) if number == 0 else rng.uniform(-8.0, 40.0)
        time = int(onset - lead * MINUTE) // SECOND * SECOND
        time = int(np.clip(time, times[0], window.end - SECOND))
        made.append(_harmless(rng, service, time))
        if made[-1].kind == "change.deployment":
            column = int(np.searchsorted(times, time, side="right")) - 1
            for replica in (i for i, name in enumerate(world.services) if name == service):
                if rng.random() < 0.4:
                    effects.hidden[replica, column] = 1.0
    return tuple(made)


def _harmless(rng: np.random.Generator, service: str, time: int) -> Change:
    kind = rng.random()
    if kind < 0.7:
        return _deployment(rng, service, time, diffs.INNOCENT[int(rng.integers(len(diffs.INNOCENT)))])
    if kind < 0.9:
        key, old, new = diffs.INNOCENT_SETTINGS[int(rng.integers(len(diffs.INNOCENT_SETTINGS)))]
        return _setting(rng, service, time, key, old, new)
    return _flag(rng, service, time)


def _identifier(rng: np.random.Generator) -> str:
    return rng.bytes(4).hex()


def _deployment(rng: np.random.Generator, service: str, time: int, draft: diffs.Draft) -> Change:
    minor, patch, commit = int(rng.integers(2, 40)), int(rng.integers(0, 9)), rng.bytes(20).hex()
    file = draft.file.format(noun=service)
    return Change(
        id=f"deployment-{_identifier(rng)}",
        component=service,
        kind="change.deployment",
        name=draft.message.format(noun=service),
        time=time,
        files=(file,),
        diff=f"--- a/{file}\n+++ b/{file}\n@@\n{draft.diff}",
        attributes={
            "version": f"1.{minor}.{patch + 1}",
            "previous": f"1.{minor}.{patch}",
            "commit": commit,
            "author": AUTHORS[int(rng.integers(len(AUTHORS)))],
        },
    )


def _setting(rng: np.random.Generator, service: str, time: int, key: str, old: str, new: str) -> Change:
    file = f"config/{service}.yaml"
    return Change(
        id=f"config-{_identifier(rng)}",
        component=service,
        kind="change.config",
        name=f"{key} of {service}",
        time=time,
        files=(file,),
        diff=f"--- a/{file}\n+++ b/{file}\n@@\n-{key}: {old}\n+{key}: {new}\n",
        attributes={"key": key, "old": old, "new": new, "author": AUTHORS[int(rng.integers(len(AUTHORS)))]},
    )


def _flag(rng: np.random.Generator, service: str, time: int) -> Change:
    flag = diffs.FLAGS[int(rng.integers(len(diffs.FLAGS)))]
    return Change(
        id=f"flag-{_identifier(rng)}",
        component=service,
        kind="change.flag",
        name=f"{flag} switched on for half of the customers",
        time=time,
        attributes={"flag": flag, "old": "off", "new": "50%", "author": AUTHORS[int(rng.integers(len(AUTHORS)))]},
    )


def symptom_of(component: str, felt: str) -> Symptom:
    """What users feel at a component: "latency", "errors" or "lag"."""
    metric = {"latency": P95, "errors": ERRORS, "lag": LAG}[felt]
    direction: Direction = "up"
    return Symptom(component=component, metric=metric, direction=direction)


def title_of(symptom: Symptom) -> str:
    """What somebody who was paged would call it."""
    names = {
        P95: f"{symptom.component} answers slowly",
        ERRORS: f"requests to {symptom.component} fail",
        LAG: f"work piles up in front of {symptom.component}",
    }
    return names[symptom.metric]


def page(symptom: Symptom, time: int) -> Alert:
    """The alert that somebody was woken by."""
    slow = symptom.metric != ERRORS
    return Alert(
        component=symptom.component,
        name="RequestsAreSlow" if slow else "RequestsFail",
        kind="alert.firing",
        time=time,
        severity=0.9,
        direction="up",
        text=f"{symptom.metric} of {symptom.component} is above its objective",
        labels={"severity": "critical"},
    )


def other_alerts(
    rng: np.random.Generator,
    world: World,
    healthy: State,
    faulty: State,
    times: npt.NDArray[np.int64],
    fired: int,
    end: int,
) -> tuple[Alert, ...]:
    """Alerts of components that a fault reaches, some of them, and innocent ones that nothing reaches."""
    alerts = []
    late = int(np.searchsorted(times, fired))
    slower = np.median(faulty.latency[:, late:] / healthy.latency[:, late:], axis=1)
    failing = np.median(faulty.failures[:, late:] - healthy.failures[:, late:], axis=1)
    for component in np.flatnonzero((slower > 1.5) | (failing > 0.05)).tolist():
        if world.kinds[component] in ("gateway", "frontend", "service") and rng.random() < 0.35:
            felt = "errors" if failing[component] > 0.05 else "latency"
            at = int(fired + rng.uniform(-1.0, 4.0) * MINUTE) // SECOND * SECOND
            alerts.append(page(symptom_of(world.names[component], felt), min(at, end - SECOND)))
    for _ in range(int(rng.integers(1, 4))):
        component = int(rng.integers(len(world.names)))
        alerts.append(
            Alert(
                component=world.names[component],
                name="DiskWillFillInFourHours" if rng.random() < 0.5 else "CertificateExpiresInThreeWeeks",
                time=int(fired + rng.uniform(-15.0, 5.0) * MINUTE) // SECOND * SECOND,
                severity=0.3,
                text="a warning that fires now and then",
                labels={"severity": "warning"},
            )
        )
    return tuple(alerts)
