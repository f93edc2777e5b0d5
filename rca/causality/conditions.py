"""Conditions of rules, for whole arrays of events: Groot's conditional rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from rca.causality.relations import Places
from rca.rules import Condition
from rca.types import SECOND, Event

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Facts:
    """What is known of each event by name: its own attributes, else facts of its component."""

    def __init__(self, events: Sequence[Event], component: Longs, severity: Floats, places: Places) -> None:
        self.events = events
        self.severity = severity
        self.component = component
        self.places = places
        self._described = np.flatnonzero([*map(bool, map(attrgetter("attributes"), events))]).tolist()
        self._columns: dict[str, tuple[Longs, list[str]]] = {}

    def column(self, name: str) -> tuple[Longs, list[str]]:
        """Codes of the values, int64, shape (events,), -1 where there is none; and the values."""
        if name not in self._columns:
            codes: dict[str, int] = {}
            column = self._of_components(name, codes)[self.component]
            if name in ("name", "direction"):
                column = np.array([_code(codes, getattr(event, name)) for event in self.events], np.int64)
            for position in self._described:
                value = self.events[position].attributes.get(name)
                if value:
                    column[position] = _code(codes, str(value))
            self._columns[name] = column, list(codes)
        return self._columns[name]

    def _of_components(self, name: str, codes: dict[str, int]) -> Longs:
        topology = self.places.topology
        values: Sequence[str | None]
        match name:
            case "component":
                values = self.places.names
            case "component_kind":
                values = [topology.kinds.get(component, "service") for component in self.places.names]
            case "service":
                values = [topology.service(component) for component in self.places.names]
            case "host":
                values = [topology.hosts.get(component) for component in self.places.names]
            case _:
                empty: Mapping[str, str] = {}
                values = [topology.attributes.get(component, empty).get(name) for component in self.places.names]
        found = [_code(codes, value) if value else -1 for value in values]
        return np.array(found, np.int64) if found else np.zeros(0, np.int64)

    def causes(self, condition: Condition, chosen: Longs) -> Longs:
        """Those of the chosen events that may be causes."""
        chosen = self._allowed(condition.cause, chosen)
        for name, least in condition.at_least:
            chosen = chosen[self._numbers(name, chosen) >= least]
        return chosen

    def effects(self, condition: Condition, chosen: Longs) -> Longs:
        """Those of the chosen events that may be effects."""
        return self._allowed(condition.effect, chosen)

    def _allowed(self, values: tuple[tuple[str, tuple[str, ...]], ...], chosen: Longs) -> Longs:
        for name, allowed in values:
            codes, known = self.column(name)
            wanted = [code for code, value in enumerate(known) if value in allowed]
            chosen = chosen[np.isin(codes[chosen], wanted)]
        return chosen

    def _numbers(self, name: str, chosen: Longs) -> Floats:
        """Numbers of the chosen events; NaN, which no threshold admits, where there is none."""
        if name == "severity":
            return self.severity[chosen]
        if name == "seconds":
            return np.array([(self.events[i].end - self.events[i].start) / SECOND for i in chosen], np.float64)
        codes, known = self.column(name)
        numbers: Floats = np.array([*map(_number, known), np.nan], np.float64)
        return numbers[codes[chosen]]

    def pairs(self, condition: Condition, cause: Longs, effect: Longs) -> Bools:
        """Which pairs of events fit together, shape (pairs,)."""
        fits = np.ones(cause.size, np.bool_)
        for name in condition.same:
            codes, _ = self.column(name)
            fits &= (codes[cause] == codes[effect]) & (codes[cause] >= 0)
        for name in condition.intersects:
            codes, known = self.column(name)
            fits &= _intersecting(codes[cause], codes[effect], known)
        return fits


def _intersecting(cause: Longs, effect: Longs, known: list[str]) -> Bools:
    """Whether comma-separated values share one; true where either is missing (code -1)."""
    sets = [None, *(frozenset(part.strip() for part in value.split(",")) for value in known)]
    distinct, place = np.unique((cause + 1) * len(sets) + effect + 1, return_inverse=True)
    pairs = [(sets[pair // len(sets)], sets[pair % len(sets)]) for pair in distinct.tolist()]
    shared = np.array([a is None or b is None or bool(a & b) for a, b in pairs], np.bool_)
    return shared[place]


def _code(codes: dict[str, int], value: str) -> int:
    return codes.setdefault(value, len(codes))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
