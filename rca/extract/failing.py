"""The component that failed first: weak evidence, for incidents where nothing stronger speaks.

Three signs and an excuse: its own metrics deviate before those of others; its spans fail with no
failing span below them (work cancelled by a caller counts for nobody); it is what alerted. Demand
that rose together with a caller's is the caller's doing. None of it is explainable by a callee: order
already says who came first, and error spans already end at the deepest. The excuse is not weak: slowness under
a caller's demand is the caller's, however clearly it is measured.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rca.extract.abnormal import AbnormalSeries
from rca.extract.context import Context
from rca.extract.meaning import classify, kind_of
from rca.kinds import load_kinds
from rca.quantities import clock, duration, number, quantity
from rca.spans import LinkedSpans
from rca.types import Direction, Event, Evidence

# A component that deviates this many samples after the first one has half the blame of being first.
ORDER_SCALE = 5.0
# Of those that failed at once the one that deviates more is suspected first: size counts for up to half.
SIZE_SCALE = 30.0
# Blame of one failing span with nothing failing below it; three of them are as good as many.
ERROR_SPAN = 0.4
# What the alerting component gets: little, because alerts fire where users feel it.
ALERTING = 0.3
# Demand that grew by this factor, here and at a caller, explains what follows from load.
DEMAND_FACTOR, DEMAND_EXCUSE = 2.0, -0.5
# Counts per request and of failures are no demand.
NO_DEMAND = ("per_request", "per_call", "_queue", "queue_")
FAILED = 2


def extract_order(context: Context) -> list[Event]:
    """Weak events about whose metrics left health first."""
    return _order_events(context, context.abnormal, competitors(context))


def extract_failing(context: Context) -> list[Event]:
    """Weak events about who failed: error spans, demand that excuses, the alert itself."""
    able = competitors(context)
    return [
        *_span_events(context, able),
        *_demand_events(context, context.abnormal, able),
        *_symptom_events(context),
    ]


def competitors(context: Context) -> frozenset[str]:
    """Components that take part in requests: with spans, logs of traces, dependencies or a symptom.

    Hosts and neighbours on them are causes of another sort. Where nothing shows who takes part,
    every component does.
    """
    telemetry, topology = context.case.telemetry, context.topology
    spans, logs = telemetry.spans, telemetry.logs
    names = {spans.components[code] for code in np.unique(spans.component)}
    if len(logs):
        names |= {logs.components[code] for code in np.unique(logs.component[logs.trace != ""])}
    linked = np.unique(np.concatenate([topology.caller, topology.callee]))
    names |= {topology.components[code] for code in linked}
    names = {name for name in names if topology.kinds.get(name) != "host"}
    if not names:
        return frozenset(context.components)
    return frozenset(names | {symptom.component for symptom in context.case.incident.symptoms})


def demand_factors(abnormal: AbnormalSeries) -> dict[str, float]:
    """By which factor the requests into each component grew; only components whose demand is abnormal."""
    factors: dict[str, float] = {}
    for i in range(len(abnormal)):
        metric = abnormal.metric(i)
        if is_demand(metric) and abnormal.frame.peer[abnormal.row[i]] < 0:
            factor = float(abnormal.level[i] / max(abnormal.healthy[i], 1e-9))
            name = abnormal.component(i)
            factors[name] = max(factor, factors.get(name, 0.0))
    return factors


def is_demand(metric: str) -> bool:
    """Whether a metric counts what a component is asked to do."""
    meaning = classify(metric)
    return meaning.family == "traffic" and meaning.side == "server" and not any(part in metric for part in NO_DEMAND)


def _order_events(context: Context, abnormal: AbnormalSeries, able: frozenset[str]) -> list[Event]:
    if not len(abnormal):
        return []
    lag = abnormal.onset - int(abnormal.onset.min())
    size = np.abs(abnormal.deviation)
    blame = _order_priors(abnormal) / (1 + lag / (ORDER_SCALE * abnormal.step)) * (1 + size / (size + SIZE_SCALE)) / 2
    # Of a component's series the one with most blame speaks; of several the one that deviates most.
    order = np.lexsort((abnormal.row, -np.abs(abnormal.deviation), -blame))
    codes = abnormal.frame.component[abnormal.row[order]]
    _, firsts = np.unique(codes, return_index=True)
    best = [int(order[first]) for first in firsts]
    return [
        _order_event(context, abnormal, i, int(lag[i]), float(blame[i]))
        for i in best
        if blame[i] > 0 and abnormal.component(i) in able
    ]


def _order_priors(abnormal: AbnormalSeries) -> npt.NDArray[np.float64]:
    """How readily each series shows a cause: between the prior of its kind and 1, as order says more than kind.

    0 for observations and for series that describe the machine below.
    """
    codes = abnormal.frame.metric[abnormal.row].astype(np.int64) * 2 + (abnormal.deviation > 0)
    distinct, position = np.unique(codes, return_inverse=True)
    priors = []
    for code in distinct.tolist():
        metric = abnormal.frame.metrics[code // 2]
        prior = load_kinds()[kind_of(metric, "up" if code % 2 else "down")].prior
        counts = prior > 0 and classify(metric).scope == "component"
        priors.append((1 + prior) / 2 if counts else 0.0)
    return np.array(priors)[position]


def _order_event(context: Context, abnormal: AbnormalSeries, i: int, lag: int, blame: float) -> Event:
    component, metric, onset = abnormal.component(i), abnormal.metric(i), int(abnormal.onset[i])
    direction: Direction = "up" if abnormal.deviation[i] > 0 else "down"
    kind = kind_of(metric, direction)
    when = "before any other component" if lag == 0 else f"{duration(lag)} after the first component"
    sentence = (
        f"{component} departed from its healthy level at {clock(onset)}, {when}: "
        f"{metric} at {quantity(metric, float(abnormal.level[i]))} "
        f"(healthy: {quantity(metric, float(abnormal.healthy[i]))})"
    )
    return Event(
        id=f"{kind}:{component}:{metric}:order",
        component=component,
        kind=kind,
        name=metric,
        start=onset,
        end=max(onset, context.case.incident.window.end),
        severity=float(1 - 3 / (3 + abs(abnormal.deviation[i]))),
        direction=direction,
        evidence=Evidence(sentence=sentence, group="order", blame=blame, weak=True),
    )


def _span_events(context: Context, able: frozenset[str]) -> list[Event]:
    spans, window = context.linked.spans, context.case.incident.window
    deepest = _deepest_failures(context.linked)
    if not deepest.any():
        return []
    inside = spans.start >= window.start
    size = len(spans.components)
    found = np.bincount(spans.component[deepest & inside], minlength=size).astype(np.float64)
    before = np.bincount(spans.component[deepest & ~inside], minlength=size).astype(np.float64)
    traffic = np.bincount(spans.component[inside], minlength=size)
    healthy_traffic = np.bincount(spans.component[~inside], minlength=size)
    expected = before * traffic / np.maximum(healthy_traffic, 1)
    # Failures above twice the counting noise of what health would have shown.
    excess = np.maximum(0.0, found - expected - 2 * np.sqrt(expected))
    return [
        _span_event(
            context, spans.components[code], int(found[code]), int(traffic[code]), expected[code], excess[code], deepest
        )
        for code in np.flatnonzero(excess)
        if spans.components[code] in able
    ]


def _span_event(
    context: Context,
    component: str,
    found: int,
    traffic: int,
    expected: float,
    excess: float,
    deepest: npt.NDArray[np.bool_],
) -> Event:
    spans, window = context.linked.spans, context.case.incident.window
    own = deepest & (spans.start >= window.start) & (spans.component == spans.components.index(component))
    times = spans.start[own]
    sentence = (
        f"{found} of {traffic} spans of {component} failed while none of its callees did "
        f"(usual: {'none' if expected < 0.05 else number(round(float(expected), 1))})"
    )
    return Event(
        id=f"errors.up:{component}:failing spans",
        component=component,
        kind="errors.up",
        name="failing spans",
        start=int(times.min()),
        end=max(int(times.max()), int(times.min())),
        severity=min(1.0, found / max(traffic, 1)),
        direction="up",
        evidence=Evidence(
            sentence=sentence, group="error spans", blame=float(min(1.0, ERROR_SPAN * excess)), weak=True
        ),
    )


def _deepest_failures(linked: LinkedSpans) -> npt.NDArray[np.bool_]:
    """Failing spans that no failing child accounts for; cancelled ones neither fail nor account."""
    spans = linked.spans
    failed: npt.NDArray[np.bool_] = spans.status == FAILED
    if not failed.any():
        return failed
    rows = np.flatnonzero(failed)
    said = (f"{spans.text[row]} {spans.operations[spans.operation[row]]}".lower() for row in rows)
    failed[rows] = [("cancel" not in text) for text in said]
    parents = linked.parent[failed]
    accounted = np.zeros(len(spans), bool)
    accounted[parents[parents >= 0]] = True
    failed &= ~accounted
    return failed


def _demand_events(context: Context, abnormal: AbnormalSeries, able: frozenset[str]) -> list[Event]:
    factors = {name: factor for name, factor in demand_factors(abnormal).items() if factor > DEMAND_FACTOR}
    events = []
    for component in sorted(set(factors) & able):
        callers = [caller for caller in context.topology.callers(component) if caller in factors]
        if callers:
            events.append(_demand_event(context, abnormal, component, factors[component], callers[0]))
    return events


def _demand_event(context: Context, abnormal: AbnormalSeries, component: str, factor: float, caller: str) -> Event:
    start = min(int(abnormal.onset[i]) for i in abnormal.of(component) if is_demand(abnormal.metric(int(i))))
    sentence = f"{component} was asked {factor:.1f} times as much as in health, and so was its caller {caller}"
    return Event(
        id=f"traffic.up:{component}:demand of {caller}",
        component=component,
        kind="traffic.up",
        name=f"demand of {caller}",
        start=start,
        end=max(start, context.case.incident.window.end),
        severity=float(1 - 1 / factor),
        direction="up",
        evidence=Evidence(sentence=sentence, group="demand", blame=DEMAND_EXCUSE, weak=True),
    )


def _symptom_events(context: Context) -> list[Event]:
    incident = context.case.incident
    events: dict[str, Event] = {}
    for symptom in incident.symptoms:
        time = incident.alert_time
        about = f" about {symptom.metric}" if symptom.metric else ""
        events[symptom.component] = Event(
            id=f"alert.firing:{symptom.component}:symptom",
            component=symptom.component,
            kind="alert.firing",
            name=symptom.metric or "symptom",
            start=time,
            end=time,
            severity=0.5,
            direction=symptom.direction,
            evidence=Evidence(
                sentence=f"{symptom.component} is where it was noticed{about} at {clock(time)}",
                group="symptom",
                blame=ALERTING,
                weak=True,
            ),
        )
    return list(events.values())
