"""What stands before every route: the trace, who asks, limits, the log and the metrics, and errors as problems."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers, MutableHeaders

from rca.errors import RCAError
from rca.service.auth import Principal
from rca.service.logs import LOGGER, trace_id, trace_of
from rca.service.problems import ProblemError, problem_of
from rca.service.pushing import secrets_of
from rca.sources.registry import PUSH_SOURCES

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from rca.service.state import Service

PUBLIC = frozenset({"/healthz", "/readyz"})
SIGNATURES = {
    "github": "x-hub-signature-256",
    "pagerduty": "x-pagerduty-signature",
    "grafana": "x-grafana-alerting-signature",
}
_BY_PATH = {source.path: name for name, source in PUSH_SOURCES.items() if name in SIGNATURES}
_SAFE = {"x-content-type-options": "nosniff", "cache-control": "no-store", "referrer-policy": "no-referrer"}


class Gate:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = Headers(scope=scope)
        trace = trace_of(headers.get("traceparent", ""))
        token = trace_id.set(trace)
        status = [0]

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                status[0] = message["status"]
                out = MutableHeaders(scope=message)
                out["x-trace-id"] = trace
                for name, value in _SAFE.items():
                    out.setdefault(name, value)
            await send(message)

        try:
            scope.setdefault("state", {})["principal"] = await self._admit(scope, headers)
            await self._app(scope, receive, answer)
        except Exception as error:
            if status[0]:  # the answer has begun: all that is left is to break off
                raise
            if not isinstance(error, RCAError | ProblemError):
                LOGGER.error("a mistake in rca itself", exc_info=error)
            await problem_of(error).response(scope["path"], trace)(scope, receive, answer)
        finally:
            self._account(scope, headers, status[0], time.perf_counter() - started)
            trace_id.reset(token)

    async def _admit(self, scope: Scope, headers: Headers) -> Principal | None:
        """Who asks.

        Raises:
            ProblemError: 401 where nobody is known, 431 where the headers are too large.
        """
        size = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        size += sum(len(name) + len(value) for name, value in scope["headers"])
        if size > self._service.configuration.max_header << 10:
            raise ProblemError(431, "Headers too large", "the request line and its headers are too long")
        if scope["path"] in PUBLIC:
            return None
        given = headers.get("authorization", "")
        if given:
            auth = self._service.auth
            found = auth.find(given) if auth.knows(given) else await asyncio.to_thread(auth.find, given)
            if found is not None:
                return found
            self._service.metrics.shed.labels("unknown token").inc()
        source = _BY_PATH.get(scope["path"], "")
        if source and not given and headers.get(SIGNATURES[source]) and secrets_of(self._service, source):
            # The signature itself is checked where the body is read.
            return Principal(id=f"signature:{source}", name=source, scopes=frozenset({"ingest"}))
        raise ProblemError(
            401,
            "Unauthorized",
            "no token that is known" if given else "no token",
            remedy="Send Authorization: Bearer TOKEN; `rca token create` makes one",
            headers={"WWW-Authenticate": 'Bearer realm="rca"'},
        )

    def _account(self, scope: Scope, headers: Headers, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "") or (scope["path"] if scope["path"] in PUBLIC else "unmatched")
        metrics = self._service.metrics
        metrics.requests.labels(scope["method"] if scope["method"] in _METHODS else "other", route, str(status)).inc()
        metrics.latency.labels(route).observe(seconds)
        length = headers.get("content-length", "")
        if length.isdigit():
            metrics.bytes_in.labels(route).inc(min(int(length), 1 << 40))
        principal: Principal | None = scope.get("state", {}).get("principal")
        facts: dict[str, Any] = {
            "method": scope["method"],
            "path": scope["path"][:300],
            "route": route,
            "status": status,
            "ms": round(seconds * 1e3, 2),
            "token": principal.id if principal else "",
            "client": scope["client"][0] if scope.get("client") else "",
        }
        quiet = scope["path"] in PUBLIC or (status < 300 and route in _FREQUENT)
        LOGGER.log(10 if quiet else 20, "request", extra=facts)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_FREQUENT = frozenset(source.path for source in PUSH_SOURCES.values())
