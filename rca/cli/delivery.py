"""``rca delivery``: the messages of a running service to others."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from rca.cli.incident import URL, TokenFile, open_client
from rca.cli.terminal import messages, output, printable, table

app = typer.Typer(no_args_is_help=True, help="List the messages that a service sends, and send dead ones again.")
State = Literal["waiting", "sent", "dead"]


@app.command("list")
def show(
    incident: Annotated[str, typer.Option("--incident", help="Only of this incident.")] = "",
    state: Annotated[State | None, typer.Option("--state", help="waiting, sent or dead.")] = None,
    url: URL = None,
    token_file: TokenFile = None,
) -> None:
    """List messages, newest first."""
    with open_client(url, token_file) as client:
        found = client.deliveries(incident=incident, state=state or "")
    rows = [
        (each["id"], each["incident"], each["target"], each["state"], str(each["attempt"]), each["error"])
        for each in found
    ]
    output().print(table(("id", "incident", "target", "state", "attempts", "why"), rows, right=(4,)))


@app.command("retry")
def retry(
    delivery: Annotated[
        str, typer.Argument(metavar="ID", help="The id that `rca delivery list` shows; `dead`: all that are dead.")
    ],
    url: URL = None,
    token_file: TokenFile = None,
) -> None:
    """Send a message again that was refused or given up."""
    with open_client(url, token_file) as client:
        chosen = [each["id"] for each in client.deliveries(state="dead")] if delivery == "dead" else [delivery]
        for each in chosen:
            client.retry_delivery(each)
    messages().print(printable(f"{len(chosen)} sent again: `rca delivery list` shows what becomes of it."))
