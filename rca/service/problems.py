"""Errors as problem details (RFC 9457): what was wrong, where, and what the sender can do."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.responses import Response

from rca.errors import (
    ConflictError,
    InputError,
    NotFoundError,
    OverloadedError,
    RCAError,
    SettingsError,
    SourceError,
    StoreError,
)

MEDIA = "application/problem+json"
RETRY_AFTER = 2  # seconds: what a full queue of writes takes to drain


class ProblemError(Exception):
    """An answer that is no success.

    Args:
        status: the HTTP status.
        title: what kind of problem it is; names it in ``type`` as well.
        detail: what was wrong with this request.
        where, remedy: as in ``RCAError``.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str = "",
        *,
        where: str | None = None,
        remedy: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or title)
        self.status = status
        self.title = title
        self.detail = detail
        self.where = where
        self.remedy = remedy
        self.headers = dict(headers or {})

    def response(self, path: str, trace: str) -> Response:
        """The answer to a request for ``path``."""
        body: dict[str, Any] = {
            "type": "urn:rca:problem:" + self.title.lower().replace(" ", "-"),
            "title": self.title,
            "status": self.status,
            "detail": self.detail or HTTPStatus(self.status).phrase,
            "instance": path,
            "trace": trace,
        }
        body |= {name: value for name in ("where", "remedy") if (value := getattr(self, name))}
        return Response(_encode(body), self.status, media_type=MEDIA, headers=self.headers)


def problem_of(error: Exception) -> ProblemError:
    """The problem that an error of the engine or the store is to a client."""
    if isinstance(error, ProblemError):
        return error
    for kind, status, title in _KINDS:
        if isinstance(error, kind):
            headers = {"Retry-After": str(RETRY_AFTER)} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
            status = getattr(error, "status", status)
            return ProblemError(status, title, error.problem, where=error.where, remedy=error.remedy, headers=headers)
    return ProblemError(500, "Internal error", "a mistake in rca itself, not in your data")


_KINDS: tuple[tuple[type[RCAError], int, str], ...] = (
    (NotFoundError, 404, "Not found"),
    (ConflictError, 409, "Conflict"),
    (OverloadedError, 503, "Overloaded"),
    (StoreError, 503, "Store unavailable"),
    (SourceError, 400, "Unreadable body"),
    (InputError, 422, "Invalid input"),
    (SettingsError, 422, "Invalid input"),
    (RCAError, 422, "Cannot be analysed"),
)


def _encode(body: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:  # half of a surrogate pair that a client sent
        clean = {k: v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for k, v in body.items()}
        return msgspec.json.encode(clean)
