"""The network between components: client span less server span, which no clock skew touches.

Only the calls *into* a delayed component are slow; its own calls out stay normal. So the event is
raised on the component called, by the likelihood of slow calls into it (Nezha's delays: both
directions together find .62 of them, the calls into it all). Where the callee is not instrumented,
the call tells of callee and network together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.calls import SEPARATOR, CallTable
from rca.extract.context import Context
from rca.extract.edge_metrics import EdgeSamples
from rca.extract.slowness import HEALTHY_SHARE, slow_ratios
from rca.health.edges import EdgeHealth
from rca.likelihood import saturate
from rca.spans import component_of
from rca.types import Event, Evidence

Array = npt.NDArray[Any]

# Slow calls out of a component speak less clearly: its callee may be the delayed one.
OUTWARD = 0.7
SCALE = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ledger:
    """Sums per component and candidate: log10 ratios into and out of it, slow and judged calls into it."""

    into: Array
    out_of: Array
    slow: Array
    seen: Array

    @classmethod
    def empty(cls, components: int, candidates: int) -> _Ledger:
        shape = (components, candidates)
        return cls(into=np.zeros(shape), out_of=np.zeros(shape), slow=np.zeros(shape), seen=np.zeros(shape))


def extract_network(context: Context, calls: CallTable, samples: EdgeSamples) -> list[Event]:
    """Events ``network.slow`` (``self_time.up`` where the callee is not instrumented) on components called.

    Args:
        context: the analysis.
        calls: calls of the window.
        samples: gaps from metrics that are taken at both ends of a call.
    """
    names = list(context.components)
    place = {name: i for i, name in enumerate(names)}
    network, whole = (_Ledger.empty(len(names), len(context.onsets)) for _ in range(2))
    if context.health.edges is not None:
        _add_calls(context, calls, calls.timed & calls.seen, context.health.edges, place, network)
        _add_calls(context, calls, calls.timed & ~calls.seen, context.health.edges, place, whole)
    _add_samples(context, samples, "network", place, network)
    _add_samples(context, samples, "whole", place, whole)
    return [*_events(context, names, network, "network.slow"), *_events(context, names, whole, "self_time.up")]


def _events(context: Context, names: list[str], ledger: _Ledger, kind: str) -> list[Event]:
    into, out_of = ledger.into, ledger.out_of
    ratio = np.maximum(np.maximum(np.maximum(into, OUTWARD * out_of), into + out_of), 0.0)
    if kind == "self_time.up":
        ratio = np.maximum(into, 0.0)
    blame = saturate(ratio, SCALE).mean(axis=1)
    events = []
    for at in np.flatnonzero(ratio.max(axis=1, initial=0.0) > 1.0).tolist():
        candidate = int(np.argmax(ratio[at]))
        events.append(
            Event(
                id=f"{kind}:{names[at]}:calls",
                component=names[at],
                kind=kind,
                name="client span less server span" if kind == "network.slow" else "calls into it",
                start=int(context.onsets[candidate]),
                end=int(context.ends[candidate]),
                severity=float(blame[at]),
                direction="up",
                evidence=Evidence(
                    sentence=_sentence(names[at], ledger, at, candidate, kind),
                    group="network",
                    blame=float(blame[at]),
                    likelihood=float(ratio[at, candidate]),
                    explainable=kind == "self_time.up" or _is_outward(ledger, at, candidate),
                ),
            )
        )
    return events


def _sentence(name: str, ledger: _Ledger, at: int, candidate: int, kind: str) -> str:
    share = ledger.slow[at, candidate] / max(ledger.seen[at, candidate], 1)
    calls = f"{share:.0%} of {ledger.seen[at, candidate]:.0f} calls into {name}"
    if kind == "self_time.up":
        return f"{calls} took longer than health allows, as its callers see it (healthy: {HEALTHY_SHARE:.0%})"
    if _is_outward(ledger, at, candidate):
        return f"calls out of {name} wait longer than in health while the callees work as usual"
    return f"{calls} spent longer on the way than health allows (healthy: {HEALTHY_SHARE:.0%})"


def _is_outward(ledger: _Ledger, at: int, candidate: int) -> bool:
    """Whether the calls out of a component speak louder than those into it: a callee may explain them."""
    return bool(ledger.into[at, candidate] < OUTWARD * ledger.out_of[at, candidate])


def _add_calls(
    context: Context, calls: CallTable, chosen: Array, health: EdgeHealth, place: dict[str, int], ledger: _Ledger
) -> None:
    ratio, slow, judged = slow_ratios(
        health, calls.edges, calls.edge[chosen], calls.start[chosen], calls.gap[chosen], context.onsets, context.ends
    )
    callers, callees = edge_ends(calls.edges, place)
    np.add.at(ledger.into, callees, ratio)
    np.add.at(ledger.out_of, callers, ratio)
    np.add.at(ledger.slow, callees, slow)
    np.add.at(ledger.seen, callees, judged)


def edge_ends(edges: tuple[str, ...], place: dict[str, int]) -> tuple[Array, Array]:
    """Codes of the caller and the callee of each edge, shape (edges,)."""
    ends = [edge.split(SEPARATOR) for edge in edges]
    callers = np.array([place[component_of(a)] for a, _ in ends] or [], np.int64)
    return callers, np.array([place[component_of(b)] for _, b in ends] or [], np.int64)


def _add_samples(context: Context, samples: EdgeSamples, sort: str, place: dict[str, int], ledger: _Ledger) -> None:
    """Latency metrics of calls: each sample counts as a few calls."""
    rows = samples.rows_of(sort)
    if not len(rows):
        return
    ratio, slow, judged = samples.ratios(rows, context.onsets, context.ends)
    callers = np.array([place[samples.callers[i]] for i in rows], np.int64)
    callees = np.array([place[samples.callees[i]] for i in rows], np.int64)
    np.add.at(ledger.into, callees, ratio)
    np.add.at(ledger.out_of, callers, ratio)
    np.add.at(ledger.slow, callees, slow)
    np.add.at(ledger.seen, callees, judged)
