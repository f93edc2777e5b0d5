"""Log documents as the Elastic Common Schema, OpenTelemetry and their shippers lay them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rca.sources.bodies import plain_text
from rca.sources.records import level_in, level_of
from rca.telemetry import FATAL

# Names in the order in which they are believed: ECS; OpenTelemetry as Elastic maps it (``otel`` mode, data streams
# logs-*.otel-*) and as OpenSearch's Data Prepper does; what Fluent Bit and Logstash write.
_MESSAGE = ("message", "body.text", "body", "Body", "event.original", "log", "msg", "error.message")
_LEVEL = (
    "log.level",
    "severity_text",
    "severityText",
    "severity.text",
    "SeverityText",
    "level",
    "severity",
    "loglevel",
)
_NUMBER = ("severity_number", "severityNumber", "severity.number", "SeverityNumber")
_TRACE = ("trace.id", "trace_id", "traceId", "TraceId")
_SPAN = ("span.id", "span_id", "spanId", "SpanId")
_ERROR_TYPE = ("error.type", "attributes.exception.type", "exception.type")
_ERROR_TEXT = ("error.message", "attributes.exception.message", "exception.message")
# name of a resource attribute -> where documents have it
_FACTS = {
    "service.name": ("service.name", "resource.attributes.service.name", "resource.service.name", "serviceName"),
    "service.namespace": ("service.namespace", "resource.attributes.service.namespace"),
    "k8s.pod.name": ("kubernetes.pod.name", "resource.attributes.k8s.pod.name", "kubernetes.pod_name"),
    "k8s.deployment.name": ("kubernetes.deployment.name", "resource.attributes.k8s.deployment.name"),
    "k8s.namespace.name": (
        "kubernetes.namespace",
        "resource.attributes.k8s.namespace.name",
        "kubernetes.namespace_name",
    ),
    "k8s.node.name": ("kubernetes.node.name", "resource.attributes.k8s.node.name", "kubernetes.host"),
    "container.name": ("container.name", "kubernetes.container.name", "kubernetes.container_name"),
    "service.instance.id": ("service.node.name", "resource.attributes.service.instance.id"),
    "host.name": ("host.name", "resource.attributes.host.name", "host.hostname", "agent.hostname", "hostname"),
}
_GROUPS = (_MESSAGE, _LEVEL, _NUMBER, _TRACE, _SPAN, _ERROR_TYPE, _ERROR_TEXT, *_FACTS.values())
FIELDS: tuple[str, ...] = tuple(sorted({name for group in _GROUPS for name in group} | {"resource.attributes.*"}))
_DEEPEST, _MOST = 8, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDocument:
    """A line: message, level (0 to 6), ids, and whose it is."""

    message: str
    level: int
    trace: str
    span: str
    facts: Mapping[str, str]


def read_document(document: Mapping[str, Any], limit: int) -> LogDocument:
    """The line that a document holds; its fields may be nested or have dots in their names."""
    flat = flatten(document)

    def first(names: tuple[str, ...]) -> str:
        return next((text for name in names if (text := plain_text(flat.get(name), limit))), "")

    message = first(_MESSAGE)
    error = ": ".join(part for part in (first(_ERROR_TYPE), first(_ERROR_TEXT)) if part)
    if error and error not in message and message:
        message = f"{message} {error}"[:limit]
    number = flat.get(next((name for name in _NUMBER if name in flat), ""), 0)
    by_number = min((number + 3) // 4, FATAL) if isinstance(number, int) and 0 < number <= 24 else 0
    return LogDocument(
        message=message,
        level=by_number or level_of(first(_LEVEL)) or level_in(message),
        trace=first(_TRACE),
        span=first(_SPAN),
        facts={name: text for name, names in _FACTS.items() if (text := first(names))},
    )


def flatten(document: Mapping[str, Any]) -> dict[str, Any]:
    """Paths with dots -> values of a nested document, at most 8 levels and 500 values."""
    flat: dict[str, Any] = {}
    waiting: list[tuple[str, Any, int]] = [("", document, 0)]
    while waiting and len(flat) < _MOST:
        path, value, depth = waiting.pop()
        if isinstance(value, Mapping) and depth < _DEEPEST:
            for name, inner in value.items():
                clear = (
                    str(name).replace("@", ".") if name != "@timestamp" else "@timestamp"
                )  # Data Prepper's service@name
                waiting.append((f"{path}.{clear}" if path else clear, inner, depth + 1))
        elif isinstance(value, list) and len(value) == 1:
            waiting.append((path, value[0], depth + 1))
        else:
            flat.setdefault(path, value)
    return flat
