"""The alerts of incidents that are open, or were until a moment ago, found by what joins others to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rca.stores.records import AlertRecord


@dataclass(slots=True)
class Stretch:
    """When alerts of an incident that share something began: the first and the last of them, in ns.

    ``order`` is the incident's place among all, oldest first.
    """

    incident: str
    order: int
    is_open: bool
    first: int
    last: int

    def is_near(self, start: int, apart: int) -> bool:
        """Whether an alert that began then is at most so many ns away."""
        return self.first - apart <= start <= self.last + apart


@dataclass(slots=True)
class Members:
    """All of these alerts. However many an incident has, it stands once under each thing that its alerts share."""

    _order: dict[str, int] = field(default_factory=dict)
    _causes: dict[str, str] = field(default_factory=dict)
    _found: dict[str, str] = field(default_factory=dict)
    _parted: set[str] = field(default_factory=set)
    _groups: dict[str, dict[str, Stretch]] = field(default_factory=dict)
    _paged: dict[str, dict[str, Stretch]] = field(default_factory=dict)
    _keys: dict[str, dict[str, Stretch]] = field(default_factory=dict)
    _places: dict[str, dict[str, Stretch]] = field(default_factory=dict)

    def add(
        self, alert: AlertRecord, *, is_open: bool, cause: str = "", sure: bool = False, parted: bool = False
    ) -> None:
        """Adds an alert of an incident.

        Args:
            cause: what the incident's report names first.
            sure: whether the report believes it.
            parted: whether the incident was merged with another, which somebody undid.
        """
        self._found.setdefault(alert.incident, cause if sure else "")
        if parted:
            self._parted.add(alert.incident)
        cause = self._causes.setdefault(alert.incident, cause)
        for group in alert.groups:
            self._extend(self._groups, group, alert, is_open)
            if alert.page:
                self._extend(self._paged, group, alert, is_open)
        self._extend(self._keys, alert.key, alert, is_open)
        for place in {alert.component, cause} - {""}:
            self._extend(self._places, place, alert, is_open)

    def sharing(self, alert: AlertRecord) -> Iterator[Stretch]:
        """Of alerts with the same key or a common group."""
        for group in alert.groups:
            yield from self._groups.get(group, {}).values()
        yield from self._keys.get(alert.key, {}).values()

    def paged(self, alert: AlertRecord) -> Iterator[Stretch]:
        """Of pages with a common group; of alerts with a common group where it is a page itself."""
        known = self._groups if alert.page else self._paged
        for group in alert.groups:
            yield from known.get(group, {}).values()

    def at(self, place: str) -> Iterator[Stretch]:
        """Of alerts of a component, and of incidents whose cause it is."""
        yield from self._places.get(place, {}).values()

    def order(self, incident: str) -> int:
        """An incident's place among all, oldest first."""
        return self._order[incident]

    def may_be_one(self, home: str, later: str) -> bool:
        """Whether nothing is lost when a later incident is merged: what it found, the earlier one found too."""
        return later not in self._parted and self._found[later] in ("", self._found[home])

    def merge(self, later: str, home: str) -> None:
        """Counts the alerts of a later incident as those of an earlier one."""
        for table in (self._groups, self._paged, self._keys, self._places):
            for stretches in table.values():
                if (moved := stretches.pop(later, None)) is not None:
                    kept = stretches.setdefault(home, Stretch(home, self._order[home], True, moved.first, moved.last))
                    kept.first, kept.last = min(kept.first, moved.first), max(kept.last, moved.last)

    def _extend(self, table: dict[str, dict[str, Stretch]], name: str, alert: AlertRecord, is_open: bool) -> None:
        order = self._order.setdefault(alert.incident, len(self._order))
        found = table.setdefault(name, {}).setdefault(
            alert.incident, Stretch(alert.incident, order, is_open, alert.start, alert.start)
        )
        found.first, found.last = min(found.first, alert.start), max(found.last, alert.start)
        found.is_open = is_open
