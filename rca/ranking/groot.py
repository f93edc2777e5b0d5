"""GrootRank: a walk from symptoms to causes, which comes to rest on events that nothing caused.

PageRank on the reversed causality graph with a preference for events without a cause (Wang et al.,
"Groot", ASE 2021). Two variants were published: the paper weighs the personalisation with 1 for
events without a cause and 0.5 for others; eBay's own code weighs so where the walk goes on
from a dead end, and restarts it uniformly.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse import csgraph

from rca.causality.graph import CausalityGraph
from rca.errors import InputError, SettingsError
from rca.ranking.sweep import visits

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Variant = Literal["personalisation", "dangling"]

DAMPING = 0.85  # of the paper and of PageRank
CHECK_EVERY = 4  # iterations: measuring the change costs a fifth of one
NEUTRALISATION = 0.5  # weight of events with a cause against 1 for those without, as published


def groot_rank(
    graph: CausalityGraph,
    symptoms: Bools | Floats,
    *,
    variant: Variant = "personalisation",
    damping: float = DAMPING,
    tolerance: float = 1e-8,
    iterations: int = 1_000,
) -> Floats:
    """How much of the walk rests on each event: float64, shape (events,), sums to 1.

    The walk starts at symptoms, steps from effects to causes in proportion to the edges' weights,
    and restarts with probability 1 - ``damping``. Events that no symptom leads to get 0.

    Args:
        symptoms: which events are symptoms (bool): the walk restarts anywhere among what they lead
            to, as Groot builds its graph around the alert; or how readily it restarts at each
            event (numbers, not negative). All false or all 0: every event counts as a symptom.
        variant: where 1 for events without a cause against 0.5 for the others is put: into the
            "personalisation" (restarts and dead ends) or into the "dangling" vector (dead ends).
        tolerance: L1 distance between two iterations at which the walk has settled; the result is
            then within ``damping / (1 - damping)`` times as much of the limit. Without cycles, which
            only events of the same time can close, the limit itself is found.
        iterations: at most so many.

    Returns:
        An empty array for a graph without events. Without edges, the restart distribution.

    Raises:
        InputError: ``symptoms`` has another shape than (events,), or negative or non-finite numbers.
        SettingsError: an argument is out of its range, or ``iterations`` do not reach the tolerance.
    """
    _check(variant, damping, tolerance)
    base = _base(np.asarray(symptoms), len(graph.events))
    if not base.size:
        return base
    steps, caused = _steps(graph)
    base, reached = _around(base, steps, boolean=np.asarray(symptoms).dtype == np.bool_)
    preference = np.where(caused, NEUTRALISATION, 1.0)
    if variant == "personalisation":
        restart = _normalised(base * preference)
        dead_end = restart
    else:
        restart = _normalised(base)
        dead_end = _normalised(reached * preference)
    settled = _limit(steps, ~caused, restart, dead_end, damping)
    if settled is not None:
        return settled
    return _walk(steps, ~caused, restart, dead_end, damping, tolerance, iterations)


def _limit(steps: sparse.csr_array, ends: Bools, restart: Floats, dead_end: Floats, damping: float) -> Floats | None:
    """Where the walk comes to rest, without walking; None where the graph has a cycle.

    A rank is the visits of walks from the restart and of walks that go on from dead ends: both are
    solved without dead ends and added up (Langville and Meyer, "A Reordering for the PageRank
    Problem", 2006; Gleich, "PageRank Beyond the Web", 2015, section 3).
    """
    starts = restart if dead_end is restart else np.stack([restart, dead_end], axis=1)
    found = visits(steps, starts, damping)
    if found is None or dead_end is restart:
        return None if found is None else _normalised(found)
    first, again = found.T
    return _normalised(first + damping * first[ends].sum() / ((1.0 - damping) * again.sum()) * again)


def _check(variant: Variant, damping: float, tolerance: float) -> None:
    if variant not in get_args(Variant):
        raise SettingsError(f"the variant {variant!r} is unknown", remedy=f"Use {' or '.join(get_args(Variant))}")
    if not 0 <= damping < 1:
        raise SettingsError(f"damping is {damping}", remedy="Give a number from 0 to below 1")
    if not tolerance > 0:
        raise SettingsError(f"tolerance is {tolerance}", remedy="Give a number above 0")


def _base(symptoms: npt.NDArray[np.generic], size: int) -> Floats:
    """The symptoms as numbers; all 1 where there are none."""
    if symptoms.shape != (size,):
        raise InputError(
            f"symptoms have shape {symptoms.shape}", where="groot_rank", remedy=f"Give one value per event: ({size},)"
        )
    base = symptoms.astype(np.float64)
    if not np.all(np.isfinite(base)) or np.any(base < 0):
        raise InputError("symptoms are negative or not finite", where="groot_rank", remedy="Give numbers from 0 up")
    return base if base.any() else np.ones(size, np.float64)


def _steps(graph: CausalityGraph) -> tuple[sparse.csr_array, Bools]:
    """Probabilities of steps, to (row) from (column); and which events have a cause.

    The edges' own order, by cause and effect, is that of these rows: nothing has to be sorted.
    """
    size = len(graph.events)
    leaving = np.bincount(graph.effect, weights=graph.weight, minlength=size)
    share = graph.weight / leaving[graph.effect] if graph.effect.size else graph.weight
    indptr = graph.indptr.astype(np.int32) if graph.effect.size < np.iinfo(np.int32).max else graph.indptr
    return sparse.csr_array((share, graph.effect, indptr), shape=(size, size)), leaving > 0


def _around(base: Floats, steps: sparse.csr_array, *, boolean: bool) -> tuple[Floats, Floats]:
    """The base, for a mask spread over all that the symptoms lead to; and what they lead to (1 or 0)."""
    if np.all(base > 0):
        return base, np.ones(base.size, np.float64)
    reached = _reached(base > 0, steps)
    return (reached if boolean else base), reached


def _reached(symptoms: Bools, steps: sparse.csr_array) -> Floats:
    """1 for events that the walk can get to from symptoms, else 0: breadth first from one more node."""
    size = symptoms.size
    outgoing = sparse.csr_array(steps.T)
    seeds = np.flatnonzero(symptoms).astype(np.int32)
    indices = np.concatenate([outgoing.indices, seeds])
    indptr = np.append(outgoing.indptr, indices.size)
    matrix = sparse.csr_array((np.ones(indices.size), indices, indptr), shape=(size + 1, size + 1))
    order = csgraph.breadth_first_order(matrix, size, directed=True, return_predecessors=False)
    reached = np.zeros(size + 1, np.float64)
    reached[order] = 1.0
    return reached[:size]


def _normalised(values: Floats) -> Floats:
    scaled: Floats = values / values.max()  # so that the sum can neither overflow nor vanish
    scaled /= scaled.sum()
    return scaled


def _walk(
    steps: sparse.csr_array,
    ends: Bools,
    restart: Floats,
    dead_end: Floats,
    damping: float,
    tolerance: float,
    iterations: int,
) -> Floats:
    onward = sparse.csr_array((steps.data * damping, steps.indices, steps.indptr), shape=steps.shape)
    dead, again, fresh = ends.astype(np.float64), damping * dead_end, (1.0 - damping) * restart
    rank, scratch = restart, np.empty_like(restart)
    for iteration in range(1, iterations + 1):
        following: Floats = np.asarray(onward @ rank)
        following += np.multiply(again, float(dead @ rank), out=scratch)
        following += fresh
        if iteration % CHECK_EVERY == 0 or iteration == iterations:
            np.subtract(following, rank, out=scratch)
            if float(np.abs(scratch, out=scratch).sum()) <= tolerance:
                return _normalised(following)  # rounding has moved the sum by some 1e-16
        rank = following
    raise SettingsError(
        f"{iterations} iterations do not settle the walk to {tolerance}", remedy="Allow more, or a larger tolerance"
    )
