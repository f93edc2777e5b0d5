"""OpenTelemetry's protocol over gRPC: the three collector services on one server.

Exporters send again after UNAVAILABLE and RESOURCE_EXHAUSTED that carries a retry delay, and never
after INTERNAL or INVALID_ARGUMENT.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from rca.errors import OverloadedError, SourceError
from rca.sources.bodies import DEFAULT_LIMITS, Limits
from rca.sources.errors import SignatureError, TooLargeError
from rca.sources.naming import DEFAULT_NAMING, Naming
from rca.sources.otlp import Signal, read_request, request_type, response
from rca.sources.received import Received

if TYPE_CHECKING:
    import grpc

OVERLOADED = "UNAVAILABLE"
_MOST_STREAMS, _MOST_CALLS = 100, 1_000
_METHODS: dict[Signal, str] = {
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
}


def add_otlp(
    server: grpc.Server,
    deliver: Callable[[Signal, Received], None],
    *,
    authorize: Callable[[Mapping[str, str]], bool] | None = None,
    naming: Naming = DEFAULT_NAMING,
    limits: Limits = DEFAULT_LIMITS,
) -> None:
    """Adds the three Export services to a gRPC server.

    Args:
        server: not yet started.
        deliver: takes what a request held and returns when it is durable; raises OverloadedError where
            it cannot. Called from the server's threads.
        authorize: whether a call with these metadata (lower-case names) may send; default: all may.
    """
    import grpc

    for signal in _METHODS:
        handler = grpc.unary_unary_rpc_method_handler(
            _export(signal, deliver, authorize, naming, limits),
            request_deserializer=bytes,
            response_serializer=lambda answer: answer.SerializeToString(),
        )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_METHODS[signal], {"Export": handler}),))


def otlp_server(
    address: str,
    deliver: Callable[[Signal, Received], None],
    *,
    credentials: grpc.ServerCredentials | None = None,
    threads: int = 4,
    authorize: Callable[[Mapping[str, str]], bool] | None = None,
    naming: Naming = DEFAULT_NAMING,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[grpc.Server, int]:
    """A server that listens at ``address`` (host:port, port 0: any free one), not yet started; and its port.

    Of each connection a hundred calls are under way at once, the others wait at the sender: a call
    that is turned away for their number would be lost (RESOURCE_EXHAUSTED), so only a flood is.
    """
    import grpc

    server = grpc.server(
        ThreadPoolExecutor(threads, thread_name_prefix="otlp-grpc"),
        maximum_concurrent_rpcs=_MOST_CALLS,
        options=[
            ("grpc.max_receive_message_length", limits.inflated),
            ("grpc.max_concurrent_streams", _MOST_STREAMS),
            ("grpc.so_reuseport", 0),
        ],
    )
    add_otlp(server, deliver, authorize=authorize, naming=naming, limits=limits)
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    return server, port


def _export(
    signal: Signal,
    deliver: Callable[[Signal, Received], None],
    authorize: Callable[[Mapping[str, str]], bool] | None,
    naming: Naming,
    limits: Limits,
) -> Callable[[bytes, Any], Any]:
    import grpc
    from google.protobuf.message import DecodeError

    def export(content: bytes, context: Any) -> Any:
        if authorize is not None and not authorize(dict(context.invocation_metadata())):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no valid token")
        request = request_type(signal)()
        try:
            request.ParseFromString(content)
            received = read_request(signal, request, naming=naming, limits=limits)
            deliver(signal, received)
        except DecodeError:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no OTLP request")
        except TooLargeError as bad:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(bad))
        except SignatureError as bad:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, str(bad))
        except SourceError as bad:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(bad))
        except OverloadedError:
            context.abort(grpc.StatusCode.UNAVAILABLE, "overloaded, come again")
        return response(signal, received)

    return export
