"""Events and sentences of amounts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rca.extract.amount_series import AmountSeries, Kind
from rca.extract.amount_shares import CallGraph, Shares
from rca.extract.context import Context
from rca.types import Direction, Event, Evidence

SMALL = 1e-3
"""Blame below this is not reported."""
NEARLY_ALL = 0.95
"""Share of what was lost above which the rest is rounding: estimates of parts may exceed the whole."""
NOTABLE = 0.1
"""Share of the symptom from which a component is worth an event even where its callees explain all of it."""
CERTAIN = 6.0
"""Cap of the log10 likelihood ratio: the noise is no normal distribution further out."""
MOST_EVENTS = 50
"""Events per symptom and kind of amount; the rest adds nothing to a ranking."""
FEWEST_REQUESTS = 3
"""Requests from which a new component is worth an event: one is a probe."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Shares of one kind of amount in one symptom.

    ``lost`` is the symptom's amount from ``onset`` (a row) on, in the unit of ``kind``;
    ``same_kind`` whether the symptom itself is of that kind.
    """

    kind: Kind
    symptom: int
    same_kind: bool
    sign: float
    onset: int
    lost: float
    shares: Shares


def describe(findings: list[Finding], series: AmountSeries, graph: CallGraph, context: Context) -> list[Event]:
    """One event per component and kind of amount, of the symptom that speaks most clearly, by component."""
    best: dict[tuple[int, Kind], Finding] = {}
    for finding in findings:
        shares = finding.shares
        passes = finding.same_kind & (shares.through > np.maximum(NOTABLE, 2 * shares.error))
        worth = np.flatnonzero((shares.score > SMALL) | passes)
        order = worth[np.lexsort((worth, -shares.through[worth], -shares.score[worth]))][:MOST_EVENTS]
        for component in order:
            key = (int(component), finding.kind)
            other = best.get(key)
            if other is None or shares.score[component] > other.shares.score[component]:
                best[key] = finding
    events = [_amount_event(key[0], best[key], series, graph, context) for key in sorted(best)]
    return events + _appearances(findings, series, graph, context)


def _amount_event(component: int, finding: Finding, series: AmountSeries, graph: CallGraph, context: Context) -> Event:
    shares = finding.shares
    latency = finding.kind == "latency"
    direction: Direction = "up" if finding.sign > 0 else "down"
    kind = f"{'latency' if latency else 'errors'}.{direction}"
    metric = (series.latency_names if latency else series.failure_names)[component]
    name = series.components[component]
    lost = abs(finding.lost)
    z = float(shares.own[component] / max(shares.error[component], 1e-12))
    start, end = _times(finding.onset, series, context)
    evidence = Evidence(
        sentence=_sentence(component, finding, series, graph),
        group="amount",
        blame=float(np.clip(shares.score[component], 0.0, 1.0)) if shares.score[component] > SMALL else 0.0,
        likelihood=min(z * z / 2.0 / np.log(10.0), CERTAIN) if z > 0 else 0.0,
        amount=float(shares.own[component] * lost),
        noise=float(shares.error[component] * lost),
        unit="s" if latency else "failures",
        explainable=True,
    )
    return Event(
        id=f"{kind}:{name}:amount of {metric}",
        component=name,
        kind=kind,
        name=metric,
        start=start,
        end=end,
        severity=float(np.clip(shares.through[component], 0.0, 1.0)),
        direction=direction,
        evidence=evidence,
        attributes={"symptom": series.components[finding.symptom], "share": f"{shares.through[component]:.3f}"},
    )


def _sentence(component: int, finding: Finding, series: AmountSeries, graph: CallGraph) -> str:
    shares, lost = finding.shares, abs(finding.lost)
    name, symptom = series.components[component], series.components[finding.symptom]
    verb = "lost" if finding.sign > 0 else "lacked"
    unit = "s" if finding.kind == "latency" else "requests"
    through, own = float(shares.through[component]) * lost, float(shares.own[component]) * lost
    noise = _number(float(shares.error[component]) * lost)
    if own >= NEARLY_ALL * through:
        rest = f"all of it arose there (± {noise} {unit} in health)"
    elif own > 0:
        rest = f"{_number(own)} {unit} of it arose there (± {noise} {unit} in health)"
    else:
        rest = f"none of it arose there (± {noise} {unit} in health)"
    if not finding.same_kind:
        return f"{name} {verb} {_number(through)} {unit} while {symptom} suffered, {rest}"
    rest += _main_callee(component, finding, series, graph)
    if component == finding.symptom:
        return f"{name} {verb} {_number(through)} {unit}, {rest}"
    if through >= NEARLY_ALL * lost:
        return f"all of the {_number(lost)} {unit} that {symptom} {verb} passed through {name}, {rest}"
    return f"{_number(through)} of the {_number(lost)} {unit} that {symptom} {verb} passed through {name}, {rest}"


def _main_callee(component: int, finding: Finding, series: AmountSeries, graph: CallGraph) -> str:
    """The callee that accounts for half or more of what passes through a component, if there is one."""
    through, split = finding.shares.through, graph.split
    cells = slice(split.indptr[component], split.indptr[component + 1])
    callees = split.indices[cells]
    parts = split.data[cells] * through[callees]
    if not parts.size or parts.max() < 0.5 * through[component]:
        return ""
    explained = _number(float(parts.max()) * abs(finding.lost))
    return f"; {explained} came from its callee {series.components[callees[np.argmax(parts)]]}"


def _appearances(findings: list[Finding], series: AmountSeries, graph: CallGraph, context: Context) -> list[Event]:
    """Components that were not used in health and are now: activity of their callers."""
    if not findings:
        return []
    onset = min(finding.onset for finding in findings)
    requests = np.nansum(series.window.traffic[:, onset:], axis=1) * series.merged
    events = []
    for component in np.flatnonzero(graph.appeared & (requests >= FEWEST_REQUESTS))[:MOST_EVENTS]:
        name = series.components[component]
        start, end = _times(onset, series, context)
        callers = np.flatnonzero(np.asarray(graph.calls[:, [component]].toarray()).ravel() > 0)
        who = f" by {series.components[callers[0]]}" if callers.size else ""
        times = f"{requests[component]:.0f} request{'s' if requests[component] >= 1.5 else ''}"
        evidence = Evidence(
            sentence=f"{name} got {times}{who}; in health it is hardly ever called",
            group="appeared",
        )
        events.append(
            Event(
                id=f"component.appeared:{name}:traffic",
                component=name,
                kind="component.appeared",
                name="traffic",
                start=start,
                end=end,
                severity=0.5,
                direction="up",
                evidence=evidence,
            )
        )
    return events


def _times(onset: int, series: AmountSeries, context: Context) -> tuple[int, int]:
    window = context.case.incident.window
    start = min(max(int(series.window.times[onset]), window.start), window.end)
    return start, window.end


def _number(value: float) -> str:
    """Three significant digits, no exponent, no needless zeros."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 1e-3 else "0"
