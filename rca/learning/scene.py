"""Scene: the signs of one analysed incident by candidate, and who is whose replica, caller and callee."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rca.causality import CausalityGraph
from rca.learning.tokens import Sign, Token, read_sign
from rca.ranking import Ranking
from rca.topology import Topology

Feature = tuple[str, str]
Features = dict[Feature, float]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The signs of one incident in the order of its candidates.

    Attributes:
        candidates: components that may be the root cause, sorted.
        untrained: the strength of the untrained answer, shape (candidates,).
        share: what each event adds to its component in the untrained answer, shape (events,).
        signs: of each candidate.
    """

    graph: CausalityGraph
    topology: Topology
    candidates: tuple[str, ...]
    untrained: Floats
    share: Floats
    signs: tuple[tuple[Sign, ...], ...]

    @cached_property
    def place(self) -> dict[str, int]:
        """Candidate -> its position."""
        return {name: i for i, name in enumerate(self.candidates)}

    @cached_property
    def services(self) -> tuple[str, ...]:
        """The service of each candidate."""
        return tuple(self.topology.service(name) for name in self.candidates)

    @cached_property
    def siblings(self) -> tuple[tuple[int, ...], ...]:
        """The other replicas of each candidate's service."""
        members: dict[str, list[int]] = defaultdict(list)
        for i, service in enumerate(self.services):
            members[service].append(i)
        return tuple(tuple(j for j in members[s] if j != i) for i, s in enumerate(self.services))

    @cached_property
    def tokens(self) -> tuple[Counter[Token], ...]:
        """How many signs of each candidate carry each token."""
        return tuple(Counter(token for sign in signs for token in sign.tokens) for signs in self.signs)

    @cached_property
    def spread(self) -> Counter[Token]:
        """On how many candidates each token is seen."""
        return Counter(token for tokens in self.tokens for token in tokens)

    @cached_property
    def surprise(self) -> tuple[dict[Token, float], ...]:
        """The largest surprise of each token on each candidate."""
        found: list[dict[Token, float]] = []
        for signs in self.signs:
            most: dict[Token, float] = {}
            for sign in signs:
                for token in sign.tokens:
                    most[token] = max(most.get(token, 0.0), sign.surprise)
            found.append(most)
        return tuple(found)

    @cached_property
    def carriers(self) -> tuple[dict[Token, tuple[str, ...]], ...]:
        """Ids of the events of each candidate that carry each token."""
        found: list[dict[Token, tuple[str, ...]]] = []
        for signs in self.signs:
            ids: dict[Token, tuple[str, ...]] = {}
            for sign in signs:
                for token in sign.tokens:
                    ids[token] = (*ids.get(token, ()), self.graph.events[sign.event].id)
            found.append(ids)
        return tuple(found)

    def is_alone(self, candidate: int, token: Token) -> bool:
        """Whether the candidate has replicas and none of them shows the token."""
        others = self.siblings[candidate]
        return bool(others) and not any(token in self.tokens[j] for j in others)

    @cached_property
    def _calls(self) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]:
        """Callees and callers of each candidate: replicas of the services that its service calls, or is called by."""
        by_service: dict[str, list[int]] = defaultdict(list)
        for i, service in enumerate(self.services):
            by_service[service].append(i)
        names, topology = self.topology.components, self.topology
        down: dict[str, set[str]] = defaultdict(set)
        up: dict[str, set[str]] = defaultdict(set)
        for a, b in zip(topology.caller.tolist(), topology.callee.tolist(), strict=True):
            caller, callee = topology.service(names[a]), topology.service(names[b])
            if caller != callee:
                down[caller].add(callee)
                up[callee].add(caller)

        def of(service: str, table: dict[str, set[str]]) -> tuple[int, ...]:
            return tuple(i for other in sorted(table.get(service, ())) for i in by_service.get(other, ()))

        return tuple(of(s, down) for s in self.services), tuple(of(s, up) for s in self.services)

    @property
    def callees(self) -> tuple[tuple[int, ...], ...]:
        """The candidates that each candidate's service calls."""
        return self._calls[0]

    @property
    def callers(self) -> tuple[tuple[int, ...], ...]:
        """The candidates whose service calls each candidate's."""
        return self._calls[1]


def look_at(graph: CausalityGraph, ranking: Ranking, topology: Topology, members: tuple[str, ...]) -> Scene:
    """The scene of an analysed incident."""
    blame = ranking.blame
    candidates = tuple(sorted({*members, *graph.created, *(event.component for event in graph.events)}))
    code = {name: i for i, name in enumerate(blame.components)}
    strength = np.zeros(len(blame.components))
    strength[ranking.order] = ranking.strength
    share = np.zeros(len(graph.events))
    share[blame.rows] = blame.share
    signs: dict[str, list[Sign]] = defaultdict(list)
    for i, event in enumerate(graph.events):
        signs[event.component].append(read_sign(event, i, topology))
    untrained = np.array([strength[code[name]] if name in code else 0.0 for name in candidates], np.float64)
    return Scene(
        graph=graph,
        topology=topology,
        candidates=candidates,
        untrained=untrained,
        share=share,
        signs=tuple(tuple(signs.get(name, ())) for name in candidates),
    )
