"""Alerts as events: how surprising each is on its component, compared with what it raises in other incidents.

An alert that a component raises in every incident says nothing; one that it never raised, or that
its replicas do not raise now, says much. The surprise is -log P(alert on this component) over past
incidents, without labels; where no history is known, log(components / components that raise it) of
the incident itself. Alerts that tell one thing several times share a group and one vote.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from rca.extract.context import Context
from rca.health.events import LOWEST, EventHistory, alert_key
from rca.kinds import find_kind, load_kinds
from rca.topology import Topology
from rca.types import Alert, Event, Evidence

# The surprise of an alert that was never seen and that no replica shows: the blame of 1.
FULL_SURPRISE = -2.0 * math.log(LOWEST)
# A caller's complaint says more of its callee than an alert of the callee's own: it saw the symptom.
CLIENT_WEIGHT = 1.5
# Degradations that a component can inherit from what it calls.
EXPLAINABLE = ("latency.", "traffic.", "errors.", "availability.", "throughput.")


def extract_alerts(context: Context) -> list[Event]:
    """One event per component and alert, and one per callee that a caller's own spans complain of.

    Blame is surprise / (2 ln 10^4), doubled where the component has replicas and none of them shows
    the alert, so that it lies in [0, 1]. Without a history it is also multiplied by the prior of its
    kind in the catalogue; with one, how usual the alert is was measured and needs no prior. Spans at
    the entry of the system show only what users feel and carry none. Alerts about calls, latency,
    traffic and errors are explainable by a callee.
    """
    alerts = [alert for alert in context.case.telemetry.alerts if alert.component]
    if not alerts:
        return []
    for kind in sorted({alert.kind for alert in alerts}):
        find_kind(kind, where="alerts")
    history = context.health.events
    history = history.without(context.case) if history is not None else None
    shown = Shown.of(alerts, context, history if history is not None and history.incidents else None)
    events = [shown.event(component, key) for component, key in sorted(shown.alerts)]
    events += shown.client_view()
    return _distinct(events)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The alerts of one incident: who shows what, and how usual that is.

    Attributes:
        alerts: (component, alert key) -> its alerts, at least one.
        components: everything that could have raised one.
        history: past incidents without this one, None where there are none.
    """

    alerts: dict[tuple[str, str], list[Alert]]
    components: tuple[str, ...]
    topology: Topology
    history: EventHistory | None
    start: int
    end: int

    @classmethod
    def of(cls, alerts: Iterable[Alert], context: Context, history: EventHistory | None) -> Shown:
        """Alerts gathered by component and key."""
        gathered: dict[tuple[str, str], list[Alert]] = defaultdict(list)
        for alert in sorted(alerts, key=_order):
            gathered[alert.component, alert_key(alert)].append(alert)
        window = context.case.incident.window
        return cls(
            alerts=dict(gathered),
            components=context.members,
            topology=context.topology,
            history=history,
            start=window.start,
            end=window.end,
        )

    @cached_property
    def on(self) -> dict[str, set[str]]:
        """Alert key -> components that show it."""
        found: dict[str, set[str]] = defaultdict(set)
        for component, key in self.alerts:
            found[key].add(component)
        return found

    @cached_property
    def replicas(self) -> dict[str, list[str]]:
        """Service -> its components, sorted."""
        found: dict[str, list[str]] = defaultdict(list)
        for component in self.components:
            found[self.topology.service(component)].append(component)
        return found

    def surprise(self, component: str, key: str) -> float:
        """-log of the rate of an alert on a component, natural logarithm, at least 0."""
        if self.history is not None:
            return -math.log(self.history.rate(component, key))
        return math.log(len(self.components) / len(self.on[key]))

    def is_alone(self, component: str, key: str) -> bool:
        """Whether the component has replicas and none of them shows the alert."""
        siblings = [name for name in self.replicas[self.topology.service(component)] if name != component]
        return bool(siblings) and not self.on[key].intersection(siblings)

    def event(self, component: str, key: str) -> Event:
        """The event of one alert on one component."""
        alerts = self.alerts[component, key]
        alert = alerts[0]
        surprise, alone = self.surprise(component, key), self.is_alone(component, key)
        role = alert.labels.get("role", "")
        blame = min(surprise / FULL_SURPRISE * (2.0 if alone else 1.0), 1.0)
        if self.history is None:
            blame *= load_kinds()[alert.kind].prior
        start, end = self._times(alerts)
        evidence = Evidence(
            sentence=self._sentence(alert, key, alone),
            group=f"alert: {alert.group or alert.name}",
            blame=0.0 if role == "entry" else blame,
            likelihood=surprise / math.log(10),
            explainable=bool(alert.operation) or alert.kind.startswith(EXPLAINABLE),
        )
        facts = {"role": role, "peer": alert.peer, "operation": alert.operation}
        return Event(
            id=f"{alert.kind}:{component}:{f'{role} ' if role else ''}{alert.name}",
            component=component,
            kind=alert.kind,
            name=alert.name,
            start=start,
            end=end,
            severity=max(one.severity for one in alerts),
            direction=alert.direction,
            evidence=evidence,
            attributes={**alert.labels, **{name: fact for name, fact in facts.items() if fact}},
        )

    def client_view(self) -> list[Event]:
        """What callers' own spans say of the services that they call: evidence about the callee.

        A span that a component reports about itself, with an operation that history knows as a call
        to one service, is its client's view of that call. Complaints about many callees at once
        speak of the caller's side instead: each counts its share.
        """
        complaints: dict[str, dict[str, tuple[float, Alert]]] = defaultdict(dict)
        callee_of = self.history.callee_of if self.history is not None else {}
        for component, key in sorted(self.alerts):
            alert = self.alerts[component, key][0]
            if alert.labels.get("role") != "self":
                continue
            callee = callee_of.get((self.topology.service(component), alert.operation), "")
            if callee and callee != self.topology.service(component):
                found = self.surprise(component, key), alert
                complaints[component][callee] = max(complaints[component].get(callee, found), found, key=_first)
        return [
            self._complaint(component, target, surprise / len(callees), alert)
            for component, callees in sorted(complaints.items())
            for callee, (surprise, alert) in sorted(callees.items())
            for target in self.replicas.get(callee, ())
        ]

    def _complaint(self, caller: str, component: str, surprise: float, alert: Alert) -> Event:
        start, end = self._times([alert])
        evidence = Evidence(
            sentence=f"{caller} complains of its calls into {component}: {alert.name}",
            group="client view",
            blame=min(CLIENT_WEIGHT * surprise / FULL_SURPRISE, 1.0),
            likelihood=surprise / math.log(10),
        )
        return Event(
            id=f"dependency.blamed:{component}:by {caller}",
            component=component,
            kind="dependency.blamed",
            name=f"by {caller}",
            start=start,
            end=end,
            severity=alert.severity,
            direction=alert.direction,
            evidence=evidence,
            attributes={"peer": caller, "operation": alert.operation},
        )

    def _times(self, alerts: list[Alert]) -> tuple[int, int]:
        start = min(self.start if alert.time is None else alert.time for alert in alerts)
        end = max(self.end if alert.end is None else alert.end for alert in alerts)
        return start, max(start, end)

    def _sentence(self, alert: Alert, key: str, alone: bool) -> str:
        what = f"{alert.name} {'rose' if alert.direction == 'up' else 'fell'}" if _is_metric(alert) else alert.name
        if self.history is not None:
            count = self.history.raised.get((alert.component, key), 0)
            past = self.history.present.get(alert.component, 0)
            usual = f"{alert.component} showed this in {count} of {past} other incidents"
        else:
            usual = f"{len(self.on[key])} of {len(self.components)} components show this"
        contrast = "; none of its replicas does" if alone else ""
        return f"{what}: {usual}{contrast}"


def _first(pair: tuple[float, Alert]) -> float:
    return pair[0]


def _order(alert: Alert) -> tuple[object, ...]:
    """Alerts in an order that does not depend on how they arrived."""
    time = -1 if alert.time is None else alert.time
    return time, alert.kind, alert.group, alert.peer, alert.severity, sorted(alert.labels.items())


def _is_metric(alert: Alert) -> bool:
    return alert.direction != "none" and not alert.operation


def _distinct(events: list[Event]) -> list[Event]:
    """The events with ids that differ: repeats are numbered."""
    seen: dict[str, int] = defaultdict(int)
    distinct = []
    for event in events:
        seen[event.id] += 1
        count = seen[event.id]
        distinct.append(event if count == 1 else replace(event, id=f"{event.id} ({count})"))
    return distinct
