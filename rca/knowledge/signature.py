"""What an incident looked like, in a form in which incidents can be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from rca.knowledge.records import PastIncident

Typed = tuple[str, str]  # component, kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Events, edges and order of a past incident's causality graph.

    Attributes:
        kinds: kind -> how many events.
        components: component -> how many events.
        typed: (component, kind) -> the largest severity.
        edges: (rule, cause's (component, kind), effect's (component, kind)) -> the largest weight.
        order: (component, kind) by first start, then name: the order of the onsets.
        lag: (component, kind) -> ns from the first event of all to its first start.
    """

    kinds: Mapping[str, int]
    components: Mapping[str, int]
    typed: Mapping[Typed, float]
    edges: Mapping[tuple[str, Typed, Typed], float]
    order: tuple[Typed, ...]
    lag: Mapping[Typed, int]


def signature_of(incident: PastIncident) -> Signature:
    """The signature of an incident, the same for the same events and links in whatever order."""
    typed: dict[Typed, float] = {}
    begin: dict[Typed, int] = {}
    of_number: dict[int, Typed] = {}
    for event in incident.events:
        key = of_number[event.number] = (event.component, event.kind)
        typed[key] = max(event.severity, typed.get(key, 0.0))
        begin[key] = min(event.start, begin.get(key, event.start))
    edges: dict[tuple[str, Typed, Typed], float] = {}
    for link in incident.links:
        edge = (link.rule, of_number[link.cause], of_number[link.effect])
        edges[edge] = max(link.weight, edges.get(edge, 0.0))
    first = min(begin.values(), default=0)
    order = tuple(sorted(begin, key=lambda key: (begin[key], key)))
    return Signature(
        kinds=_sorted(Counter(event.kind for event in incident.events)),
        components=_sorted(Counter(event.component for event in incident.events)),
        typed={key: typed[key] for key in sorted(typed)},
        edges={edge: edges[edge] for edge in sorted(edges)},
        order=order,
        lag={key: begin[key] - first for key in order},
    )


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: counts[name] for name in sorted(counts)}
