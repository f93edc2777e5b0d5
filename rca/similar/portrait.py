"""Portrait: what one incident looked like, made of its causality graph, so that past and present ones compare.

It takes only what a history keeps of an incident: events, edges, the scores of the untrained answer,
and who is whose replica and caller.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rca.causality import CausalityGraph
from rca.learning.description import Description
from rca.learning.own_features import add_amounts, add_context, add_signs
from rca.learning.scene import Features, Scene
from rca.learning.surroundings import add_surroundings
from rca.learning.tokens import Sign, read_sign
from rca.similar.course import add_course
from rca.similar.shape import Shape, shape_of
from rca.topology import Topology

DIGITS = 6


@dataclass(frozen=True, kw_only=True)
class Portrait:
    """One analysed incident, ready for comparison.

    Attributes:
        description: features of its candidates, for weights that confirmed causes teach.
        shape: the signature of its causality graph.
    """

    description: Description
    shape: Shape

    @property
    def incident(self) -> str:
        """Its id."""
        return self.description.incident


def portray(graph: CausalityGraph, scores: Mapping[str, float], topology: Topology, *, incident: str = "") -> Portrait:
    """The portrait of an analysed incident.

    Args:
        graph: its causality graph.
        scores: component -> score of the untrained answer in [0, 1], of those that anything speaks against; six
            digits of it count, as many as reports keep.
        topology: who calls whom, and who is whose replica; components without events are left out.
        incident: its id.
    """
    scene = _scene(graph, {name: _strength(score) for name, score in scores.items()}, topology)
    features: tuple[Features, ...] = tuple({} for _ in scene.candidates)
    add_signs(scene, features)
    if features:
        add_amounts(scene, features)
    add_surroundings(scene, features)
    context, shape = add_context(scene), shape_of(scene)
    add_course(scene, features, context, shape)
    description = Description(
        incident=incident,
        candidates=scene.candidates,
        services=scene.services,
        features=features,
        context=context,
        tokens=scene.surprise,
        events=scene.carriers,
        untrained=scene.untrained,
    )
    return Portrait(description=description, shape=shape)


def _strength(score: float) -> float:
    """The strength of the evidence whose score that is; of a score of 1, which is rounded, the least that it can be."""
    return -math.log1p(-min(round(float(score), DIGITS), 1.0 - 0.5 * 10.0**-DIGITS))


def _scene(graph: CausalityGraph, strengths: Mapping[str, float], topology: Topology) -> Scene:
    candidates = tuple(sorted({*strengths, *(event.component for event in graph.events)}))
    signs: dict[str, list[Sign]] = defaultdict(list)
    for i, event in enumerate(graph.events):
        signs[event.component].append(read_sign(event, i, topology))
    blame = [0.0 if event.evidence is None else max(event.evidence.blame, 0.0) for event in graph.events]
    return Scene(
        graph=graph,
        topology=topology,
        candidates=candidates,
        untrained=np.array([strengths.get(name, 0.0) for name in candidates], np.float64),
        share=np.array(blame, np.float64),
        signs=tuple(tuple(signs.get(name, ())) for name in candidates),
    )
