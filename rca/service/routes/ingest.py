"""Where others push to: one route for each format that the engine reads, answered as its sender expects."""

from __future__ import annotations

from typing import Any, cast

from fastapi import APIRouter, Request
from starlette.responses import Response

from rca.errors import OverloadedError, RCAError, SourceError, StoreError
from rca.service.ingest_schemas import SCHEMAS
from rca.service.logs import trace_id
from rca.service.operations import Pushed
from rca.service.problems import RETRY_AFTER, problem_of
from rca.service.pushing import Push, take_push
from rca.service.routes.common import BODY, needs, problems, service_of
from rca.service.schemas import Taken
from rca.service.views import answer
from rca.sources.otlp import Signal, encode_error, encode_response
from rca.sources.received import Received
from rca.sources.registry import PUSH_SOURCES, PushSource

router = APIRouter(tags=["ingest"])
_OTLP = "otlp_"
# What each sender says of its bodies; what is none of them is refused by the decoder.
_MEDIA: dict[str, tuple[str, ...]] = {
    "otlp_traces": ("application/x-protobuf", "application/json"),
    "otlp_metrics": ("application/x-protobuf", "application/json"),
    "otlp_logs": ("application/x-protobuf", "application/json"),
    "remote_write": ("application/x-protobuf",),
    "loki": ("application/json", "application/x-protobuf"),
    "cloudevents": ("application/cloudevents+json", "application/cloudevents-batch+json"),
}
_OBJECT: dict[str, Any] = {"type": "object"}
_BINARY: dict[str, Any] = {"type": "string", "format": "binary"}
_KEPT = ("content-type", "content-encoding", "user-agent")


def _add(source: PushSource) -> None:
    async def take(request: Request) -> Response:
        return await _take(request, source)

    taken: dict[str, Any] = {"description": "It is durable."}
    if source.accepted != 204:
        media = "application/json"
        taken["content"] = (
            {kind: {"schema": {}} for kind in _MEDIA[source.name]}
            if source.name.startswith(_OTLP)
            else {media: {"schema": Taken.model_json_schema()}}
        )
    bodies = _MEDIA.get(source.name, ("application/json",))
    content = {kind: {"schema": _schema(source.name, kind)} for kind in bodies}
    refused = problems(*BODY)
    if source.name.startswith(_OTLP):  # errors in the sender's terms: google.rpc.Status
        for status in (400, 413):
            refused[status]["content"] |= {kind: {"schema": {}} for kind in bodies}
    router.add_api_route(
        source.path,
        take,
        methods=["POST"],
        name=f"push_{source.name}",
        summary=f"Push: {source.name.replace('_', ' ')}",
        description=f"{source.accepted} says that it is durable, {source.overloaded} asks to send it again.",
        status_code=source.accepted,
        response_class=Response,
        dependencies=[needs("ingest")],
        responses={source.accepted: taken, **refused},
        # No bytes at all are a valid message of protobuf.
        openapi_extra={"requestBody": {"required": not source.name.startswith(_OTLP), "content": content}},
    )


def _schema(name: str, media: str) -> dict[str, Any]:
    if not media.endswith("json"):
        return _BINARY
    return SCHEMAS.get(f"{name}_batch" if "batch" in media else name, _OBJECT)


async def _take(request: Request, source: PushSource) -> Response:
    service = service_of(request)
    try:
        async with service.bodies.body(request, service.configuration.max_body << 20) as body:
            push = Push(source=source.name, body=body, headers=_headers(request))
            pushed, duplicate = await take_push(service, push)
    except RCAError as error:
        return _refuse(request, source, error)
    return _accept(request, source, pushed, duplicate)


def _headers(request: Request) -> dict[str, str]:
    """The headers that decoders read; never the token."""
    prefixes = ("x-", "ce-", "content-")
    return {
        name: value
        for name, value in request.headers.items()
        if (name in _KEPT or name.startswith(prefixes)) and "token" not in name
    }


def _accept(request: Request, source: PushSource, pushed: Pushed, duplicate: bool) -> Response:
    if source.name.startswith(_OTLP):
        told = Received(rejected=pushed.rejected, problem=pushed.problem)
        body, media = encode_response(_signal(source), told, _headers(request))
        return Response(body, source.accepted, media_type=media)
    if source.accepted == 204:
        return Response(status_code=204)
    fields = {name: getattr(pushed, name) for name in ("accepted", "rejected", "ignored", "problem")}
    return answer(fields | {"duplicate": duplicate}, source.accepted)


def _refuse(request: Request, source: PushSource, error: RCAError) -> Response:
    """The error in the sender's terms: too much to do is what it comes again after."""
    service = service_of(request)
    if isinstance(error, OverloadedError | StoreError):
        service.metrics.shed.labels("overloaded" if isinstance(error, OverloadedError) else "store").inc()
        problem = problem_of(error)
        problem.status = source.overloaded
        problem.headers["Retry-After"] = str(RETRY_AFTER)
        return problem.response(request.scope["path"], trace_id.get())
    service.metrics.records.labels(source.name, "unreadable").inc()
    if source.name.startswith(_OTLP) and isinstance(error, SourceError) and error.status != 415:
        body, media = encode_error(error, _headers(request))
        return Response(body, error.status, media_type=media)
    return problem_of(error).response(request.scope["path"], trace_id.get())


def _signal(source: PushSource) -> Signal:
    return cast(Signal, source.name.removeprefix(_OTLP))


for _source in PUSH_SOURCES.values():
    _add(_source)
