"""Shape: the signature of a causality graph, as sets of features in four parts.

- ``events``: which signs are seen at all, by family, evidence group and name; no names of components.
- ``relations``: which rule leads from which family to which, and the label of each event after each of two
  rounds of Weisfeiler-Lehman refinement (Shervashidze et al., JMLR 2011): a hash of its own label, and of the
  rules and labels around it.
- ``order``: which family began before which other.
- ``places``: which sign is seen on which service: the only part that knows names.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from types import MappingProxyType

from rca.learning.scene import Scene
from rca.learning.tokens import FAMILY, GROUP

Shape = Mapping[str, frozenset[str]]

# Weight of each part in the resemblance of two incidents; parts that neither has do not count.
PARTS: Mapping[str, float] = MappingProxyType({"events": 1.0, "relations": 0.5, "order": 0.25, "places": 0.5})
ROUNDS = 2


def shape_of(scene: Scene) -> Shape:
    """The signature of the scene's causality graph; the same whatever the order of events and edges."""
    family: list[str] = [""] * len(scene.graph.events)
    group: list[str] = [""] * len(scene.graph.events)
    events: set[str] = set()
    places: set[str] = set()
    for service, signs in zip(scene.services, scene.signs, strict=True):
        for sign in signs:
            names = dict(sign.tokens)
            family[sign.event] = names[FAMILY]
            group[sign.event] = names.get(GROUP, names[FAMILY])
            events |= {f"{level} {name}" for level, name in sign.tokens}
            places.add(f"{service}|{group[sign.event]}")
    return MappingProxyType(
        {
            "events": frozenset(events),
            "relations": frozenset(_relations(scene, family, group)),
            "order": frozenset(_order(scene, family)),
            "places": frozenset(places),
        }
    )


def _relations(scene: Scene, family: list[str], group: list[str]) -> set[str]:
    graph = scene.graph
    edges = [
        (a, b, graph.rules[rule].name)
        for a, b, rule in zip(graph.cause.tolist(), graph.effect.tolist(), graph.rule.tolist(), strict=True)
    ]
    found = {f"{family[a]} -{rule}-> {family[b]}" for a, b, rule in edges}
    labels = group
    for number in range(1, ROUNDS + 1):
        around: dict[int, set[str]] = defaultdict(set)
        for a, b, rule in edges:
            around[a].add(f"to {rule} {labels[b]}")
            around[b].add(f"from {rule} {labels[a]}")
        labels = [_digest([label, *sorted(around[i])]) for i, label in enumerate(labels)]
        found |= {f"{number} {label}" for label in labels}
    return found


def _order(scene: Scene, family: list[str]) -> set[str]:
    began: dict[str, int] = {}
    for name, event in zip(family, scene.graph.events, strict=True):
        began[name] = min(event.start, began.get(name, event.start))
    return {f"{a} < {b}" for a, first in began.items() for b, second in began.items() if first < second}


def _digest(parts: list[str]) -> str:
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=8).hexdigest()
