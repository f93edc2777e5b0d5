"""The call graph among the components whose amounts are known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from rca.extract.amount_series import AmountSeries
from rca.extract.amount_shares import SELDOM, CallGraph, known_or_zero
from rca.topology import Topology

INFERRED_KINDS = frozenset({"external", "remote", "uninstrumented"})
"""Kinds of components that report nothing themselves."""

FEWEST_ROWS = 4
"""Rows before the incident that can tell whether a component was in use."""

GAP = 4
"""Calls lead through at most this many components without metrics (gateways, meshes, queues)."""


def build_graph(topology: Topology, series: AmountSeries, known_rows: int) -> CallGraph:
    """Calls, shares of the callers, and what is known of each component.

    Args:
        topology: dependencies between any components; a replica without edges has its service's.
        series: the components that the graph is about.
        known_rows: rows of the window before any candidate onset.
    """
    calls = _contract(topology, series.components)
    appeared = find_appeared(series, known_rows)
    counted = bool((topology.weight != 1.0).any())
    if not counted:
        calls.data[:] = 1.0
    split = _split(calls, series, counted)
    split = sparse.csr_array(split @ sparse.diags_array((~appeared).astype(np.float64)))
    kinds = topology.kinds
    inferred = np.array([kinds.get(name, "service") in INFERRED_KINDS for name in series.components], bool)
    return CallGraph(calls=calls, split=split, inferred=inferred, appeared=appeared)


def _contract(topology: Topology, components: tuple[str, ...]) -> sparse.csr_array:
    """Calls among ``components``, through components in between that have no metrics; no self-calls."""
    if not topology.replica_of and set(topology.components) <= set(components):
        return topology.adjacency(components)
    size, known = len(components), len(topology.components)
    place = np.array([_node(topology, name) for name in components], np.int64)
    there = np.flatnonzero(place >= 0)
    member = sparse.csr_array((np.ones(len(there)), (there, place[there])), shape=(size, known))
    edges = sparse.csr_array((topology.weight, (topology.caller, topology.callee)), shape=(known, known))
    unmeasured = np.ones(known)
    unmeasured[place[there]] = 0.0
    hidden = sparse.diags_array(unmeasured)
    step = sparse.csr_array(member @ edges)
    total = sparse.csr_array(step @ member.T)
    if unmeasured.any():
        for _ in range(GAP):
            step = sparse.csr_array(step @ hidden @ edges)
            if step.nnz == 0:
                break
            total = sparse.csr_array(total + step @ member.T)
    total = sparse.csr_array(total - sparse.diags_array(total.diagonal()))
    total.eliminate_zeros()
    total.sort_indices()
    return total


def _node(topology: Topology, component: str) -> int:
    """The component's own place in the topology, else its service's, else -1."""
    own = topology.index.get(component, -1)
    service = topology.replica_of.get(component)
    return own if service is None else topology.index.get(service, own)


def _split(calls: sparse.csr_array, series: AmountSeries, counted: bool) -> sparse.csr_array:
    """The share of each callee's requests that each caller sends: by calls counted, else by the callers' traffic."""
    if calls.nnz == 0:
        return calls
    rows = np.repeat(np.arange(calls.shape[0]), np.diff(calls.indptr))
    busy = known_or_zero(series.health.traffic).mean(axis=1, dtype=np.float64)
    part = calls.data if counted else busy[rows]
    callees = calls.indices
    sums = np.bincount(callees, part, calls.shape[0])[callees]
    callers = np.bincount(callees, minlength=calls.shape[0])[callees]
    share = np.divide(part, sums, out=1.0 / callers, where=sums > 0)
    return sparse.csr_array((share, callees, calls.indptr), shape=calls.shape)


def find_appeared(series: AmountSeries, known_rows: int) -> npt.NDArray[np.bool_]:
    """Components that are used now, but were hardly ever in health nor before the incident; shape (n,)."""
    known = np.asarray(~np.isnan(series.health.traffic).all(axis=1))
    seldom = (series.health.traffic > 0).mean(axis=1) < SELDOM
    before = series.window.traffic[:, :known_rows]
    # Health may be older than a component that has long been in use when the incident begins.
    used = (before > 0).mean(axis=1) > 0.5 if known_rows >= FEWEST_ROWS else np.zeros(known.size) > 0
    return np.asarray(known & seldom & ~used)


def reachable(calls: sparse.csr_array, start: int) -> npt.NDArray[np.bool_]:
    """Components that are called from ``start``, directly or not, and itself; shape (n,)."""
    order = sparse.csgraph.breadth_first_order(calls, start, directed=True, return_predecessors=False)
    mask = np.zeros(calls.shape[0], bool)
    mask[order] = True
    return mask
