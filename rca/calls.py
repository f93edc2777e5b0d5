"""Calls between components, each seen from both ends where both were traced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.spans import WITHIN, join_names
from rca.telemetry import NO_PEER, SPAN_CLIENT, SpanBatch, encode

SEPARATOR = "\x1f"
FAILED = 2  # OpenTelemetry's status code of a span that failed

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class CallTable:
    """Calls between components, seen from both ends; each column has shape (calls,).

    Attributes:
        edges: ``caller operation␟callee operation``, sorted.
        edge: int32 code into ``edges``.
        start: when the call began, ns.
        gap: the client span less the server span in ns (the network; clock skew cancels).
        seen: whether the callee's own span is there; else ``gap`` is the whole call and tells of
            callee and network together.
        timed: whether ``gap`` may be compared: not where a server's span should be there and is not.
        lost: whether the client saw an error that the server did not.
    """

    edges: tuple[str, ...]
    edge: npt.NDArray[np.int32]
    start: Rows
    gap: Rows
    seen: npt.NDArray[np.bool_]
    timed: npt.NDArray[np.bool_]
    lost: npt.NDArray[np.bool_]


def cut_calls(
    spans: SpanBatch, parent_row: Rows, tops: Rows, known_edges: tuple[str, ...], replica_of: Mapping[str, str]
) -> CallTable:
    """The calls of spans whose parents and entry spans are known.

    Three sorts: both ends were traced; the callee is not instrumented and only named (a database);
    the client's span failed and the server's is missing, then the callee is the one that the same
    client operation called in every other call.
    """
    called = tops[parent_row[tops] >= 0]
    above = parent_row[called]
    # A consumer of a message works after its producer has finished: there is no gap to speak of.
    linked = (spans.link_span[called] != "") & (spans.parent[called] == "")
    called, above = called[~linked], above[~linked]
    both = _keys(join_names(spans, above), join_names(spans, called))
    named = np.flatnonzero((spans.peer != NO_PEER) & _childless(spans, parent_row))
    outward = _keys(join_names(spans, named), join_names(spans, named, spans.peer))
    orphans, guessed = find_orphans(spans, parent_row, tops, known_edges, replica_of)
    rows = np.concatenate([above, named, orphans])
    edges, edge = encode(np.concatenate([both, outward, guessed]))
    gap = spans.duration[rows].copy()
    gap[: len(called)] -= spans.duration[called]
    seen = np.zeros(len(rows), bool)
    seen[: len(called)] = True
    failed = spans.status[rows] == FAILED
    served = np.zeros(len(rows), bool)
    served[: len(called)] = spans.status[called] == FAILED
    return CallTable(
        edges=edges,
        edge=edge,
        start=spans.start[rows],
        gap=gap,
        seen=seen,
        timed=np.arange(len(rows)) < len(called) + len(named),
        lost=failed & ~served,
    )


def find_orphans(
    spans: SpanBatch, parent_row: Rows, tops: Rows, known_edges: tuple[str, ...], replica_of: Mapping[str, str]
) -> tuple[Rows, npt.NDArray[Any]]:
    """Failed client spans whose server's span is missing, and the edge that each must have taken."""
    lonely = (spans.kind == SPAN_CLIENT) & (spans.status == FAILED) & (spans.peer == NO_PEER)
    orphans = np.flatnonzero(lonely & _childless(spans, parent_row))
    if not len(orphans):
        return orphans, np.zeros(0, object)
    called = tops[parent_row[tops] >= 0]
    seen = _keys(join_names(spans, parent_row[called]), join_names(spans, called))
    guessed = _guess(join_names(spans, orphans), {*seen.tolist(), *known_edges}, replica_of)
    return orphans[guessed != ""], guessed[guessed != ""]


def _childless(spans: SpanBatch, parent_row: Rows) -> npt.NDArray[np.bool_]:
    childless = np.ones(len(spans), bool)
    childless[parent_row[parent_row >= 0]] = False
    return childless


def _keys(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """``left␟right`` of each row; distinct pairs are joined once."""
    import pandas as pd

    a, a_names = pd.factorize(left)
    b, b_names = pd.factorize(right)
    pair = a.astype(np.int64) * (len(b_names) + 1) + b
    distinct, code = np.unique(pair, return_inverse=True)
    joined = np.empty(len(distinct), object)
    width = len(b_names) + 1
    joined[:] = [f"{a_names[k // width]}{SEPARATOR}{b_names[k % width]}" for k in distinct]
    return joined[code] if len(left) else np.zeros(0, object)


def _guess(callers: npt.NDArray[Any], edges: set[str], replica_of: Mapping[str, str]) -> npt.NDArray[Any]:
    """The edge of each calling ``component operation``: to the one callee, or the one service of several.

    "" where it calls nobody, or components of several services.
    """
    targets: dict[str, set[str]] = {}
    for edge in edges:
        caller, callee = edge.split(SEPARATOR)
        targets.setdefault(caller, set()).add(callee)
    found = {caller: _common(callees, replica_of) for caller, callees in targets.items()}
    out = np.empty(len(callers), object)
    out[:] = [f"{caller}{SEPARATOR}{found[caller]}" if found.get(caller) else "" for caller in callers]
    return out


def _common(callees: set[str], replica_of: Mapping[str, str]) -> str:
    if len(callees) == 1:
        return next(iter(callees))
    parts = [callee.split(WITHIN, 1) for callee in callees]
    services = {(replica_of.get(component, component), operation) for component, operation in parts}
    return WITHIN.join(next(iter(services))) if len(services) == 1 else ""
