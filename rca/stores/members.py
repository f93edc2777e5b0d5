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
    _groups: dict[str, dict[str, Stretch]] = field(default_factory=dict)
    _paged: dict[str, dict[str, Stretch]] = field(default_factory=dict)
    _keys: dict[str, dict[str, Stretch]] = field(default_factory=dict)
    _places: dict[str, dict[str, Stretch]] = field(default_factory=dict)

    def add(self, alert: AlertRecord, *, is_open: bool, cause: str = "") -> None:
        """Adds an alert of an incident; ``cause`` is what the incident's report names."""
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

    def _extend(self, table: dict[str, dict[str, Stretch]], name: str, alert: AlertRecord, is_open: bool) -> None:
        order = self._order.setdefault(alert.incident, len(self._order))
        found = table.setdefault(name, {}).setdefault(
            alert.incident, Stretch(alert.incident, order, is_open, alert.start, alert.start)
        )
        found.first, found.last = min(found.first, alert.start), max(found.last, alert.start)
        found.is_open = is_open
