"""The server: uvicorn with our protocol, TLS by files, and a stop that lets requests end."""

from __future__ import annotations

import signal
import ssl
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from rca.errors import SettingsError
from rca.service.configuration import Configuration
from rca.service.logs import start_logging

if TYPE_CHECKING:
    import uvicorn

    from rca.service.state import Service


def make_server(
    configuration: Configuration, service: Service | None = None, *, started: Callable[[int], None] | None = None
) -> uvicorn.Server:
    """A server that is ready to run.

    Args:
        started: called with the port once it listens.

    Raises:
        SettingsError: a TLS file is missing or is none.
    """
    import uvicorn

    from rca.service.app import create_app
    from rca.service.protocol import limited_protocol

    _check_files(configuration)
    config = uvicorn.Config(
        create_app(configuration, service),
        host=configuration.host,
        port=configuration.port,
        loop="auto",
        http=limited_protocol(configuration),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        limit_concurrency=configuration.max_connections,
        backlog=2048,
        timeout_keep_alive=int(configuration.keep_alive_seconds),
        timeout_graceful_shutdown=int(configuration.stop_seconds),
        ssl_certfile=configuration.tls_certificate or None,
        ssl_keyfile=configuration.tls_key or None,
        ssl_ca_certs=configuration.tls_client_authority or None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if configuration.tls_client_authority else ssl.CERT_NONE,
    )

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
            await super().startup(sockets)  # type: ignore[arg-type]
            if started is not None and self.started:
                started(self.servers[0].sockets[0].getsockname()[1])

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            # uvicorn's own raises the signal once more at the end: a stop that was asked for is no failure.
            self.force_exit = self.should_exit and sig == signal.SIGINT
            self.should_exit = True

    return Server(config)


def run_server(configuration: Configuration, *, started: Callable[[int], None] | None = None) -> int:
    """Serves until SIGTERM or SIGINT; the exit code."""
    start_logging(configuration.log_level)
    _allow_connections(configuration.max_connections)
    server = make_server(configuration, started=started)
    server.run()
    return 0 if server.started else 3


def _allow_connections(count: int) -> None:
    """Raises the limit of open files, where the system lets us, to what so many connections need."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 512  # the store, files, pipes
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _check_files(configuration: Configuration) -> None:
    for name in ("tls_certificate", "tls_key", "tls_client_authority"):
        path = getattr(configuration, name)
        if path and not Path(path).is_file():
            raise SettingsError(f"{name} is no file", where=path, remedy="Give the path of a PEM file")
    if configuration.tls_certificate:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
                configuration.tls_certificate, configuration.tls_key
            )
        except (ssl.SSLError, OSError) as bad:
            raise SettingsError(
                f"tls_certificate and tls_key do not fit: {bad}", where=configuration.tls_certificate
            ) from bad
