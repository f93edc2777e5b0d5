"""Outgoing requests reach public addresses and allowed networks, and nothing else."""

from __future__ import annotations

import ipaddress
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rca.errors import SettingsError
from rca.notify.guard import ForbiddenError, TooMuchError, guarded_client
from rca.notify.networks import is_allowed, read_networks

LOOPBACK = read_networks(["127.0.0.0/8"], where="test")


class Receiver(ThreadingHTTPServer):
    """Keeps what it was asked, and answers as its path says."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are what some tests are about."""

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class Handler(BaseHTTPRequestHandler):
    server: Receiver
    answers: ClassVar[dict[str, Callable[[Handler], None]]] = {}

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers.items())))
        self.answers.get(self.path, Handler.fine)(self)

    def fine(self) -> None:
        self.reply(200, b"fine")

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def redirect(self) -> None:
        self.reply(302, b"", Location=f"http://127.0.0.1:{self.server.port}/secret")

    def large(self) -> None:
        self.reply(200, b"x" * 200_000)

    def squeezed(self) -> None:
        self.reply(200, b"\x1f\x8b", Content_Encoding="gzip")

    def slow(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(100):
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.05)
        except OSError:
            pass

    def log_message(self, format: str, *args: object) -> None:
        return


Handler.answers = {
    "/redirect": Handler.redirect,
    "/large": Handler.large,
    "/squeezed": Handler.squeezed,
    "/slow": Handler.slow,
}


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        threading.Thread(target=started.serve_forever, args=(0.02,), daemon=True).start()
        yield started
        started.shutdown()


FORBIDDEN = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "168.63.129.16",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "fe80::1",
    "fd00:ec2::254",
    "ff02::1",
]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_no_address_that_is_not_public_is_allowed(address: str) -> None:
    assert not is_allowed(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_allowed(ipaddress.ip_address(address))


def test_an_allowed_network_allows_its_addresses_also_where_ipv6_carries_them() -> None:
    allowed = read_networks(["10.0.0.0/8", "fd00::/8"], where="test")
    for inside in ("10.1.2.3", "::ffff:10.1.2.3", "fd00::1"):
        assert is_allowed(ipaddress.ip_address(inside), allowed)
    for outside in ("192.168.0.1", "::ffff:127.0.0.1", "fe80::1"):
        assert not is_allowed(ipaddress.ip_address(outside), allowed)


@given(st.ip_addresses(v=4))
def test_what_carries_an_address_is_judged_as_that_address(address: ipaddress.IPv4Address) -> None:
    plain = is_allowed(address)
    assert is_allowed(ipaddress.IPv6Address(f"::ffff:{address}")) == plain
    assert is_allowed(ipaddress.IPv6Address((0x2002 << 112) | (int(address) << 80))) == plain
    assert not (plain and (address.is_private or address.is_loopback or address.is_link_local or address.is_multicast))


def test_a_network_that_is_none_is_refused_with_its_place() -> None:
    with pytest.raises(SettingsError, match=r"allowed_networks.*no network"):
        read_networks(["10.0.0.0/99"], where="allowed_networks")


SPELLINGS = [
    "127.0.0.1",
    "localhost",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.1",
    "0",
    "[::1]",
    "[::ffff:7f00:1]",
]


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_spelling_of_loopback_is_connected_to(host: str, receiver: Receiver) -> None:
    before = len(receiver.asked)
    with (
        guarded_client(allow_http=True) as client,
        pytest.raises((ForbiddenError, httpx.ConnectError, httpx.InvalidURL)),
    ):
        client.get(f"http://{host}:{receiver.port}/")
    assert len(receiver.asked) == before


def test_an_allowed_network_is_reached_under_the_name_that_was_asked(receiver: Receiver) -> None:
    with guarded_client(allowed=LOOPBACK, allow_http=True, resolve=lambda host, port: ["127.0.0.1"]) as client:
        assert client.get(f"http://hooks.example:{receiver.port}/named").text == "fine"
    path, headers = receiver.asked[-1]
    assert (path, headers["Host"]) == ("/named", f"hooks.example:{receiver.port}")


def test_a_name_that_resolves_to_something_else_a_moment_later_gains_nothing(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    connected: list[str] = []
    real = socket.create_connection

    def connect(address: tuple[str, int], *rest: object, **named: object) -> socket.socket:
        connected.append(address[0])
        if address[0] == "93.184.215.14":
            raise ConnectionRefusedError("nobody is there")
        return real(address, *rest, **named)  # type: ignore[arg-type]

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["93.184.215.14"] if len(asked) == 1 else ["127.0.0.1"]

    monkeypatch.setattr(socket, "create_connection", connect)
    before = len(receiver.asked)
    with guarded_client(allow_http=True, resolve=rebinding) as client:
        with pytest.raises(httpx.ConnectError):
            client.get(f"http://rebind.example:{receiver.port}/")
        assert (asked, connected) == (["rebind.example"], ["93.184.215.14"])  # resolved once, connected to that
        with pytest.raises(ForbiddenError, match=r"127\.0\.0\.1"):
            client.get(f"http://rebind.example:{receiver.port}/")
    assert connected == ["93.184.215.14"]
    assert len(receiver.asked) == before


def test_a_name_with_one_forbidden_address_among_others_is_refused() -> None:
    with (
        guarded_client(resolve=lambda host, port: ["93.184.215.14", "10.0.0.1"]) as client,
        pytest.raises(ForbiddenError, match="allow its network"),
    ):
        client.get("https://mixed.example/")


def test_redirects_are_not_followed(receiver: Receiver) -> None:
    before = len(receiver.asked)
    with guarded_client(allowed=LOOPBACK, allow_http=True) as client:
        assert client.get(f"http://127.0.0.1:{receiver.port}/redirect").status_code == 302
    assert [path for path, _ in receiver.asked[before:]] == ["/redirect"]


@pytest.mark.parametrize("url", ["http://hooks.example/", "ftp://hooks.example/", "file:///etc/passwd"])
def test_only_https_is_allowed_unless_plain_http_is(url: str) -> None:
    with guarded_client(allowed=LOOPBACK) as client, pytest.raises(httpx.TransportError):
        client.get(url)


def test_proxies_of_the_environment_are_not_asked(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{receiver.port}")
    monkeypatch.setenv("all_proxy", f"http://127.0.0.1:{receiver.port}")
    before = len(receiver.asked)
    with guarded_client(allow_http=True, resolve=lambda *_: ["10.0.0.1"]) as client, pytest.raises(ForbiddenError):
        client.get("http://hooks.example/")
    assert len(receiver.asked) == before


def test_a_large_answer_ends_at_its_limit(receiver: Receiver) -> None:
    with (
        guarded_client(allowed=LOOPBACK, allow_http=True, max_bytes=100_000) as client,
        pytest.raises(TooMuchError, match="larger"),
    ):
        client.get(f"http://127.0.0.1:{receiver.port}/large")


def test_a_compressed_answer_is_not_inflated(receiver: Receiver) -> None:
    with guarded_client(allowed=LOOPBACK, allow_http=True) as client, pytest.raises(TooMuchError, match="compressed"):
        client.get(f"http://127.0.0.1:{receiver.port}/squeezed")


def test_an_answer_that_drips_ends_at_the_deadline_of_the_exchange(receiver: Receiver) -> None:
    with (
        guarded_client(allowed=LOOPBACK, allow_http=True, seconds=0.5) as client,
        pytest.raises(httpx.TimeoutException),
    ):
        client.get(f"http://127.0.0.1:{receiver.port}/slow")


def test_the_certificate_has_to_be_the_names_though_the_address_is_connected_to(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate)]
    name = ["-days", "2", "-subj", "/CN=hooks.example", "-addext", "subjectAltName=DNS:hooks.example"]
    subprocess.run([*made, *name], check=True, capture_output=True)
    server = Receiver()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    trusted = ssl.create_default_context(cafile=str(certificate))
    try:
        with guarded_client(allowed=LOOPBACK, verify=trusted, resolve=lambda *_: ["127.0.0.1"]) as client:
            assert client.get(f"https://hooks.example:{server.port}/").text == "fine"
            with pytest.raises(httpx.ConnectError, match=r"(?i)certificate"):
                client.get(f"https://other.example:{server.port}/")
        with (
            guarded_client(allowed=LOOPBACK, resolve=lambda *_: ["127.0.0.1"]) as client,
            pytest.raises(httpx.ConnectError, match=r"(?i)certificate"),
        ):
            client.get(f"https://hooks.example:{server.port}/")
    finally:
        server.shutdown()
        server.server_close()
