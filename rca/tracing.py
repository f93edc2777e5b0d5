"""Spans joined to their parents, requests cut out of traces, log lines joined to requests.

A *request* is what one component does for one call: its spans under one entry span, whose parent
lies in another component (or nowhere).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from rca.calls import SEPARATOR, CallTable, cut_calls, find_orphans
from rca.spans import LinkedSpans, join_names
from rca.telemetry import NO_PEER, SpanBatch, encode

ENTRY, SPAN, CALL, LOG, LAST = "entry", "span", "call", "log", "last call"

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class RequestTable:
    """Requests and what happened in each.

    Attributes:
        components: names that ``component`` refers to.
        component: int32, shape (requests,).
        start, end: ns, shape (requests,).
        parent: row of the calling request, -1 where there is none.
        covered: whether the request's trace has any log line (else its log items are unknown).
        items: keys ``type␟what␟name``: what happens in requests of one type (component and entry
            operation): its entry, own spans, calls, log templates, and the last call of all.
        occurs: float64 CSR of ones, shape (requests, items).
        own_time: ns of each request that no call of it accounts for, shape (requests,).
        types: what ``type_of`` refers to: ``component operation``; type_of: int32, shape (requests,).
        calls: the calls between components.
    """

    components: tuple[str, ...]
    component: npt.NDArray[np.int32]
    start: Rows
    end: Rows
    parent: Rows
    covered: npt.NDArray[np.bool_]
    items: tuple[str, ...]
    occurs: sparse.csr_array
    own_time: Rows
    types: tuple[str, ...]
    type_of: npt.NDArray[np.int32]
    calls: CallTable

    def __len__(self) -> int:
        return len(self.start)

    def take(self, rows: npt.NDArray[Any]) -> RequestTable:
        """The requests of a mask; parents that are left out become -1."""
        mask = np.zeros(len(self), bool)
        mask[rows] = True
        new = np.full(len(self) + 1, -1, np.int64)
        new[:-1][mask] = np.arange(int(mask.sum()))
        return replace(
            self,
            component=self.component[mask],
            start=self.start[mask],
            end=self.end[mask],
            parent=new[self.parent[mask]],
            covered=self.covered[mask],
            own_time=self.own_time[mask],
            type_of=self.type_of[mask],
            occurs=self.occurs[np.flatnonzero(mask)],
        )

    def with_ancestors(self, marked: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """The marked requests and every request above one."""
        marked = marked.copy()
        frontier = np.flatnonzero(marked)
        while frontier.size:
            above = np.unique(self.parent[frontier])
            above = above[above >= 0]
            frontier = above[~marked[above]]
            marked[frontier] = True
        return marked


def cut_requests(
    linked: LinkedSpans,
    templates: npt.NDArray[Any],
    known_edges: tuple[str, ...] = (),
    replica_of: Mapping[str, str] | None = None,
) -> RequestTable:
    """Requests of spans and the log lines joined to them.

    Args:
        linked: spans and the log lines of theirs; a line without a known span belongs to no request.
        templates: the template of each line, object array of str, shape (lines,).
        known_edges: edges of other tables: they tell whom a client span called whose server's span is missing.
        replica_of: component -> service: where several replicas may have been called, the service is named.
    """
    spans, parent_row = linked.spans, linked.parent
    top_row = _entry_rows(spans, parent_row)
    tops = np.flatnonzero(top_row == np.arange(len(spans)))
    number = np.full(len(spans) + 1, -1, np.int64)
    number[tops] = np.arange(len(tops))
    request = number[top_row]
    above = number[top_row[parent_row[tops]]] if len(tops) else np.zeros(0, np.int64)
    parent = np.where(parent_row[tops] >= 0, above, -1)
    types = join_names(spans, tops)
    lost = find_orphans(spans, parent_row, tops, known_edges, replica_of or {})
    rows, names = _items(spans, parent_row, tops, request, parent, types, lost, linked.line, templates)
    item_keys, items = _item_codes(rows, names, types)
    occurs = sparse.coo_array(
        (np.ones(len(rows), np.float64), (rows, item_keys)), shape=(len(tops), len(items))
    ).tocsr()
    occurs.data[:] = 1.0
    start = spans.start[tops]
    type_names, type_of = encode(types)
    return RequestTable(
        components=spans.components,
        component=spans.component[tops],
        start=start,
        end=start + spans.duration[tops],
        parent=parent,
        covered=linked.logged[tops],
        items=items,
        occurs=occurs,
        own_time=_own_time(spans, parent_row, tops, request, lost[0]),
        types=type_names,
        type_of=type_of,
        calls=cut_calls(spans, parent_row, tops, known_edges, replica_of or {}),
    )


def _entry_rows(spans: SpanBatch, parent_row: Rows) -> Rows:
    """The row of each span's entry span: up through parents of the same component."""
    own = np.arange(len(spans))
    same = (parent_row >= 0) & (spans.component[parent_row] == spans.component)
    up = np.where(same, parent_row, own)
    # Pointer jumping: depth 2**k after k rounds; 40 rounds outlast any depth and end cycles.
    for _ in range(40):
        further = up[up]
        if bool((further == up).all()):
            break
        up = further
    cyclic = up[up] != up
    return np.where(cyclic, own, up)


def _items(
    spans: SpanBatch,
    parent_row: Rows,
    tops: Rows,
    request: Rows,
    parent: Rows,
    types: npt.NDArray[Any],
    lost: tuple[Rows, npt.NDArray[Any]],
    line: Rows,
    templates: npt.NDArray[Any],
) -> tuple[Rows, npt.NDArray[Any]]:
    """(request row, item name) of everything that happened, repeats included."""
    operation = np.array(spans.operations, dtype=object)
    rows: list[Rows] = [np.arange(len(tops)), request]
    names: list[npt.NDArray[Any]] = [
        np.full(len(tops), ENTRY, object),
        _label(SPAN, operation[spans.operation] if len(spans) else np.zeros(0, object)),
    ]
    called = np.flatnonzero(parent >= 0)
    outward = np.flatnonzero((spans.peer != NO_PEER) & ~_has_foreign_child(spans, parent_row))
    orphans, edges = lost
    unanswered = np.array([edge.split(SEPARATOR)[1] for edge in edges] or [], object)
    named = join_names(spans, outward, spans.peer)
    targets = np.concatenate([types[called], named, unanswered])
    callers = np.concatenate([parent[called], request[outward], request[orphans]])
    begins = np.concatenate([spans.start[tops[called]], spans.start[outward], spans.start[orphans]])
    rows.append(callers)
    names.append(_label(CALL, targets))
    # The last call of a request: where requests newly end here, the callee is suspect.
    order = np.lexsort((begins, callers))
    ends = np.flatnonzero(np.diff(callers[order], append=-1) != 0)
    rows.append(callers[order][ends])
    names.append(_label(LAST, targets[order][ends]))
    joined = np.flatnonzero(line >= 0)
    rows.append(request[line[joined]])
    names.append(_label(LOG, templates[joined]))
    return np.concatenate(rows), np.concatenate(names)


def _has_foreign_child(spans: SpanBatch, parent_row: Rows) -> npt.NDArray[np.bool_]:
    result = np.zeros(len(spans), bool)
    child = np.flatnonzero(parent_row >= 0)
    foreign = child[spans.component[child] != spans.component[parent_row[child]]]
    result[parent_row[foreign]] = True
    return result


def _label(what: str, names: npt.NDArray[Any]) -> npt.NDArray[Any]:
    import pandas as pd

    codes, distinct = pd.factorize(names)
    labelled = np.empty(len(distinct), object)
    labelled[:] = [f"{what}{SEPARATOR}{name}" for name in distinct]
    return labelled[codes] if len(names) else np.zeros(0, object)


def _item_codes(
    rows: Rows, names: npt.NDArray[Any], types: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    import pandas as pd

    type_code, type_names = pd.factorize(types, sort=True)
    name_code, name_names = pd.factorize(names, sort=True)
    key = type_code[rows].astype(np.int64) * max(len(name_names), 1) + name_code
    distinct, code = np.unique(key, return_inverse=True)
    width = max(len(name_names), 1)
    items = tuple(f"{type_names[k // width]}{SEPARATOR}{name_names[k % width]}" for k in distinct)
    return code.astype(np.int64), items


def _own_time(spans: SpanBatch, parent_row: Rows, tops: Rows, request: Rows, lost: Rows) -> Rows:
    """Duration of each request less that of its calls, lost ones too; calls side by side cannot make it negative."""
    called = tops[parent_row[tops] >= 0]
    above = parent_row[called]
    # The calling span stands for the call; where the entry span itself is the caller, the callee's does.
    is_entry = above == tops[request[above]]
    outward = np.flatnonzero((spans.peer != NO_PEER) & ~_has_foreign_child(spans, parent_row))
    rows = np.concatenate([np.unique(above[~is_entry]), outward, lost])
    spent = np.bincount(request[rows], spans.duration[rows], len(tops)).astype(np.float64)
    spent += np.bincount(request[above[is_entry]], spans.duration[called[is_entry]], len(tops))
    return np.maximum(spans.duration[tops] - spent, 0).astype(np.int64)
