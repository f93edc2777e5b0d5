"""What explains what: callees their callers, hosts what runs on them, the network what was lost on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.causality import CausalityGraph
from rca.likelihood import saturate
from rca.topology import Topology

Array = npt.NDArray[Any]

# Rules over calls add nothing here: what a callee explains follows from the calls themselves, and
# what a caller sends explains demand only, which has its own evidence.
OVER_CALLS = ("self", "dependency", "caller")
# What a starved component shows; that its host is busy is no reason for errors.
STARVED = ("self_time.up", "latency.up", "gc.overhead")
ON_THE_WAY = ("network.slow", "calls.failing")
# A callee that works in another way than in health may leave its callers with the time that they lose for it.
UNUSUAL = "metrics.unusual"
# Evidence of this many powers of ten (or times the healthy limit) is believed by half.
SURE = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanations:
    """Per row the component that explains it best (-1: none) and the part of it that it explains.

    ``moved`` says that the row is what the explaining component does to others (a delay on the way
    into it, a host that starves what runs on it), and so is evidence against that one.
    """

    by: npt.NDArray[np.int64]
    part: npt.NDArray[np.float64]
    moved: npt.NDArray[np.bool_]


def explain_rows(
    graph: CausalityGraph, topology: Topology, names: tuple[str, ...], owner: Array, rows: Array, raw: Array
) -> Explanations:
    """Explanations of events.

    A callee explains w / (w + s) of what its caller shows, w its own blame and s the caller's; so
    does a component from which a rule that runs over something else than calls leads to the event
    (a shared host, lineage, a created external component). Delays and losses on the way into a
    callee are no part of its own spans, so that amounts leave them with the caller: the surer that
    evidence, the more of the caller's is the callee's. The same holds for a saturated host.

    Args:
        graph: events and edges.
        topology: who calls whom.
        names: components.
        owner: component of each event, shape (events,).
        rows: the events to be explained, shape (rows,).
        raw: blame of each component before explanations, shape (components,).
    """
    sure = _sureness(graph)
    rows_by, sources, part, moved = [], [], [], []
    of_row = owner[rows]
    calls = topology.adjacency(names)
    if len(rows) and calls.nnz:
        pairs = calls[of_row].tocoo()
        way, unusual = np.zeros(len(names)), np.zeros(len(names))
        for kinds, most in ((ON_THE_WAY, way), ((UNUSUAL,), unusual)):
            of_kind = np.array([event.kind in kinds for event in graph.events], bool)
            np.maximum.at(most, owner[of_kind], sure[of_kind])
        # Own time in spans is the caller's own work, whatever its callees are like; amounts cannot tell.
        amounts = np.array([_is_amount(graph, int(i)) for i in rows], bool)
        callee = pairs.col.astype(np.int64)
        # What is said against a service holds for the replica that was called.
        service = service_codes(names, topology)
        for target in (callee, service[callee]):
            told = target >= 0
            row = pairs.row.astype(np.int64)[told]
            by_blame = _share(raw[target[told]], raw[of_row[row]])
            by_way = np.maximum(way[target[told]], np.where(amounts[row], unusual[target[told]], 0.0))
            rows_by.append(row)
            sources.append(target[told])
            part.append(np.maximum(by_blame, by_way))
            moved.append(by_way > by_blame)
    beside = np.array([rule.relation not in OVER_CALLS for rule in graph.rules] or [False], bool)
    place = np.full(len(graph.events), -1, np.int64)
    place[rows] = np.arange(len(rows))
    used = (
        (owner[graph.cause] != owner[graph.effect]) & beside[graph.rule] & (place[graph.effect] >= 0)
        if len(graph.cause)
        else np.zeros(0, bool)
    )
    if used.any():
        source, row = owner[graph.cause[used]], place[graph.effect[used]]
        of_host = np.array([topology.kinds.get(name) == "host" for name in names], bool)
        rows_by.append(row)
        sources.append(source)
        starved = np.array([event.kind in STARVED for event in graph.events], bool)[graph.effect[used]]
        by_host = np.where(of_host[source] & starved, sure[graph.cause[used]], 0.0)
        part.append(np.maximum(_share(raw[source], raw[of_row[row]]), by_host))
        moved.append(of_host[source] & starved)
    return _best(len(rows), rows_by, sources, part, moved)


def _is_amount(graph: CausalityGraph, event: int) -> bool:
    evidence = graph.events[event].evidence
    return evidence is not None and evidence.amount is not None


def service_codes(names: tuple[str, ...], topology: Topology) -> npt.NDArray[np.int64]:
    """The code of each replica's service, -1 for what is no replica: shape (components,)."""
    place = {name: i for i, name in enumerate(names)}
    return np.array([place.get(topology.replica_of.get(name, ""), -1) for name in names], np.int64)


def _share(by: Array, own: Array) -> Array:
    share: Array = by / np.maximum(by + own, 1e-12)
    return share


def _sureness(graph: CausalityGraph) -> npt.NDArray[np.float64]:
    """How far each event's own evidence is believed, in [0, 1): shape (events,)."""
    evidence = [event.evidence for event in graph.events]
    likelihood = [0.0 if e is None or e.blame <= 0 else max(e.likelihood, 0.0) for e in evidence]
    return saturate(np.array(likelihood, np.float64), SURE)


def _best(count: int, rows: list[Array], sources: list[Array], part: list[Array], moved: list[Array]) -> Explanations:
    by, most, moves = np.full(count, -1, np.int64), np.zeros(count), np.zeros(count, bool)
    if rows:
        row, source, value = np.concatenate(rows), np.concatenate(sources), np.concatenate(part)
        order = np.lexsort((source, -value, row))
        first = order[np.flatnonzero(np.diff(row[order], prepend=-1) != 0)]
        by[row[first]], most[row[first]], moves[row[first]] = source[first], value[first], np.concatenate(moved)[first]
    return Explanations(by=by, part=most, moved=moves)
