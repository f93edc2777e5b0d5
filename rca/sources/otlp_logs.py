"""Log records of OTLP as a LogBatch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rca.sources.bodies import Limits
from rca.sources.instants import LARGEST
from rca.sources.naming import Naming
from rca.sources.otlp_attributes import attributes_of, value_text
from rca.sources.otlp_resources import Resources
from rca.sources.received import Received
from rca.sources.records import LineCollector, level_in, level_of
from rca.telemetry import FATAL

_SEVERITIES = 24  # four numbers per level, from TRACE to FATAL4


def read_logs(request: Any, *, naming: Naming, limits: Limits, where: str) -> Received:
    """The records of an ExportLogsServiceRequest. Records without a time or without words are rejected."""
    out = LineCollector()
    resources = Resources(naming)
    rejected, problem, seen = 0, "", 0
    for part in request.resource_logs:
        component = resources.component(part.resource)
        for scope in part.scope_logs:
            seen += len(scope.log_records)
            limits.check_records(seen, where)
            for record in scope.log_records:
                time = record.time_unix_nano or record.observed_time_unix_nano
                message = _message(record, limits.text)
                if not 0 < time <= LARGEST or not message:
                    rejected += 1
                    problem = problem or "a log record has no time, or neither body nor event name nor exception"
                    continue
                trace, span = record.trace_id, record.span_id
                out.add(
                    time,
                    component,
                    _level(record, message),
                    message,
                    trace.hex() if len(trace) == 16 and any(trace) else "",
                    span.hex() if len(span) == 8 and any(span) else "",
                )
    return Received(logs=out.batch(), topology=resources.topology(), rejected=rejected, problem=problem)


def _level(record: Any, message: str) -> int:
    number: int = record.severity_number
    if 0 < number <= _SEVERITIES:
        return min((number + 3) // 4, FATAL)
    return level_of(record.severity_text) or level_in(message)


def _message(record: Any, limit: int) -> str:
    """Body, else the event's name; with the exception that stands in the attributes."""
    text = value_text(record.body, limit) or record.event_name
    names = ("exception.type", "exception.message")
    if not any(pair.key in names for pair in record.attributes):
        return text
    return _with_exception(text, attributes_of(record.attributes))[:limit]


def _with_exception(text: str, facts: Mapping[str, str]) -> str:
    said = ": ".join(part for part in (facts.get("exception.type"), facts.get("exception.message")) if part)
    if not said or said in text:
        return text
    return f"{text} {said}" if text else said
