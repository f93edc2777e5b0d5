"""How a failure travelled: the chain of events from a cause to a symptom, and what it reached."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse import csgraph

from rca.causality import CausalityGraph
from rca.extract.context import Context
from rca.ranking import Ranking
from rca.types import Event

UNKNOWN = -9999  # what scipy calls "no predecessor"


def find_chain(
    graph: CausalityGraph, ranking: Ranking, component: int, began: Event | None, context: Context
) -> tuple[Event, ...]:
    """Events from the cause to the nearest symptom over the strongest edges, the cause first.

    From the event that began it where that leads to a symptom, else from any event of the
    component; only the first event where none does.
    """
    if began is None:
        return ()
    name = ranking.blame.components[component]
    starts = [i for i, event in enumerate(graph.events) if event.component == name]
    begin = graph.index[began.id]
    targets = np.flatnonzero(ranking.symptoms)
    targets = np.array([i for i in targets if graph.events[i].component != name], np.int64)
    for sources in ([begin], starts):
        path = _cheapest(graph, sources, targets)
        if path:
            chain = [graph.events[i] for i in path]
            return tuple(chain) if chain[0].id == began.id else (began, *chain)
    return (began,)


def _cheapest(graph: CausalityGraph, sources: list[int], targets: npt.NDArray[np.int64]) -> list[int]:
    """The path of the largest product of weights from any source to any target; [] where there is none."""
    if not len(targets) or not sources or not len(graph.cause):
        return []
    # One weak step costs as much as a strong step and a bit: -log(weight) plus one per step.
    cost = sparse.csr_array(
        (1.0 - np.log(graph.weight), (graph.cause, graph.effect)), shape=(len(graph.events), len(graph.events))
    )
    distance, before, _ = csgraph.dijkstra(
        cost, indices=sources, return_predecessors=True, min_only=True, directed=True
    )
    best = int(targets[np.argmin(distance[targets])])
    if not np.isfinite(distance[best]):
        return []
    path = [best]
    while before[path[-1]] != UNKNOWN:
        path.append(int(before[path[-1]]))
    return path[::-1]


def reach(graph: CausalityGraph, component: str, context: Context) -> tuple[str, ...]:
    """Components with events that the component's events may have caused, itself included; nearest first."""
    starts = [i for i, event in enumerate(graph.events) if event.component == component]
    if not starts:
        return (component,)
    shape = (len(graph.events), len(graph.events))
    edges = sparse.csr_array((np.ones(len(graph.cause)), (graph.cause, graph.effect)), shape=shape)
    hops = csgraph.dijkstra(edges, indices=starts, min_only=True, unweighted=True)
    upstream = context.topology.distances([component], towards="callers")
    found: dict[str, float] = {component: 0.0}
    for i in np.flatnonzero(np.isfinite(hops)):
        name = graph.events[i].component
        if name in upstream or not upstream or name not in context.topology.index:
            found[name] = min(found.get(name, np.inf), float(hops[i]))
    return tuple(sorted(found, key=lambda name: (found[name], name)))
