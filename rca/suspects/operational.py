"""Causes that no change of code explains: demand, a full host or neighbour, a bad record, the world outside.

They compete with the changes: where one of them is well founded, "none" is the answer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from rca.extract.abnormal import AbnormalSeries
from rca.extract.context import Context
from rca.extract.failing import DEMAND_FACTOR, competitors, demand_factors, is_demand
from rca.extract.meaning import classify, kind_of
from rca.quantities import clock, quantity
from rca.suspects.evidence_text import Observed, failures, observe
from rca.suspects.vocabulary import tokens
from rca.types import Event, Evidence

GROUP = "operational"

# Without a topology nobody knows whether demand comes from outside.
UNSURE_DEMAND = 0.6
# Demand that grew by the factor f is believed to be the cause by 1 - 1.5 / f: little growth is no surge.
DEMAND_SCALE = 1.5
# A host or neighbour that fills up before the failure is a cause; at the same time it may be an effect;
# a store beside the service is more often a victim.
EARLIER, SAME_TIME, STORE = 0.9, 0.5, 0.3
# A host on which neither the failing component nor a callee of it runs, or of whose resource the failing
# component itself uses more.
ELSEWHERE = 0.1
# Memory and disks hurt nobody before they are this full.
NEARLY_FULL = 0.85
# A resource that was all but unused before belongs to somebody who just arrived.
UNUSED = 0.02
# Failures that must carry one and the same record, and their share of all.
FEWEST_FAILURES, SAME_RECORD, RECORD_BELIEF = 5, 0.8, 0.9

_HOST_LIKE = re.compile(
    r"node|host|(^|[^a-z])vm([^a-z]|$)|machine|batch|cron|job|tenant|export|backup|rack|hypervisor", re.IGNORECASE
)
_IDENTIFIER = re.compile(r"\b(?=[\w\-]*\d{4})[\w\-]{6,}\b")
_RECORD_NAME = re.compile(
    r"(id|offset|key|record|seq|uuid|order|account|tenant|msg|message)[\"']?\s*[=:#]?\s*[\"']?$", re.IGNORECASE
)
_NO_RECORD = re.compile(r"0x|\d{4}-\d\d-\d\d|v?\d{4}\.")
_ERROR_CODE = re.compile(r"[A-Z]{1,6}[-_]?\d{4,5}")
_QUANTITY = re.compile(r"\d+[a-zA-Z]{0,3}")
# What log lines and alerts say about the world outside, in small letters: words of which one must be
# there (they cost far less to look for), pattern, kind of event, belief.
_OUTSIDE = (
    (
        ("cert", "x509"),
        r"certificate (has )?expired|x509.*expired|cert\w*[^.\n]{0,20} expir",
        "external.certificate_expired",
        0.8,
    ),
    (
        ("nxdomain", "no such host", "servfail", "dns", "name resolution"),
        r"nxdomain|no such host|servfail|dns (resolution|lookup|timeout|fail)|name resolution",
        "external.dns",
        0.5,
    ),
    (
        ("outage", "impaired", "unavailable", "degraded", "evacuat", "unreachable"),
        r"\b(region|zone|az|availability)\b[^.\n]{0,40}(outage|impaired|unavailable|degraded|evacuat|unreachable)",
        "external.region_impaired",
        0.7,
    ),
    (
        ("third", "provider", "vendor", "partner", "carrier", "isp", "status page"),
        r"(third.?party|provider|vendor|partner|carrier|isp|status page)[^.\n]{0,60}"
        r"(outage|unavailable|\bdown\b|degraded|\b5\d\d\b|maintenance|incident|rate.?limit)"
        r"|(outage|incident)[^.\n]{0,40}(provider|vendor|third)",
        "external.provider_error",
        0.7,
    ),
    (
        ("preempt", "spot ", "node", "hardware", "i/o", "bad sector", "packet", "link", "clock", "ntp", "throttled"),
        r"preempt|spot (instance )?(terminat|interrupt)|node (not ?ready|drain|pressure)|hardware|i/o error|bad sector"
        r"|packet loss|link flap|clock skew|\bntp\b|throttled by host",
        "host.pressure",
        0.5,
    ),
)
_OUTSIDE_PATTERNS = tuple((words, re.compile(pattern), kind, belief) for words, pattern, kind, belief in _OUTSIDE)


def find_operational(context: Context, first: str, onset: int) -> list[Event]:
    """Operational causes of the failure of ``first``: their severity is the belief in them.

    The events carry no blame of their own: the labels of who fails stay with who fails. They weigh
    in ``rank_suspects``.
    """
    abnormal = context.abnormal
    return operational_events(context, abnormal, observe(context, abnormal, first, onset), onset)


def operational_events(context: Context, abnormal: AbnormalSeries, observed: Observed, onset: int) -> list[Event]:
    """As ``find_operational``, from what was already found; ``onset`` of the blamed component in ns."""
    events = [
        *_demand(context, abnormal, observed),
        *_resources(context, abnormal, observed, onset),
        *_same_record(context, observed),
        *_outside(context, observed, onset),
    ]
    return sorted(events, key=lambda event: (-event.severity, event.id))


def belief_in(events: list[Event]) -> float:
    """The belief that the cause is operational: noisy-or of the two strongest reasons, in [0, 1]."""
    strongest = sorted((e.severity for e in events if e.evidence and e.evidence.group == GROUP), reverse=True)[:2]
    return float(1 - np.prod([1 - severity for severity in strongest]))


def _demand(context: Context, abnormal: AbnormalSeries, observed: Observed) -> Iterator[Event]:
    """Demand that grew at the blamed component and at all that call it comes from outside."""
    factors = demand_factors(abnormal)
    factor = factors.get(observed.first, 1.0)
    callers = context.topology.callers(observed.first)
    if factor <= DEMAND_FACTOR or any(factors.get(caller, np.inf) <= DEMAND_FACTOR for caller in callers):
        return
    known = bool(context.topology.caller.size)
    belief = (1 - DEMAND_SCALE / factor) * (1.0 if known else UNSURE_DEMAND)
    series = [int(i) for i in abnormal.of(observed.first) if is_demand(abnormal.metric(int(i)))]
    i = max(series, key=lambda j: (abs(abnormal.deviation[j]), -j))
    whose = " and so were all its callers" if callers else ", and nothing here calls it"
    yield _event(
        context,
        component=observed.first,
        kind="traffic.up",
        name=abnormal.metric(i),
        start=int(abnormal.onset[i]),
        belief=belief,
        sentence=f"{observed.first} was asked {factor:.1f} times as much as in health{whose}",
    )


def _resources(context: Context, abnormal: AbnormalSeries, observed: Observed, onset: int) -> Iterator[Event]:
    """Hosts and neighbours outside the request path whose resources fill up no later than the failure."""
    able = competitors(context)
    own = tokens(observed.first)
    own_use = _own_use(abnormal, observed.first)
    beneath = _beneath(context, observed.first)
    for i in range(len(abnormal)):
        component, metric = abnormal.component(i), abnormal.metric(i)
        meaning = classify(metric)
        if (
            component in able
            or abnormal.deviation[i] <= 0
            or meaning.family not in ("cpu", "memory", "disk", "network")
        ):
            continue
        if abnormal.onset[i] > onset + abnormal.step:
            continue
        host = context.topology.kinds.get(component) == "host" or meaning.scope == "host"
        host = host or (bool(_HOST_LIKE.search(f"{component} {metric}")) and not own & tokens(component))
        frame = abnormal.frame
        peak = float(np.nanmax(np.abs(frame.values[abnormal.row[i]])))
        arrived = abnormal.healthy[i] <= UNUSED * peak
        belief = STORE if not host else EARLIER if abnormal.onset[i] < onset or arrived else SAME_TIME
        if abnormal.onset[i] + abnormal.step >= own_use.get(meaning.family, np.inf):
            belief = min(belief, ELSEWHERE)
        if meaning.family in ("memory", "disk") and _share(metric, float(abnormal.level[i])) < NEARLY_FULL:
            belief = min(belief, ELSEWHERE)
        if beneath and component in context.topology.hosts.values() and component not in beneath:
            belief = min(belief, ELSEWHERE)
        when = clock(int(abnormal.onset[i]))
        yield _event(
            context,
            component=component,
            kind=kind_of(metric, "up"),
            name=metric,
            start=int(abnormal.onset[i]),
            belief=belief,
            sentence=(
                f"{metric} of {component} rose at {when} to {quantity(metric, float(abnormal.level[i]))} "
                f"(healthy: {quantity(metric, float(abnormal.healthy[i]))}); {observed.first} failed at {clock(onset)}"
            ),
        )


def _share(metric: str, level: float) -> float:
    """How full a resource is, in [0, 1]; 1 where its metric does not say it."""
    if "ratio" in metric:
        return level
    return level / 100 if "percent" in metric else 1.0


def _beneath(context: Context, component: str) -> frozenset[str]:
    """Hosts of a component, its replicas and their callees; empty where nobody says what runs where."""
    topology = context.topology
    names = {component, *(name for name, service in topology.replica_of.items() if service == component)}
    if not any(name in topology.hosts for name in names):
        return frozenset()
    names |= {callee for name in sorted(names) for callee in topology.callees(name)}
    names |= {name for name, service in topology.replica_of.items() if service in names}
    return frozenset(topology.hosts[name] for name in names if name in topology.hosts)


def _own_use(abnormal: AbnormalSeries, component: str) -> dict[str, int]:
    """Since when the component itself uses more of each resource, ns: what its host shows later is an effect."""
    since: dict[str, int] = {}
    for i in abnormal.of(component):
        if abnormal.deviation[i] > 0:
            family = classify(abnormal.metric(int(i))).family
            since[family] = min(int(abnormal.onset[i]), since.get(family, int(abnormal.onset[i])))
    return since


def _same_record(context: Context, observed: Observed) -> Iterator[Event]:
    """Every failure names one record that health never named: the data is bad, not the code."""
    lines = failures(observed)
    total = lines.total()
    if total < FEWEST_FAILURES:
        return
    usual = " ".join((*observed.healthy, *(_said(context))))
    counts: Counter[str] = Counter()
    for line, count in lines.items():
        counts.update(dict.fromkeys(set(record_names(line)), count))
    counts = Counter({name: n for name, n in counts.items() if name not in usual})
    if not counts:
        return
    name, count = min(counts.items(), key=lambda item: (-item[1], item[0]))
    if count < SAME_RECORD * total:
        return
    yield _event(
        context,
        component=observed.first,
        kind="data.out_of_range",
        name=name,
        start=min(t.first for t in observed.faults if t.component == observed.first),
        belief=RECORD_BELIEF,
        sentence=f"{count} of {total} new errors of {observed.first} carry one and the same record, {name}",
    )


def record_names(line: str) -> Iterator[str]:
    """Identifiers of records in a line: no dates, addresses, error codes or limits with their unit."""
    for match in _IDENTIFIER.finditer(line):
        name = match[0]
        if _NO_RECORD.match(name) or _ERROR_CODE.fullmatch(name):
            continue
        if _QUANTITY.fullmatch(name) and not _RECORD_NAME.search(line[max(0, match.start() - 20) : match.start()]):
            continue
        yield name


def _said(context: Context) -> Iterator[str]:
    """What deployments say of themselves: their versions are no records."""
    for change in context.case.telemetry.changes:
        if change.kind != "change.commit":
            yield " ".join((change.name, *change.attributes.values()))


def _outside(context: Context, observed: Observed, onset: int) -> Iterator[Event]:
    texts = {seen.text: seen.text.lower() for seen in observed.seen}
    for words, pattern, kind, belief in _OUTSIDE_PATTERNS:
        said = _first_said(pattern, {text: low for text, low in texts.items() if any(word in low for word in words)})
        if said:
            yield _event(
                context,
                component=observed.first,
                kind=kind,
                name=said[:80],
                start=onset,
                belief=belief,
                sentence=f"what was logged or alerted around {observed.first} says “{said[:80]}”",
            )


def _first_said(pattern: re.Pattern[str], texts: Mapping[str, str]) -> str:
    """What the first text says that matches in small letters, as it is written; "" where none does."""
    for text, low in texts.items():
        match = pattern.search(low)
        if match:
            return text[match.start() : match.end()] if len(text) == len(low) else match[0]
    return ""


def _event(
    context: Context, *, component: str, kind: str, name: str, start: int, belief: float, sentence: str
) -> Event:
    return Event(
        id=f"{kind}:{component}:{name}:operational",
        component=component,
        kind=kind,
        name=name,
        start=start,
        end=max(start, context.case.incident.window.end),
        severity=belief,
        direction="up" if kind.startswith(("traffic", "saturation")) else "none",
        evidence=Evidence(sentence=sentence, group=GROUP, blame=0.0),
    )
