"""A walk without cycles, solved in one sweep instead of step by step."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse import csgraph
from scipy.sparse.linalg import spsolve_triangular

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.integer]


def visits(steps: sparse.csr_array, starts: Floats, damping: float) -> Floats | None:
    """How often a walk that goes on with probability ``damping`` comes by each event.

    Solves x = starts + damping * steps @ x. Where events can be put in an order that no step goes
    against, that system is triangular and one substitution solves it: causes come before effects.

    Args:
        steps: probabilities of steps, to (row) from (column), shape (events, events).
        starts: where walks start, shape (events,) or (events, walks).

    Returns:
        Of the shape of ``starts``; None where the steps have a cycle.
    """
    to = np.repeat(np.arange(steps.shape[0], dtype=steps.indices.dtype), np.diff(steps.indptr))
    forth = to < steps.indices
    if forth.all() or bool((to > steps.indices).all()):
        return _substitute(steps, starts, damping, lower=not forth.all())
    place = _places(steps, to)
    if place is None:
        return None
    ordered = sparse.coo_array((steps.data, (place[to], place[steps.indices])), shape=steps.shape).tocsr()
    moved = np.empty_like(starts)
    moved[place] = starts
    return np.asarray(_substitute(ordered, moved, damping, lower=False)[place])


def _substitute(steps: sparse.csr_array, starts: Floats, damping: float, *, lower: bool) -> Floats:
    rest = sparse.csr_array((steps.data * -damping, steps.indices, steps.indptr), shape=steps.shape)
    return np.asarray(spsolve_triangular(rest, starts, lower=lower, overwrite_A=True, unit_diagonal=True))


def _places(steps: sparse.csr_array, to: Codes) -> Codes | None:
    """The place of each event in an order that every step follows backwards; None where there is none."""
    count, label = csgraph.connected_components(steps, directed=True, connection="strong")
    place = count - 1 - label
    # Strong components are numbered from their ends on; this is how they are found, and is not promised.
    fits = count == steps.shape[0] and bool((place[to] < place[steps.indices]).all())
    return place if fits else None
