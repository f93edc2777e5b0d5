"""The application: routes behind the gate, errors as problem details, and the OpenAPI description."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

import rca
from rca.errors import OverloadedError, RCAError
from rca.service.configuration import Configuration
from rca.service.gate import PUBLIC, Gate
from rca.service.logs import trace_id
from rca.service.problems import ProblemError, problem_of
from rca.service.routes import catalogue, deliveries, history, incidents, ingest, jobs, learning, mergers, system
from rca.service.schemas import Confirmed, EvaluateBody, Note, Wrong
from rca.service.state import Service

_DESCRIPTION = """
Finds the root cause of an incident: post a window of telemetry, or point to telemetry that was pushed before.
Every route but /healthz and /readyz needs `Authorization: Bearer TOKEN`; `rca token create` makes one.
Errors are problem details (RFC 9457).
"""


def create_app(configuration: Configuration, service: Service | None = None) -> FastAPI:
    """The ASGI application; its lifespan starts and stops the service."""
    service = service or Service(configuration)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            await service.start()
            yield
        finally:
            await service.stop()

    app = FastAPI(
        title="rca",
        version=rca.__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # its scripts come from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.service = service
    app.add_middleware(Gate, service=service)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _bad_request)
    app.add_exception_handler(ProblemError, _known_error)
    app.add_exception_handler(RCAError, _known_error)
    for routes in (incidents, mergers, jobs, learning, history, deliveries, catalogue, ingest, system):
        app.router.routes.extend(routes.router.routes)  # flat: whoever lists app.routes sees them all
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign] # how FastAPI wants it replaced
    return app


async def _known_error(request: Request, error: Exception) -> Response:
    problem = problem_of(error)
    if isinstance(error, OverloadedError):
        request.app.state.service.metrics.shed.labels("overloaded").inc()
    return problem.response(request.scope["path"], trace_id.get())


async def _http_error(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    phrase = HTTPStatus(status).phrase
    headers = dict(getattr(error, "headers", None) or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_methods(request))
    return ProblemError(status, phrase, headers=headers).response(request.scope["path"], trace_id.get())


def _methods(request: Request) -> list[str]:
    """Every method that a path knows: each is a route of its own."""
    path = {**request.scope, "type": "http"}
    found = [route for route in request.app.routes if route.matches(path)[0] != Match.NONE]
    return sorted({method for route in found for method in getattr(route, "methods", None) or ()})


async def _bad_request(request: Request, error: Exception) -> Response:
    first = error.errors()[0] if isinstance(error, RequestValidationError) and error.errors() else {}
    where = ".".join(str(part) for part in first.get("loc", ()))
    if where.startswith("path."):  # no id of ours looks so
        problem = ProblemError(404, "Not found", "there is nothing of that name", where=where)
        return problem.response(request.scope["path"], trace_id.get())
    problem = ProblemError(422, "Invalid input", str(first.get("msg", "")), where=where, remedy="See /openapi.json")
    return problem.response(request.scope["path"], trace_id.get())


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema:
        return app.openapi_schema
    schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    _, parts = msgspec.json.schema_components(
        [Confirmed, Wrong, Note, EvaluateBody], ref_template="#/components/schemas/{name}"
    )
    components = schema.setdefault("components", {})
    components.setdefault("schemas", {}).update(parts)
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            operation["security"] = [] if path in PUBLIC else [{"token": []}]
            # FastAPI documents errors of its own form, which no route answers with.
            for response in operation["responses"].values():
                response.get("content", {}).pop("application/json", None) if _is_default(response) else None
    components["schemas"].pop("HTTPValidationError", None)
    components["schemas"].pop("ValidationError", None)
    app.openapi_schema = schema
    return schema


def _is_default(response: dict[str, Any]) -> bool:
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return "HTTPValidationError" in str(schema.get("$ref", ""))
