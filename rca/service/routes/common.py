"""What all routes share: the service, who asks, and which problems they may answer with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import Depends, Request

from rca.service.auth import Principal
from rca.service.problems import MEDIA, ProblemError
from rca.service.schemas import Problem
from rca.service.state import Service

T = TypeVar("T")


def service_of(request: Request) -> Service:
    """The service that a request is for."""
    service: Service = request.app.state.service
    return service


def principal_of(request: Request) -> Principal:
    """Who asks."""
    principal: Principal = request.scope["state"]["principal"]
    return principal


def needs(scope: str) -> Any:
    """A dependency that refuses whoever lacks a scope."""

    def check(request: Request) -> None:
        principal = principal_of(request)
        if not principal.may(scope):
            raise ProblemError(
                403,
                "Forbidden",
                f"the token {principal.id} lacks the scope {scope}",
                remedy=f"Use a token with the scope {scope}",
            )

    check.__name__ = f"needs_{scope}"
    return Depends(check)


async def read(function: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """What a function of the store gives, without holding up others."""
    return await asyncio.to_thread(function, *arguments, **named)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documented problems of a route, besides those that every route may answer with."""
    texts = {
        400: "The body cannot be read.",
        401: "No token, or an unknown one.",
        403: "The token lacks the scope.",
        404: "There is nothing of that name.",
        408: "The body came too slowly.",
        409: "The request contradicts an earlier one.",
        410: "It was cancelled.",
        413: "The body is too large.",
        415: "The media type or encoding is not read.",
        422: "What was sent is invalid, or cannot be analysed.",
        500: "A mistake in rca itself.",
        503: "There is too much to do: come again after Retry-After seconds.",
    }
    chosen = sorted({401, 403, 500, 503, *statuses})
    return {
        status: {"description": texts[status], "content": {MEDIA: {"schema": Problem.model_json_schema()}}}
        for status in chosen
    }


BODY = (400, 408, 413, 415, 422)
