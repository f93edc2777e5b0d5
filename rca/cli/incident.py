"""``rca incident``: windows to a running service, its answers, and what people say of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rca.cli.terminal import Format, check_writable, messages, output, printable, table, write_text

if TYPE_CHECKING:
    from rca.client import Client

app = typer.Typer(no_args_is_help=True, help="Post incidents to a running service, show and judge its answers.")
URL = Annotated[str | None, typer.Option("--url", help="Where the service is; default: RCA_URL, else loopback.")]
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", help="A file with the token; default: RCA_TOKEN of the environment.")
]


@app.command("post")
def post(
    case: Annotated[Path, typer.Argument(metavar="CASE", help="The folder of the case (see docs/telemetry.md).")],
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for the report.")] = 300.0,
    form: Annotated[Format, typer.Option("--format", help="How to print the report.")] = "table",
    url: URL = None,
    token_file: TokenFile = None,
) -> None:
    """Post a case folder and print the report; with --wait 0 only the incident."""
    from rca.cases.folder import read_case

    given = read_case(case)
    with open_client(url, token_file) as client:
        job = client.submit(given)
        messages().print(printable(f"Incident {job['incident']}, job {job['id']}"))
        if wait:
            client.wait(job["id"], wait)
            _print(client.report(job["incident"]), form)


@app.command("show")
def show(
    incident: Annotated[str, typer.Argument(metavar="INCIDENT", help="Its id; without it, list incidents.")] = "",
    form: Annotated[Format, typer.Option("--format", help="How to print the report.")] = "table",
    html: Annotated[Path | None, typer.Option("--html", help="Write the incident page to this file.")] = None,
    url: URL = None,
    token_file: TokenFile = None,
) -> None:
    """Show the report of an incident, or list the newest incidents."""
    from itertools import islice

    check_writable(html)
    with open_client(url, token_file) as client:
        if not incident:
            found = list(islice(client.incidents(), 50))
            names = ("id", "created", "verdict", "cause", "title")
            output().print(table(names, [tuple(str(one[name]) for name in names) for one in found]))
            return
        _print(client.report(incident), form)
        if html is not None:
            html.write_text(client.page(incident), encoding="utf-8")
            messages().print(f"Incident page: {html}")


@app.command("feedback")
def feedback(
    incident: Annotated[str, typer.Argument(metavar="INCIDENT", help="Its id.")],
    opinion: Annotated[
        Literal["confirmed", "wrong", "note"], typer.Argument(metavar="OPINION", help="confirmed, wrong or note.")
    ],
    component: Annotated[str, typer.Option("--component", help="The component that was the cause.")] = "",
    kind: Annotated[str, typer.Option("--kind", help="The type of fault, such as memory; your words.")] = "",
    resolution: Annotated[str, typer.Option("--resolution", help="What ended it.")] = "",
    note: Annotated[str, typer.Option("--note", help="What others should know.")] = "",
    who: Annotated[str, typer.Option("--who", help="Who says so.")] = "",
    url: URL = None,
    token_file: TokenFile = None,
) -> None:
    """Say what the cause was: it is kept, measures how good the answers are, and `confirmed` makes them better."""
    said = {"component": component, "kind": kind, "resolution": resolution, "note": note, "who": who}
    with open_client(url, token_file) as client:
        client.feedback(incident, opinion, **said)
    messages().print(printable(f"Kept: {incident} {opinion} {component}".rstrip()))


@app.command("split")
def split(
    incident: Annotated[str, typer.Argument(metavar="INCIDENT", help="The one that is part of another.")],
    url: URL = None,
    token_file: TokenFile = None,
) -> None:
    """Undo a merger: an incident that was taken for part of an earlier one stands for itself again."""
    with open_client(url, token_file) as client:
        parted = client.split(incident)
    messages().print(printable(f"{incident} is no longer part of {parted['into']}: both are analysed again"))


def open_client(url: str | None, token_file: Path | None) -> Client:
    """A client of the service that the options name."""
    from rca.client import Client

    token = None if token_file is None else token_file.read_text(encoding="utf-8").strip()
    return Client(url, token)


def _print(report: dict[str, Any], form: Format) -> None:
    import msgspec

    if form == "json":
        write_text(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
        return
    console = output()
    causes = report["root_causes"]
    console.print(printable(f"{report['incident']['id']}: {report['verdict']}"), style="bold")
    rows = [(str(c["rank"]), c["component"], f"{c['confidence']:.0%}", c["sentence"]) for c in causes]
    if rows:
        console.print(table(("", "component", "confidence", "what"), rows, right=(0, 2)))
    for number in causes[0]["because"] if causes else ():
        evidence = report["events"][number]["evidence"]
        if evidence:
            console.print(printable(f"  - {causes[0].get('taken_over', {}).get(number) or evidence['sentence']}"))
    culprit = next((s for s in report["suspects"] if s["change"]["id"] == report["culprit"]), None)
    if culprit is not None:
        console.print(printable(f"Change: {culprit['sentence']}"))
    for sentence in report["missing"]:
        console.print(printable(f"Missing: {sentence}"), style="dim")
