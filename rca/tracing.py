"""Spans joined to their parents, requests cut out of traces, log lines joined to requests.

A *request* is what one component does for one call: its spans under one entry span, whose parent
lies in another component (or nowhere).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from rca.telemetry import NO_PEER, LogBatch, SpanBatch

ENTRY, SPAN, CALL, LOG, LAST = "entry", "span", "call", "log", "last call"
SEPARATOR = "\x1f"
# Between component and operation in a request type: a character that neither contains.
WITHIN = "\x1e"

Rows = npt.NDArray[np.int64]


def component_of(request_type: str) -> str:
    """The component of a request type or call target."""
    return request_type.split(WITHIN, 1)[0]


def readable(name: str) -> str:
    """A request type or call target for people: ``cart /get``."""
    return name.replace(WITHIN, " ")


def find_parents(spans: SpanBatch) -> Rows:
    """The row of each span's parent, -1 where it has none or it was not seen; shape (spans,).

    A span without a parent that is linked to another (a message's consumer to its producer) has the
    linked one as its parent. Of spans sent twice the first counts.
    """
    rows = find_spans(spans, spans.trace, spans.parent)
    linked = (rows < 0) & (spans.link_span != "")
    if linked.any():
        rows[linked] = find_spans(spans, spans.link_trace[linked], spans.link_span[linked])
    own = np.arange(len(spans))
    return np.where(rows == own, -1, rows)


def find_spans(spans: SpanBatch, trace: npt.NDArray[Any], span: npt.NDArray[Any]) -> Rows:
    """The row of the span with each (trace, span) id, -1 where there is none; shape (ids,)."""
    import pandas as pd

    size = len(spans)
    if size == 0 or len(trace) == 0:
        return np.full(len(trace), -1, np.int64)
    traces, _ = pd.factorize(np.concatenate([spans.trace, trace]))
    ids, distinct = pd.factorize(np.concatenate([spans.span, span]))
    key = traces.astype(np.int64) * (len(distinct) + 1) + ids
    known, wanted = key[:size], key[size:]
    order = np.argsort(known, kind="stable")
    place = np.searchsorted(known[order], wanted)
    found = np.minimum(place, size - 1)
    hit = (known[order[found]] == wanted) & (span != "")
    return np.where(hit, order[found], -1)


def drop_repeated(spans: SpanBatch) -> SpanBatch:
    """The spans without those that were sent twice (the first of an id stays), in order of start."""
    import pandas as pd

    repeated = pd.DataFrame({"t": spans.trace, "s": spans.span}).duplicated().to_numpy() & (spans.span != "")
    kept = spans.take(~repeated) if repeated.any() else spans
    order = np.lexsort((kept.span, kept.trace, kept.start))
    return kept.take(order)


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
        occurs: bool CSR, shape (requests, items).
        calls: the calls between requests.
    """

    components: tuple[str, ...]
    component: npt.NDArray[np.int32]
    start: Rows
    end: Rows
    parent: Rows
    covered: npt.NDArray[np.bool_]
    items: tuple[str, ...]
    occurs: sparse.csr_array
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


@dataclass(frozen=True, kw_only=True)
class CallTable:
    """Calls between components, seen from both ends; each column has shape (calls,).

    ``edge`` int32 code into ``edges`` (``caller␟operation␟callee␟operation``); ``gap`` the client
    span less the server span in ns (the network; clock skew cancels); ``failed`` whether the
    callee's span is an error.
    """

    edges: tuple[str, ...]
    edge: npt.NDArray[np.int32]
    start: Rows
    gap: Rows
    duration: Rows
    failed: npt.NDArray[np.bool_]


def cut_requests(spans: SpanBatch, logs: LogBatch, templates: npt.NDArray[Any]) -> RequestTable:
    """Requests of spans and the log lines joined to them.

    Args:
        spans: spans in any order.
        logs: log lines; those without a known span belong to no request.
        templates: the template of each line, object array of str, shape (lines,).
    """
    spans = drop_repeated(spans)
    parent_row = find_parents(spans)
    top_row = _entry_rows(spans, parent_row)
    tops = np.flatnonzero(top_row == np.arange(len(spans)))
    number = np.full(len(spans) + 1, -1, np.int64)
    number[tops] = np.arange(len(tops))
    request = number[top_row]
    above = number[top_row[parent_row[tops]]] if len(tops) else np.zeros(0, np.int64)
    parent = np.where(parent_row[tops] >= 0, above, -1)
    types = _join(spans, tops)
    rows, names = _items(spans, parent_row, tops, request, parent, types, logs, templates)
    item_keys, items = _item_codes(rows, names, types)
    occurs = sparse.csr_array(
        (np.ones(len(rows), np.float64), (rows, item_keys)), shape=(len(tops), len(items)), dtype=np.float64
    )
    occurs.sum_duplicates()
    occurs.data[:] = 1.0
    start = spans.start[tops]
    return RequestTable(
        components=spans.components,
        component=spans.component[tops],
        start=start,
        end=start + spans.duration[tops],
        parent=parent,
        covered=np.isin(spans.trace[tops].astype(str), np.unique(logs.trace.astype(str)))
        if len(logs)
        else np.zeros(len(tops), bool),
        items=items,
        occurs=occurs,
        calls=_calls(spans, parent_row, tops),
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


def _join(spans: SpanBatch, rows: Rows) -> npt.NDArray[Any]:
    component = np.array(spans.components, dtype=object)
    operation = np.array(spans.operations, dtype=object)
    if not len(rows):
        return np.zeros(0, object)
    pair = spans.component[rows].astype(np.int64) * max(len(spans.operations), 1) + spans.operation[rows]
    distinct, code = np.unique(pair, return_inverse=True)
    width = max(len(spans.operations), 1)
    names = np.empty(len(distinct), object)
    names[:] = [f"{component[p // width]}{WITHIN}{operation[p % width]}" for p in distinct]
    return names[code]


def _items(
    spans: SpanBatch,
    parent_row: Rows,
    tops: Rows,
    request: Rows,
    parent: Rows,
    types: npt.NDArray[Any],
    logs: LogBatch,
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
    peers = np.array(spans.components, dtype=object)
    targets = np.concatenate([types[called], _pairs(peers[spans.peer[outward]], operation[spans.operation[outward]])])
    callers = np.concatenate([parent[called], request[outward]])
    begins = np.concatenate([spans.start[tops[called]], spans.start[outward]])
    rows.append(callers)
    names.append(_label(CALL, targets))
    # The last call of a request: where requests newly end here, the callee is suspect.
    order = np.lexsort((begins, callers))
    ends = np.flatnonzero(np.diff(callers[order], append=-1) != 0)
    rows.append(callers[order][ends])
    names.append(_label(LAST, targets[order][ends]))
    if len(logs):
        from_log = find_spans(spans, logs.trace, logs.span)
        joined = np.flatnonzero(from_log >= 0)
        rows.append(request[from_log[joined]])
        names.append(_label(LOG, templates[joined]))
    return np.concatenate(rows), np.concatenate(names)


def _has_foreign_child(spans: SpanBatch, parent_row: Rows) -> npt.NDArray[np.bool_]:
    result = np.zeros(len(spans), bool)
    child = np.flatnonzero(parent_row >= 0)
    foreign = child[spans.component[child] != spans.component[parent_row[child]]]
    result[parent_row[foreign]] = True
    return result


def _pairs(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> npt.NDArray[Any]:
    out = np.empty(len(left), object)
    out[:] = [f"{a}{WITHIN}{b}" for a, b in zip(left, right, strict=True)]
    return out


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


def _calls(spans: SpanBatch, parent_row: Rows, tops: Rows) -> CallTable:
    called = tops[parent_row[tops] >= 0]
    above = parent_row[called]
    callers, callees = _join(spans, above), _join(spans, called)
    import pandas as pd

    pair = pd.factorize(callers)[0].astype(np.int64) * (len(called) + 1) + pd.factorize(callees)[0]
    _, first, code = np.unique(pair, return_index=True, return_inverse=True)
    names = [f"{callers[i]}{SEPARATOR}{callees[i]}" for i in first]
    order = np.argsort(np.array(names, dtype=object).astype(str), kind="stable") if names else np.zeros(0, np.int64)
    rank = np.empty(len(names), np.int64)
    rank[order] = np.arange(len(names))
    # A consumer of a message works after its producer has finished: there is no gap to speak of.
    linked = (spans.link_span[called] != "") & (spans.parent[called] == "")
    called, above, code = called[~linked], above[~linked], code[~linked]
    return CallTable(
        edges=tuple(names[i] for i in order),
        edge=rank[code].astype(np.int32) if names else np.zeros(0, np.int32),
        start=spans.start[above],
        gap=spans.duration[above] - spans.duration[called],
        duration=spans.duration[called],
        failed=spans.status[called] == 2,
    )
