"""Events within requests: steps that always followed and no longer do, new ones, and calls that end them.

"Of the requests of this kind that did A, how many did B" is blind to traffic: a component that is
merely called less stays normal. The unit is the request; both log lines and spans are its steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from rca.extract.complaints import Complaints
from rca.extract.context import Context
from rca.extract.request_patterns import deviations, strongest_by_group
from rca.health.requests import RequestHealth, split_item, touched_by
from rca.likelihood import saturate
from rca.spans import component_of, readable
from rca.tracing import CALL, ENTRY, LAST, LOG, SPAN, RequestTable
from rca.types import Event, Evidence

Array = npt.NDArray[Any]

# One half of full blame at ten powers of ten above the component's own usual deviation.
SCALE = 10.0
# A callee at which a caller newly ends: two such callers outweigh one caller's own deviation.
CALLEE_SHARE = 0.7
# Ratios below 100 : 1 raise no event.
FEWEST_POWERS = 2.0
WORDS = {ENTRY: "begins", SPAN: "works on", CALL: "calls", LOG: "logs", LAST: "calls last"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Patterns:
    """All pairs that health or window knows: counts per candidate onset, shape (pairs, candidates)."""

    items: tuple[str, ...]
    first: Array
    second: Array
    k1: Array
    n1: Array
    k0: Array
    n0: Array
    ratio: Array

    def describe(self, pair: int, candidate: int) -> str:
        """The pattern in a sentence with its counts."""
        kind, what, name = split_item(self.items[self.second[pair]])
        _, before, before_name = split_item(self.items[self.first[pair]])
        after = "" if before == ENTRY or before_name == name else f" after it {WORDS[before]} {readable(before_name)!r}"
        k1, n1 = int(self.k1[pair, candidate]), int(self.n1[pair, candidate])
        k0, n0 = int(self.k0[pair]), int(self.n0[pair])
        verb = "newly" if self.ratio[pair, candidate] > 0 else "no longer"
        return (
            f"{readable(kind)} {verb} {WORDS[what]} {readable(name)!r}{after}: "
            f"{k1} of {n1} requests, healthy {k0} of {n0}"
        )


def extract_requests(context: Context, table: RequestTable) -> list[Event]:
    """Events ``request.missing``, ``request.new`` and ``request.breaks_off`` of the window's requests.

    Args:
        context: the analysis; without healthy requests there is nothing to compare with.
        table: the window's requests.
    """
    health = context.health.requests
    if health is None or not len(table):
        return []
    kept = table.take(~touched_by(table, health.background))
    patterns = _compare(kept, health, context.onsets, context.ends)
    owner_names = [component_of(split_item(item)[0]) for item in patterns.items]
    names = sorted(set(owner_names))
    place = {name: i for i, name in enumerate(names)}
    owner = np.array([place[name] for name in owner_names], np.int64)[patterns.first]
    scale = SCALE + np.array([health.usual_deviation.get(name, 0.0) for name in names])
    return [
        *_own_events(context, patterns, owner, names, scale),
        *_callee_events(context, patterns, owner, names, scale),
    ]


def _compare(table: RequestTable, health: RequestHealth, onsets: Array, ends: Array) -> Patterns:
    items = (*health.items, *sorted(set(table.items) - set(health.items)))
    position = {item: i for i, item in enumerate(items)}
    column = np.array([position[item] for item in table.items] or [0], np.int64)
    coo = table.occurs.tocoo()
    occurs = sparse.csr_array((coo.data, (coo.row, column[coo.col])), shape=(len(table), len(items)))
    edges = np.unique(np.concatenate([onsets, ends]))
    of_bin = np.searchsorted(edges, table.start, side="right") - 1
    keys, parts = _pair_counts(occurs, of_bin, len(edges), len(items))
    health_keys = health.first.astype(np.int64) * len(items) + health.second
    all_keys = np.union1d(keys, health_keys)
    first, second = all_keys // len(items), all_keys % len(items)
    both = _widen(parts, keys, all_keys)
    requests, covered = _item_counts(occurs, of_bin, len(edges), table.covered)
    begin, stop = np.searchsorted(edges, onsets), np.searchsorted(edges, ends)
    k1, all_n, log_n = (_between(x, begin, stop) for x in (both, requests, covered))
    of_log = np.array([split_item(item)[1] == LOG for item in items], bool)[second]
    n1 = np.where(of_log[:, None], log_n[first], all_n[first])
    here = np.searchsorted(all_keys, health_keys)
    k0, dispersion = np.zeros(len(all_keys)), np.ones(len(all_keys))
    k0[here], dispersion[here] = health.both, health.dispersion
    known = len(health.items)
    in_health = first < known
    at = np.minimum(first, max(known - 1, 0))
    n0 = np.where(in_health, np.where(of_log, health.covered[at], health.requests[at]), 0.0) if known else k0 * 0
    ratio = deviations(k1, n1, k0[:, None], n0[:, None], dispersion[:, None])
    return Patterns(items=items, first=first, second=second, k1=k1, n1=n1, k0=k0, n0=n0, ratio=ratio)


def _pair_counts(occurs: sparse.csr_array, of_bin: Array, bins: int, width: int) -> tuple[Array, Array]:
    """Distinct pairs and, per pair and bin of time, how many requests have both: (pairs,), (pairs, bins)."""
    keys, counts, bin_of = [], [], []
    for at in range(bins):
        rows = np.flatnonzero(of_bin == at)
        if not rows.size:
            continue
        part = occurs[rows]
        together = (part.T @ part).tocoo()
        keys.append(together.row.astype(np.int64) * width + together.col)
        counts.append(together.data)
        bin_of.append(np.full(len(together.data), at))
    if not keys:
        return np.zeros(0, np.int64), np.zeros((0, bins))
    distinct, code = np.unique(np.concatenate(keys), return_inverse=True)
    grid = np.zeros((len(distinct), bins))
    grid[code, np.concatenate(bin_of)] = np.concatenate(counts)
    return distinct, grid


def _item_counts(occurs: sparse.csr_array, of_bin: Array, bins: int, covered: Array) -> tuple[Array, Array]:
    inside = np.flatnonzero(of_bin >= 0)
    shape = (bins, occurs.shape[0])
    pick = sparse.csr_array((np.ones(len(inside)), (of_bin[inside], inside)), shape=shape)
    pick_covered = sparse.csr_array((covered[inside].astype(float), (of_bin[inside], inside)), shape=shape)
    return (pick @ occurs).toarray().T, (pick_covered @ occurs).toarray().T


def _widen(parts: Array, keys: Array, all_keys: Array) -> Array:
    wide = np.zeros((len(all_keys), parts.shape[1]))
    wide[np.searchsorted(all_keys, keys)] = parts
    return wide


def _between(counts: Array, begin: Array, stop: Array) -> Array:
    running = np.concatenate([np.zeros((counts.shape[0], 1)), np.cumsum(counts, axis=1)], axis=1)
    counted: Array = running[:, stop] - running[:, begin]
    return counted


def _own_events(context: Context, patterns: Patterns, owner: Array, names: list[str], scale: Array) -> list[Event]:
    size = np.abs(patterns.ratio)
    strongest = strongest_by_group(size, owner, len(names))  # (components, candidates)
    blame = saturate(strongest, scale[:, None]).mean(axis=1)
    complaints = Complaints(context.components, context.topology)
    events: list[Event] = []
    for at in np.flatnonzero(strongest.max(axis=1, initial=0.0) > FEWEST_POWERS):
        candidate = int(np.argmax(strongest[at]))
        mine = np.flatnonzero(owner == at)
        pair = int(mine[np.argmax(size[mine, candidate])])
        new = patterns.ratio[pair, candidate] > 0
        kind = "request.new" if new else "request.missing"
        _, what, name = split_item(patterns.items[patterns.second[pair]])
        blamed = complaints.named_by(names[at], name) if new and what == LOG else ()
        events += [_complaint(context, names[at], other, patterns, pair, candidate, blame[at]) for other in blamed]
        events.append(
            Event(
                id=f"{kind}:{names[at]}:{what} {readable(name)}",
                component=names[at],
                kind=kind,
                name=readable(name),
                start=int(context.onsets[candidate]),
                end=int(context.ends[candidate]),
                severity=float(blame[at]),
                direction="up" if new else "down",
                evidence=Evidence(
                    sentence=patterns.describe(pair, candidate),
                    group="requests",
                    blame=0.0 if blamed else float(blame[at]),
                    likelihood=float(size[pair, candidate]),
                    # Calls stop, or begin, also because another callee fails before them.
                    explainable=what in (CALL, LAST),
                ),
            )
        )
    return events


def _complaint(
    context: Context, writer: str, other: str, patterns: Patterns, pair: int, candidate: int, blame: float
) -> Event:
    """A new line that names another component is evidence about that one, not about its writer."""
    return Event(
        id=f"dependency.blamed:{other}:{writer} in requests",
        component=other,
        kind="dependency.blamed",
        name=writer,
        start=int(context.onsets[candidate]),
        end=int(context.ends[candidate]),
        severity=float(CALLEE_SHARE * blame),
        direction="up",
        evidence=Evidence(
            sentence=f"{writer} complains of {other}: {patterns.describe(pair, candidate)}",
            group=f"breaks off at caller {writer}",
            blame=float(CALLEE_SHARE * blame),
            likelihood=float(abs(patterns.ratio[pair, candidate])),
        ),
    )


def _callee_events(context: Context, patterns: Patterns, owner: Array, names: list[str], scale: Array) -> list[Event]:
    """Callers that newly end after calling one component speak against that component."""
    keys = [split_item(item) for item in patterns.items]
    callee_names = [component_of(key[2]) if key[1] == LAST else "" for key in keys]
    callees = sorted(set(callee_names) - {""})
    if not callees:
        return []
    place = {name: i for i, name in enumerate(callees)}
    callee = np.array([place.get(name, -1) for name in callee_names], np.int64)[patterns.second]
    rows = np.flatnonzero(callee >= 0)
    pair_group = owner[rows] * len(callees) + callee[rows]
    newly = strongest_by_group(np.maximum(patterns.ratio[rows], 0.0), pair_group, len(names) * len(callees))
    events = []
    for group in np.flatnonzero(newly.max(axis=1, initial=0.0) > FEWEST_POWERS):
        caller, target = names[group // len(callees)], callees[group % len(callees)]
        if caller == target:
            continue
        passed = np.where(newly[group] > FEWEST_POWERS, newly[group], 0.0)
        blame = CALLEE_SHARE * saturate(passed, float(scale[group // len(callees)])).mean()
        candidate = int(np.argmax(newly[group]))
        mine = rows[pair_group == group]
        pair = int(mine[np.argmax(patterns.ratio[mine, candidate])])
        events.append(
            Event(
                id=f"request.breaks_off:{target}:{caller}",
                component=target,
                kind="request.breaks_off",
                name=caller,
                start=int(context.onsets[candidate]),
                end=int(context.ends[candidate]),
                severity=float(blame),
                direction="up",
                evidence=Evidence(
                    sentence=f"requests of {caller} end after calling {target}: {patterns.describe(pair, candidate)}",
                    group=f"breaks off at caller {caller}",
                    blame=float(blame),
                    likelihood=float(newly[group, candidate]),
                ),
                attributes={"peer": caller},
            )
        )
    return events
