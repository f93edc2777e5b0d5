"""Faults: what each does to the shop, what it writes into the logs, and which change brought it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from rca.errors import InputError
from rca.simulator.dynamics import Effects, Weather
from rca.simulator.scenario import FAULTS
from rca.simulator.sites import Sites
from rca.simulator.world import Array
from rca.types import MINUTE, SECOND

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Log lines of a fault: in failed requests of the roots, in their requests, at their callers, or alone.

    ``share`` of the requests, or lines per minute where alone.
    """

    roots: tuple[int, ...]
    text: str
    level: int
    where: str
    share: float
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """The change that brought a fault: what it was and what it did."""

    root: int
    kind: str
    mode: str
    time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault that was injected into ``Effects``.

    ``roots`` are equally right; ``metric`` is the family that shows it; ``felt`` is "latency" or
    "errors"; ``needs`` minutes from the onset until users feel it.
    """

    kind: str
    roots: tuple[int, ...]
    metric: str
    felt: str
    notes: tuple[Note, ...] = ()
    trigger: Trigger | None = None
    slowly: bool = False
    parts: tuple[Fault, ...] = field(default=())


@dataclass(frozen=True, kw_only=True)
class Scene:
    """All that a fault needs to strike: the shop, its random numbers, the time, and the effects to be changed."""

    rng: np.random.Generator
    sites: Sites
    weather: Weather
    effects: Effects
    times: npt.NDArray[np.int64]
    step: int
    onset: int
    avoid: tuple[int, ...] = ()

    def since(self, rise: float = 1.0) -> Array:
        """0 before the onset, 1 from ``rise`` minutes after it, a ramp between: shape (time,)."""
        middle = (self.times + self.step // 2 - self.onset) / MINUTE
        return np.clip((middle + 0.5 * self.step / MINUTE) / max(rise, self.step / MINUTE), 0.0, 1.0)

    def during(self, minutes: float) -> Array:
        """1 for some minutes from the onset: shape (time,)."""
        begin = np.clip((self.times + self.step - self.onset) / self.step, 0.0, 1.0)
        return begin * np.clip((self.onset + minutes * MINUTE - self.times) / self.step, 0.0, 1.0)

    def choose(self, *kinds: str, errors: bool = False) -> int:
        """A component of some kinds that users depend on."""
        return self.sites.choose(self.rng, kinds, errors=errors, avoid=self.avoid)

    def slow(self, roots: Rows, shape: Array, gain: tuple[float, float] = (0.3, 1.5)) -> float:
        """Adds own time to the roots; returns the seconds."""
        excess = self.sites.excess(roots, float(self.rng.uniform(*gain)))
        self.effects.own[roots] += excess * shape
        return excess

    def fail(self, roots: Rows, shape: Array) -> None:
        """Adds failures to the roots."""
        self.effects.failing[roots] += self.sites.failing(roots, float(self.rng.uniform(0.04, 0.2))) * shape

    def into(self, roots: Rows) -> Rows:
        """The calls into the roots."""
        return np.flatnonzero(np.isin(self.sites.world.callee, roots))

    def note(self, roots: Rows, where: str, level: int, text: str, share: float, minutes: float = 1e6) -> Note:
        """Log lines from the onset on."""
        return Note(
            roots=tuple(int(r) for r in roots),
            text=text,
            level=level,
            where=where,
            share=share,
            start=self.onset,
            end=min(self.onset + int(minutes * MINUTE), int(self.times[-1]) + self.step),
        )

    def fault(self, kind: str, roots: Rows, metric: str, felt: str, *notes: Note) -> Fault:
        """The record of a fault."""
        return Fault(kind=kind, roots=tuple(int(r) for r in roots), metric=metric, felt=felt, notes=notes)

    def change(self, root: int, kind: str, mode: str, before: float = 0.5) -> Trigger:
        """The change that brings the fault, up to ``before`` minutes ahead of it."""
        lead = int(self.rng.uniform(0.2, 1.0) * before * MINUTE)
        return Trigger(root=root, kind=kind, mode=mode, time=(self.onset - lead) // SECOND * SECOND)


def inject(kind: str, scene: Scene) -> Fault:
    """Let a fault strike: changes the scene's effects and says what was done."""
    if kind not in FAULTS:
        raise InputError(f"{kind!r} is no fault", remedy=f"Use one of {', '.join(FAULTS)}")
    return _INJECT[kind](scene)


def _one(component: int) -> Rows:
    return np.array([component], np.intp)


def _cpu(scene: Scene) -> Fault:
    root = _one(scene.choose("service", "frontend", "database"))
    shape = scene.since(1.5)
    scene.effects.cpu[root] += scene.rng.uniform(0.35, 0.6) * shape
    scene.slow(root, shape)
    return scene.fault("cpu", root, "cpu", "latency")


def _memory_leak(scene: Scene) -> Fault:
    root = _one(scene.choose("service", "frontend"))
    shape = scene.since(7.0)
    scene.effects.memory[root] *= 1.0 + scene.rng.uniform(0.7, 1.3) * shape
    scene.effects.cpu[root] += 0.15 * shape**2
    scene.slow(root, shape**2, (0.5, 1.6))
    note = scene.note(root, "alone", 4, "memory pressure: heap at its limit after full collection of %d ms", 3.0)
    return replace(scene.fault("memory_leak", root, "memory", "latency", note), slowly=True)


def _disk(scene: Scene) -> Fault:
    root = _one(scene.choose("database", "database", "service"))
    shape = scene.since(1.5)
    scene.effects.disk[root] *= 1.0 + scene.rng.uniform(5.0, 15.0) * shape
    scene.slow(root, shape)
    note = scene.note(root, "alone", 4, "slow write: sync of the journal took %d ms", 5.0)
    return scene.fault("disk", root, "disk", "latency", note)


def _network_delay(scene: Scene) -> Fault:
    root = _one(scene.choose("service", "database", "cache"))
    excess = scene.sites.excess(root, float(scene.rng.uniform(0.3, 1.5)))
    scene.effects.delay[scene.into(root)] += excess * scene.since()
    return scene.fault("network_delay", root, "network", "latency")


def _network_loss(scene: Scene) -> Fault:
    root = _one(scene.choose("service", "database", "cache", errors=True))
    into = scene.into(root)
    scene.effects.delay[into] += scene.sites.excess(root, float(scene.rng.uniform(0.3, 1.0))) * scene.since()
    scene.effects.loss[into] += scene.sites.failing(root, float(scene.rng.uniform(0.05, 0.2))) * scene.since()
    note = scene.note(root, "caller", 5, "call to {peer} failed: connection reset after %d ms", 1.0)
    return scene.fault("network_loss", root, "network", "errors", note)


def _pod_kill(scene: Scene) -> Fault:
    root = _one(scene.choose("service", errors=True))
    minutes = float(scene.rng.uniform(7.0, 12.0))
    shape = scene.during(minutes)
    scene.effects.down[root] = np.maximum(scene.effects.down[root], shape >= 0.5)
    scene.effects.refused[root] += shape
    warming = np.clip((scene.times - scene.onset) / MINUTE - minutes, 0.0, 3.0)
    scene.effects.slow[root] *= 1.0 + np.where(warming > 0, 1.5 * (1.0 - warming / 3.0), 0.0)
    refused = scene.note(root, "caller", 5, "call to {peer} failed: connection refused (%d)", 1.0, minutes)
    return scene.fault("pod_kill", root, "availability", "errors", refused)


def _bad_deployment(scene: Scene) -> Fault:
    mode = ("latency", "errors", "calls")[int(scene.rng.integers(3))]
    chosen = scene.choose("service", "frontend", errors=mode == "errors")
    roots = scene.sites.replicas(chosen)
    if mode == "calls" and _repeat_calls(scene, roots):
        made = scene.fault("bad_deployment", roots, "latency", "latency")
    elif mode == "errors":
        scene.fail(roots, scene.since())
        note = scene.note(roots, "failure", 5, "KeyError: 'country_code' in request %d", 0.95)
        made = scene.fault("bad_deployment", roots, "errors", "errors", note)
    else:
        mode = "latency"
        scene.slow(roots, scene.since())
        scene.effects.cpu[roots] += scene.rng.uniform(0.05, 0.25) * scene.since()
        made = scene.fault("bad_deployment", roots, "latency", "latency")
    return replace(made, trigger=scene.change(chosen, "change.deployment", mode))


def _repeat_calls(scene: Scene, roots: Rows) -> bool:
    """Many calls in place of one, into the callee where a believable number of calls is felt; False if none is."""
    world, sites = scene.sites.world, scene.sites
    edges = np.flatnonzero(np.isin(world.caller, roots) & ~world.asynchronous)
    excess = sites.excess(roots, float(scene.rng.uniform(0.4, 1.0)))
    services = [world.services[callee] for callee in world.callee[edges]]
    for service in dict.fromkeys(services):
        same = edges[[each == service for each in services]]
        spent = world.calls[same] * (world.net[same] + sites.latency[world.callee[same]])
        factor = 1.0 + excess * len(roots) / float(spent.sum())
        if 2.0 <= factor <= 15.0:
            scene.effects.calls[same] *= 1.0 + (factor - 1.0) * scene.since()
            return True
    return False


def _bad_config(scene: Scene) -> Fault:
    mode = ("workers", "errors")[int(scene.rng.integers(2))]
    chosen = scene.choose("service", "frontend", errors=mode == "errors")
    roots = scene.sites.replicas(chosen)
    if mode == "errors":
        scene.fail(roots, scene.since())
        note = scene.note(roots, "failure", 5, "TimeoutError: upstream_timeout_ms=20 exceeded in request %d", 0.95)
        made = scene.fault("bad_config", roots, "errors", "errors", note)
    else:
        scene.slow(roots, scene.since())
        scene.effects.threads[roots] *= 1.0 - 0.6 * scene.since()
        note = scene.note(roots, "request", 4, "request waited %d ms for one of 1 workers", 0.3)
        made = scene.fault("bad_config", roots, "latency", "latency", note)
    return replace(made, trigger=scene.change(chosen, "change.config", mode))


def _flag(scene: Scene) -> Fault:
    slow = bool(scene.rng.random() < 0.6)
    chosen = scene.choose("service", "frontend", errors=not slow)
    roots = scene.sites.replicas(chosen)
    note = scene.note(roots, "request", 3, "variant B chosen for customer %d", 0.5)
    if slow:
        scene.slow(roots, scene.since())
        made = scene.fault("flag", roots, "latency", "latency", note)
    else:
        scene.fail(roots, scene.since())
        broken = scene.note(roots, "failure", 5, "TypeError: variant B expects a list, got 'None' (%d)", 0.95)
        made = scene.fault("flag", roots, "errors", "errors", note, broken)
    return replace(made, trigger=scene.change(chosen, "change.flag", "flag"))


def _slow_query(scene: Scene) -> Fault:
    root = _one(scene.choose("database"))
    shape = scene.since(2.0)
    excess = scene.slow(root, shape)
    scene.effects.cpu[root] += scene.rng.uniform(0.1, 0.4) * shape
    scene.effects.disk[root] *= 1.0 + scene.rng.uniform(1.0, 5.0) * shape
    text = f"duration: {1_000 * excess:.0f}.%d ms statement: items ordered by changed_at without an index"
    return scene.fault("slow_query", root, "latency", "latency", scene.note(root, "alone", 4, text, 10.0))


def _connection_pool(scene: Scene) -> Fault:
    world = scene.sites.world
    stores = set(world.of_kind("database").tolist())
    users = {world.services[a] for a, b in zip(world.caller, world.callee, strict=True) if int(b) in stores}
    others = tuple(i for i, service in enumerate(world.services) if service not in users)
    chosen = replace(scene, avoid=(*scene.avoid, *others)).choose("service")
    roots = scene.sites.replicas(chosen)
    shape = scene.since(3.0)
    scene.effects.pool[roots] += 1.0 * shape
    scene.slow(roots, shape**2)
    scene.effects.failing[roots] += scene.rng.uniform(0.02, 0.12) * shape**2
    text = "PoolTimeoutError: no connection available after %d ms, all 20 in use"
    return scene.fault("connection_pool", roots, "connections", "latency", scene.note(roots, "failure", 5, text, 0.95))


def _dependency_outage(scene: Scene) -> Fault:
    root = _one(scene.choose("external", errors=True))
    scene.effects.failing[root] += scene.rng.uniform(0.5, 0.95) * scene.since()
    if scene.rng.random() < 0.5:
        scene.effects.own[root] += scene.rng.uniform(0.3, 1.5) * scene.since()
    note = scene.note(root, "caller", 5, "call to {peer} failed: 503 service unavailable after %d ms", 1.0)
    return scene.fault("dependency_outage", root, "errors", "errors", note)


def _certificate_expiry(scene: Scene) -> Fault:
    roots = scene.sites.replicas(scene.choose("service", "external", errors=True))
    scene.effects.refused[roots] += 0.99 * scene.since()
    told = scene.note(roots, "caller", 5, "call to {peer} failed: x509: certificate has expired (serial %d)", 1.0)
    met = scene.note(roots, "alone", 4, "TLS handshake with 10.0.3.%d ended by the client: bad certificate", 20.0)
    return scene.fault("certificate_expiry", roots, "availability", "errors", told, met)


def _traffic_surge(scene: Scene) -> Fault:
    root = scene.sites.world.of_kind("gateway").astype(np.intp)
    scene.effects.load[:] *= 1.0 + (scene.sites.breaking(scene.weather) - 1.0) * scene.since(2.0)
    return scene.fault("traffic_surge", root, "traffic", "latency")


def _noisy_neighbour(scene: Scene) -> Fault:
    world, sites = scene.sites.world, scene.sites
    fronts = sites.fronts
    felt = sites.calls * world.own[:, None] / sites.latency[fronts][None, :]
    hosts = world.of_kind("host")
    share = np.array([felt[world.host == host].sum(axis=0).max() for host in hosts])
    good = hosts[share >= min(0.12, np.sort(share)[-1])]
    host = int(good[scene.rng.integers(len(good))])
    factor = np.clip(1.0 + scene.rng.uniform(0.5, 1.5) / max(float(share[hosts == host][0]), 1e-3), 2.5, 9.0)
    shape = scene.since(1.5)
    scene.effects.slow[world.host == host] *= 1.0 + (factor - 1.0) * shape
    scene.effects.cpu[host] += scene.rng.uniform(0.35, 0.55) * shape
    return scene.fault("noisy_neighbour", _one(host), "cpu", "latency")


def _delayed_onset(scene: Scene) -> Fault:
    ahead, leak = float(scene.rng.uniform(20.0, 45.0)), bool(scene.rng.random() < 0.5)
    chosen = scene.choose("service", "frontend", errors=not leak)
    roots = scene.sites.replicas(chosen)
    if leak:
        began = replace(scene, onset=scene.onset - int(ahead * MINUTE)).since(ahead + 8.0)
        scene.effects.memory[roots] *= 1.0 + 1.2 * began
        scene.slow(roots, scene.since(5.0), (0.5, 1.6))
        note = scene.note(roots, "alone", 4, "memory pressure: heap at its limit after full collection of %d ms", 3.0)
        made, mode = scene.fault("delayed_onset", roots, "memory", "latency", note), "leak"
    else:
        scene.fail(roots, scene.since())
        note = scene.note(roots, "failure", 5, "KeyError: 'country_code' in request %d", 0.95)
        made, mode = scene.fault("delayed_onset", roots, "errors", "errors", note), "errors"
    lead = int(ahead * MINUTE)
    time = max(scene.onset - lead, int(scene.times[0])) // SECOND * SECOND
    return replace(made, trigger=Trigger(root=chosen, kind="change.deployment", mode=mode, time=time))


def _two_faults(scene: Scene) -> Fault:
    kinds = scene.rng.permutation(np.array(["cpu", "memory_leak", "disk", "network_delay", "slow_query", "bad_config"]))
    first = inject(str(kinds[0]), scene)
    second = inject(str(kinds[1]), replace(scene, avoid=first.roots))
    return Fault(
        kind="two_faults",
        roots=(*first.roots, *second.roots),
        metric=first.metric,
        felt=first.felt,
        notes=(*first.notes, *second.notes),
        trigger=first.trigger or second.trigger,
        slowly=first.slowly,
        parts=(first, second),
    )


_INJECT: dict[str, Callable[[Scene], Fault]] = {
    "cpu": _cpu,
    "memory_leak": _memory_leak,
    "disk": _disk,
    "network_delay": _network_delay,
    "network_loss": _network_loss,
    "pod_kill": _pod_kill,
    "bad_deployment": _bad_deployment,
    "bad_config": _bad_config,
    "flag": _flag,
    "slow_query": _slow_query,
    "connection_pool": _connection_pool,
    "dependency_outage": _dependency_outage,
    "certificate_expiry": _certificate_expiry,
    "traffic_surge": _traffic_surge,
    "noisy_neighbour": _noisy_neighbour,
    "delayed_onset": _delayed_onset,
    "two_faults": _two_faults,
}
