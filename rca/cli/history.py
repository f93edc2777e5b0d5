"""``rca history``: past incidents, what people said of them, and what they teach."""

from __future__ import annotations

import getpass
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from rca.cli.graph_option import GraphOption, TenantOption, open_graph, to_time
from rca.cli.terminal import Format, messages, output, printable, progress, table, write_text

app = typer.Typer(no_args_is_help=True, help="Keep incidents, say what caused and ended them, ask the history.")
Since = Annotated[str | None, typer.Option("--since", help="From this time on, such as 2026-01-31T12:00:00Z.")]
Until = Annotated[str | None, typer.Option("--until", help="Before this time.")]
FormatOption = Annotated[Format, typer.Option("--format", help="How to print the answer.")]
By = Annotated[str, typer.Option("--by", help="Who says so; default: you.")]
IncidentId = Annotated[str, typer.Argument(metavar="INCIDENT", help="Its id.")]
_JSON_ONLY = ("kind", "title", "time")  # a terminal is too narrow for all columns of a deployment
_TIMES = ("start", "time", "last", "period")


@app.command("add")
def add(
    cases: Annotated[list[Path], typer.Argument(metavar="CASE", help="Case folders to analyse and keep.")],
    graph: GraphOption = None,
    tenant: TenantOption = None,
) -> None:
    """Analyse cases and keep them with their changes; a case that is there already is replaced."""
    from rca.cases.folder import read_case
    from rca.pipeline import analyze

    with open_graph(graph, tenant) as knowledge, progress("Analysing") as show:
        for done, path in enumerate(cases):
            show(done, len(cases))
            case = read_case(path)
            report = analyze(case)
            knowledge.record_incident(report, changes=tuple(case.telemetry.changes), topology=case.topology)
            messages().print(printable(f"{report.incident.id}: {report.verdict}"))


@app.command("confirm")
def confirm(
    incident: IncidentId,
    component: Annotated[str, typer.Option("--component", help="What caused it.")],
    kind: Annotated[str, typer.Option("--kind", help="How, as a kind of event: change.deployment.")] = "",
    change: Annotated[str, typer.Option("--change", help="The id of the change that did it, or none.")] = "",
    note: Annotated[str, typer.Option("--note", help="What else is to be known.")] = "",
    by: By = "",
    graph: GraphOption = None,
    tenant: TenantOption = None,
) -> None:
    """Say what really caused an incident; the latest word counts."""
    from rca.knowledge import Feedback

    word = Feedback(
        incident=incident,
        by=by or getpass.getuser(),
        at=time.time_ns(),
        verdict="confirmed",
        component=component,
        kind=kind,
        change=change,
        note=note,
    )
    with open_graph(graph, tenant) as knowledge:
        knowledge.give_feedback(word)


@app.command("deny")
def deny(
    incident: IncidentId,
    note: Annotated[str, typer.Option("--note", help="Why it was not that.")] = "",
    by: By = "",
    graph: GraphOption = None,
    tenant: TenantOption = None,
) -> None:
    """Say that the engine's answer to an incident was wrong."""
    from rca.knowledge import Feedback

    who = by or getpass.getuser()
    with open_graph(graph, tenant) as knowledge:
        knowledge.give_feedback(Feedback(incident=incident, by=who, at=time.time_ns(), verdict="wrong", note=note))


@app.command("resolve")
def resolve(
    incident: IncidentId,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What ended it.")],
    by: By = "",
    graph: GraphOption = None,
    tenant: TenantOption = None,
) -> None:
    """Say what ended an incident."""
    from rca.knowledge import Resolution

    who = by or getpass.getuser()
    with open_graph(graph, tenant) as knowledge:
        knowledge.resolve(Resolution(incident=incident, by=who, at=time.time_ns(), text=text))


@app.command("list")
def show_all(
    confirmed: Annotated[bool, typer.Option("--confirmed", help="Only those whose cause is confirmed.")] = False,
    since: Since = None,
    until: Until = None,
    form: FormatOption = "table",
    graph: GraphOption = None,
    tenant: TenantOption = None,
) -> None:
    """List incidents, oldest first, with their causes."""
    from rca.knowledge.rows import BEGINNING, FOREVER

    with open_graph(graph, tenant) as knowledge:
        found = knowledge.incidents(confirmed=confirmed, since=to_time(since, BEGINNING), until=to_time(until, FOREVER))
        rows = [
            {
                "incident": incident.id,
                "start": incident.start,
                "title": incident.title,
                "state": incident.settled.state,
                "component": incident.settled.component,
                "kind": incident.settled.kind,
                "events": len(incident.events),
            }
            for incident in found
        ]
    _print(rows, ("incident", "start", "title", "state", "component", "kind", "events"), form)


@app.command("show")
def show_one(
    incident: IncidentId,
    form: FormatOption = "table",
    graph: GraphOption = None,
    tenant: TenantOption = None,
) -> None:
    """Show one incident: causes, what people said, what ended it; as json also its report."""
    import msgspec

    from rca.types import to_text

    with open_graph(graph, tenant) as knowledge:
        past = knowledge.incident(incident)
    if form == "json":
        document = msgspec.to_builtins(past) | {"report": msgspec.json.decode(past.report) if past.report else None}
        write_text(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
        return
    console = output()
    console.print(printable(f"{past.id}  {past.title}  {to_text(past.start)} to {to_text(past.end)}"))
    settled = past.settled
    said = f"{settled.component} {settled.kind} {settled.change}".strip() or "no cause"
    console.print(printable(f"{settled.state}: {said}; {len(past.events)} events, {len(past.links)} links"))
    rows = [(str(c.rank), c.component, c.kind, f"{c.confidence:.2f}", c.sentence) for c in past.causes]
    console.print(table(("#", "component", "kind", "confidence", "because"), rows, right=(0, 3)))
    for word in past.feedback:
        console.print(printable(f"{to_text(word.at)} {word.by}: {word.verdict} {word.component} {word.note}".rstrip()))
    for end in past.resolutions:
        console.print(printable(f"{to_text(end.at)} {end.by}: {end.text}"))


@app.command("similar")
def similar(
    incident: IncidentId,
    most: Annotated[int, typer.Option("--most", min=1, max=100, help="How many to name.")] = 5,
    form: FormatOption = "table",
    graph: GraphOption = None,
    tenant: TenantOption = None,
) -> None:
    """Which confirmed incidents looked like this one, and what ended them?"""
    from rca.report.document import similar_document
    from rca.similar.advice import similar_incident
    from rca.similar.history import portrait_of, read_precedents

    with open_graph(graph, tenant) as knowledge:
        portrait = portrait_of(knowledge.incident(incident))
        found = read_precedents(knowledge, but=(incident,)).nearest(portrait, most)
    rows = [similar_document(similar_incident(one)) for one in found]
    if form == "json":
        import msgspec

        write_text(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode())
        return
    lines = [
        [
            f"{row['similarity']:.2f}",
            row["incident"],
            row["start"],
            row["component"],
            row["kind"],
            "; ".join(row["resolutions"]),
        ]
        for row in rows
    ]
    output().print(table(("similarity", "incident", "start", "component", "kind", "ended by"), lines, right=(0,)))


@app.command("deployments")
def deployments(
    change: Annotated[str, typer.Argument(metavar="CHANGE", help="Its id or name; default: all that broke.")] = "",
    since: Since = None,
    until: Until = None,
    form: FormatOption = "table",
    graph: GraphOption = None,
    tenant: TenantOption = None,
) -> None:
    """What did this deployment break?"""
    _ask("deployments", graph, tenant, since, until, form, change=change)


@app.command("causes")
def causes(
    since: Since = None,
    until: Until = None,
    form: FormatOption = "table",
    graph: GraphOption = None,
    tenant: TenantOption = None,
) -> None:
    """Which component causes most incidents?"""
    _ask("causes", graph, tenant, since, until, form)


@app.command("rules")
def rules(
    since: Since = None,
    until: Until = None,
    form: FormatOption = "table",
    graph: GraphOption = None,
    tenant: TenantOption = None,
) -> None:
    """Which rule never fires?"""
    from rca.rules import load_rules

    _ask("rules", graph, tenant, since, until, form, rules=tuple(rule.name for rule in load_rules()))


@app.command("blast-radius")
def blast_radius(
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="Days per row.")] = 7,
    since: Since = None,
    until: Until = None,
    form: FormatOption = "table",
    graph: GraphOption = None,
    tenant: TenantOption = None,
) -> None:
    """How far do incidents reach, over time?"""
    from rca.knowledge.questions import DAY

    _ask("blast_radius", graph, tenant, since, until, form, width=days * DAY)


@app.command("teams")
def teams(
    since: Since = None,
    until: Until = None,
    form: FormatOption = "table",
    graph: GraphOption = None,
    tenant: TenantOption = None,
) -> None:
    """Whose changes break something?"""
    _ask("teams", graph, tenant, since, until, form)


def _ask(
    question: str,
    graph: str | None,
    tenant: str | None,
    since: str | None,
    until: str | None,
    form: Format,
    **parameters: Any,
) -> None:
    from rca.knowledge.rows import BEGINNING, FOREVER

    begin, end = to_time(since, BEGINNING), to_time(until, FOREVER)
    with open_graph(graph, tenant) as knowledge:
        answer = knowledge.ask(question, since=begin, until=end, **parameters)
    _print(answer.rows, answer.columns, form)


def _print(rows: Any, columns: tuple[str, ...], form: Format) -> None:
    if form == "json":
        import msgspec

        plain = [{column: _plain(column, row[column]) for column in columns} for row in rows]
        write_text(msgspec.json.format(msgspec.json.encode(plain), indent=2).decode())
        return
    columns = tuple(column for column in columns if column not in _JSON_ONLY)
    numbers = [place for place, _ in enumerate(columns) if rows and isinstance(rows[0][columns[place]], (int, float))]
    cells = [[_text(_plain(column, row[column])) for column in columns] for row in rows]
    times = [place for place in numbers if columns[place] not in _TIMES]
    output().print(table(columns, cells, right=times))


def _plain(column: str, value: Any) -> Any:
    from rca.types import to_text

    return to_text(value) if column in _TIMES and value is not None else value


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
