"""Description: one analysed incident as features of its candidates, made of nothing but the analysis.

Every feature has a group, which decides its scale (its share of the prior variance of weights), and a
name. The groups are listed in ``rca.learning.columns``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rca.causality import CausalityGraph
from rca.learning.own_features import add_amounts, add_context, add_signs
from rca.learning.scene import Features, Floats, look_at
from rca.learning.surroundings import add_surroundings
from rca.learning.tokens import Token
from rca.ranking import Ranking
from rca.topology import Topology


@dataclass(frozen=True, kw_only=True)
class Description:
    """What is learnt from, and ranked by.

    Attributes:
        incident: its id.
        candidates: components that may be the root cause, sorted.
        services: the service of each candidate (itself where it is no replica).
        features: of each candidate.
        context: of the incident as a whole.
        tokens: what each candidate shows, with its surprise.
        events: ids of the events of each candidate that carry a token, by token.
        untrained: the strength of the untrained answer, float64 >= 0, shape (candidates,).
    """

    incident: str
    candidates: tuple[str, ...]
    services: tuple[str, ...]
    features: tuple[Features, ...]
    context: Features
    tokens: tuple[Mapping[Token, float], ...]
    events: tuple[Mapping[Token, tuple[str, ...]], ...]
    untrained: Floats


def describe(
    graph: CausalityGraph, ranking: Ranking, topology: Topology, members: tuple[str, ...], *, incident: str = ""
) -> Description:
    """The features of an analysed incident.

    Args:
        graph: its causality graph.
        ranking: the untrained answer.
        topology: who calls whom, and who is whose replica.
        members: components that may show something themselves.
        incident: its id.
    """
    scene = look_at(graph, ranking, topology, members)
    features: tuple[Features, ...] = tuple({} for _ in scene.candidates)
    add_signs(scene, features)
    add_amounts(scene, features)
    add_surroundings(scene, features)
    return Description(
        incident=incident,
        candidates=scene.candidates,
        services=scene.services,
        features=features,
        context=add_context(scene),
        tokens=scene.surprise,
        events=scene.carriers,
        untrained=scene.untrained,
    )
