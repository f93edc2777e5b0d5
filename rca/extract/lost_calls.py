"""Calls that fail on the way, or at a callee that is not instrumented: the client saw an error, the server none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.calls import SEPARATOR, CallTable
from rca.extract.context import Context
from rca.extract.edge_metrics import EdgeSamples
from rca.extract.network import edge_ends
from rca.health.edges import EdgeHealth
from rca.likelihood import binomial_ratio, saturate
from rca.spans import component_of
from rca.types import Event, Evidence

Array = npt.NDArray[Any]

SCALE = 10.0
FEWEST_POWERS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Losses:
    """Lost calls by pair of components and what they say of each component.

    ``callers``, ``callees`` codes, shape (pairs,); ``ratio`` (log10), ``lost`` and ``made`` calls,
    shape (pairs, candidates); ``complaints`` callees towards which a component's calls newly fail,
    ``into`` and ``own`` ratios that speak against it as callee and as caller, shape (components, candidates).
    """

    callers: Array
    callees: Array
    ratio: Array
    lost: Array
    made: Array
    complaints: Array
    into: Array
    own: Array


def extract_lost_calls(context: Context, calls: CallTable, samples: EdgeSamples) -> list[Event]:
    """Events ``calls.failing`` on components into which calls newly fail without failing there.

    A caller's complaint is divided by the number of callees that it complains of: one that fails
    towards all of them has lost its own network, and is blamed itself.
    """
    told = samples.rows_of("lost")
    if not len(told) and (context.health.edges is None or not len(calls.edge)):
        return []
    losses = _weigh(context, calls, samples, told)
    total = np.maximum(losses.into, losses.own)
    blame = saturate(total, SCALE).mean(axis=1)
    return [
        _event(context, losses, at, int(np.argmax(total[at])), float(blame[at]))
        for at in np.flatnonzero(total.max(axis=1, initial=0.0) > FEWEST_POWERS).tolist()
    ]


def _weigh(context: Context, calls: CallTable, samples: EdgeSamples, told: Array) -> _Losses:
    size = len(context.components)
    place = {name: i for i, name in enumerate(context.components)}
    # A call that was lost may have been meant for any replica: services are compared.
    service = np.array([place.get(context.topology.service(name), at) for name, at in place.items()], np.int64)
    callers, callees = edge_ends(calls.edges, place)
    of_spans = callers * size + service[callees]
    of_metrics = np.array(
        [place[samples.callers[i]] * size + service[place[samples.callees[i]]] for i in told], np.int64
    )
    pairs = np.unique(np.concatenate([of_spans, of_metrics]))
    lost, made, ratio = (np.zeros((len(pairs), len(context.onsets))) for _ in range(3))
    if context.health.edges is not None and len(of_spans):
        at = np.searchsorted(pairs, of_spans)
        lost, made = _count(context, calls, at[calls.edge], len(pairs))
        usual_lost, usual_made = _healthy_counts(context.health.edges, pairs, place, service)
        ratio = np.maximum(binomial_ratio(lost, made, usual_lost[:, None], usual_made[:, None]), 0.0)
        ratio = np.where(usual_made[:, None] > 0, ratio, 0.0)
    if len(told):
        late, _, judged = samples.ratios(told, context.onsets, context.ends)
        at = np.searchsorted(pairs, of_metrics)
        blind = made[at] == 0
        np.maximum.at(ratio, at, np.maximum(late, 0.0))
        np.add.at(made, at, np.where(blind, judged, 0.0))
    failing = ratio > FEWEST_POWERS
    complaints, into, own = (np.zeros((size, len(context.onsets))) for _ in range(3))
    a, b = pairs // size, pairs % size
    np.add.at(complaints, a, failing.astype(float))
    np.add.at(into, b, np.where(failing, ratio, 0.0) / np.maximum(complaints[a], 1.0))
    np.add.at(own, a, np.where(failing & (complaints[a] >= 2), ratio, 0.0) / 2.0)
    return _Losses(callers=a, callees=b, ratio=ratio, lost=lost, made=made, complaints=complaints, into=into, own=own)


def _count(context: Context, calls: CallTable, pair: Array, size: int) -> tuple[Array, Array]:
    """Lost calls and all calls of each pair per candidate onset, shape (pairs, candidates) each."""
    lost, made = np.zeros((size, len(context.onsets))), np.zeros((size, len(context.onsets)))
    for candidate, (a, b) in enumerate(zip(context.onsets, context.ends, strict=True)):
        inside = (calls.start >= a) & (calls.start < b)
        made[:, candidate] = np.bincount(pair[inside], minlength=size)
        lost[:, candidate] = np.bincount(pair[inside & calls.lost], minlength=size)
    return lost, made


def _healthy_counts(health: EdgeHealth, pairs: Array, place: dict[str, int], service: Array) -> tuple[Array, Array]:
    """Healthy lost calls and all healthy calls of each pair (caller * components + callee), shape (pairs,)."""
    ends = [[component_of(end) for end in edge.split(SEPARATOR)] for edge in health.edges]
    known = [i for i, names in enumerate(ends) if all(name in place for name in names)]
    callers, callees = edge_ends(tuple(health.edges[i] for i in known), place)
    pair = callers * len(place) + service[callees]
    at = np.minimum(np.searchsorted(pairs, pair), len(pairs) - 1)
    hit = pairs[at] == pair
    lost, made = np.zeros(len(pairs)), np.zeros(len(pairs))
    np.add.at(lost, at[hit], health.lost[known][hit])
    np.add.at(made, at[hit], health.made[known][hit])
    return lost, made


def _counted(lost: float, made: float) -> str:
    """How many calls fail, where they were counted one by one."""
    return f"{lost:.0f} of {made:.0f} calls" if lost else "more calls than health allows"


def _event(context: Context, losses: _Losses, at: int, candidate: int, blame: float) -> Event:
    names = context.components
    outward = bool(losses.own[at, candidate] > losses.into[at, candidate])
    mine = np.flatnonzero((losses.callers if outward else losses.callees) == at)
    worst = int(mine[np.argmax(losses.ratio[mine, candidate])])
    lost, made = losses.lost[mine, candidate].sum(), losses.made[mine, candidate].sum()
    sentence = (
        f"calls out of {names[at]} fail towards {int(losses.complaints[at, candidate])} components "
        "that report no failure"
        if outward
        else f"{_counted(lost, made)} into {names[at]} fail without failing there, "
        f"most of them from {names[losses.callers[worst]]}"
    )
    return Event(
        id=f"calls.failing:{names[at]}:calls",
        component=names[at],
        kind="calls.failing",
        name="errors that only the client sees",
        start=int(context.onsets[candidate]),
        end=int(context.ends[candidate]),
        severity=blame,
        direction="up",
        evidence=Evidence(
            sentence=sentence,
            group="lost calls",
            blame=blame,
            likelihood=float(max(losses.own[at, candidate], losses.into[at, candidate])),
        ),
    )
