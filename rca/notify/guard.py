"""Outgoing HTTP that cannot be led astray: every address is looked at before it is connected to.

A name is resolved once for a connection, all of its addresses are checked, and one of exactly these is
connected to, so that a name that resolves to something else a moment later gains nothing. Host header
and certificate stay those of the name. Redirects are not followed, the proxies of the environment are
not used, answers are not decompressed, and a whole exchange has one deadline and one size.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

from rca.errors import SettingsError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Sequence[str]]

MAX_ANSWER = 64 << 20
# What ``is_global`` of some Python versions takes for public, and is not.
_SECRETIVE: tuple[Network, ...] = (
    # Azure's host answers there with secrets of its virtual machines:
    # https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
    ipaddress.ip_network("168.63.129.16/32"),
    ipaddress.ip_network("192.0.0.0/24"),  # RFC 6890; Oracle's metadata among them
    ipaddress.ip_network("64:ff9b:1::/48"),  # RFC 8215
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052
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


def read_networks(texts: Iterable[str], *, where: str) -> tuple[Network, ...]:
    """Networks such as 10.0.0.0/8 or fd00::/8.

    Raises:
        SettingsError: one is no network.
    """
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text.strip()))
        except ValueError as bad:
            raise SettingsError(
                f"{text[:60]!r} is no network", where=where, remedy="Write 10.0.0.0/8, or an address with /32"
            ) from bad
    return tuple(found)


def is_allowed(address: Address, allowed: Sequence[Network] = ()) -> bool:
    """Whether an address may be connected to: it is public, or within an allowed network.

    What an IPv6 address carries inside (mapped, NAT64, 6to4, Teredo) counts as well as itself.
    """
    inner = _inside(address)
    if inner is not None:
        return is_allowed(inner, allowed)
    if any(address.version == network.version and address in network for network in allowed):
        return True
    if any(address.version == network.version and address in network for network in _SECRETIVE):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


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
    transport = _Transport(backend, allow_http, verify or httpx.create_ssl_context(trust_env=False))
    headers = {"Accept-Encoding": "identity", "User-Agent": "rca"}
    return httpx.Client(transport=transport, timeout=seconds, follow_redirects=False, trust_env=False, headers=headers)


def _inside(address: Address) -> Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or int(address) >> 32 == 0:  # the second: IPv4-compatible, which nobody uses any more
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


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
