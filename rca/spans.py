"""Spans: joined to their parents, freed of repeats, and named by component and operation."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rca.telemetry import SpanBatch

# Between component and operation in the name of a request type: a character that neither contains.
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


def join_names(spans: SpanBatch, rows: Rows) -> npt.NDArray[Any]:
    """``component operation`` of each row, object array of str, shape (rows,)."""
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
