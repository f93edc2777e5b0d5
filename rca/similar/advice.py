"""Advice: what the nearest precedents say of an incident, on the report and as bounded evidence for the ranking.

A precedent speaks for candidates that belong to the service of its confirmed cause, and for those that show what its
cause showed, whatever they are called. All precedents together raise the strength of a candidate by a ninth at
most: that decides between candidates of which the engine says anyway that the evidence does not separate them
(the weaker has nine tenths of the stronger), and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rca.causality import CausalityGraph
from rca.confidence import NOTHING, SEPARATED
from rca.extract.context import Context
from rca.learning.description import Description
from rca.ranking import Ranking
from rca.similar.portrait import portray
from rca.similar.precedents import Neighbour, Precedents
from rca.stages import Stages
from rca.types import Report, SimilarIncident

MOST_RAISED = 1.0 / SEPARATED - 1.0
# Precedents that are asked and told.
MOST = 5
# Share of a precedent's voice that goes by the name of the service; the rest by what the cause showed.
BY_NAME = 0.5
MOST_SHARED = 4


@dataclass(frozen=True, kw_only=True)
class Advice:
    """The nearest precedents, and the share by which they raise the strength of each component, in [0, 1/9]."""

    neighbours: tuple[Neighbour, ...]
    raised: Mapping[str, float]

    def weigh(self, ranking: Ranking, stages: Stages) -> Ranking:
        """The ranking with the precedents' say; itself where learned weights ranked, which know them already."""
        if ranking.belief is not None or not self.raised:
            return ranking
        factor = np.array([1.0 + self.raised.get(name, 0.0) for name in ranking.names], np.float64)
        strength = ranking.strength * factor
        place = np.argsort(-strength, kind="stable")
        order = ranking.order[place]
        first = ranking.blame.components[int(order[0])]
        if first == ranking.first:
            return replace(ranking, order=order, strength=strength[place])
        stages.warn(f"similar past incidents put {first} first; without them the answer is {ranking.first}")
        return replace(
            ranking, order=order, strength=strength[place], first=first, onset=ranking.onset_of(int(order[0]))
        )

    def tell(self, report: Report) -> Report:
        """The report with the precedents, and with what they added to each candidate."""
        learned = any(cause.learned for cause in report.root_causes)
        raised = {} if learned else self.raised
        causes = tuple(replace(cause, precedent=raised.get(cause.component, 0.0)) for cause in report.root_causes)
        return replace(report, root_causes=causes, similar=tuple(map(similar_incident, self.neighbours)))


def ask_precedents(ranking: Ranking, graph: CausalityGraph, context: Context, precedents: Precedents) -> Advice:
    """What precedents say of an incident that was ranked without them; nothing where nothing abnormal was found."""
    if not len(ranking.strength) or ranking.strength[0] < NOTHING:
        return Advice(neighbours=(), raised={})
    scores = dict(zip(ranking.names, ranking.scores.tolist(), strict=True))
    portrait = portray(graph, scores, context.topology, incident=context.case.incident.id)
    neighbours = precedents.nearest(portrait, MOST)
    return Advice(neighbours=neighbours, raised=raise_candidates(portrait.description, neighbours))


def raise_candidates(description: Description, neighbours: Sequence[Neighbour]) -> dict[str, float]:
    """Candidate -> share by which the neighbours raise its strength, in (0, 1/9]; nothing for whom none speaks.

    Each neighbour's voice is its similarity; the mean of the voices for a candidate counts.
    """
    found: dict[str, float] = {}
    for name, service, tokens in zip(description.candidates, description.services, description.tokens, strict=True):
        voices = sum(one.similarity * _likeness(one, name, service, frozenset(tokens)) for one in neighbours)
        if voices > 0:
            found[name] = MOST_RAISED * min(voices / len(neighbours), 1.0)
    return found


def similar_incident(neighbour: Neighbour) -> SimilarIncident:
    """A neighbour as the report tells it."""
    past = neighbour.precedent
    return SimilarIncident(
        incident=past.incident,
        title=past.title,
        start=past.start,
        similarity=neighbour.similarity,
        belief=neighbour.belief,
        resemblance=neighbour.resemblance,
        component=past.components[0] if past.components else "",
        kind=past.kind,
        change=past.change,
        resolutions=past.resolutions,
        shared=neighbour.shared[:MOST_SHARED],
    )


def _likeness(neighbour: Neighbour, name: str, service: str, tokens: frozenset[tuple[int, str]]) -> float:
    """How far a candidate is like the confirmed cause of a neighbour, in [0, 1]."""
    past = neighbour.precedent
    cause = past.confirmed
    if cause is None:
        return BY_NAME * float(not {name, service}.isdisjoint(past.components))
    named = service == cause.service or not {name, service}.isdisjoint(past.components)
    shown = frozenset(token for i in cause.causes for token in cause.description.tokens[i])
    alike = len(tokens & shown) / len(tokens | shown) if tokens | shown else 0.0
    return BY_NAME * float(named) + (1.0 - BY_NAME) * alike
