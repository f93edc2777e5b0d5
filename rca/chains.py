"""How a failure travelled: the chain of events from a cause to a symptom, and what it reached."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse import csgraph

from rca.causality import CausalityGraph
from rca.extract.context import Context
from rca.kinds import load_kinds
from rca.ranking import Ranking
from rca.types import Event, RootCause

DEGRADED = ("failure", "impact")
UNKNOWN = -9999  # what scipy calls "no predecessor"


def find_chain(
    graph: CausalityGraph, ranking: Ranking, component: int, began: Event | None, because: tuple[Event, ...] = ()
) -> tuple[Event, ...]:
    """Events from the cause to the nearest symptom over the strongest edges, the cause first.

    From the event that began it where that leads to a symptom, else from what speaks against the
    component, else from any event of it. A change comes to its component before it reaches others:
    the chain goes over what it did there. The beginning alone (with a change what it did) where
    nothing leads to a symptom.
    """
    if began is None:
        return ()
    name = ranking.blame.components[component]
    begin, symptoms = graph.index[began.id], np.flatnonzero(ranking.symptoms)
    told = [graph.index[event.id] for event in because]
    own = [
        i for i, event in enumerate(graph.events) if event.component == name and i != begin and not _is_change(event)
    ]
    starts = [told, own]
    if _is_change(began):
        done = set(graph.effect[graph.cause == begin].tolist())
        starts = [[i for i in told if i in done], [i for i in own if i in done], *starts]
    else:
        starts = [[begin], *starts]
    on_it = np.array([graph.events[i].component == name for i in symptoms], bool)
    for targets in (symptoms[~on_it], symptoms[on_it]):
        for sources in starts:
            path = _cheapest(graph, sources, targets)
            if path:
                chain = [graph.events[i] for i in path]
                return tuple(chain) if chain[0].id == began.id else (began, *chain)
    return (began, *because[:1]) if _is_change(began) else (began,)


def _is_change(event: Event) -> bool:
    return load_kinds()[event.kind].role == "activity"


def find_critical(graph: CausalityGraph, ranking: Ranking, cause: RootCause) -> tuple[Event, ...]:
    """What the cause made of its component, as far as it leads to a symptom; else the symptom's own events.

    One event of each kind, the most telling one.
    """
    symptoms = np.flatnonzero(ranking.symptoms)
    leads = _leading_to(graph, symptoms)
    told = [*cause.because, *(event for event in cause.chain if event.component == cause.component)]
    found: dict[str, Event] = {}
    for event in told:
        is_root = cause.event is not None and event.kind == cause.event.kind
        if not is_root and leads[graph.index[event.id]] and load_kinds()[event.kind].role in DEGRADED:
            found.setdefault(event.kind, event)
    if not found:
        felt = [graph.events[code] for code in symptoms]
        for event in [each for each in felt if load_kinds()[each.kind].role in DEGRADED] or felt:
            found.setdefault(event.kind, event)
    return tuple(found.values())


def _leading_to(graph: CausalityGraph, targets: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Mask of the events from which a path leads to a target, targets included; shape (events,)."""
    if not len(targets):
        return np.zeros(len(graph.events), np.bool_)
    shape = (len(graph.events), len(graph.events))
    back = sparse.csr_array((np.ones(len(graph.cause)), (graph.effect, graph.cause)), shape=shape)
    hops = csgraph.dijkstra(back, indices=targets, min_only=True, unweighted=True)
    return np.asarray(np.isfinite(hops), np.bool_)


def _cheapest(graph: CausalityGraph, sources: list[int], targets: npt.NDArray[np.int64]) -> list[int]:
    """The path of few and strong steps from any source to any target; [] where there is none."""
    if not len(targets) or not sources or not len(graph.cause):
        return []
    # A weak step costs more than two strong ones: a detour over calls is likelier than a shared host.
    cost = sparse.csr_array(
        (1.0 - 3.0 * np.log(graph.weight), (graph.cause, graph.effect)), shape=(len(graph.events), len(graph.events))
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
    """Degraded components that the component's events may have caused, itself included; nearest first.

    Only what lies on the way to the users: callers of the component, of its replicas and of what runs on it.
    """
    starts = [i for i, event in enumerate(graph.events) if event.component == component]
    if not starts:
        return (component,)
    shape = (len(graph.events), len(graph.events))
    edges = sparse.csr_array((np.ones(len(graph.cause)), (graph.cause, graph.effect)), shape=shape)
    hops = csgraph.dijkstra(edges, indices=starts, min_only=True, unweighted=True)
    topology = context.topology
    beneath = [name for names in (topology.replica_of, topology.hosts) for name, of in names.items() if of == component]
    upstream = topology.distances([component, *sorted(beneath)], towards="callers")
    found: dict[str, float] = {component: 0.0}
    for i in np.flatnonzero(np.isfinite(hops)):
        event = graph.events[i]
        if _is_degraded(event) and (event.component in upstream or not len(topology.caller)):
            found[event.component] = min(found.get(event.component, np.inf), float(hops[i]))
    return tuple(sorted(found, key=lambda name: (found[name], name)))


def _is_degraded(event: Event) -> bool:
    role = load_kinds()[event.kind].role
    return role == "impact" or (role == "failure" and event.evidence is not None and event.evidence.blame > 0)
