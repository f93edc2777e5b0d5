"""What monitoring measures of the shop's state: sampled, noisy, with gaps.

The sample at time t describes the step that begins at t. Components that do not run, and ratios of
no requests, are missing samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.simulator.dynamics import Effects, State, smooth_noise
from rca.simulator.world import Array, Codes, World
from rca.telemetry import NO_PEER, MetricFrame

RATE = "http_server_requests_per_second"
ERRORS = "http_server_error_ratio"
MEAN = "http_server_request_duration_seconds_mean"
P50 = "http_server_request_duration_seconds_p50"
P95 = "http_server_request_duration_seconds_p95"
LAG = "queue_consumer_lag_seconds"

_MISSING = 0.004  # share of the samples that a scrape misses
_POOL = 20.0  # connections of a service's pool, the default of several widespread drivers is 10 to 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    metric: str
    component: npt.NDArray[np.int32]
    peer: npt.NDArray[np.int32]
    values: Array


def measure(
    rng: np.random.Generator,
    levels: np.random.Generator,
    world: World,
    state: State,
    effects: Effects,
    times: npt.NDArray[np.int64],
    *,
    step: float,
    pairs: bool,
) -> MetricFrame:
    """All metrics at ``times``.

    ``rng`` is for noise; ``levels`` for what is constant about a component and has to be the same in every
    measurement of a shop; ``step`` in seconds; ``pairs``: calls between two components too.
    """
    meter = _Meter(rng=rng, levels=levels, world=world, state=state, effects=effects, step=step)
    blocks = [*meter.requests(), *meter.resources(), *meter.connections(), *meter.queues(), *meter.hosts()]
    blocks = [_with_gaps(rng, block, np.maximum(state.down, effects.hidden)) for block in blocks]
    if pairs:
        blocks += meter.pairs()
    metrics = tuple(sorted({block.metric for block in blocks}))
    step = int(times[1] - times[0]) if len(times) > 1 else 0
    code = {metric: i for i, metric in enumerate(metrics)}
    return MetricFrame(
        components=world.names,
        metrics=metrics,
        component=np.concatenate([b.component for b in blocks]).astype(np.int32),
        metric=np.concatenate([np.full(len(b.component), code[b.metric], np.int32) for b in blocks]),
        peer=np.concatenate([b.peer for b in blocks]).astype(np.int32),
        times=times + step,  # a scrape tells of the step before it
        values=np.concatenate([b.values for b in blocks]).astype(np.float32),
    )


def _with_gaps(rng: np.random.Generator, block: _Block, silent: Array) -> _Block:
    gaps = (rng.random(block.values.shape) < _MISSING) | (silent[block.component] >= 0.5)
    values = np.where(gaps, np.nan, block.values)
    return _Block(metric=block.metric, component=block.component, peer=block.peer, values=values)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Meter:
    rng: np.random.Generator
    levels: np.random.Generator
    world: World
    state: State
    effects: Effects
    step: float

    def requests(self) -> list[_Block]:
        served = self.world.of_kind("gateway", "frontend", "service", "consumer")
        world, state, rng = self.world, self.state, self.rng
        count = rng.poisson(state.rate[served] * self.step).astype(np.float64)
        none = count == 0
        failed = rng.binomial(count.astype(np.int64), np.clip(state.failures[served], 0.0, 1.0))
        sigma = world.spread[served][:, None]
        few = np.exp(sigma**2) / np.sqrt(np.maximum(count, 1.0))  # standard error of a mean, relative

        def noisy(values: Array, own: float, times_few: float) -> Array:
            noise = own * rng.normal(size=count.shape) + sigma * times_few * few * rng.normal(size=count.shape)
            return np.where(none, np.nan, values * np.exp(np.clip(noise, -1.5, 1.5)))

        latency = state.latency[served]
        stores = world.of_kind("database", "cache")
        asked = rng.poisson(state.rate[stores] * self.step) / self.step
        return [
            self._block(RATE, served, count / self.step),
            self._block(ERRORS, served, np.where(none, np.nan, failed / np.maximum(count, 1.0))),
            self._block(MEAN, served, noisy(latency, 0.01, 1.0)),
            self._block(P50, served, noisy(latency * np.exp(-(sigma**2) / 2), 0.02, 1.3)),
            self._block(P95, served, noisy(latency * np.exp(1.645 * sigma - sigma**2 / 2), 0.04, 2.5)),
            self._block("db_queries_per_second", stores, asked),
        ]

    def resources(self) -> list[_Block]:
        world, state, effects, rng, levels = self.world, self.state, self.effects, self.rng, self.levels
        rows = world.of_kind("gateway", "frontend", "service", "consumer", "database", "cache", "queue")
        columns = state.rate.shape[1]

        def noise(size: float, memory: float) -> Array:
            return np.asarray(np.exp(size * smooth_noise(rng, len(rows), columns, memory)), np.float64)

        load = state.rate[rows] / np.maximum(world.rate[rows], 1e-9)[:, None]
        spikes = 1.0 + (rng.random((len(rows), columns)) < 0.006) * rng.uniform(0.3, 1.5, (len(rows), columns))
        cpu = np.clip(state.busy[rows] * noise(0.07, 0.5) * spikes, 0.001, 1.0)
        sawtooth = (
            np.arange(columns)[None, :] / levels.uniform(15, 60, (len(rows), 1)) + rng.random((len(rows), 1))
        ) % 1.0
        memory = world.memory[rows][:, None] * (1.0 + 0.08 * sawtooth + 0.05 * load) * effects.memory[rows]
        payload = 2.0 ** levels.uniform(9.0, 14.0, (len(rows), 1))
        waiting = state.rate[rows] * state.latency[rows]  # Little's law
        threads = (levels.integers(8, 60, (len(rows), 1)) + waiting) * effects.threads[rows] * noise(0.02, 0.5)
        disk = 2.0 ** levels.uniform(12.0, 20.0, (len(rows), 1)) * (0.4 + 0.6 * load) * effects.disk[rows]
        restarts = np.cumsum(np.diff(state.down[rows] >= 0.5, axis=1, prepend=False) & (state.down[rows] < 0.5), axis=1)
        return [
            self._block("container_cpu_utilization_ratio", rows, cpu),
            self._block("container_memory_working_set_bytes", rows, memory * noise(0.015, 0.8)),
            self._block("container_disk_io_bytes_per_second", rows, disk * noise(0.35, 0.4)),
            self._block(
                "container_network_io_bytes_per_second",
                rows,
                (payload * load * 20 + 500) * effects.network[rows] * noise(0.08, 0.3),
            ),
            self._block("process_threads", rows, np.round(np.maximum(threads, 1.0))),
            self._block("container_restarts_total", rows, restarts.astype(np.float64)),
        ]

    def connections(self) -> list[_Block]:
        world, state, rng, levels = self.world, self.state, self.rng, self.levels
        stores = world.of_kind("database")
        edges = np.flatnonzero(np.isin(world.callee, stores))
        busy = (
            state.rate[world.caller[edges]]
            * state.per_request[edges]
            * (state.latency[world.callee[edges]] + state.net[edges])
        )
        client, server = np.zeros_like(state.rate), np.zeros_like(state.rate)
        np.add.at(client, world.caller[edges], busy)
        np.add.at(server, world.callee[edges], busy)
        users = np.unique(world.caller[edges]).astype(np.int32)
        idle = levels.integers(2, 6, (len(users), 1))
        used = (
            client[users] * rng.uniform(0.9, 1.1, client[users].shape) + idle + 1.05 * _POOL * self.effects.pool[users]
        )
        usual = (
            world.rate[world.caller[edges]] * world.calls[edges] * (world.own[world.callee[edges]] + world.net[edges])
        )
        planned = np.bincount(world.callee[edges], weights=usual, minlength=len(world.names))[stores]
        limits = 2.0 ** np.ceil(np.log2(4.0 * planned[:, None] + 60.0))  # a round number with room
        held = np.zeros_like(state.rate)
        np.add.at(held, world.callee[edges], _POOL * self.effects.pool[world.caller[edges]])
        taken = (
            server[stores] * rng.uniform(0.9, 1.1, server[stores].shape)
            + levels.integers(8, 25, (len(stores), 1))
            + held[stores]
        )
        columns = state.rate.shape[1]
        return [
            self._block("db_client_connections_used", users, np.round(np.minimum(used, _POOL))),
            self._block("db_client_connections_limit", users, np.full((len(users), columns), _POOL)),
            self._block("db_connections_used", stores, np.round(np.minimum(taken, limits))),
            self._block("db_connections_limit", stores, np.broadcast_to(limits, (len(stores), columns))),
        ]

    def queues(self) -> list[_Block]:
        world, state, rng = self.world, self.state, self.rng
        queues = world.of_kind("queue")
        edges = np.flatnonzero(world.asynchronous)
        inflow, taken = np.zeros_like(state.rate), np.zeros_like(state.rate)
        consumer = world.callee[edges]
        # A consumer keeps twice its usual traffic up, as long as a message takes its usual time.
        usual = np.median(state.latency[consumer], axis=1, keepdims=True)
        np.add.at(taken, world.caller[edges], 2.5 * world.rate[consumer][:, None] * usual / state.latency[consumer])
        inflow[queues] = state.rate[queues]
        depth = np.zeros((len(queues), state.rate.shape[1]))
        backlog = np.zeros(len(queues))
        for column in range(depth.shape[1]):
            backlog = np.maximum(0.0, backlog + (inflow[queues, column] - taken[queues, column]) * self.step)
            depth[:, column] = backlog
        resting = state.rate[queues] * 0.3 * np.exp(0.3 * rng.normal(size=depth.shape))
        depth = np.round(depth + resting)
        return [
            self._block("queue_depth_messages", queues, depth),
            self._block(LAG, queues, depth / np.maximum(taken[queues], 1e-3)),
        ]

    def hosts(self) -> list[_Block]:
        world, state, effects, rng = self.world, self.state, self.effects, self.rng
        hosts = world.of_kind("host")
        placed = np.flatnonzero(world.host >= 0)
        total, memory = np.zeros_like(state.rate), np.zeros_like(state.rate)
        np.add.at(total, world.host[placed], np.clip(state.busy[placed], 0.0, 1.0))
        np.add.at(memory, world.host[placed], world.memory[placed][:, None] * effects.memory[placed])
        carried = np.maximum(np.bincount(world.host[placed], minlength=len(world.names)), 1)[hosts][:, None]
        noise = np.exp(0.06 * smooth_noise(rng, len(hosts), state.rate.shape[1], 0.5))
        cpu = np.clip((0.08 + 0.9 * total[hosts] / carried + effects.cpu[hosts]) * noise, 0.01, 1.0)
        planned = np.bincount(world.host[placed], weights=world.memory[placed], minlength=len(world.names))[hosts]
        capacity = np.maximum(2.1 * planned[:, None], 2.0**30)
        share = np.clip((0.1 + memory[hosts] / capacity) * np.exp(0.01 * rng.normal(size=noise.shape)), 0.0, 1.0)
        return [
            self._block("node_cpu_utilization_ratio", hosts, cpu),
            self._block("node_memory_utilization_ratio", hosts, share),
        ]

    def pairs(self) -> list[_Block]:
        """Calls as their callers measure them."""
        world, state, rng = self.world, self.state, self.rng
        edges = np.flatnonzero(~world.asynchronous)
        rate = state.rate[world.caller[edges]] * state.per_request[edges]
        count = rng.poisson(rate * self.step).astype(np.float64)
        sigma = world.spread[world.callee[edges]][:, None]
        spent = state.net[edges] + (1.0 - state.lost[edges]) * state.latency[world.callee[edges]]
        noise = 0.01 * rng.normal(size=count.shape) + sigma * rng.normal(size=count.shape) / np.sqrt(
            np.maximum(count, 1.0)
        )
        failed = rng.binomial(count.astype(np.int64), np.clip(state.gone[edges], 0.0, 1.0))
        empty = (count == 0) | (rng.random(count.shape) < _MISSING) | (state.down[world.caller[edges]] >= 0.5)
        blocks = (
            (
                "http_client_requests_per_second",
                np.where(state.down[world.caller[edges]] >= 0.5, np.nan, count / self.step),
            ),
            ("http_client_error_ratio", np.where(empty, np.nan, failed / np.maximum(count, 1.0))),
            ("http_client_request_duration_seconds_mean", np.where(empty, np.nan, spent * np.exp(noise))),
        )
        return [
            _Block(metric=metric, component=world.caller[edges], peer=world.callee[edges], values=values)
            for metric, values in blocks
        ]

    def _block(self, metric: str, rows: Codes, values: npt.NDArray[Any]) -> _Block:
        peer = np.full(len(rows), NO_PEER, np.int32)
        return _Block(metric=metric, component=rows, peer=peer, values=np.asarray(values, np.float64))
