"""rank_causes: blame of components, what the walk over the graph adds, ties, and confidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.causality import CausalityGraph
from rca.extract.context import Context
from rca.ranking.blame import Blame, assign_blame
from rca.ranking.groot import groot_rank
from rca.types import Contribution, Event

Array = npt.NDArray[Any]

UNREACHED = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Belief:
    """What learned weights say of a ranking's candidates.

    Attributes:
        source: name and version of the weights.
        probability: calibrated, of each candidate in order, in (0, 1), shape (order,).
        parts: of the first candidates by name, what the log odds of their probability add up from.
        untrained: the scores of the ranking in whose place it stands, in [0, 1), in its order.
    """

    source: str
    probability: npt.NDArray[np.float64]
    parts: Mapping[str, tuple[Contribution, ...]]
    untrained: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Components in order of blame.

    Attributes:
        events: the events of the causality graph, which ``blame`` and others refer to.
        blame: evidence by component.
        order: component codes, most to blame first; only those that anything speaks against.
        strength: float64 > 0, shape (order,): evidence and walk together, unbounded.
        walk: GrootRank of each event, shape (events,), sums to 1 (all 0 without events).
        symptoms: bool, shape (events,): events that the symptoms consist of.
        distance: calls from a symptom to each component, shape (components,).
        seen: components that raised any event.
        first: the component most to blame, "" where nothing speaks against any.
        onset: when the first one's events began, ns; the earliest candidate onset without any.
        belief: of learned weights, where they ranked; ``scores`` are then their probabilities.
    """

    events: tuple[Event, ...]
    blame: Blame
    order: npt.NDArray[np.int64]
    strength: npt.NDArray[np.float64]
    walk: npt.NDArray[np.float64]
    symptoms: npt.NDArray[np.bool_]
    distance: npt.NDArray[np.int64]
    seen: frozenset[str]
    first: str
    onset: int
    belief: Belief | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Component names in order."""
        return tuple(self.blame.components[i] for i in self.order)

    @property
    def scores(self) -> npt.NDArray[np.float64]:
        """1 - exp(-strength): in [0, 1), 0.63 for one full piece of evidence, 0.86 for two."""
        return 1.0 - np.exp(-self.strength)

    def onset_of(self, component: int) -> int:
        """When a component's reasons began, ns; the ranking's onset where it has none."""
        return min((self.events[i].start for i in self.blame.because(component)), default=self.onset)


def rank_causes(graph: CausalityGraph, context: Context) -> Ranking:
    """Rank the components of a causality graph by how much they are to blame.

    The evidence on a component decides; the walk (GrootRank, Wang et al., ASE 2021) from the
    symptoms towards causes adds at most the share ``Settings.walk`` of it. Ties go to the component nearer to the
    symptom, then to the one whose events began earlier, then by name; never by how often a
    component was the root before.
    """
    components = tuple(sorted({*context.components, *graph.created, *(e.component for e in graph.events)}))
    blame = assign_blame(graph, context.topology, components)
    symptoms = find_symptoms(graph.events, context)
    walk = _walk(graph, symptoms, context)
    reach = _reach(graph, walk, components)
    strength = blame.total * (1.0 + context.settings.walk * reach)
    began = _began(graph.events, blame, len(components))
    distance = _distances(context, components)
    standing = np.flatnonzero(strength > 0)
    order = standing[np.lexsort((standing, began[standing], distance[standing], -strength[standing]))]
    first = components[order[0]] if len(order) else ""
    return Ranking(
        events=graph.events,
        blame=blame,
        order=order,
        strength=strength[order],
        walk=walk,
        symptoms=symptoms,
        distance=distance,
        seen=frozenset(event.component for event in graph.events),
        first=first,
        onset=int(began[order[0]]) if len(order) else int(context.onsets.min()),
    )


def find_symptoms(events: tuple[Event, ...], context: Context) -> npt.NDArray[np.bool_]:
    """Which events the symptoms consist of, shape (events,).

    Those of the symptom's metric; where it raised none, all of its component; where that raised
    none, or nobody named a symptom, all degradations of components that nothing depends on.
    """
    mask = np.zeros(len(events), bool)
    for symptom in context.case.incident.symptoms:
        on = np.array([e.component == symptom.component for e in events], bool)
        named = on & np.array([bool(symptom.metric) and e.name == symptom.metric for e in events], bool)
        mask |= named if named.any() else on
    if mask.any():
        return mask
    called = {context.topology.components[i] for i in context.topology.callee}
    entries = [e.evidence is not None and e.component not in called for e in events]
    return np.array(entries, bool) if any(entries) else np.ones(len(events), bool)


def _walk(graph: CausalityGraph, symptoms: Array, context: Context) -> npt.NDArray[np.float64]:
    if not graph.events:
        return np.zeros(0)
    settings = context.settings
    return groot_rank(graph, symptoms, variant=settings.variant, damping=settings.damping)


def _reach(graph: CausalityGraph, walk: Array, components: tuple[str, ...]) -> npt.NDArray[np.float64]:
    """The walk by component, 1 where it rests the most: shape (components,).

    All 0 where no edge leads from one component to another: then it says but how many events each of them raised.
    """
    place = {name: i for i, name in enumerate(components)}
    owner = np.array([place[e.component] for e in graph.events] or [], np.int64)
    if not len(graph.cause) or bool((owner[graph.cause] == owner[graph.effect]).all()):
        return np.zeros(len(components))
    of_component = np.bincount(owner, walk, len(components))
    return np.asarray(of_component / max(float(of_component.max(initial=0.0)), 1e-12))


def _began(events: tuple[Event, ...], blame: Blame, size: int) -> npt.NDArray[np.int64]:
    began = np.full(size, np.iinfo(np.int64).max)
    if len(blame.rows):
        starts = np.array([events[i].start for i in blame.rows], np.int64)
        np.minimum.at(began, blame.owner, starts)
    return began


def _distances(context: Context, components: tuple[str, ...]) -> npt.NDArray[np.int64]:
    symptoms = [symptom.component for symptom in context.case.incident.symptoms]
    found = context.topology.distances(symptoms) if symptoms else {}
    return np.array([found.get(name, UNREACHED) for name in components], np.int64)
