"""``rca graph``: what depends on what, over time; to record, to look at, to hand on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rca.cli.graph_option import GraphOption, TenantOption, open_graph, to_time
from rca.cli.terminal import check_writable, messages, output, printable, progress, table, write_text
from rca.errors import InputError

if TYPE_CHECKING:
    from rca.knowledge import Knowledge, KnownTopology
    from rca.knowledge.picture import Picture
    from rca.topology import Topology

app = typer.Typer(no_args_is_help=True, help="Record, show, export and open the topology and past causality graphs.")
At = Annotated[str | None, typer.Option("--at", help="As of this time, such as 2026-01-31T12:00:00Z; default: now.")]
Near = Annotated[list[str] | None, typer.Option("--near", help="Only around this component; may be repeated.")]
Hops = Annotated[int, typer.Option("--hops", min=0, max=10, help="How many dependencies around it.")]
IncidentOption = Annotated[
    str | None, typer.Option("--incident", help="The causality graph of this past incident instead.")
]


@app.command("record")
def record(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A topology, kubectl's or a lineage tool's JSON, or a case folder.")
    ],
    source: Annotated[
        str, typer.Option("--source", help="Who says so: yaml, kubernetes, lineage, spans …; default: by the file.")
    ] = "",
    at: At = None,
    confidence: Annotated[
        float | None, typer.Option("--confidence", help="How sure it is, in (0, 1]; default: by source.")
    ] = None,
    complete: Annotated[
        bool | None, typer.Option("--complete/--partial", help="Whether what is not listed has gone.")
    ] = None,
    expires: Annotated[
        int | None,
        typer.Option(
            "--expires", metavar="DAYS", min=1, help="What a partial source has not shown for so long has gone."
        ),
    ] = None,
    graph: GraphOption = None,
    tenant: TenantOption = None,
) -> None:
    """Record the topology of a file or of a case's spans as of a time.

    Files are topologies (YAML, JSON, CSV), what kubectl get -o json prints, events of OpenLineage, dbt's manifest.json,
    and what `rca graph export` wrote as JSON.
    """
    from rca.knowledge.questions import DAY

    topology, usual, seen = _read(path)
    when = to_time(at, seen or time.time_ns())
    with open_graph(graph, tenant) as knowledge:
        knowledge.record_topology(
            topology,
            source=source or usual,
            at=when,
            confidence=confidence,
            complete=complete,
            expires=None if expires is None else expires * DAY,
        )
    output().print(f"{len(topology.components)} components, {len(topology.caller)} dependencies recorded")


@app.command("retract")
def retract(
    source: Annotated[str, typer.Option("--source", help="Whose word to take back.")],
    since: Annotated[
        str | None, typer.Option("--since", help="Only of this time and later; default: all that it ever said.")
    ] = None,
    graph: GraphOption = None,
    tenant: TenantOption = None,
) -> None:
    """Take back what a source has said, as after a wrong file or a wrong clock."""
    from rca.knowledge.rows import BEGINNING

    with open_graph(graph, tenant) as knowledge:
        count = knowledge.retract(source, since=to_time(since, BEGINNING))
    output().print(f"{count} claims of {printable(source)} taken back or changed")


@app.command("cmdb")
def cmdb(
    server: Annotated[str, typer.Argument(metavar="URI", help="The Neo4j server that holds the CMDB.")],
    label: Annotated[str, typer.Option("--label", help="The label of its components.")],
    name: Annotated[str, typer.Option("--name", help="The property that names them.")] = "name",
    depends_on: Annotated[
        str, typer.Option("--depends-on", help="The relationship from a component to what it depends on.")
    ] = "DEPENDS_ON",
    fact: Annotated[
        list[str] | None, typer.Option("--fact", help="OURS=THEIRS: kind, host, team, owner … and its property.")
    ] = None,
    graph: GraphOption = None,
    tenant: TenantOption = None,
) -> None:
    """Record what a CMDB in Neo4j says now; user and password as for any server."""
    from rca.knowledge.cmdb import CmdbMapping, read_cmdb

    pairs = [each.partition("=") for each in fact or ()]
    mapping = CmdbMapping(
        label=label, name=name, depends_on=depends_on, facts={ours: theirs for ours, _, theirs in pairs}
    )
    topology = read_cmdb(server, mapping)
    with open_graph(graph, tenant) as knowledge:
        knowledge.record_topology(topology, source="cmdb", at=time.time_ns())
    output().print(f"{len(topology.components)} components, {len(topology.caller)} dependencies recorded")


@app.command("show")
def show(
    at: At = None,
    near: Near = None,
    hops: Hops = 3,
    graph: GraphOption = None,
    tenant: TenantOption = None,
) -> None:
    """List dependencies as of a time, with who says so and how sure it is."""
    with open_graph(graph, tenant) as knowledge:
        known = _known(knowledge, at, near, hops)
    rows = [(a, b, f"{known.confidence[a, b]:.2f}", ", ".join(known.sources[a, b])) for a, b in known.confidence]
    output().print(table(("component", "depends on", "confidence", "says"), rows, right=(2,)))


@app.command("export")
def export(
    form: Annotated[Literal["json", "graphml", "cypher"], typer.Option("--format", help="For what.")] = "json",
    out: Annotated[Path | None, typer.Option("--out", help="The file to write; default: standard output.")] = None,
    at: At = None,
    near: Near = None,
    hops: Hops = 3,
    incident: IncidentOption = None,
    graph: GraphOption = None,
    tenant: TenantOption = None,
) -> None:
    """Write the topology, or the causality graph of a past incident, for other tools."""
    from rca.knowledge.script import FORMS

    check_writable(out)
    text = FORMS[form](_picture(graph, tenant, at, near, hops, incident))
    if out is None:
        write_text(text)
    else:
        out.write_text(text, encoding="utf-8")
        messages().print(printable(f"Written: {out}"))


@app.command("open")
def open_page(
    out: Annotated[Path, typer.Option("--out", help="The page to write.")] = Path("graph.html"),
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Show it at once.")] = True,
    at: At = None,
    near: Near = None,
    hops: Hops = 3,
    incident: IncidentOption = None,
    graph: GraphOption = None,
    tenant: TenantOption = None,
) -> None:
    """Write one page to look at the graph in, which asks for nothing else, and open it."""
    from rca.knowledge.page import render_graph

    check_writable(out)
    out.write_text(render_graph(_picture(graph, tenant, at, near, hops, incident)), encoding="utf-8")
    messages().print(printable(f"Graph page: {out}"))
    if browser:
        import webbrowser

        webbrowser.open(out.resolve().as_uri())


@app.command("sync")
def sync(
    retry: Annotated[
        str | None, typer.Option("--retry", metavar="NUMBER", help="First queue again what was set aside, or all.")
    ] = None,
    drop: Annotated[
        str | None, typer.Option("--drop", metavar="NUMBER", help="First forget what was set aside, or all.")
    ] = None,
    graph: GraphOption = None,
    tenant: TenantOption = None,
) -> None:
    """Send what waits for a Neo4j server that was away, and show what it refused.

    Exits with 2 while anything waits or is set aside.
    """
    from rca.errors import StoreError
    from rca.knowledge.synced import SyncedStore
    from rca.types import SECOND, to_text

    with open_graph(graph, tenant, tell=False) as knowledge:
        store = knowledge.store
        if not isinstance(store, SyncedStore):
            raise InputError("only a Neo4j server can be behind", where=graph, remedy="Give --graph bolt://HOST")
        if drop is not None:
            store.outbox.drop(_number(drop))
        if retry is not None:
            store.outbox.retry(_number(retry))
        with progress("Sending") as show_progress:
            waiting = store.state().pending
            state = store.sync()
            show_progress(waiting - state.pending, waiting)
        aside = store.outbox.aside()
    for one in aside:
        head = f"{one.number}  {to_text(one.at // SECOND * SECOND)}  tenant {one.tenant}: {one.holds}"
        output().print(printable(f"{head}\n   {one.error}"), soft_wrap=True)
    if state.pending:
        raise StoreError(f"batches still wait: {state.pending}; {state.reason}", where=graph)
    if aside:
        raise StoreError(
            f"{len(aside)} batches are set aside",
            where=graph,
            remedy="Remove the reason and --retry all, or --drop them",
        )
    output().print("Nothing waits")


def _number(text: str) -> int | None:
    """Which batch is meant; None: all."""
    if text == "all":
        return None
    if not text.isdecimal() or len(text) > 18:
        raise InputError(f"{text[:40]!r} is no number of a batch", where="rca graph sync", remedy="Name one, or all")
    return int(text)


def _read(path: Path) -> tuple[Topology, str, int | None]:
    """The topology, what the source is usually called, and when it was seen."""
    from rca.topology_files import topology_from_spans

    if not path.is_dir():
        from rca.knowledge.inventories import read_inventory

        return (*read_inventory(path), None)
    from rca.cases.folder import read_case

    case = read_case(path)
    if not len(case.telemetry.spans):
        raise InputError("there are no spans", where=path, remedy="Record its topology file instead")
    return topology_from_spans(case.telemetry.spans), "spans", case.incident.window.start


def _known(knowledge: Knowledge, at: str | None, near: list[str] | None, hops: int) -> KnownTopology:
    when = to_time(at, time.time_ns())
    return knowledge.topology_near(near, when, hops=hops) if near else knowledge.topology_at(when)


def _picture(
    graph: str | None, tenant: str | None, at: str | None, near: list[str] | None, hops: int, incident: str | None
) -> Picture:
    from rca.knowledge.picture import picture_of_incident, picture_of_topology

    with open_graph(graph, tenant) as knowledge:
        if incident is not None:
            return picture_of_incident(knowledge.incident(incident))
        known = _known(knowledge, at, near, hops)
    return picture_of_topology(known, marked=tuple(near or ()))
