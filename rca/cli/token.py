"""``rca token``: who may use the service, and for what."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rca.cli.terminal import messages, output, printable, table, write_text

if TYPE_CHECKING:
    from rca.stores.protocol import Store

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke the tokens of the service.")
Configuration = Annotated[Path | None, typer.Option("--config", help="The YAML file of the service.")]
Data = Annotated[Path | None, typer.Option("--data", help="The service's data folder.")]
URL = Annotated[str | None, typer.Option("--store", help="sqlite:PATH, or postgresql://user@host/database.")]


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who or what it is for.")],
    scope: Annotated[
        list[str], typer.Option("--scope", help="ingest, read, analyse, feedback or admin; may be repeated.")
    ],
    days: Annotated[int | None, typer.Option("--days", min=1, help="After how many days it expires.")] = None,
    configuration: Configuration = None,
    data: Data = None,
    store: URL = None,
) -> None:
    """Make a token and print it: it cannot be shown again."""
    from rca.service.auth import make_token
    from rca.stores.records import AuditEntry

    now = time.time_ns()
    expires = None if days is None else now + days * 86_400 * 1_000_000_000
    token, text = make_token(name, scope, now=now, expires=expires)
    with _opened(configuration, data, store) as opened:
        opened.add_token(token).result()
        entry = AuditEntry(time=now, who="command line", action="token.create", subject=token.id, outcome="done")
        opened.record([entry]).result()
    write_text(text)
    messages().print(printable(f"Token {token.id} for {name}: {', '.join(token.scopes)}. It is not shown again."))


@app.command("list")
def show(configuration: Configuration = None, data: Data = None, store: URL = None) -> None:
    """List the tokens, without their secrets."""
    from rca.types import to_text

    with _opened(configuration, data, store) as opened:
        tokens = opened.tokens()
    rows = []
    for token in tokens:
        end = "" if token.expires is None else to_text(token.expires)
        state = "valid" if token.revoked is None else f"revoked {to_text(token.revoked)}"
        rows.append((token.id, token.name, " ".join(token.scopes), to_text(token.created), end, state))
    output().print(table(("id", "name", "scopes", "created", "expires", "state"), rows))


@app.command("revoke")
def revoke(
    token: Annotated[str, typer.Argument(metavar="ID", help="The id that `rca token list` shows.")],
    configuration: Configuration = None,
    data: Data = None,
    store: URL = None,
) -> None:
    """Make a token worthless; a running service refuses it within two seconds."""
    from rca.errors import NotFoundError
    from rca.stores.records import AuditEntry

    now = time.time_ns()
    with _opened(configuration, data, store) as opened:
        if not opened.revoke_token(token, now).result():
            raise NotFoundError(f"there is no valid token {token[:40]!r}", remedy="`rca token list` lists them")
        entry = AuditEntry(time=now, who="command line", action="token.revoke", subject=token, outcome="done")
        opened.record([entry]).result()
    messages().print(printable(f"Token {token} is revoked."))


class _opened:  # noqa: N801 - read as a verb: with _opened(...) as store
    """The store of a configuration, closed at the end of the block."""

    def __init__(self, configuration: Path | None, data: Path | None, store: str | None) -> None:
        from rca.service.configuration_reading import load_configuration

        given = {"data": None if data is None else str(data), "store": store}
        self._url = load_configuration(configuration, given=given).store_url

    def __enter__(self) -> Store:
        from rca.stores import open_store

        self._store = open_store(self._url)
        return self._store

    def __exit__(self, *_: object) -> None:
        self._store.close()
