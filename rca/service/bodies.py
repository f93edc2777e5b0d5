"""Bodies of requests, read within limits of size, time and of what all of them together hold in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request

from rca.errors import OverloadedError
from rca.service.configuration import Configuration
from rca.service.problems import ProblemError
from rca.sources.bodies import Limits, inflate

# The answer comes before the body was read, so the connection cannot be used again.
_CLOSE = {"Connection": "close"}


class BodyReader:
    """Reads bodies; knows how much of them is in memory."""

    def __init__(self, configuration: Configuration) -> None:
        self._most_in_flight = configuration.max_in_flight << 20
        self._body_seconds = configuration.body_seconds
        self._idle_seconds = configuration.idle_seconds
        self.in_flight = 0

    @asynccontextmanager
    async def body(self, request: Request, most: int) -> AsyncIterator[bytes]:
        """The body, held in memory while the block runs.

        Raises:
            ProblemError: 413 where it is larger than ``most`` bytes, 408 where it comes too slowly.
            OverloadedError: bodies of others fill the memory.
        """
        held = 0
        parts: list[bytes] = []
        try:
            _check_length(request, most)
            async with asyncio.timeout(self._body_seconds):
                stream = request.stream()
                while True:
                    async with asyncio.timeout(self._idle_seconds):
                        part = await anext(stream, None)
                    if part is None:
                        break
                    if held + len(part) > most:
                        raise _too_large(most)
                    if self.in_flight + len(part) > self._most_in_flight:
                        raise OverloadedError("bodies of other requests fill the memory", remedy="Send again later")
                    self.in_flight += len(part)
                    held += len(part)
                    parts.append(part)
            yield b"".join(parts)
        except TimeoutError as bad:
            raise ProblemError(408, "Too slow", "the body did not arrive in time", headers=_CLOSE) from bad
        except ClientDisconnect as bad:
            raise ProblemError(400, "Cut off", "the connection was closed within the body") from bad
        finally:
            self.in_flight -= held


def decode_body(body: bytes, headers: Mapping[str, str], kind: Any, *, most: int) -> Any:
    """A small JSON body as ``kind``.

    Raises:
        ProblemError: 415 where it is no JSON by its type, 400 where it is none, 422 where it is of another form.
    """
    media = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media != "application/json":
        raise ProblemError(415, "Unsupported media type", f"{media[:60]!r}", remedy="Send application/json")
    content = inflate(body, headers.get("content-encoding", ""), where="body", limits=Limits(inflated=most))
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as bad:
        raise ProblemError(422, "Invalid input", str(bad), where="body", remedy="See /openapi.json") from bad
    except (msgspec.DecodeError, UnicodeDecodeError) as bad:
        raise ProblemError(400, "Unreadable body", f"no JSON: {bad}", where="body") from bad
    except RecursionError as bad:
        raise ProblemError(400, "Unreadable body", "JSON nested too deep", where="body") from bad


def _check_length(request: Request, most: int) -> None:
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise _too_large(most)


def _too_large(most: int) -> ProblemError:
    return ProblemError(413, "Too large", f"more than {most} bytes", remedy="Send less at a time", headers=_CLOSE)


def encode(value: Any) -> bytes:
    """JSON; half surrogate pairs, which UTF-8 cannot hold, become question marks."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        import json

        return json.dumps(value).encode()
