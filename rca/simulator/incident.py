"""One simulated incident from its scenario: the case that an algorithm may see, and the answer apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.simulator.changes import culprit, innocent, other_alerts, page, symptom_of, title_of
from rca.simulator.disturbances import disturb
from rca.simulator.dynamics import Effects, State, Weather, draw_weather, run
from rca.simulator.faults import Fault, Note, Scene, inject
from rca.simulator.logs import write_logs
from rca.simulator.metrics import measure
from rca.simulator.requests import sample_requests
from rca.simulator.scenario import (
    CHANGES,
    FAULT,
    HISTORY,
    NO_FAULT,
    NOISE,
    SUBTLE_FAULTS,
    TRACES,
    WEATHER,
    WORLD,
    Scenario,
)
from rca.simulator.sites import Sites
from rca.simulator.spans import name_requests, to_spans
from rca.simulator.subtle import inject_subtle
from rca.simulator.world import World, build_world
from rca.telemetry import LogBatch, SpanBatch, Telemetry
from rca.types import MINUTE, SECOND, Alert, Answer, Case, Change, Incident, Symptom, Window

_TRACED_KINDS = ("gateway", "frontend", "service", "consumer")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Course:
    """What happens in an incident, before anything is measured."""

    fault: Fault | None
    onset: int
    fired: int
    symptom: Symptom
    healthy: State
    state: State
    effects: Effects
    decoys: tuple[Change, ...]
    brought: Change | None


def simulate(
    *,
    seed: int,
    components: int = 30,
    fault: str | None = "random",
    minutes: int = 25,
    baseline: int = 60,
    step: int = 60,
    traced_baseline: int = 15,
    traces_per_minute: float = 30.0,
    metrics_only: bool = False,
    no_topology: bool = False,
    no_symptom: bool = False,
    world: int | None = None,
) -> tuple[Case, Answer]:
    """An incident of a simulated shop and its true cause; the parameters are those of ``Scenario``.

    Raises:
        SettingsError, InputError: a parameter is out of its range, or the fault is unknown.
    """
    return play(
        Scenario(
            seed=seed,
            components=components,
            fault=fault,
            minutes=minutes,
            baseline=baseline,
            step=step,
            traced_baseline=traced_baseline,
            traces_per_minute=traces_per_minute,
            metrics_only=metrics_only,
            no_topology=no_topology,
            no_symptom=no_symptom,
            world=world,
        )
    )


def simulate_many(seeds: Iterable[int], **parameters: Any) -> Iterator[tuple[Case, Answer]]:
    """One incident after the other, with the parameters of ``simulate``."""
    for seed in seeds:
        yield simulate(seed=seed, **parameters)


def play(scenario: Scenario) -> tuple[Case, Answer]:
    """The incident of a scenario."""
    world = build_world(scenario)
    times = scenario.axis(Window(start=scenario.healthy.start, end=scenario.window.end))
    weather = draw_weather(scenario.stream(WEATHER, 1), world, times)
    course = _unfold(scenario, world, weather, times)
    changes = tuple(sorted((*course.decoys, *_present(course.brought)), key=lambda change: (change.time, change.id)))
    alerts = _alerts(scenario, world, course, times)
    notes = course.fault.notes if course.fault else ()
    telemetry = _observe(
        scenario, world, course.state, course.effects, times, scenario.traced, notes, changes, (NOISE,)
    )
    incident = Incident(
        id=f"shop-{scenario.seed:06d}",
        window=scenario.window,
        baseline=scenario.healthy,
        symptoms=() if scenario.no_symptom else (course.symptom,),
        detected_at=course.fired,
        title="" if scenario.no_symptom else title_of(course.symptom),
    )
    # One seed in seven has to do with the dependencies that its spans reveal.
    hidden = scenario.no_topology or (not scenario.untraced and scenario.stream(FAULT, 3).random() < 1 / 7)
    case = Case(
        incident=incident,
        telemetry=replace(telemetry, changes=changes, alerts=alerts),
        topology=None if hidden else world.topology,
    )
    return case, _answer(scenario, world, course, times)


def simulate_history(*, seed: int, days: float = 1.0, traced_minutes: int = 60, **parameters: Any) -> Telemetry:
    """Healthy telemetry of the same shop before the incident of that seed, for health profiles and detectors.

    Args:
        seed: of the shop.
        days: of metrics, up to the start of the incident's baseline; with ``world`` up to a time before
            every incident of that shop.
        traced_minutes: at the end of them, with spans and logs.
        parameters: as ``simulate`` takes them; the fault has no say.
    """
    scenario = Scenario(seed=seed, **{**parameters, "fault": None})
    world = build_world(scenario)
    end = scenario.past
    whole = Window(start=end - max(int(days * 24 * 60), traced_minutes, 1) * MINUTE, end=end)
    times = scenario.axis(whole)
    effects = Effects.none(world, len(times))
    state = run(world, draw_weather(scenario.stream(HISTORY), world, times), effects)
    traced = Window(start=end - traced_minutes * MINUTE, end=end)
    return _observe(scenario, world, state, effects, times, traced, (), (), (HISTORY, NOISE))


def _unfold(scenario: Scenario, world: World, weather: Weather, times: npt.NDArray[np.int64]) -> _Course:
    quiet = Effects.none(world, len(times))
    sites = Sites.survey(world, run(world, weather, quiet))
    rng = scenario.stream(FAULT, 1)
    onset = scenario.window.start + int(rng.uniform(4.0, 9.0) * MINUTE) // SECOND * SECOND
    effects = quiet.copy()
    fault: Fault | None = None
    if scenario.kind != NO_FAULT:
        scene = Scene(
            rng=rng,
            sites=sites,
            weather=weather,
            effects=effects,
            times=times,
            step=scenario.step * SECOND,
            onset=onset,
        )
        fault = (inject_subtle if scenario.kind in SUBTLE_FAULTS else inject)(scenario.kind, scene)
    struck = frozenset() if fault is None else frozenset(world.services[root] for root in fault.roots)
    brought = None if fault is None or fault.trigger is None else culprit(rng, world, fault.trigger)
    # The same disturbances with and without the fault: the difference is what the fault did.
    for each in (quiet, effects):
        disturb(scenario.stream(CHANGES, 1), world, each, times, onset, struck)
        decoys = innocent(scenario.stream(CHANGES, 2), world, each, times, scenario.window, onset, set(struck))
    healthy, state = run(world, weather, quiet), run(world, weather, effects)
    early, late = (5.0, 6.0) if fault is not None and fault.slowly else (2.0, 6.0)
    fired = onset + int(rng.uniform(early, late) * MINUTE) // SECOND * SECOND
    return _Course(
        fault=fault,
        onset=onset,
        fired=fired,
        symptom=_symptom(rng, world, fault, healthy, state, times, fired),
        healthy=healthy,
        state=state,
        effects=effects,
        decoys=decoys,
        brought=brought,
    )


def _symptom(
    rng: np.random.Generator,
    world: World,
    fault: Fault | None,
    healthy: State,
    state: State,
    times: npt.NDArray[np.int64],
    fired: int,
) -> Symptom:
    """The frontend whose users feel it the most, sometimes the gateway before it."""
    fronts = world.of_kind("frontend")
    if fault is None:
        return symptom_of(
            world.names[int(fronts[rng.integers(len(fronts))])], ("latency", "errors")[int(rng.integers(2))]
        )
    after = slice(int(np.searchsorted(times, fired)) - 2, int(np.searchsorted(times, fired + 5 * MINUTE)))
    slower = np.log((state.latency[:, after] / healthy.latency[:, after]).mean(axis=1))
    failing = (state.failures[:, after] - healthy.failures[:, after]).mean(axis=1)
    # A tenth more failures is as bad as twice the time; users name what is worse.
    felt = "errors" if failing[fronts].max() / 0.1 > slower[fronts].max() / np.log(2.0) else "latency"
    size = failing if felt == "errors" else slower
    gateways = world.of_kind("gateway")
    entrance = int(gateways[np.argmax(size[gateways])])
    front = int(fronts[np.argmax(size[fronts])])
    noticed = rng.random() < 0.25 and size[entrance] > 0.6 * size[front]
    return symptom_of(world.names[entrance if noticed else front], felt)


def _present(change: Change | None) -> tuple[Change, ...]:
    return () if change is None else (change,)


def _alerts(scenario: Scenario, world: World, course: _Course, times: npt.NDArray[np.int64]) -> tuple[Alert, ...]:
    rng = scenario.stream(CHANGES, 3)
    others = other_alerts(rng, world, course.healthy, course.state, times, course.fired, scenario.window.end)
    paged = () if scenario.no_symptom else (page(course.symptom, course.fired),)
    alerts = [alert for alert in (*paged, *others) if alert.time is not None]
    return tuple(sorted(alerts, key=lambda alert: (alert.time or 0, alert.component, alert.name)))


def _observe(
    scenario: Scenario,
    world: World,
    state: State,
    effects: Effects,
    times: npt.NDArray[np.int64],
    traced: Window,
    notes: tuple[Note, ...],
    changes: tuple[Change, ...],
    stream: tuple[int, ...],
) -> Telemetry:
    pairs = scenario.metrics_only or scenario.world_stream(NOISE, 9).random() < 0.5
    metrics = measure(
        scenario.stream(*stream),
        scenario.world_stream(WORLD, scenario.components, 1),
        world,
        state,
        effects,
        times,
        step=scenario.step,
        pairs=bool(pairs),
    )
    logs, spans = LogBatch.empty(), SpanBatch.empty()
    if not scenario.untraced and traced.end > traced.start:
        rng = scenario.stream(*stream, TRACES)
        step = scenario.step * SECOND
        requests = sample_requests(
            rng,
            world,
            state,
            effects,
            origin=int(times[0]),
            step=step,
            first=int(np.searchsorted(times, traced.start)),
            traces_per_step=scenario.traces_per_minute * scenario.step / 60,
        )
        names = name_requests(rng, requests)
        spans = to_spans(world, requests, names)
        logs = write_logs(rng, scenario, world, state, requests, names, notes, changes, traced)
    return Telemetry(metrics=metrics, logs=logs, spans=spans)


def _answer(scenario: Scenario, world: World, course: _Course, times: npt.NDArray[np.int64]) -> Answer:
    decoys = tuple(change.id for change in course.decoys)
    fault = course.fault
    if fault is None:
        return Answer(components=(), kind=NO_FAULT, change="none", decoys=decoys)
    return Answer(
        components=_named(world, fault),
        kind=fault.kind,
        metric=fault.metric,
        change="none" if course.brought is None else course.brought.id,
        decoys=decoys,
        first_failing=_first_failing(world, course, times),
        blast_radius=_reached(world, course, times),
    )


def _named(world: World, fault: Fault) -> tuple[str, ...]:
    """The roots and their services: a pod and its service are equally right."""
    names = [world.names[root] for root in fault.roots]
    return tuple(dict.fromkeys([*names, *(world.services[root] for root in fault.roots)]))


def _harm(course: _Course, times: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Relative excess of latency and excess of failures after the onset, at their mean: each shape (n,)."""
    after = slice(int(np.searchsorted(times, course.onset)), None)
    slower = (course.state.latency[:, after] / course.healthy.latency[:, after]).mean(axis=1) - 1.0
    failing = (course.state.failures[:, after] - course.healthy.failures[:, after]).mean(axis=1)
    return slower, failing


def _reached(world: World, course: _Course, times: npt.NDArray[np.int64]) -> tuple[str, ...]:
    """Components that the fault makes a tenth slower or lets fail in one request of a hundred more, by harm."""
    slower, failing = _harm(course, times)
    roots = course.fault.roots if course.fault else ()
    reached = [
        i
        for i in np.lexsort((np.arange(len(slower)), -np.maximum(slower, 10 * failing)))
        if (slower[i] > 0.1 or failing[i] > 0.01) and i not in roots and world.kinds[i] in _TRACED_KINDS
    ]
    return tuple(world.names[int(i)] for i in reached)


def _first_failing(world: World, course: _Course, times: npt.NDArray[np.int64]) -> str | None:
    """The component whose own requests show the fault first: the root, or the caller that it hurts the most."""
    if course.fault is None:
        return None
    first = course.fault.parts[0] if course.fault.parts else course.fault
    root = first.roots[0]
    slower, failing = _harm(course, times)
    harm = np.maximum(slower, 10 * failing)
    unseen = ("network_delay", "network_loss", "pod_kill", "certificate_expiry")
    if world.kinds[root] in _TRACED_KINDS and first.kind not in unseen:
        return world.names[root]
    if world.kinds[root] == "host":
        near = np.flatnonzero((world.host == root) & np.isin(np.array(world.kinds), _TRACED_KINDS))
    else:
        near = np.unique(world.caller[np.isin(world.callee, first.roots)])
    return world.names[int(near[np.argmax(harm[near])])] if near.size else world.names[root]
