"""The network between components: client span less server span, which no clock skew touches.

Only the calls *into* a delayed component are slow; its own calls out stay normal. So the event is
raised on the component called, by the likelihood of slow calls into it (Nezha's delays: both
directions together find .62 of them, the calls into it all).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rca.extract.context import Context
from rca.extract.edge_metrics import EdgeSamples
from rca.health.edges import EdgeHealth
from rca.likelihood import saturate
from rca.tracing import SEPARATOR, CallTable, component_of
from rca.types import Event, Evidence

Array = npt.NDArray[Any]

# A slow edge has 60 % of its calls beyond the healthy limit, which health passes in 5 %.
SLOW_SHARE, HEALTHY_SHARE = 0.6, 0.05
IF_SLOW = float(np.log10(SLOW_SHARE / HEALTHY_SHARE))
IF_NORMAL = float(np.log10((1 - SLOW_SHARE) / (1 - HEALTHY_SHARE)))
# No edge counts for more than 30 calls: they are not independent.
MOST_CALLS = 30
# A sample of a latency metric that is taken at both ends stands for five calls.
CALLS_PER_SAMPLE = 5
# Slow calls out of a component speak less clearly: its callee may be the delayed one.
OUTWARD = 0.7
SCALE = 10.0


def extract_network(context: Context, calls: CallTable, samples: EdgeSamples) -> list[Event]:
    """Events ``network.slow`` on components whose callers wait longer than they work.

    Args:
        context: the analysis.
        calls: calls of the window.
        samples: gaps from metrics that are taken at both ends of a call.
    """
    names = list(context.components)
    place = {name: i for i, name in enumerate(names)}
    shape = (len(names), len(context.onsets))
    into, out_of = np.zeros(shape), np.zeros(shape)
    slow, seen = np.zeros(shape), np.zeros(shape)
    if context.health.edges is not None:
        _add_calls(context, calls, context.health.edges, place, (into, out_of, slow, seen))
    _add_samples(context, samples, place, (into, out_of, slow, seen))
    ratio = np.maximum(np.maximum(np.maximum(into, OUTWARD * out_of), into + out_of), 0.0)
    blame = saturate(ratio, SCALE).mean(axis=1)
    events = []
    for at in np.flatnonzero(ratio.max(axis=1, initial=0.0) > 1.0):
        candidate = int(np.argmax(ratio[at]))
        outward = into[at, candidate] < OUTWARD * out_of[at, candidate]
        events.append(_event(context, names[at], candidate, blame[at], ratio[at, candidate], slow, seen, at, outward))
    return events


def _event(
    context: Context,
    name: str,
    candidate: int,
    blame: float,
    ratio: float,
    slow: Array,
    seen: Array,
    at: int,
    outward: bool,
) -> Event:
    share = slow[at, candidate] / max(seen[at, candidate], 1)
    sentence = (
        f"calls out of {name} wait longer than in health while the callees work as usual"
        if outward
        else f"{share:.0%} of {seen[at, candidate]:.0f} calls into {name} spent longer on the way than health allows "
        f"(healthy: {HEALTHY_SHARE:.0%})"
    )
    return Event(
        id=f"network.slow:{name}",
        component=name,
        kind="network.slow",
        name="client span less server span",
        start=int(context.onsets[candidate]),
        end=int(context.ends[candidate]),
        severity=float(blame),
        direction="up",
        evidence=Evidence(sentence=sentence, group="network", blame=float(blame), likelihood=float(ratio)),
    )


def _add_calls(
    context: Context,
    calls: CallTable,
    health: EdgeHealth,
    place: dict[str, int],
    into: tuple[Array, Array, Array, Array],
) -> None:
    position = {edge: i for i, edge in enumerate(health.edges)}
    known = np.array([position.get(edge, -1) for edge in calls.edges] or [-1], np.int64)
    of_health = known[calls.edge] if len(calls.edge) else np.zeros(0, np.int64)
    limit = np.append(health.limit, np.nan)[of_health]
    usable = ~np.isnan(limit)
    edge, start, late = calls.edge[usable], calls.start[usable], (calls.gap > limit)[usable]
    number = len(calls.edges)
    counts = np.zeros((number, len(context.onsets)))
    lates = np.zeros((number, len(context.onsets)))
    for candidate, (a, b) in enumerate(zip(context.onsets, context.ends, strict=True)):
        inside = (start >= a) & (start < b)
        counts[:, candidate] = np.bincount(edge[inside], minlength=number)
        lates[:, candidate] = np.bincount(edge[inside & late], minlength=number)
    share = lates / np.maximum(counts, 1)
    ratio = np.minimum(counts, MOST_CALLS) * (share * IF_SLOW + (1 - share) * IF_NORMAL)
    ends = [edge.split(SEPARATOR) for edge in calls.edges]
    callers = np.array([place[component_of(a)] for a, _ in ends] or [], np.int64)
    callees = np.array([place[component_of(b)] for _, b in ends] or [], np.int64)
    np.add.at(into[0], callees, ratio)
    np.add.at(into[1], callers, ratio)
    np.add.at(into[2], callees, lates)
    np.add.at(into[3], callees, counts)


def _add_samples(
    context: Context, samples: EdgeSamples, place: dict[str, int], into: tuple[Array, Array, Array, Array]
) -> None:
    """Latency metrics of calls at both ends: each sample counts as a few calls."""
    if not len(samples.callers):
        return
    callers = np.array([place[name] for name in samples.callers], np.int64)
    callees = np.array([place[name] for name in samples.callees], np.int64)
    late = samples.gap > samples.limit[:, None]
    known = ~np.isnan(samples.gap) & ~np.isnan(samples.limit)[:, None]
    for candidate, (a, b) in enumerate(zip(context.onsets, context.ends, strict=True)):
        inside = known & samples.within(int(a), int(b))[None, :]
        n = inside.sum(axis=1) * CALLS_PER_SAMPLE
        k = (inside & late).sum(axis=1) * CALLS_PER_SAMPLE
        ratio = k * IF_SLOW + (n - k) * IF_NORMAL
        np.add.at(into[0][:, candidate], callees, ratio)
        np.add.at(into[1][:, candidate], callers, ratio)
        np.add.at(into[2][:, candidate], callees, k)
        np.add.at(into[3][:, candidate], callees, n)
