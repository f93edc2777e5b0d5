"""How the shop behaves in time: traffic down the calls, time and failures up the calls.

Both are conserved: the mean time of a request is its own time plus, for each call, the wire and the
callee's time, so that a callee's excess arrives at each caller in proportion to its calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
from scipy import signal

from rca.simulator.world import Array, World
from rca.types import MINUTE

_DAY = 24 * 60 * MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """What disturbances and faults do, over components (n, time) or kinds of calls (edges, time).

    Attributes:
        own: seconds added to the own time of a request; ``slow`` a factor on it.
        failing: probability added that a request fails by itself.
        cpu: utilisation added; ``memory``, ``disk``, ``network``, ``threads``: factors.
        pool: share of the connections used, added.
        down: 1 where a component does not run (no telemetry of its own).
        hidden: 1 where a component runs and is not measured, as when a deployment replaces it.
        refused: probability that a call into a component fails before it arrives.
        delay: seconds added on the wire; ``loss`` probability that a call is lost there; ``calls`` a factor.
        load: factor on the traffic of users, shape (time,).
    """

    own: Array
    slow: Array
    failing: Array
    cpu: Array
    memory: Array
    disk: Array
    network: Array
    threads: Array
    pool: Array
    down: Array
    hidden: Array
    refused: Array
    delay: Array
    loss: Array
    calls: Array
    load: Array

    @classmethod
    def none(cls, world: World, columns: int) -> Effects:
        """Nothing happens."""
        size, edges = len(world.names), len(world.caller)
        factors = {"slow", "memory", "disk", "network", "threads", "calls", "load"}
        shapes = {"delay": (edges, columns), "loss": (edges, columns), "calls": (edges, columns), "load": (columns,)}
        return cls(
            **{
                f.name: np.full(shapes.get(f.name, (size, columns)), 1.0 if f.name in factors else 0.0)
                for f in fields(cls)
            }
        )

    def copy(self) -> Effects:
        """The same, to be changed."""
        return replace(self, **{f.name: getattr(self, f.name).copy() for f in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """The noise of a stretch of time: relative, slow, shared on a host. Shapes (n, time) and (time,)."""

    own: Array
    load: Array
    failing: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is true (not yet measured) at each component (n, time) and kind of call (edges, time).

    Attributes:
        rate: requests per second that arrive; ``busy`` processor utilisation.
        own, latency: seconds per request, without and with its calls.
        broken: probability that a request fails by itself; ``failures`` that it fails at all.
        net, lost: seconds on the wire; probability that a call fails before it arrives.
        per_request: calls per request of the caller.
        gone: probability that the call fails, wherever.
        down: 1 where a component does not run.
    """

    rate: Array
    busy: Array
    own: Array
    latency: Array
    broken: Array
    failures: Array
    net: Array
    lost: Array
    per_request: Array
    gone: Array
    down: Array


def smooth_noise(rng: np.random.Generator, rows: int, columns: int, memory: float) -> Array:
    """AR(1) noise of unit variance with heavy tails (Student's t, 5 degrees), shape (rows, columns)."""
    steps = rng.standard_t(5, (rows, columns)) * np.sqrt(3.0 / 5.0 * (1.0 - memory**2))
    steps[:, 0] /= np.sqrt(1.0 - memory**2)
    return np.asarray(signal.lfilter([1.0], [1.0, -memory], steps, axis=1), np.float64)


def draw_weather(rng: np.random.Generator, world: World, times: npt.NDArray[np.int64]) -> Weather:
    """Daily traffic with bursts, slow noise of own times, and what components on a host share."""
    size, columns = len(world.names), len(times)
    phase = 2 * np.pi * (times % _DAY) / _DAY
    load = 1.0 + 0.35 * np.sin(phase - 2.0) + 0.08 * np.sin(2 * phase)
    load = load * np.exp(0.04 * smooth_noise(rng, 1, columns, 0.8)[0])
    for _ in range(rng.poisson(columns / 60)):
        start = int(rng.integers(columns))
        load[start : start + int(rng.integers(1, 4))] *= rng.uniform(1.1, 1.35)
    noise = world.jitter[:, None] * smooth_noise(rng, size, columns, 0.6)
    shared = 0.05 * smooth_noise(rng, size, columns, 0.7)
    noise += np.where(world.host[:, None] >= 0, shared[world.host], 0.0)
    pauses = rng.random((size, columns)) < 0.004
    noise += pauses * rng.uniform(0.1, 0.6, (size, columns))
    failing = np.exp(0.4 * smooth_noise(rng, size, columns, 0.5) - 0.08)
    return Weather(own=np.exp(noise), load=load, failing=failing)


def run(world: World, weather: Weather, effects: Effects) -> State:
    """The state of the shop under a weather and some effects."""
    per_request = world.calls[:, None] * effects.calls
    lost = 1.0 - (1.0 - np.clip(effects.loss, 0.0, 1.0)) * (1.0 - np.clip(effects.refused, 0.0, 1.0)[world.callee])
    entry = world.entry[:, None] * weather.load * effects.load
    rate = descend(world, entry, per_request * (1.0 - lost))
    busy = world.idle[:, None] + (world.busy - world.idle)[:, None] * rate / np.maximum(world.rate, 1e-9)[:, None]
    # Waiting for a processor as in a queue with several servers, against the usual wait; bounded: callers give up.
    wait = _waiting(np.minimum(busy, 0.97)) / _waiting(world.busy)[:, None]
    own = world.own[:, None] * weather.own * effects.slow * wait + effects.own
    broken = np.clip(world.failing[:, None] * weather.failing + effects.failing, 0.0, 0.98)
    net = world.net[:, None] + effects.delay
    latency, failures, gone = _ascend(world, own, broken, net, lost, per_request)
    retried = per_request * (1.0 + world.retries[:, None] * gone)
    rate = descend(world, entry, retried * (1.0 - lost))
    busy = world.idle[:, None] + (world.busy - world.idle)[:, None] * rate / np.maximum(world.rate, 1e-9)[:, None]
    trouble = 1.0 + 0.8 * np.clip(failures, 0.0, 1.0)  # stack traces, retries, closing and opening connections
    return State(
        rate=rate,
        busy=busy * trouble + effects.cpu,
        own=own,
        latency=latency,
        broken=broken,
        failures=failures,
        net=net,
        lost=lost,
        per_request=retried,
        gone=gone,
        down=effects.down,
    )


def _waiting(busy: Array) -> Array:
    return np.asarray(1.0 + 0.6 * busy**3 / (1.0 - busy), np.float64)


def _levels(world: World) -> Iterator[npt.NDArray[np.intp]]:
    level = world.layer[world.caller]
    for number in range(int(world.layer.max()) + 1):
        edges = np.flatnonzero(level == number)
        if edges.size:
            yield edges


def descend(world: World, entry: Array, per_request: Array) -> Array:
    """What enters the components (n, columns), and what arrives at each through the calls (edges, columns or 1)."""
    rate = entry.copy()
    for edges in _levels(world):
        np.add.at(rate, world.callee[edges], rate[world.caller[edges]] * per_request[edges])
    return rate


def _ascend(
    world: World, own: Array, broken: Array, net: Array, lost: Array, per_request: Array
) -> tuple[Array, Array, Array]:
    """Latency and failures of requests, and the failures of calls; an asynchronous call hands nothing up."""
    latency, well = own.copy(), 1.0 - broken
    gone = np.zeros_like(net)
    for edges in reversed(list(_levels(world))):
        caller, callee = world.caller[edges], world.callee[edges]
        waits = ~world.asynchronous[edges][:, None]
        gone[edges] = 1.0 - (1.0 - lost[edges]) * well[callee]
        spent = net[edges] + (1.0 - lost[edges]) * latency[callee]
        np.add.at(latency, caller, waits * per_request[edges] * spent)
        fatal = np.clip(per_request[edges] * gone[edges] * world.passes[edges][:, None], 0.0, 0.999) * waits
        # A second attempt fails as often as the first.
        fatal = np.where(world.retries[edges][:, None], fatal * gone[edges], fatal)
        np.multiply.at(well, caller, 1.0 - fatal)
    return latency, 1.0 - well, gone
