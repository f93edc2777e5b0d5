"""Spans of OTLP as a SpanBatch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rca.sources.bodies import Limits
from rca.sources.instants import LARGEST
from rca.sources.naming import Naming, is_bare_address, peer_name
from rca.sources.otlp_attributes import attributes_of
from rca.sources.otlp_resources import Resources
from rca.sources.received import Received
from rca.sources.records import SpanCollector
from rca.telemetry import SPAN_CLIENT, SPAN_CONSUMER, SPAN_PRODUCER

_OUTWARD = (SPAN_CLIENT, SPAN_PRODUCER, SPAN_CONSUMER)
_QUEUES = ("messaging.destination.name", "messaging.destination")
_PEERS = ("peer.service", "service.peer.name")
_ADDRESSES = ("server.address", "net.peer.name", "net.sock.peer.name", "http.host", "rpc.service")
_DATABASES = ("db.namespace", "db.name", "db.system.name", "db.system")
_TEXT = 8_192
_NAME = 300


def read_spans(request: Any, *, naming: Naming, limits: Limits, where: str) -> Received:
    """The spans of an ExportTraceServiceRequest. Spans without ids or with impossible times are rejected."""
    out = SpanCollector()
    resources = Resources(naming)
    rejected, problem, seen = 0, "", 0
    for part in request.resource_spans:
        component = resources.component(part.resource)
        for scope in part.scope_spans:
            seen += len(scope.spans)
            limits.check_records(seen, where)
            for span in scope.spans:
                if reason := _refusal(span):
                    rejected, problem = rejected + 1, problem or reason
                else:
                    _add(out, component, span)
    return Received(spans=out.batch(), topology=resources.topology(), rejected=rejected, problem=problem)


def _refusal(span: Any) -> str:
    if len(span.trace_id) != 16 or len(span.span_id) != 8:
        return "a span's trace id has not 16 bytes, or its own id not 8"
    start, end = span.start_time_unix_nano, span.end_time_unix_nano
    if not 0 < start <= end <= LARGEST:
        return "a span has no start, ends before it starts, or lies beyond the year 2261"
    return ""


def _add(out: SpanCollector, component: str, span: Any) -> None:
    facts = attributes_of(span.attributes)
    kind = span.kind if 0 <= span.kind <= SPAN_CONSUMER else 0
    status = span.status.code
    start = span.start_time_unix_nano
    out.starts.append(start)
    out.durations.append(span.end_time_unix_nano - start)
    out.components.append(component)
    out.operations.append(span.name[:_NAME] or "unnamed")
    out.traces.append(span.trace_id.hex())
    out.spans.append(span.span_id.hex())
    parent = span.parent_span_id
    out.parents.append(parent.hex() if len(parent) == 8 and any(parent) else "")
    out.kinds.append(kind)
    out.statuses.append(status if 0 <= status <= 2 else 0)
    out.peers.append(_peer(kind, facts) if kind in _OUTWARD else "")
    link = span.links[0] if span.links else None
    linked = link is not None and len(link.trace_id) == 16 and len(link.span_id) == 8
    out.link_traces.append(link.trace_id.hex() if link is not None and linked else "")
    out.link_spans.append(link.span_id.hex() if link is not None and linked else "")
    out.texts.append(_text(span, facts))


def _peer(kind: int, facts: Mapping[str, str]) -> str:
    """What a span calls: a queue, a named service, a host, a database; "" where nothing says."""
    if kind != SPAN_CLIENT:
        return next((facts[name] for name in _QUEUES if facts.get(name)), "")
    if named := next((facts[name] for name in _PEERS if facts.get(name)), ""):
        return peer_name(named)
    hosts = [peer_name(facts[name]) for name in _ADDRESSES if facts.get(name)]
    telling = [name for name in hosts if not is_bare_address(name)]
    databases = [facts[name] for name in _DATABASES if facts.get(name)]
    return next(iter((*telling, *databases, *hosts)), "")


def _text(span: Any, facts: Mapping[str, str]) -> str:
    parts = [span.status.message] if span.status.message else []
    for event in span.events:
        if event.name == "exception":
            said = attributes_of(event.attributes)
            parts.append(f"{said.get('exception.type', 'exception')}: {said.get('exception.message', '')}".rstrip(": "))
    parts += [f"{name}={value}" for name, value in facts.items() if value]
    text = " ".join(parts)
    return text if len(text) <= _TEXT else f"{text[: _TEXT - 1]}…"
