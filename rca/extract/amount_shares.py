"""Shares of a symptom's amount: how much of it passes through each component, how much is its own.

Means do not add up along calls, amounts do: the seconds by which a component's requests were longer
than in health, and the requests that failed beyond health, appear at the callee and again at each
of its callers. What a component's callees do not account for is its own.

Arrays are (components, rows); the regressor ``symptom`` is the amount of the component in which
users feel the incident, signed so that it grows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import ndtr

from rca.extract.amount_series import AmountBlock, AmountSeries, Array, Kind

Flags = npt.NDArray[np.bool_]

# Each constant may be halved or doubled without changing a first place on the PetShop incidents.
NOISE = 2.0
"""Own amounts lose this many standard errors."""
SIGNIFICANT = 2.0
"""A callee explains its caller from this many standard errors on."""
ABNORMAL = 6.0
"""From this many standard errors on a callee is abnormal: its callers wait and retry beyond the conserved amount.
An own amount of this robust z in its largest row counts half: 6 in 100 healthy windows hold one as large."""
EXPLAINED = 0.5
"""Blame that a caller loses to an abnormal callee that moves along with the symptom."""
UNREACHED = 0.7
"""Weight of components that the symptom's component does not call, directly or not: call graphs have gaps."""
OTHER_KIND = 0.25
"""Weight of failures where the symptom is latency, and of latency where the symptom is failures."""
SELDOM = 0.05
"""A component with requests in a smaller share of the healthy rows has newly appeared."""
ALIAS = 0.5
"""Correlation from which an uninstrumented leaf is its caller's view of an instrumented sibling."""
LEAST = 0.002
"""Components through which a smaller share of the symptom passes are not looked into."""
SHRINK = 0.02
"""Share of the symptom's variance added to the regression's denominator: few known rows give small shares."""
ORDER = 0.01
"""Weight of significance among candidates that are otherwise equal."""


@dataclass(frozen=True, kw_only=True)
class CallGraph:
    """Calls between the components of an ``AmountSeries``.

    Attributes:
        calls: bool-like CSR, shape (n, n), caller in rows.
        split: CSR, shape (n, n): the share of the callee's requests that comes from the caller.
        inferred: components that only their callers see, shape (n,).
        appeared: components that health hardly knows, shape (n,).
    """

    calls: sparse.csr_array
    split: sparse.csr_array
    inferred: Flags
    appeared: Flags

    def members(self, components: npt.NDArray[np.intp]) -> CallGraph:
        """The calls among the given components."""
        return CallGraph(
            calls=_among(self.calls, components),
            split=_among(self.split, components),
            inferred=self.inferred[components],
            appeared=self.appeared[components],
        )


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Per component, shape (n,): ``through`` share of the symptom's amount that passes through it,
    ``own`` what its callees leave of it, ``error`` the standard error of ``own``, ``follows`` the
    correlation of its own amount with the symptom's, ``score`` in [0, 1].
    """

    through: Array
    own: Array
    error: Array
    follows: Array
    score: Array


def _among(matrix: sparse.csr_array, members: npt.NDArray[np.intp]) -> sparse.csr_array:
    return sparse.csr_array(sparse.csr_array(matrix[members])[:, members])


def excess(kind: Kind, block: AmountBlock, level: Array) -> Array:
    """Amounts beyond the healthy ``level``: seconds or failed requests per row; 0 without requests, NaN if unknown."""
    value = block.latency if kind == "latency" else block.failures
    amount = (value - level[:, None]) * block.traffic
    amount[block.traffic == 0] = 0.0
    return amount


def healthy_level(kind: Kind, series: AmountSeries) -> Array:
    """The healthy latency (median) or failure share (pooled over requests, so that idle rows do not count)."""
    health = series.health
    if kind == "latency":
        level = median(health.latency)
        unknown = np.isnan(level)
        if unknown.any():
            level[unknown] = median(series.window.latency[unknown])
        return level
    requests = known_or_zero(health.traffic).sum(axis=1)
    failed = known_or_zero(health.failures * health.traffic).sum(axis=1)
    return np.asarray(failed / np.maximum(requests, 1.0))


def share_symptom(
    kind: Kind, symptom: Array, amount: Array, level: Array, series: AmountSeries, graph: CallGraph
) -> Shares:
    """Shares of one kind of amount in the symptom's.

    Args:
        kind: which amount of the components is looked at.
        symptom: the symptom's amount, growing, in the unit of ``kind``; shape (rows,).
        amount: the components' amounts in the same rows and with the same sign; shape (n, rows).
        level: healthy level of ``kind``, shape (n,).
    """
    centred = symptom - symptom.mean()
    total = float(centred @ centred) + 1e-12
    through, filled = _regress(amount, symptom, total)
    kept = np.flatnonzero(through > LEAST)
    size = len(through)
    shares = Shares(
        through=through, own=through.copy(), error=np.zeros(size), follows=np.zeros(size), score=np.zeros(size)
    )
    if kept.size:
        healthy = known_or_zero(excess(kind, series.health.members(kept), level[kept].astype(np.float32)))
        parts = _weigh(through[kept], filled[kept], healthy, symptom, graph.members(kept))
        for name, values in parts.items():
            getattr(shares, name)[kept] = values
    return shares


def _weigh(through: Array, amount: Array, healthy: Array, symptom: Array, graph: CallGraph) -> dict[str, Array]:
    """Own share, its error, correlation and score of the components that carry anything; each of shape (kept,)."""
    centred = symptom - symptom.mean()
    total = float(centred @ centred) + 1e-12
    error = spread(healthy)[1] / np.sqrt(total)
    explains = np.where(through > SIGNIFICANT * error, through, 0.0)
    counted = sparse.csr_array(graph.split @ sparse.diags_array((explains > 0).astype(np.float64)))
    own_amount = amount - counted @ amount
    own_healthy = healthy - counted.astype(healthy.dtype) @ healthy
    middle, own_noise = spread(own_healthy)
    own_error = own_noise / np.sqrt(total)
    own = through - graph.split @ explains - _seen_as_alias(amount, explains, graph)
    follows = np.clip(correlate(own_amount, centred, total), 0.0, 1.0)
    abnormal = (explains > 0) & (through > ABNORMAL * error) & ~graph.appeared & ~graph.inferred
    pull = np.where(abnormal, np.clip(correlate(amount, centred, total), 0.0, 1.0), 0.0)
    score = np.clip(own - NOISE * own_error, 0.0, 1.0) * follows
    score *= 1.0 - EXPLAINED * _largest_callee(pull, graph.calls)
    # An amount that is small against the symptom is not remarkable, however steady it was.
    z = np.abs(own_amount - middle[:, None]).max(axis=1) / np.maximum(own_noise, 0.02 * np.abs(symptom).max())
    score *= z**2 / (z**2 + ABNORMAL**2)
    order = follows * ndtr(own / (own_error + 1e-12) - 3.0) * np.clip(own, 0.0, 1.0)
    score = (score + ORDER * order) / (1.0 + ORDER)
    # Calling something new is a change of the caller, which keeps the blame.
    score[graph.appeared] = 0.0
    return {"own": own, "error": own_error, "follows": follows, "score": score}


def strongest(amount: Array, symptom: Array) -> float:
    """The largest slope of any amount on the symptom: one unit of another kind of amount."""
    if not amount.size:
        return 0.0
    known = known_or_zero(amount)
    centred = symptom - symptom.mean()
    return float(np.abs((known - known.mean(axis=1, keepdims=True)) @ centred).max() / (centred @ centred + 1e-12))


def _regress(amount: Array, symptom: Array, total: float) -> tuple[Array, Array]:
    """Slope of each amount on the symptom over the rows where it is known, and the amounts with gaps filled by it."""
    known = np.isfinite(amount)
    count = np.maximum(known.sum(axis=1), 1)
    amount = np.where(known, amount, 0.0)
    symptom_mean = (known @ symptom) / count
    amount_mean = amount.sum(axis=1) / count
    difference = known * (symptom - symptom_mean[:, None])
    slope = np.einsum("ct,ct->c", difference, amount) / (np.einsum("ct,ct->c", difference, difference) + SHRINK * total)
    if not known.all():
        line = amount_mean[:, None] + slope[:, None] * (symptom - symptom_mean[:, None])
        amount = np.where(known, amount, line)
    return slope, amount


def _seen_as_alias(amount: Array, explains: Array, graph: CallGraph) -> Array:
    """What instrumented siblings explain of uninstrumented leaves; shape (n,)."""
    explained = np.zeros(len(explains))
    calls = graph.calls
    callers_of = sparse.csr_array(calls.T)
    leaves = np.flatnonzero(graph.inferred & (np.diff(calls.indptr) == 0) & (np.diff(callers_of.indptr) > 0))
    for leaf in leaves:  # few: uninstrumented components are named by hand or by their callers
        callers = callers_of.indices[callers_of.indptr[leaf] : callers_of.indptr[leaf + 1]]
        # A sibling is met once per common caller, and explains once per common caller.
        siblings = np.concatenate([calls.indices[calls.indptr[u] : calls.indptr[u + 1]] for u in callers])
        siblings = siblings[(siblings != leaf) & ~graph.inferred[siblings] & (explains[siblings] > 0)]
        if siblings.size:
            centred = amount[leaf] - amount[leaf].mean()
            alike = correlate(amount[siblings], centred, float(centred @ centred)) > ALIAS
            explained[leaf] = explains[siblings[alike]].sum()
    return explained


def _largest_callee(value: Array, calls: sparse.csr_array) -> Array:
    """The largest value among each component's callees, 0 without any; shape (n,)."""
    largest = np.zeros(len(value))
    busy = np.flatnonzero(np.diff(calls.indptr) > 0)
    if busy.size:
        largest[busy] = np.maximum.reduceat(value[calls.indices], calls.indptr[busy])
    return largest


def correlate(amount: Array, centred: Array, total: float) -> Array:
    """Correlation of each row of ``amount`` with a centred series of squared length ``total``."""
    deviation = amount - amount.mean(axis=1, keepdims=True)
    squares = np.einsum("ct,ct->c", deviation, deviation)
    return np.asarray((deviation @ centred) / np.sqrt(squares * total + 1e-12))


def spread(values: Array) -> tuple[Array, Array]:
    """Median, and a standard deviation that a few outliers do not carry away: IQR / 1.349, at least half the plain one.

    Each has shape (n,); no value may be NaN.
    """
    ordered = np.sort(values.astype(np.float32), axis=1)
    last = values.shape[1] - 1

    def quantile(q: float) -> Array:
        low = int(q * last)
        high = min(low + 1, last)
        return np.asarray(ordered[:, low] + (q * last - low) * (ordered[:, high] - ordered[:, low]), np.float64)

    robust = (quantile(0.75) - quantile(0.25)) / 1.349
    plain = values.std(axis=1, dtype=np.float64)
    return quantile(0.5), np.asarray(np.maximum(np.maximum(robust, 0.5 * plain), 1e-6))


def known_or_zero(values: Array) -> Array:
    """The values with 0 for NaN."""
    return np.asarray(np.where(np.isnan(values), values.dtype.type(0), values))


def median(values: Array) -> Array:
    """Median of the known values of each row, NaN where there are none; shape (n,), float64."""
    ordered = np.sort(values, axis=1)  # NaN sorts last
    count = values.shape[1] - np.isnan(values).sum(axis=1)
    row = np.arange(len(values))
    low = ordered[row, np.maximum(count - 1, 0) // 2]
    high = ordered[row, np.minimum(count // 2, values.shape[1] - 1)]
    return np.asarray(np.where(count > 0, (low + high) / 2.0, np.nan), np.float64)
