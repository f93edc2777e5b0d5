"""Faults that no single metric of the guilty component shows: slow drifts, and relations that break.

What is done to the root stays inside what its metrics reach on a healthy day: work per request grows
while users are few, and shrinks while they are many. Users feel it through the root's callers, which
lose the time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rca.simulator.faults import Fault, Rows, Scene
from rca.simulator.world import Array
from rca.types import MINUTE

# Between these multiples of its mean the traffic of users lies on nine healthy minutes of ten.
QUIET, BUSY = 0.66, 1.38
# The part of disk traffic that does not depend on requests, as the meter has it.
DISK_REST = 0.4


def inject_subtle(kind: str, scene: Scene) -> Fault:
    """Let one of ``SUBTLE_FAULTS`` strike: changes the scene's effects and says what was done."""
    return {"slow_onset": _slow_onset, "multivariate": _multivariate}[kind](scene)


def _slow_onset(scene: Scene) -> Fault:
    """Drifts away long before anybody is paged; the harm grows with the third power of the drift."""
    ahead = float(scene.rng.uniform(40.0, 150.0))
    drift = replace(scene, onset=scene.onset - int(ahead * MINUTE)).since(ahead + 8.0)
    modes = (_decay, _leak) if _many_users(scene) else (_bloat, _bloat, _leak)
    roots, metric = modes[int(scene.rng.integers(len(modes)))](scene, drift, drift**3)
    return replace(scene.fault("slow_onset", roots, metric, "latency"), slowly=True)


def _multivariate(scene: Scene) -> Fault:
    """Begins within minutes; what the root does per request is another thing than in health."""
    shape = scene.since(float(scene.rng.uniform(1.0, 4.0)))
    modes = (_thin_answers, _thin_answers, _locks, _decay) if _many_users(scene) else (_fat_answers, _bloat)
    roots, metric = modes[int(scene.rng.integers(len(modes)))](scene, shape, shape)
    return scene.fault("multivariate", roots, metric, "latency")


Mode = Callable[[Scene, Array, Array], tuple[Rows, str]]


def _bloat(scene: Scene, drift: Array, harm: Array) -> tuple[Rows, str]:
    """A database reads more than it needs to: an index lost, dead rows."""
    root = _root(scene, "database")
    _work(scene, root, float(scene.rng.uniform(1.25, 1.5)), drift)
    _disk(scene, root, float(scene.rng.uniform(1.4, 1.8)), drift)
    _slow(scene, root, harm)
    return root, "disk"


def _locks(scene: Scene, drift: Array, harm: Array) -> tuple[Rows, str]:
    """Transactions of a database wait for each other: less is done per query, and later."""
    root = _root(scene, "database")
    _work(scene, root, float(scene.rng.uniform(0.6, 0.75)), drift)
    _disk(scene, root, float(scene.rng.uniform(0.5, 0.7)), drift)
    _slow(scene, root, harm)
    return root, "cpu"


def _leak(scene: Scene, drift: Array, harm: Array) -> tuple[Rows, str]:
    """A service keeps what it no longer needs, and spends more and more time on looking for free memory."""
    root = _root(scene, "service")
    scene.effects.memory[root] *= 1.0 + scene.rng.uniform(0.06, 0.12) * drift
    _work(scene, root, float(scene.rng.uniform(1.15, 1.4)), drift)
    _slow(scene, root, harm)
    return root, "memory"


def _decay(scene: Scene, drift: Array, harm: Array) -> tuple[Rows, str]:
    """A cache no longer has what it is asked for: empty answers, and its callers ask their databases."""
    world = scene.sites.world
    root = _root(scene, "cache")
    _traffic(scene, root, float(scene.rng.uniform(0.55, 0.7)), drift)
    callers = np.unique(world.caller[scene.into(root)])
    stores = np.isin(world.callee, world.of_kind("database")) & np.isin(world.caller, callers)
    scene.effects.calls[stores] *= 1.0 + scene.rng.uniform(0.1, 0.25) * drift
    _burden(scene, root, harm)
    return root, "network"


def _thin_answers(scene: Scene, drift: Array, harm: Array) -> tuple[Rows, str]:
    """Answers come as quickly as ever and lack a part; callers make up for it, waiting for somebody else."""
    root = _root(scene, "service", "service", "cache")
    _traffic(scene, root, float(scene.rng.uniform(0.55, 0.7)), drift)
    _work(scene, root, float(scene.rng.uniform(0.7, 0.85)), drift)
    _burden(scene, root, harm)
    return root, "network"


def _fat_answers(scene: Scene, drift: Array, harm: Array) -> tuple[Rows, str]:
    """Answers carry far more than was asked for, and callers spend their time on reading them."""
    root = _root(scene, "service", "database")
    _traffic(scene, root, float(scene.rng.uniform(1.4, 1.8)), drift)
    _work(scene, root, float(scene.rng.uniform(1.1, 1.3)), drift)
    _burden(scene, root, harm)
    return root, "network"


def _many_users(scene: Scene) -> bool:
    return _load(scene) > 1.0


def _load(scene: Scene) -> float:
    """The traffic of users from the onset on, as a multiple of its mean."""
    return float(np.median(scene.weather.load[scene.times >= scene.onset]))


def _root(scene: Scene, *kinds: str) -> Rows:
    return np.array([scene.choose(*kinds)], np.intp)


def _room(scene: Scene, rest: float, wanted: float) -> float:
    """A factor on a metric that grows with traffic, no further than what a healthy day reaches.

    ``rest`` is the part of the metric that is there without traffic, at the mean traffic.
    """

    def level(load: float) -> float:
        return rest + (1.0 - rest) * load

    now = level(_load(scene))
    return float(np.clip(wanted, min(level(QUIET) / now, 1.0), max(level(BUSY) / now, 1.0)))


def _work(scene: Scene, root: Rows, wanted: float, shape: Array) -> None:
    """Changes the processor time per request."""
    world = scene.sites.world
    for row in root:
        idle, busy = float(world.idle[row]), float(world.busy[row])
        factor = _room(scene, idle / busy, wanted)
        scene.effects.cpu[row] += (factor - 1.0) * shape * (idle + (busy - idle) * scene.weather.load)


def _disk(scene: Scene, root: Rows, wanted: float, shape: Array) -> None:
    scene.effects.disk[root] *= 1.0 + (_room(scene, DISK_REST, wanted) - 1.0) * shape


def _traffic(scene: Scene, root: Rows, wanted: float, shape: Array) -> None:
    """Changes the bytes per request."""
    scene.effects.network[root] *= 1.0 + (_room(scene, 0.0, wanted) - 1.0) * shape


def _slow(scene: Scene, root: Rows, shape: Array) -> None:
    scene.slow(root, shape, (0.4, 1.2))


def _burden(scene: Scene, root: Rows, shape: Array) -> None:
    """Each call into the root costs its caller time: as much as if the root were slow."""
    excess = scene.sites.excess(root, float(scene.rng.uniform(0.4, 1.2)))
    into = scene.into(root)
    np.add.at(
        scene.effects.own,
        scene.sites.world.caller[into],
        excess * scene.sites.world.calls[into][:, None] * shape,
    )
