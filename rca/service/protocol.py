"""HTTP/1.1 with limits that uvicorn does not have: on headers, and on clients that send slowly.

A connection is closed where its headers take longer than they may, where a body takes longer or
pauses longer than it may, and where bytes of a request keep coming after its answer. So a client that
sends nothing costs a socket for some seconds, and nothing else.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from rca.service.configuration import Configuration

_IDLE, _HEADERS, _BODY, _ANSWER = range(4)
_TIMEOUT = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def limited_protocol(configuration: Configuration) -> type[HttpToolsProtocol]:
    """The protocol class for uvicorn, with the limits of a configuration."""

    class LimitedProtocol(_LimitedProtocol):
        header_seconds = configuration.header_seconds
        header_bytes = configuration.max_header << 10
        body_seconds = configuration.body_seconds
        idle_seconds = configuration.idle_seconds

    return LimitedProtocol


class _LimitedProtocol(HttpToolsProtocol):
    header_seconds: float
    header_bytes: int
    body_seconds: float
    idle_seconds: float

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._phase = _IDLE
        self._header_size = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._last_data = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect(_HEADERS, self.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect(_IDLE, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._last_data = self.loop.time()
        if self._phase in (_IDLE, _HEADERS):
            self._header_size += len(data)
        super().data_received(data)
        if self._phase == _HEADERS and self._header_size > self.header_bytes:
            self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        self._expect(_HEADERS, self.header_seconds)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._header_size = 0
        self._expect(_BODY, self.body_seconds)
        self._watch_pauses()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._expect(_ANSWER, None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self._phase == _BODY:  # answered before the body was there: the rest is of no interest
            self._expect(_IDLE, None)
            self.transport.close()
        super().on_response_complete()

    def _expect(self, phase: int, seconds: float | None) -> None:
        self._phase = phase
        for timer in (self._deadline, self._idle):
            if timer is not None:
                timer.cancel()
        self._idle = None
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._refuse, _TIMEOUT)

    def _watch_pauses(self) -> None:
        pause = self.loop.time() - self._last_data
        if self.flow.read_paused:  # we are the slow ones
            pause = 0.0
        if pause >= self.idle_seconds:
            self._refuse(_TIMEOUT)
        else:
            self._idle = self.loop.call_later(self.idle_seconds - pause, self._watch_pauses)

    def _refuse(self, answer: bytes) -> None:
        """Closes the connection, with an answer where none has begun."""
        self._expect(_IDLE, None)
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(answer)
        self.transport.close()
        # An answer that nobody reads would keep the socket open for ever.
        self.loop.call_later(1.0, self.transport.abort)
