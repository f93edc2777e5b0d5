"""Topology as spans show it: who was seen calling whom, and over which queues messages went.

A child span in another component than its parent's is a call. A message turns the dependency
round: its consumer depends on the queue that it reads (the peer of its own span, or of the
producer's), or on the producer where no queue is named; the producer depends on the queue, which is
its span's peer. A span is a message's consumer by its kind or by a link to the span that sent it.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from rca.spans import LinkedSpans, link_spans
from rca.telemetry import NO_PEER, SPAN_CONSUMER, SPAN_PRODUCER, SpanBatch
from rca.topology import Topology

# Product names as OpenTelemetry's db.system.name and messaging.system list them, and what clouds call theirs.
_NAMES = (
    ("cache", r"redis|valkey|memcached?|hazelcast|ehcache|dragonfly|keydb|\bcache"),
    (
        "queue",
        r"kafka|rabbit|amqp|activemq|artemis|\bsqs\b|\bsns\b|pub-?sub|\bnats\b|pulsar|kinesis|event-?hub|service-?bus"
        r"|rocketmq|mqtt|\bqueue|\btopic",
    ),
    (
        "database",
        r"mysql|postgres|pgsql|maria-?db|mongo|oracle|mssql|sql-?server|cassandra|cockroach|clickhouse|dynamo-?db|sqlite"
        r"|neo4j|influx|couchbase|\brds\b|aurora|spanner|bigtable|elastic-?search|opensearch|firestore|\bdb2?\b|database",
    ),
)
_OPERATIONS = (
    ("database", r"^\s*(select\s|insert\s+into\s|update\s+\S+\s+set\s|delete\s+from\s|(begin|commit|rollback)\b)"),
    ("cache", r"^\s*(hgetall|h?m?getex|hm?set|hget|mget|mset|setex|setnx|expire|zadd|zrange|lpush|rpush|lrange)\b"),
    ("queue", r"(^|[\s.])(publish|send|receive|consume|process)$|^(publish|receive|consume)\b"),
)


def topology_from_spans(spans: SpanBatch | LinkedSpans) -> Topology:
    """Dependencies seen in spans, weighted by the number of calls and messages.

    A peer is a component of its own, unless the span's callee sent spans itself. Peers that send no
    spans get a kind: database, queue, cache, or else external, told by their name, then by the
    operations that call them; what producers and consumers name is a queue.
    """
    linked = spans if isinstance(spans, LinkedSpans) else link_spans(spans)
    spans, parent, sender = linked.spans, linked.caller, linked.sender
    consumes = (spans.kind == SPAN_CONSUMER) | (sender >= 0)
    by_parent = (spans.kind == SPAN_CONSUMER) & (sender < 0)
    sender = np.where(by_parent, parent, sender)

    calls = np.flatnonzero((parent >= 0) & ~consumes)
    calls = calls[spans.component[calls] != spans.component[parent[calls]]]
    called = np.zeros(len(spans), bool)
    called[parent[calls]] = True
    outward = np.flatnonzero((spans.peer != NO_PEER) & ~called)
    source, origin = _origins(spans, np.flatnonzero(consumes), sender)
    caller = np.concatenate([spans.component[parent[calls]], spans.component[outward], source])
    callee = np.concatenate([spans.component[calls], spans.peer[outward], origin])
    return Topology.from_edges(
        _count(spans.components, caller, callee),
        components=[spans.components[code] for code in np.unique(spans.component)],
        kinds=_peer_kinds(spans, outward),
    )


def _origins(
    spans: SpanBatch, consumers: npt.NDArray[np.int64], sender: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Consuming component and what it depends on, for messages whose queue its own span does not name."""
    rows = consumers[(spans.peer[consumers] == NO_PEER) & (sender[consumers] >= 0)]
    sent = sender[rows]
    queue = spans.peer[sent]
    return spans.component[rows], np.where(queue != NO_PEER, queue, spans.component[sent]).astype(np.int32)


def _count(
    names: tuple[str, ...], caller: npt.NDArray[np.int32], callee: npt.NDArray[np.int32]
) -> list[tuple[str, str, float]]:
    pairs, counts = np.unique(caller.astype(np.int64) * max(len(names), 1) + callee, return_counts=True)
    return [
        (names[pair // len(names)], names[pair % len(names)], float(count))
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True)
    ]


def _peer_kinds(spans: SpanBatch, outward: npt.NDArray[np.int64]) -> dict[str, str]:
    own = set(np.unique(spans.component).tolist())
    messaging = (spans.kind[outward] == SPAN_PRODUCER) | (spans.kind[outward] == SPAN_CONSUMER)
    queues = set(np.unique(spans.peer[outward[messaging]]).tolist())
    uses = np.unique(spans.peer[outward].astype(np.int64) * max(len(spans.operations), 1) + spans.operation[outward])
    operations: dict[int, list[str]] = {}
    for use in uses.tolist():
        operations.setdefault(use // len(spans.operations), []).append(spans.operations[use % len(spans.operations)])
    return {
        spans.components[peer]: "queue" if peer in queues else guess_kind(spans.components[peer], operations[peer])
        for peer in sorted(set(operations) - own)
    }


def guess_kind(name: str, operations: list[str]) -> str:
    """What an uninstrumented component is: cache, queue, database, else external."""
    for kind, pattern in _NAMES:
        if re.search(pattern, name.replace("_", " "), re.IGNORECASE):
            return kind
    for kind, pattern in _OPERATIONS:
        if any(re.search(pattern, operation, re.IGNORECASE) for operation in operations):
            return kind
    return "external"
