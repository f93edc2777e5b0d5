"""Calls that fail on the way, or at a callee that is not instrumented: the client saw an error, the server none."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rca.calls import CallTable
from rca.extract.context import Context
from rca.extract.network import edge_ends
from rca.likelihood import binomial_ratio, saturate
from rca.types import Event, Evidence

Array = npt.NDArray[Any]

SCALE = 10.0
FEWEST_POWERS = 1.0


def extract_lost_calls(context: Context, calls: CallTable) -> list[Event]:
    """Events ``calls.failing`` on components into which calls newly fail without failing there.

    A caller's complaint is divided by the number of callees that it complains of: one that fails
    towards all of them has lost its own network, and is blamed itself.
    """
    health = context.health.edges
    if health is None or not len(calls.edge):
        return []
    names = list(context.components)
    place = {name: i for i, name in enumerate(names)}
    pairs, ratio, k1, n1 = _pair_ratios(context, calls, place)
    callers, callees = pairs // len(names), pairs % len(names)
    failing = ratio > FEWEST_POWERS
    shape = (len(names), len(context.onsets))
    complaints, into, own = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    np.add.at(complaints, callers, failing.astype(float))
    np.add.at(into, callees, np.where(failing, ratio, 0.0) / np.maximum(complaints[callers], 1.0))
    np.add.at(own, callers, np.where(failing & (complaints[callers] >= 2), ratio, 0.0) / 2.0)
    total = np.maximum(into, own)
    blame = saturate(total, SCALE).mean(axis=1)
    events = []
    for at in np.flatnonzero(total.max(axis=1, initial=0.0) > FEWEST_POWERS):
        candidate = int(np.argmax(total[at]))
        outward = own[at, candidate] > into[at, candidate]
        mine = np.flatnonzero((callers if outward else callees) == at)
        worst = mine[np.argmax(ratio[mine, candidate])]
        lost, made = k1[mine, candidate].sum(), n1[mine, candidate].sum()
        sentence = (
            f"calls out of {names[at]} fail towards {int(complaints[at, candidate])} components that report no failure"
            if outward
            else f"{lost:.0f} of {made:.0f} calls into {names[at]} fail without failing there, "
            f"most of them from {names[callers[worst]]}"
        )
        events.append(
            Event(
                id=f"calls.failing:{names[at]}:calls",
                component=names[at],
                kind="calls.failing",
                name="errors that only the client sees",
                start=int(context.onsets[candidate]),
                end=int(context.ends[candidate]),
                severity=float(blame[at]),
                direction="up",
                evidence=Evidence(
                    sentence=sentence,
                    group="lost calls",
                    blame=float(blame[at]),
                    likelihood=float(total[at, candidate]),
                ),
            )
        )
    return events


def _pair_ratios(context: Context, calls: CallTable, place: dict[str, int]) -> tuple[Array, Array, Array, Array]:
    """Pairs of components (caller * n + callee), their log10 ratios, lost and made calls per candidate."""
    health = context.health.edges
    assert health is not None  # noqa: S101  # the caller checked; narrows the type
    size = len(place)
    # A call that was lost may have been meant for any replica: services are compared.
    service = np.array([place.get(context.topology.service(name), at) for name, at in place.items()], np.int64)
    callers, callees = edge_ends(calls.edges, place)
    callees = service[callees]
    pair_of_edge = callers * size + callees
    pairs, of_edge = np.unique(pair_of_edge, return_inverse=True)
    k1 = np.zeros((len(pairs), len(context.onsets)))
    n1 = np.zeros_like(k1)
    pair = of_edge[calls.edge]
    for candidate, (a, b) in enumerate(zip(context.onsets, context.ends, strict=True)):
        inside = (calls.start >= a) & (calls.start < b)
        n1[:, candidate] = np.bincount(pair[inside], minlength=len(pairs))
        k1[:, candidate] = np.bincount(pair[inside & calls.lost], minlength=len(pairs))
    k0, n0 = np.zeros(len(pairs)), np.zeros(len(pairs))
    known = [i for i, edge in enumerate(health.edges) if all(_end in place for _end in _ends(edge))]
    kept = tuple(health.edges[i] for i in known)
    a, b = edge_ends(kept, place)
    healthy_pair = a * size + service[b]
    at = np.searchsorted(pairs, healthy_pair)
    at = np.minimum(at, len(pairs) - 1)
    hit = pairs[at] == healthy_pair
    np.add.at(k0, at[hit], health.lost[known][hit])
    np.add.at(n0, at[hit], health.made[known][hit])
    ratio = np.where(n0[:, None] > 0, np.maximum(binomial_ratio(k1, n1, k0[:, None], n0[:, None]), 0.0), 0.0)
    return pairs, ratio, k1, n1


def _ends(edge: str) -> tuple[str, str]:
    from rca.calls import SEPARATOR
    from rca.spans import component_of

    caller, callee = edge.split(SEPARATOR)
    return component_of(caller), component_of(callee)
