"""Amounts that add up along calls: which component the lost seconds and failed requests belong to.

Averages do not add up along calls, amounts do. A component's excess seconds (requests times
latency beyond health) and excess failures are regressed on those of the component in which users
feel the incident; what its callees account for is taken off, noise and lack of correlation count
against it (``rca.extract.amount_shares``). A component with a handful of requests cannot win, and
no onset has to be matched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rca.extract.amount_events import Finding, describe
from rca.extract.amount_graph import build_graph, reachable
from rca.extract.amount_series import AmountSeries, Array, Kind
from rca.extract.amount_shares import (
    OTHER_KIND,
    UNREACHED,
    CallGraph,
    excess,
    healthy_level,
    known_or_zero,
    share_symptom,
    spread,
    strongest,
)
from rca.extract.context import Context
from rca.extract.meaning import classify
from rca.extract.span_amounts import amount_inputs
from rca.types import Event, Symptom

LEAD = 2
"""Rows before the onset that stay in the regression, at least: it needs healthy rows, and the onset may be late."""

SPLIT_FROM = 12
"""Fewer rows are not split: an incident that came without its history is taken as a whole."""

CLIP = (-3.0, 12.0)
"""Range of the symptom's z when the onset is looked for: one giant row is no step."""


@dataclass(frozen=True, kw_only=True)
class Trace:
    """A symptom's amount: of which component and kind, in which rows, and its sign."""

    component: int
    kind: Kind
    rows: slice
    onset: int
    sign: float
    amount: Array


def extract_amounts(context: Context) -> list[Event]:
    """Events of the components through which the symptom's amount passes, with their own share as blame.

    Needs traffic with latency or failures (metrics, or spans) of the symptom's component; gives
    nothing without. Of several symptoms the one that speaks most clearly counts for each component.
    """
    symptoms = _symptoms(context)
    series = amount_inputs(context) if symptoms else None
    if series is None:
        return []
    known_rows = int(np.searchsorted(series.window.times, context.onsets.min())) if context.onsets.size else 0
    graph = build_graph(context.topology, series, known_rows)
    traces = _trace_symptoms(context, series, symptoms)
    findings = [finding for trace in traces for finding in _find(trace, series, graph)]
    events = describe(findings, series, graph, context)
    if len(context.topology.caller):
        return events
    # Where no calls are known, the symptom's component has all of its own amount, whoever caused it.
    suffering = {series.components[trace.component] for trace in traces}
    return [event for event in events if event.component not in suffering]


def _find(trace: Trace, series: AmountSeries, graph: CallGraph) -> list[Finding]:
    """Shares in one symptom of both kinds of amount."""
    reached = reachable(graph.calls, trace.component)
    window = series.window.columns(trace.rows)
    findings = []
    kinds: tuple[Kind, Kind] = ("latency", "failures")
    for kind in kinds:
        level = healthy_level(kind, series)
        amount = excess(kind, window, level) * trace.sign
        symptom, weight = trace.amount, np.where(reached, 1.0, UNREACHED)
        if kind != trace.kind:
            symptom = symptom * strongest(amount[reached], symptom)
            weight = weight * OTHER_KIND
            if not symptom.any():
                continue
        shares = share_symptom(kind, symptom, amount, level, series, graph)
        shares = replace(shares, score=shares.score * weight)
        after = symptom[trace.onset - trace.rows.start :]
        if float(after.max(initial=0.0)) <= 0.0:
            continue  # at no time slower, or failing more, than in health: nobody suffered of that
        lost = float(after.sum()) * series.merged
        findings.append(
            Finding(
                kind=kind,
                symptom=trace.component,
                same_kind=kind == trace.kind,
                sign=trace.sign,
                onset=trace.onset,
                lost=lost,
                shares=shares,
            )
        )
    return findings


def _symptoms(context: Context) -> tuple[Symptom, ...]:
    """What was named, else every component that calls others and that nobody calls: there users would feel it.

    Spans tell more than such a guess: where there are any, now or in health, none is made.
    """
    named, topology = context.case.incident.symptoms, context.topology
    if named or len(context.case.telemetry.spans) or context.health.requests is not None:
        return named
    entries = np.setdiff1d(topology.caller, topology.callee)
    return tuple(Symptom(component=topology.components[code]) for code in entries.tolist())


def _trace_symptoms(context: Context, series: AmountSeries, symptoms: tuple[Symptom, ...]) -> list[Trace]:
    traces: dict[tuple[int, Kind], Trace] = {}
    for symptom in symptoms:
        for component in _members(symptom, series.components, context):
            trace = _clearest(context, series, component, _kinds(symptom), symptom)
            if trace is not None:
                traces[component, trace.kind] = trace
    return [traces[key] for key in sorted(traces)]


def _members(symptom: Symptom, components: tuple[str, ...], context: Context) -> list[int]:
    """The place of the component itself, else of its replicas."""
    if symptom.component in components:
        return [components.index(symptom.component)]
    return [i for i, name in enumerate(components) if context.topology.service(name) == symptom.component]


def _kinds(symptom: Symptom) -> tuple[Kind, ...]:
    family = classify(symptom.metric).family if symptom.metric else "other"
    if family == "latency":
        return ("latency",)
    # Traffic and unknown metrics have no amount of their own: whichever the component shows more clearly.
    return ("failures",) if family in ("errors", "availability") else ("latency", "failures")


def _clearest(
    context: Context, series: AmountSeries, component: int, kinds: tuple[Kind, ...], symptom: Symptom
) -> Trace | None:
    traces = [trace_symptom(context, series, component, kind, symptom) for kind in kinds]
    known = [trace for trace in traces if trace is not None]
    return max(known, key=lambda trace: _deviation(trace, series), default=None)


def _deviation(trace: Trace, series: AmountSeries) -> float:
    """Robust z of the symptom's largest row."""
    one = _only(series, trace.component)
    healthy = known_or_zero(excess(trace.kind, one.health, healthy_level(trace.kind, one)))
    return float(np.abs(trace.amount).max() / spread(healthy)[1][0])


def _only(series: AmountSeries, component: int) -> AmountSeries:
    one = slice(component, component + 1)
    return replace(series, window=series.window.members(one), health=series.health.members(one))


def trace_symptom(context: Context, series: AmountSeries, component: int, kind: Kind, symptom: Symptom) -> Trace | None:
    """The symptom's amount from shortly before its onset on; None where it is unknown or constant.

    Unknown rows are given the median. The sign is the stated direction's, else that of the step at
    the onset, or of the largest row where the onset is given or the window too short to be split.
    """
    one = _only(series, component)
    amount = excess(kind, one.window, healthy_level(kind, one))[0]
    if not np.isfinite(amount).any():
        return None
    amount = np.where(np.isfinite(amount), amount, np.median(amount[np.isfinite(amount)]))
    if float(np.ptp(amount)) == 0.0:
        return None
    signs = _signs(symptom)
    given = context.case.incident.onset
    if given is not None:
        onset = min(max(int(np.searchsorted(series.window.times, given, side="right")) - 1, 0), len(amount) - 1)
        sign = _sign(amount[onset:], signs)
    elif len(amount) < SPLIT_FROM:
        onset, sign = 0, _sign(amount, signs)
    else:
        # Nobody notices an incident before it begins; a sample may be dated by the end of its row.
        noticed = int(np.searchsorted(series.window.times, context.case.incident.alert_time + series.row, side="right"))
        before = int(np.searchsorted(series.window.times, context.case.incident.window.start))
        onset, sign = split_step(amount, max(before, len(amount) // 3), noticed, signs)
    lead = max(LEAD, (len(amount) - onset) // 2)
    rows = slice(max(onset - lead, 0), len(amount))
    amount = amount[rows] * sign
    if float(np.ptp(amount)) == 0.0:
        return None
    return Trace(component=component, kind=kind, rows=rows, onset=onset, sign=sign, amount=amount)


def _signs(symptom: Symptom) -> tuple[float, ...]:
    """The sign that an amount has: users feel more seconds and more failures, unless the symptom says otherwise."""
    family = classify(symptom.metric).family if symptom.metric else "other"
    if symptom.direction == "none" or family not in ("latency", "errors", "availability"):
        return (1.0,)
    worse = "down" if family == "availability" else "up"
    return (1.0,) if symptom.direction == worse else (-1.0,)


def _sign(amount: Array, signs: tuple[float, ...]) -> float:
    if len(signs) == 1:
        return signs[0]
    return -1.0 if amount[np.argmax(np.abs(amount))] < 0 else 1.0


def split_step(amount: Array, earliest: int, latest: int, signs: tuple[float, ...] = (1.0, -1.0)) -> tuple[int, float]:
    """The row in [earliest, latest) where the strongest step of a series begins, and the step's sign.

    Of all splits the one with the largest difference of means in units of its standard error (the
    CUSUM statistic of a change in mean), on clipped robust z-scores.
    """
    size = len(amount)
    middle = float(np.median(amount))
    quartiles = np.percentile(amount, [25, 75])
    scale = max(float(quartiles[1] - quartiles[0]) / 1.349, 0.1 * float(amount.std()), 1e-9)
    first = min(max(earliest, 1), size - 1)
    splits = np.arange(first, max(min(latest, size), first + 1))
    best, onset, sign = -np.inf, first, signs[0]
    for direction in signs:
        z = np.clip(direction * (amount - middle) / scale, *CLIP)
        before = np.concatenate([[0.0], np.cumsum(z)])
        after = size - splits
        step = (before[-1] - before[splits]) / after - before[splits] / splits
        gain = step * np.sqrt(after * splits / size)
        at = int(np.argmax(gain))
        if gain[at] > best:
            best, onset, sign = float(gain[at]), int(splits[at]), direction
    return onset, sign
