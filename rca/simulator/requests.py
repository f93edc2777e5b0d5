"""Sampled requests of users, followed down the call graph: who called whom, when, how long, and what failed.

Level by level, without a loop over requests. A request works, calls one callee after the other and waits
for each; a failed call that passes ends the request, and what would have come after it does not happen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rca.simulator.dynamics import Effects, State
from rca.simulator.world import UNTRACED, Array, World
from rca.types import SECOND

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
_MOST_SPANS = 120_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """Work of components, one row per request that a component served, and the calls they made.

    Requests, shape (requests,): ``component``, ``operation``; ``call`` that brought it (-1: a user's, or a
    message); ``message``: the publishing call (-1: none); ``trace`` number; ``start``, ``duration`` in ns;
    ``failed``; ``broken`` where it failed by itself.
    Calls, shape (calls,): ``edge``, ``parent`` request, ``began``, ``lasted`` in ns, ``call_failed``,
    ``lost`` before it arrived.
    """

    component: Ints
    operation: Ints
    call: Ints
    message: Ints
    trace: Ints
    start: Ints
    duration: Ints
    failed: Bools
    broken: Bools
    edge: Ints
    parent: Ints
    began: Ints
    lasted: Ints
    call_failed: Bools
    lost: Bools


@dataclass(slots=True, kw_only=True)
class _Level:
    """Requests at one depth, and the calls that they make (``parent`` counts within the level)."""

    component: Ints
    operation: Ints
    column: Ints
    call: Ints
    message: Ints
    own: Array
    broken: Bools
    parent: Ints
    edge: Ints
    rank: Ints
    lost: Bools
    wire: Array
    leaf: Array
    leaf_failed: Bools


@dataclass(slots=True, kw_only=True)
class _Outcome:
    """What became of a level: of its requests ``lasted`` and ``failed``, of its calls ``spent``, ``gone``, ``kept``."""

    lasted: Array
    failed: Bools
    spent: Array
    gone: Bools
    kept: Bools


def sample_requests(
    rng: np.random.Generator,
    world: World,
    state: State,
    effects: Effects,
    *,
    origin: int,
    step: int,
    first: int,
    traces_per_step: float,
) -> Requests:
    """Requests that arrive from column ``first`` on; ``origin`` is the time of column 0, ``step`` its length in ns."""
    users = np.flatnonzero(world.entry > 0)
    columns = np.arange(first, state.rate.shape[1])
    load = state.rate[users][:, columns].sum(axis=0)
    usual = float(world.entry.sum())
    size = float(world.rate.sum() / usual) * 2.0
    most = _MOST_SPANS / max(size * len(columns), 1.0)
    count = rng.poisson(min(traces_per_step, most) * load / usual)
    column = np.repeat(columns, count)
    arrival = origin + column * step + np.sort(rng.integers(0, step, len(column)))
    arrival = np.sort(arrival)
    column = (arrival - origin) // step
    part = world.entry[users] / usual
    component = users[np.searchsorted(np.cumsum(part)[:-1], rng.random(len(column)))]
    operation = _pick(rng, world.share[component])
    levels = _descend(rng, world, state, effects, component, operation, column)
    outcomes = _ascend(rng, world, state, levels)
    return _place(rng, world, levels, outcomes, arrival)


def _pick(rng: np.random.Generator, share: Array) -> Ints:
    cumulated = np.cumsum(share, axis=1)
    return np.asarray((rng.random((len(share), 1)) * cumulated[:, -1:] > cumulated).sum(axis=1), np.int64)


def _lognormal(rng: np.random.Generator, sigma: Array) -> Array:
    """Draws of mean 1."""
    return np.asarray(np.exp(sigma * rng.normal(size=len(sigma)) - sigma**2 / 2), np.float64)


def _descend(
    rng: np.random.Generator,
    world: World,
    state: State,
    effects: Effects,
    component: Ints,
    operation: Ints,
    column: Ints,
) -> list[_Level]:
    untraced = np.array([kind in UNTRACED for kind in world.kinds])
    consumer_of = np.full(len(world.names), -1, np.int64)
    consumer_of[world.caller[world.asynchronous]] = world.callee[world.asynchronous]
    message = np.full(len(component), -1, np.int64)
    call = message.copy()
    levels: list[_Level] = []
    calls = 0
    while len(component):
        level = _work(rng, world, state, effects, component, operation, column, call, message)
        levels.append(level)
        callee = world.callee[level.edge].astype(np.int64)
        served = np.flatnonzero(~untraced[callee] & ~level.lost)
        published = np.flatnonzero((consumer_of[callee] >= 0) & ~level.lost & ~level.leaf_failed)
        component = np.concatenate([callee[served], consumer_of[callee[published]]])
        operation = np.concatenate(
            [world.target[level.edge[served]].astype(np.int64), np.zeros(len(published), np.int64)]
        )
        column = level.column[level.parent[np.concatenate([served, published])]]
        nobody = np.full(len(published), -1, np.int64)
        call = np.concatenate([calls + served, nobody])
        message = np.concatenate([np.full(len(served), -1, np.int64), calls + published])
        calls += len(level.edge)
    return levels


def _work(
    rng: np.random.Generator,
    world: World,
    state: State,
    effects: Effects,
    component: Ints,
    operation: Ints,
    column: Ints,
    call: Ints,
    message: Ints,
) -> _Level:
    own = state.own[component, column] * world.weight[component, operation]
    own = own * _lognormal(rng, world.spread[component])
    broken = rng.random(len(component)) < state.broken[component, column]
    begin = np.searchsorted(world.caller, component)
    many = np.searchsorted(world.caller, component, side="right") - begin
    parent, edge = _spread(begin, many)
    fits = ~world.asynchronous[edge] & ((world.when[edge] < 0) | (world.when[edge] == operation[parent]))
    parent, edge = parent[fits], edge[fits]
    mean = world.given[edge] * effects.calls[edge, column[parent]]
    times = np.floor(mean + rng.random(len(mean))).astype(np.int64)
    parent, edge = np.repeat(parent, times), np.repeat(edge, times)
    total = np.bincount(parent, minlength=len(component))
    rank = np.arange(len(parent)) - (np.cumsum(total) - total)[parent]
    stops = np.where(broken, np.floor(rng.random(len(component)) * (total + 1)), total)
    reached = rank < stops[parent]
    parent, edge, rank = parent[reached], edge[reached], rank[reached]
    at, callee = column[parent], world.callee[edge]
    leaf = state.own[callee, at] * world.weight[callee, world.target[edge]] * _lognormal(rng, world.spread[callee])
    return _Level(
        component=component,
        operation=operation,
        column=column,
        call=call,
        message=message,
        own=np.where(broken, own * rng.uniform(0.3, 1.0, len(own)), own),
        broken=broken,
        parent=parent,
        edge=edge,
        rank=rank,
        lost=rng.random(len(edge)) < state.lost[edge, at],
        wire=state.net[edge, at] * _lognormal(rng, np.full(len(edge), 0.4)),
        leaf=leaf,
        leaf_failed=rng.random(len(edge)) < state.broken[callee, at],
    )


def _spread(begin: Ints, many: Ints) -> tuple[Ints, Ints]:
    """(row, begin[row] + 0, 1, … many[row] - 1) of every row."""
    row = np.repeat(np.arange(len(many)), many)
    return row, begin[row] + np.arange(len(row)) - (np.cumsum(many) - many)[row]


def _ascend(rng: np.random.Generator, world: World, state: State, levels: list[_Level]) -> list[_Outcome]:
    untraced = np.array([kind in UNTRACED for kind in world.kinds])
    outcomes: list[_Outcome] = []
    below: _Level | None = None
    first_call = np.cumsum([0, *(len(level.edge) for level in levels)])
    for depth in range(len(levels) - 1, -1, -1):
        level = levels[depth]
        at, callee = level.column[level.parent], world.callee[level.edge]
        leaf = untraced[callee] & ~level.lost
        spent = level.wire + np.where(leaf, level.leaf, 0.0)
        gone = level.lost | (leaf & level.leaf_failed)
        if below is not None:
            served = np.flatnonzero(below.call >= 0)
            made = below.call[served] - first_call[depth]
            spent[made] += outcomes[-1].lasted[served]
            gone[made] |= outcomes[-1].failed[served]
        passes = world.passes[level.edge] * np.where(world.retries[level.edge], state.gone[level.edge, at], 1.0)
        fatal = gone & (rng.random(len(gone)) < passes)
        ends = np.full(len(level.component), np.iinfo(np.int64).max)
        np.minimum.at(ends, level.parent[fatal], level.rank[fatal])
        kept = level.rank <= ends[level.parent]
        lasted = level.own + np.bincount(level.parent, weights=spent * kept, minlength=len(level.component))
        failed = level.broken | (ends < np.iinfo(np.int64).max)
        outcomes.append(_Outcome(lasted=lasted, failed=failed, spent=spent, gone=gone, kept=kept))
        below = level
    return outcomes[::-1]


def _place(
    rng: np.random.Generator, world: World, levels: list[_Level], outcomes: list[_Outcome], arrival: Ints
) -> Requests:
    """Starts from the top down in whole nanoseconds; what did not happen is left out."""
    rows: list[dict[str, npt.NDArray[np.generic]]] = []
    calls: list[dict[str, npt.NDArray[np.generic]]] = []
    start = arrival.astype(np.float64) - float(arrival[0] if arrival.size else 0)
    alive = np.ones(len(arrival), np.bool_)
    trace = np.arange(len(arrival))
    messages, offset = len(arrival), 0
    for depth, (level, outcome) in enumerate(zip(levels, outcomes, strict=True)):
        if depth:
            above, made = rows[-1], calls[-1]
            source = np.where(level.call >= 0, level.call, level.message) - offset
            offset += len(made["edge"])
            sent = level.message >= 0
            alive = np.asarray(made["alive"])[source]
            wire = levels[depth - 1].wire[source] * SECOND
            start = np.asarray(made["began"])[source] + np.where(
                sent, wire + rng.exponential(0.05, len(sent)) * SECOND, wire / 2
            )
            trace = np.asarray(above["trace"])[levels[depth - 1].parent[source]].copy()
            trace[sent] = messages + np.arange(int(sent.sum()))
            messages += int(sent.sum())
        rows.append(
            {
                "component": level.component,
                "operation": level.operation,
                "call": level.call,
                "message": level.message,
                "trace": trace,
                "start": start,
                "duration": outcome.lasted * SECOND,
                "failed": outcome.failed,
                "broken": level.broken,
                "alive": alive,
            }
        )
        size = len(level.component)
        spent = np.where(outcome.kept, outcome.spent, 0.0)
        many = np.bincount(level.parent, weights=outcome.kept, minlength=size)
        total = np.concatenate([[0.0], np.cumsum(spent)])
        begin = np.searchsorted(level.parent, np.arange(size))
        waited = total[:-1] - total[begin][level.parent]
        worked = level.own[level.parent] * (level.rank + 1) / (many + 1)[level.parent]
        calls.append(
            {
                "edge": level.edge,
                "parent": level.parent + sum(len(row["component"]) for row in rows[:-1]),
                "began": start[level.parent] + (waited + worked) * SECOND,
                "lasted": outcome.spent * SECOND,
                "call_failed": outcome.gone,
                "lost": level.lost,
                "alive": alive[level.parent] & outcome.kept,
            }
        )
    return _table(rows, calls, int(arrival[0]) if arrival.size else 0)


def _table(
    rows: list[dict[str, npt.NDArray[np.generic]]], calls: list[dict[str, npt.NDArray[np.generic]]], zero: int
) -> Requests:
    row = {name: np.concatenate([each[name] for each in rows]) for name in rows[0]}
    call = {name: np.concatenate([each[name] for each in calls]) for name in calls[0]}
    number = np.cumsum(call["alive"]) - 1
    request = np.cumsum(row["alive"]) - 1
    kept, made = np.flatnonzero(row["alive"]), np.flatnonzero(call["alive"])

    def renumbered(name: str) -> Ints:
        codes = row[name][kept]
        return np.where(codes >= 0, number[np.maximum(codes, 0)] if len(number) else -1, -1)

    return Requests(
        component=row["component"][kept],
        operation=row["operation"][kept],
        call=renumbered("call"),
        message=renumbered("message"),
        trace=row["trace"][kept],
        start=zero + np.round(row["start"][kept]).astype(np.int64),
        duration=np.ceil(row["duration"][kept]).astype(np.int64),
        failed=row["failed"][kept],
        broken=row["broken"][kept],
        edge=call["edge"][made],
        parent=request[call["parent"][made]],
        began=zero + np.round(call["began"][made]).astype(np.int64),
        # Two more than rounding can take, so that the callee ends first.
        lasted=np.ceil(call["lasted"][made]).astype(np.int64) + 2,
        call_failed=call["call_failed"][made],
        lost=call["lost"][made],
    )
