"""Requests as spans: a server span per request, a client span per call, links over messages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rca.simulator.requests import Requests
from rca.simulator.world import UNTRACED, World
from rca.telemetry import SPAN_CLIENT, SPAN_CONSUMER, SPAN_PRODUCER, SPAN_SERVER, SpanBatch, Texts, texts

ERROR = 2  # OpenTelemetry's status code of a span that failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Identifiers: of the traces, of the requests' server spans and of the calls' client spans."""

    trace: Texts
    server: Texts
    client: Texts


def name_requests(rng: np.random.Generator, requests: Requests) -> Names:
    """Random identifiers in hexadecimal, 16 bytes for traces and 8 for spans, as W3C Trace Context has them."""
    traces = int(requests.trace.max()) + 1 if requests.trace.size else 0
    return Names(
        trace=_identifiers(rng, traces, 16),
        server=_identifiers(rng, len(requests.component), 8),
        client=_identifiers(rng, len(requests.edge), 8),
    )


def _identifiers(rng: np.random.Generator, count: int, size: int) -> Texts:
    digits, width = rng.bytes(count * size).hex(), 2 * size
    return texts([digits[i : i + width] for i in range(0, len(digits), width)])


def to_spans(world: World, requests: Requests, names: Names) -> SpanBatch:
    """All spans, in the order of their start."""
    callee = world.callee[requests.edge]
    untraced = np.array([kind in UNTRACED for kind in world.kinds])
    queue = np.array([kind == "queue" for kind in world.kinds])
    operations = sorted({operation for each in world.operations for operation in each})
    index = {operation: i for i, operation in enumerate(operations)}
    width = max(len(each) for each in world.operations)
    table = np.array([[index[o] for o in each] + [0] * (width - len(each)) for each in world.operations], np.int32)
    none = np.full(len(callee), "", object)
    sent = requests.message >= 0
    by_call = np.where(requests.call >= 0, names.client[requests.call] if len(callee) else "", "")
    publisher = requests.parent[requests.message] if len(callee) else requests.message
    batch = SpanBatch(
        components=world.names,
        operations=tuple(operations),
        start=np.concatenate([requests.start, requests.began]),
        duration=np.concatenate([requests.duration, requests.lasted]),
        component=np.concatenate([requests.component, requests.component[requests.parent]]).astype(np.int32),
        operation=np.concatenate(
            [table[requests.component, requests.operation], table[callee, world.target[requests.edge]]]
        ),
        peer=np.concatenate([np.full(len(requests.component), -1), np.where(untraced[callee], callee, -1)]).astype(
            np.int32
        ),
        kind=np.concatenate(
            [np.where(sent, SPAN_CONSUMER, SPAN_SERVER), np.where(queue[callee], SPAN_PRODUCER, SPAN_CLIENT)]
        ).astype(np.int8),
        status=np.concatenate([np.where(requests.failed, ERROR, 0), np.where(requests.call_failed, ERROR, 0)]).astype(
            np.int8
        ),
        trace=np.concatenate([names.trace[requests.trace], names.trace[requests.trace[requests.parent]]]),
        span=np.concatenate([names.server, names.client]),
        parent=np.concatenate([by_call, names.server[requests.parent]]).astype(object),
        link_trace=np.concatenate([np.where(sent, names.trace[requests.trace[publisher]], ""), none]).astype(object),
        link_span=np.concatenate([np.where(sent, names.client[requests.message], ""), none]).astype(object),
        text=np.full(len(requests.component) + len(callee), "", object),
    )
    return batch.take(np.argsort(batch.start, kind="stable"))
