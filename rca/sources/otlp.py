"""OpenTelemetry's protocol: traces, metrics and logs over HTTP, as protobuf or JSON.

``/v1/traces``, ``/v1/metrics`` and ``/v1/logs`` take one Export…ServiceRequest each. The answer is in
the content type of the request: 200 with what was rejected (partial success), or an error as
google.rpc.Status. Exporters send again after 429, 502, 503 and 504 (and wait for Retry-After), and
never after 500 (https://opentelemetry.io/docs/specs/otlp/#otlphttp-response).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

from google.protobuf.message import DecodeError, Message

from rca.errors import SourceError
from rca.sources.bodies import DEFAULT_LIMITS, Limits, header, inflate, media_type
from rca.sources.errors import UnsupportedError
from rca.sources.naming import DEFAULT_NAMING, Naming
from rca.sources.otlp_json import parse_otlp_json
from rca.sources.otlp_logs import read_logs
from rca.sources.otlp_metrics import read_metrics
from rca.sources.otlp_spans import read_spans
from rca.sources.received import Received

Signal = Literal["traces", "metrics", "logs"]

OVERLOADED = 503  # with Retry-After; 429 is taken as well, 500 never
ACCEPTED = 200
PROTOBUF, JSON = "application/x-protobuf", "application/json"
SIGNALS: tuple[str, ...] = get_args(Signal)


def decode_otlp(
    signal: Signal,
    body: bytes,
    *,
    headers: Mapping[str, str] | None = None,
    naming: Naming = DEFAULT_NAMING,
    limits: Limits = DEFAULT_LIMITS,
) -> Received:
    """What one OTLP/HTTP request holds.

    Args:
        signal: "traces", "metrics" or "logs".
        body: as it was received; inflated here.
        headers: Content-Type (protobuf or JSON; default protobuf) and Content-Encoding.

    Raises:
        SourceError: malformed, too large or of another type; its ``status`` is the answer's.
    """
    headers = headers or {}
    where = f"OTLP {signal}"
    content = inflate(body, header(headers, "content-encoding"), where=where, limits=limits)
    return read_export(signal, content, json=_is_json(media_type(headers), where), naming=naming, limits=limits)


def read_export(
    signal: Signal,
    content: bytes,
    *,
    json: bool = False,
    naming: Naming = DEFAULT_NAMING,
    limits: Limits = DEFAULT_LIMITS,
) -> Received:
    """What an Export…ServiceRequest in protobuf or OTLP's JSON holds: of HTTP, or a message of Kafka.

    Raises:
        SourceError: malformed or too large.
    """
    where = f"OTLP {signal}"
    request = request_type(signal)()
    if json:
        parse_otlp_json(content, request, where=where)
    else:
        try:
            request.ParseFromString(content)
        except DecodeError as bad:
            raise SourceError(
                f"no Export{signal.capitalize().removesuffix('s')}ServiceRequest", where=where, remedy="Send OTLP 1.x"
            ) from bad
    return read_request(signal, request, naming=naming, limits=limits)


def read_request(
    signal: Signal, request: Any, *, naming: Naming = DEFAULT_NAMING, limits: Limits = DEFAULT_LIMITS
) -> Received:
    """What a request that was decoded already holds.

    Raises:
        TooLargeError: more records than are taken.
    """
    readers: dict[str, Callable[..., Received]] = {"traces": read_spans, "metrics": read_metrics, "logs": read_logs}
    return readers[signal](request, naming=naming, limits=limits, where=f"OTLP {signal}")


def request_type(signal: Signal) -> type[Message]:
    """The message that a signal's requests are."""
    if signal == "traces":
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        return ExportTraceServiceRequest
    if signal == "metrics":
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

        return ExportMetricsServiceRequest
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    return ExportLogsServiceRequest


def response(signal: Signal, received: Received) -> Any:
    """The Export…ServiceResponse: empty, or how many records were rejected and why."""
    from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

    if signal == "traces":
        answer: Any = traces.ExportTraceServiceResponse()
    elif signal == "metrics":
        answer = metrics.ExportMetricsServiceResponse()
    else:
        answer = logs.ExportLogsServiceResponse()
    if received.rejected:
        setattr(answer.partial_success, _REJECTED[signal], received.rejected)
        answer.partial_success.error_message = received.problem
    return answer


def encode_response(signal: Signal, received: Received, headers: Mapping[str, str] | None = None) -> tuple[bytes, str]:
    """The answer's body and content type, in that of the request."""
    import msgspec

    if not _is_json(media_type(headers or {}), "OTLP"):
        return response(signal, received).SerializeToString(), PROTOBUF
    partial = {_CAMEL[signal]: str(received.rejected), "errorMessage": received.problem}
    return msgspec.json.encode({"partialSuccess": partial} if received.rejected else {}), JSON


def encode_error(error: SourceError, headers: Mapping[str, str] | None = None) -> tuple[bytes, str]:
    """An error as google.rpc.Status, and its content type."""
    import msgspec

    if media_type(headers or {}) == JSON:
        return msgspec.json.encode({"code": _INVALID_ARGUMENT, "message": str(error)}), JSON
    from rca.sources.messages import message_type

    status: Any = message_type("google.rpc.Status")()
    status.code, status.message = _INVALID_ARGUMENT, str(error)
    return status.SerializeToString(), PROTOBUF


_INVALID_ARGUMENT = 3
_REJECTED = {"traces": "rejected_spans", "metrics": "rejected_data_points", "logs": "rejected_log_records"}
_CAMEL = {"traces": "rejectedSpans", "metrics": "rejectedDataPoints", "logs": "rejectedLogRecords"}


def _is_json(media: str, where: str) -> bool:
    if media in (PROTOBUF, "application/protobuf", ""):
        return False
    if media == JSON:
        return True
    raise UnsupportedError(f"the content type {media[:60]!r}", where=where, remedy=f"Send {PROTOBUF} or {JSON}")
