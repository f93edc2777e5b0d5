"""One incident a cause: to which incident an alert belongs, by what its sender says, by place and by time.

An alert that is known by the same key (a fingerprint) or shares a group or page with one of an incident
belongs to it. So does an alert of the same component, or of one that is at most some calls away, whatever
the direction: failures travel from callees to callers, load from callers to callees. All within a time,
because two failures of one service on one day may have two causes. Where several incidents are near,
the nearest is joined, and among those the oldest; the others are then one with it, because in another order
of the same alerts they would never have been two, unless a later one found a cause that the earlier did not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rca.sources.naming import UNKNOWN
from rca.stores.members import Members, Stretch
from rca.stores.records import AlertRecord

if TYPE_CHECKING:
    from rca.sources.received import AlertNotice
    from rca.topology import Topology

PAGE_LABEL = "pagerduty_incident"
_MOST_LABELS, _LONGEST = 40, 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearness:
    """How alerts belong together.

    Attributes:
        near: component -> what is near it, and how many calls away; itself at 0.
        apart: ns that the alerts of an incident may begin apart.
    """

    near: Mapping[str, Mapping[str, int]]
    apart: int

    def choose(self, alert: AlertRecord, members: Members) -> str:
        """The incident that an alert belongs to; "" where it is none of the members'."""
        best = min(self._near(alert, members), key=lambda each: (each[0], each[1].order), default=None)
        return "" if best is None else best[1].incident

    def others(self, alert: AlertRecord, incident: str, members: Members) -> list[str]:
        """Further open incidents that it belongs to, oldest first: had it been the first alert, they were one."""
        found = {each.incident for _, each in self._near(alert, members) if each.is_open}
        return sorted(found - {incident}, key=members.order)

    def _near(self, alert: AlertRecord, members: Members) -> list[tuple[int, Stretch]]:
        """Stretches of incidents that the alert belongs to, each with how far it is away."""
        found = [(-1, each) for each in members.paged(alert)]  # a page is about its alerts whenever it comes
        found += [(-1, each) for each in members.sharing(alert) if each.is_near(alert.start, self.apart)]
        for place, distance in self.near.get(alert.component, {}).items():
            found += [
                (distance, each) for each in members.at(place) if each.is_open and each.is_near(alert.start, self.apart)
            ]
        return found


def neighbours(topology: Topology, components: Iterable[str], hops: int) -> dict[str, dict[str, int]]:
    """What is at most ``hops`` calls away from each component, in either direction.

    A host is one step from what runs on it, a service one from its replicas.
    """
    beside: dict[str, set[str]] = {}
    for facts in (topology.hosts, topology.replica_of):
        for one, other in facts.items():
            beside.setdefault(one, set()).add(other)
            beside.setdefault(other, set()).add(one)
    return {name: _reach(name, hops, lambda each: _next(topology, beside, each)) for name in set(components)}


def _next(topology: Topology, beside: Mapping[str, set[str]], name: str) -> set[str]:
    return {*topology.callees(name), *topology.callers(name), *beside.get(name, ())}


def _reach(name: str, hops: int, following: Callable[[str], set[str]]) -> dict[str, int]:
    if name in ("", UNKNOWN):  # two alerts that name nobody have nothing in common
        return {}
    found = {name: 0}
    frontier = {name}
    for distance in range(1, hops + 1):
        frontier = {other for each in frontier for other in following(each)} - found.keys()
        found.update(dict.fromkeys(frontier, distance))
    return found


def record_of(notice: AlertNotice, now: int, *, keys: Sequence[str] = ()) -> AlertRecord:
    """An alert as incidents know it; ``keys`` are further groups that it belongs to."""
    alert = notice.alert
    labels = {name[:_LONGEST]: value[:_LONGEST] for name, value in list(alert.labels.items())[:_MOST_LABELS]}
    return AlertRecord(
        key=notice.key,
        start=now if alert.time is None else alert.time,
        component=alert.component,
        name=alert.name,
        state=notice.status,
        groups=tuple(dict.fromkeys(group for group in (notice.group, *keys) if group)),
        page=alert.labels.get(PAGE_LABEL, ""),
        labels=labels,
    )


def title_of(alerts: Sequence[AlertRecord]) -> str:
    """What an incident is called: its first alert, and how many others there are."""
    told = [alert for alert in alerts if not alert.page] or list(alerts)
    if not told:
        return ""
    first = f"{told[0].name} on {told[0].component}" if told[0].component not in ("", UNKNOWN) else told[0].name
    others = len({(alert.name, alert.component) for alert in told}) - 1
    return first[:_LONGEST] + (f" and {others} more" if others else "")
