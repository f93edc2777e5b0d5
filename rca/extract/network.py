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
from rca.quantities import percent
from rca.spans import component_of
from rca.types import Event, Evidence

Array = npt.NDArray[Any]

# Slow calls out of a component speak less clearly: its callee may be the delayed one.
OUTWARD = 0.7
SCALE = 10.0
# Calls to a callee are slow from one power of ten on; a caller that is slow towards two or more is slow itself.
SLOWED, SEVERAL = 1.0, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ledger:
    """What calls say of each component and candidate, shape (components, candidates).

    ``into``, ``out_of`` log10 ratios; ``slow``, ``seen`` slow and judged calls into it; ``slowed``
    callees towards which its calls are slow.
    """

    into: Array
    out_of: Array
    slow: Array
    seen: Array
    slowed: Array

    @classmethod
    def of_pairs(cls, parts: list[_Pairs], components: int, candidates: int) -> _Ledger:
        """From pairs of components; a caller's complaint is divided by the number of callees it complains of."""
        keys = np.concatenate([part.callers * components + part.callees for part in parts])
        distinct, code = np.unique(keys, return_inverse=True)
        ratio, slow, judged = (np.zeros((len(distinct), candidates)) for _ in range(3))
        for total, name in ((ratio, "ratio"), (slow, "slow"), (judged, "judged")):
            np.add.at(total, code, np.concatenate([getattr(part, name) for part in parts]))
        callers, callees = distinct // components, distinct % components
        ledger = cls(**{name: np.zeros((components, candidates)) for name in cls.__slots__})
        np.add.at(ledger.slowed, callers, (ratio > SLOWED).astype(float))
        np.add.at(ledger.into, callees, np.where(ratio > 0, ratio / np.maximum(ledger.slowed[callers], 1.0), ratio))
        np.add.at(ledger.out_of, callers, ratio)
        np.add.at(ledger.slow, callees, slow)
        np.add.at(ledger.seen, callees, judged)
        return ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pairs:
    """Calls by caller and callee: codes, shape (rows,); ratios and counts, shape (rows, candidates)."""

    callers: Array
    callees: Array
    ratio: Array
    slow: Array
    judged: Array


def extract_network(context: Context, calls: CallTable, samples: EdgeSamples) -> list[Event]:
    """Events ``network.slow`` (``self_time.up`` where the callee is not instrumented) on components called.

    Args:
        context: the analysis.
        calls: calls of the window.
        samples: gaps from metrics that are taken at both ends of a call.
    """
    if not len(calls.edge) and not len(samples.sort):
        return []
    names = list(context.components)
    place = {name: i for i, name in enumerate(names)}
    network, whole = [_of_samples(context, samples, sort, place) for sort in ("network", "whole")]
    parts = {"network.slow": [network], "self_time.up": [whole]}
    if context.health.edges is not None:
        for kind, chosen in (("network.slow", calls.seen), ("self_time.up", ~calls.seen)):
            parts[kind].append(_of_calls(context, calls, calls.timed & chosen, context.health.edges, place))
    events = []
    for kind, pairs in parts.items():
        ledger = _Ledger.of_pairs(pairs, len(names), len(context.onsets))
        events += _events(context, names, ledger, kind)
    return events


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
                    explainable=kind == "self_time.up" or _is_explainable(ledger, at, candidate),
                ),
            )
        )
    return events


def _sentence(name: str, ledger: _Ledger, at: int, candidate: int, kind: str) -> str:
    share = ledger.slow[at, candidate] / max(ledger.seen[at, candidate], 1)
    calls = f"{percent(share)} of {ledger.seen[at, candidate]:.0f} calls into {name}"
    if kind == "self_time.up":
        return f"{calls} took longer than health allows, as seen by its callers (healthy: {percent(HEALTHY_SHARE)})"
    if _is_outward(ledger, at, candidate):
        return f"calls out of {name} wait longer than in health while the callees work as usual"
    return f"{calls} spent longer on the way than health allows (healthy: {percent(HEALTHY_SHARE)})"


def _is_outward(ledger: _Ledger, at: int, candidate: int) -> bool:
    """Whether the calls out of a component speak louder than those into it."""
    return bool(ledger.into[at, candidate] < OUTWARD * ledger.out_of[at, candidate])


def _is_explainable(ledger: _Ledger, at: int, candidate: int) -> bool:
    """Whether the one callee towards which calls are slow may explain them; several do not fail at once."""
    return _is_outward(ledger, at, candidate) and ledger.slowed[at, candidate] < SEVERAL


def _of_calls(context: Context, calls: CallTable, chosen: Array, health: EdgeHealth, place: dict[str, int]) -> _Pairs:
    ratio, slow, judged = slow_ratios(
        health, calls.edges, calls.edge[chosen], calls.start[chosen], calls.gap[chosen], context.onsets, context.ends
    )
    callers, callees = edge_ends(calls.edges, place)
    return _Pairs(callers=callers, callees=callees, ratio=ratio, slow=slow, judged=judged)


def edge_ends(edges: tuple[str, ...], place: dict[str, int]) -> tuple[Array, Array]:
    """Codes of the caller and the callee of each edge, shape (edges,)."""
    ends = [edge.split(SEPARATOR) for edge in edges]
    callers = np.array([place[component_of(a)] for a, _ in ends] or [], np.int64)
    return callers, np.array([place[component_of(b)] for _, b in ends] or [], np.int64)


def _of_samples(context: Context, samples: EdgeSamples, sort: str, place: dict[str, int]) -> _Pairs:
    """Latency metrics of calls: each sample counts as a few calls."""
    rows = samples.rows_of(sort)
    ratio, slow, judged = samples.ratios(rows, context.onsets, context.ends)
    return _Pairs(
        callers=np.array([place[samples.callers[i]] for i in rows], np.int64),
        callees=np.array([place[samples.callees[i]] for i in rows], np.int64),
        ratio=ratio,
        slow=slow,
        judged=judged,
    )
