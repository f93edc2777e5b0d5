"""Background: what components show in confirmed incidents of which they were not the cause."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from rca.learning.description import Description
from rca.learning.own_features import SURPRISE_UNIT
from rca.learning.scene import Features
from rca.learning.tokens import Token

# Pseudo-incidents that pull a component's rate towards its service's, and that towards everyone's.
SHRINKAGE = 4.0


@dataclass(frozen=True, kw_only=True)
class Background:
    """Counts over confirmed incidents, causes left out.

    Attributes:
        shown: (component, level, token) -> incidents in which it showed this without being the cause.
        present: component -> incidents in which it was there and not the cause.
        service_of: component -> its service.
    """

    shown: Mapping[tuple[str, int, str], int]
    present: Mapping[str, int]
    service_of: Mapping[str, str]

    @classmethod
    def count(cls, incidents: Iterable[tuple[Description, frozenset[int]]]) -> Background:
        """Of descriptions with the positions of their causes."""
        shown: Counter[tuple[str, int, str]] = Counter()
        present: Counter[str] = Counter()
        service_of: dict[str, str] = {}
        for description, causes in incidents:
            service_of.update(zip(description.candidates, description.services, strict=True))
            shown.update(_shown(description, causes))
            present.update(_present(description, causes))
        return cls(shown=shown, present=present, service_of=service_of)

    @cached_property
    def of_service(self) -> tuple[Counter[tuple[str, int, str]], Counter[str]]:
        """The same by service."""
        shown: Counter[tuple[str, int, str]] = Counter()
        present: Counter[str] = Counter()
        for (name, level, token), count in self.shown.items():
            shown[self.service_of.get(name, name), level, token] += count
        for name, count in self.present.items():
            present[self.service_of.get(name, name)] += count
        return shown, present

    @cached_property
    def of_all(self) -> tuple[Counter[Token], int]:
        """The same of all components together."""
        shown: Counter[Token] = Counter()
        for (_, level, token), count in self.shown.items():
            shown[level, token] += count
        return shown, sum(self.present.values())

    def features(self, description: Description, causes: frozenset[int] | None = None) -> tuple[Features, ...]:
        """The group ``unusual`` of each candidate: how rarely it shows each of its signs without being the cause.

        An incident that is counted gives its ``causes``: it never counts in its own background.
        """
        counted = causes is not None
        own = Counter(_shown(description, causes or frozenset())) if counted else Counter()
        here = Counter(_present(description, causes or frozenset())) if counted else Counter()
        own_service: Counter[tuple[str, int, str]] = Counter()
        here_service: Counter[str] = Counter()
        own_all: Counter[Token] = Counter()
        service_of = dict(zip(description.candidates, description.services, strict=True))
        for name, level, token in own:
            own_service[service_of[name], level, token] += 1
            own_all[level, token] += 1
        for name in here:
            here_service[service_of[name]] += 1
        by_service, there_service = self.of_service
        by_all, there_all = self.of_all
        found: list[Features] = []
        for name, service, tokens in zip(description.candidates, description.services, description.tokens, strict=True):
            row: Features = {}
            for level, token in tokens:
                anyone = (by_all[level, token] - own_all[level, token] + 0.5) / (there_all - len(here) + 2.0)
                rate = _shrunk(
                    by_service[service, level, token] - own_service[service, level, token],
                    there_service[service] - here_service[service],
                    anyone,
                )
                rate = _shrunk(
                    self.shown.get((name, level, token), 0) - own[name, level, token],
                    self.present.get(name, 0) - here[name],
                    rate,
                )
                row[f"unusual{level}", token] = -math.log(min(max(rate, 1e-4), 1.0)) / SURPRISE_UNIT
            found.append(row)
        return tuple(found)


def _shrunk(count: float, incidents: float, towards: float) -> float:
    return (count + SHRINKAGE * towards) / (incidents + SHRINKAGE)


def _shown(description: Description, causes: frozenset[int]) -> list[tuple[str, int, str]]:
    return [
        (name, level, token)
        for i, (name, tokens) in enumerate(zip(description.candidates, description.tokens, strict=True))
        if i not in causes
        for level, token in tokens
    ]


def _present(description: Description, causes: frozenset[int]) -> list[str]:
    return [name for i, name in enumerate(description.candidates) if i not in causes]
