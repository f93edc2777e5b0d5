"""``rca serve``: the service, which needs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rca.cli.terminal import messages


def serve(
    configuration: Annotated[
        Path | None, typer.Option("--config", help="A YAML file; docs/service.md describes its fields.")
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="The folder for everything that is kept.")] = None,
    host: Annotated[str | None, typer.Option("--host", help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="The port to listen on; 0: any.")] = None,
    store: Annotated[
        str | None, typer.Option("--store", help="sqlite:PATH, or postgresql://user@host/database.")
    ] = None,
    graph: Annotated[
        str | None,
        typer.Option("--graph", help="Topology and history: a SQLite file, bolt://HOST or neo4j://HOST; none."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="A trained detector for all analyses: name, name@version or path.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="What is normal: a file of `rca profile build`, or auto.")
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option("--tls-certificate", help="A PEM file with the certificate and its chain.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="The PEM file of its key.")] = None,
) -> None:
    """Run the service.

    Listens on 127.0.0.1:8080 and keeps everything in ./rca-data unless told otherwise. The first
    start makes a token with all rights and prints it, once.
    """
    from rca.errors import SettingsError
    from rca.service.configuration_reading import load_configuration

    texts = {"data": data, "tls_certificate": tls_certificate, "tls_key": tls_key}
    given: dict[str, Any] = {name: str(value) for name, value in texts.items() if value is not None}
    given |= {"host": host, "port": port, "store": store, "graph": graph, "model": model, "profile": profile}
    settings = load_configuration(configuration, given=given)
    try:
        from rca.service.server import run_server
    except ImportError as bad:
        raise SettingsError(f"{bad.name} is not installed", remedy="pip install 'rca-engine[service]'") from bad
    scheme = "https" if settings.tls_certificate else "http"

    def say(port: int) -> None:
        messages().print(f"rca listens on {scheme}://{settings.host}:{port}", soft_wrap=True)

    raise typer.Exit(run_server(settings, started=say))
