"""Outgoing HTTP that cannot be led astray: every address is looked at before it is connected to.

A name is resolved once for a connection, all of its addresses are checked, and one of exactly these is
connected to, so that a name that resolves to something else a moment later gains nothing. Host header
and certificate stay those of the name. Redirects are not followed, the proxies of the environment are
not used, answers are not decompressed, and a whole exchange has one deadline and one size.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import httpcore
import httpx

from rca.notify.networks import Address, Network, is_allowed

Resolver = Callable[[str, int], Sequence[str]]

MAX_ANSWER = 64 << 20
# They log URLs, which may be secrets, and at debug level headers, which always are.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)
_ERRORS: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (httpcore.ConnectTimeout, httpx.ConnectTimeout),
    (httpcore.WriteTimeout, httpx.WriteTimeout),
    (httpcore.PoolTimeout, httpx.PoolTimeout),
    (httpcore.TimeoutException, httpx.ReadTimeout),
    (httpcore.ConnectError, httpx.ConnectError),
    (httpcore.ReadError, httpx.ReadError),
    (httpcore.WriteError, httpx.WriteError),
    (httpcore.ProtocolError, httpx.RemoteProtocolError),
    (httpcore.UnsupportedProtocol, httpx.UnsupportedProtocol),
    (httpcore.NetworkError, httpx.NetworkError),
)


class ForbiddenError(httpx.TransportError):
    """A URL that may not be asked: another scheme, or an address that is not allowed. Asking again does not help."""


class TooMuchError(httpx.TransportError):
    """An answer that is larger than it may be, or compressed though that was not asked for."""


def guarded_client(
    *,
    allowed: Sequence[Network] = (),
    allow_http: bool = False,
    seconds: float = 10.0,
    max_bytes: int = MAX_ANSWER,
    resolve: Resolver | None = None,
    verify: ssl.SSLContext | None = None,
) -> httpx.Client:
    """A client for URLs that others may have influenced.

    Args:
        allowed: networks that may be connected to though they are not public.
        allow_http: whether plain HTTP is allowed.
        seconds: for one whole exchange, from the connection to the last byte.
        max_bytes: of one answer with its headers.
        resolve: gives the addresses of a name and port (default: the system's).
        verify: whose certificates are trusted (default: the usual authorities).
    """
    backend = _Backend(tuple(allowed), seconds, max_bytes, resolve or _resolve)
    transport = _Transport(backend, allow_http, verify or _usual_authorities())
    headers = {"Accept-Encoding": "identity", "User-Agent": "rca"}
    return httpx.Client(transport=transport, timeout=seconds, follow_redirects=False, trust_env=False, headers=headers)


@lru_cache(maxsize=1)
def _usual_authorities() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)  # reading them takes as long as an exchange


def _resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class _Backend(httpcore.NetworkBackend):
    """Connects to checked addresses only, each connection with a deadline and a size."""

    def __init__(self, allowed: tuple[Network, ...], seconds: float, max_bytes: int, resolve: Resolver) -> None:
        self._allowed, self._seconds, self._max_bytes, self._resolve = allowed, seconds, max_bytes, resolve
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        until = time.monotonic() + self._seconds
        failure: Exception | None = None
        for address in self._checked(host, port):
            left = until - time.monotonic()
            if left <= 0:
                break
            try:
                stream = self._inner.connect_tcp(str(address), port, timeout=left, socket_options=socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as bad:
                failure = bad
                continue
            return _Stream(stream, until, [self._max_bytes])
        raise failure or httpcore.ConnectTimeout(f"{host} was not reached in time")

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        raise ForbiddenError("sockets of this machine are not connected to")

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)

    def _checked(self, host: str, port: int) -> list[Address]:
        try:
            found = self._resolve(host, port)
        except (OSError, UnicodeError) as bad:
            raise httpcore.ConnectError(f"{host[:100]} has no address: {bad}") from bad
        addresses = []
        for text in found:
            try:
                addresses.append(ipaddress.ip_address(text.partition("%")[0]))
            except ValueError as bad:
                raise ForbiddenError(f"{host[:100]} has the address {text[:60]!r}, which is none") from bad
        for address in addresses:
            if not is_allowed(address, self._allowed):
                raise ForbiddenError(
                    f"{host[:100]} has the address {address}, which is not public; allow its network if it is yours"
                )
        if not addresses:
            raise httpcore.ConnectError(f"{host[:100]} has no address")
        return addresses


class _Stream(httpcore.NetworkStream):
    """A connection that ends at its deadline, and after its size; ``left`` is shared with the TLS inside it."""

    def __init__(self, inner: httpcore.NetworkStream, until: float, left: list[int]) -> None:
        self._inner, self._until, self._left = inner, until, left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        content = self._inner.read(max_bytes, timeout=self._time(httpcore.ReadTimeout))
        self._left[0] -= len(content)
        if self._left[0] < 0:
            raise TooMuchError("the answer is larger than it may be")
        return content

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, timeout=self._time(httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, timeout=self._time(httpcore.ConnectTimeout))
        return _Stream(inner, self._until, self._left)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def _time(self, late: type[Exception]) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise late("the exchange took longer than it may")
        return left


class _Transport(httpx.BaseTransport):
    """httpx over a pool that keeps no connection: the deadline is one exchange's, and no other name shares it."""

    def __init__(self, backend: _Backend, allow_http: bool, verify: ssl.SSLContext) -> None:
        self._allow_http = allow_http
        self._pool = httpcore.ConnectionPool(
            ssl_context=verify, max_keepalive_connections=0, network_backend=backend, retries=0
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.scheme != "https" and not (self._allow_http and request.url.scheme == "http"):
            raise ForbiddenError(f"{request.url.scheme or 'no scheme'} is not allowed here, only https")
        asked = httpcore.Request(
            method=request.method,
            url=httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _translated():
            answer = self._pool.handle_request(asked)
        encoding = next((value for name, value in answer.headers if name.lower() == b"content-encoding"), b"identity")
        if encoding.strip().lower() not in (b"", b"identity"):
            answer.close()
            raise TooMuchError("the answer is compressed though it was not to be")
        stream = _Answer(answer)
        return httpx.Response(answer.status, headers=answer.headers, stream=stream, extensions=answer.extensions)

    def close(self) -> None:
        self._pool.close()


class _Answer(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        with _translated():
            yield from self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


@contextmanager
def _translated() -> Iterator[None]:
    """Errors of the connection as those of httpx, which is what callers know."""
    try:
        yield
    except Exception as bad:
        for known, ours in _ERRORS:
            if isinstance(bad, known):
                raise ours(str(bad)) from bad
        raise
