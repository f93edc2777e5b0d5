"""``rca doctor``: what a case lacks before anybody trusts an answer about it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from rca.cli.terminal import Format, output, printable, write_text

_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def doctor(
    case: Annotated[Path, typer.Argument(metavar="CASE", help="The folder of the case (see docs/telemetry.md).")],
    form: Annotated[Format, typer.Option("--format", help="How to print the findings.")] = "table",
    graph: Annotated[
        str | None, typer.Option("--graph", help="Examine it with this knowledge graph: bolt://HOST, or a file.")
    ] = None,
) -> None:
    """Say what a case lacks.

    With each finding: how much it matters and what to do about it.

    Exits with 1 where something prevents an analysis.
    """
    from rca.cases.folder import read_case
    from rca.doctor import Finding, examine_case

    given = read_case(case)
    told: tuple[str, ...] = ()
    if graph is not None:
        from rca.cli.graph_option import open_graph
        from rca.knowledge.window import situate

        with open_graph(graph, None, tell=False) as knowledge:
            situation = situate(knowledge, given)
        given, told = situation.case, situation.warnings
    remedy = "See `rca graph show` and `rca graph sync`"
    findings = [*(Finding(severity="warning", what=each, remedy=remedy) for each in told), *examine_case(given)]
    if form == "json":
        import msgspec

        rows = [{name: getattr(f, name) for name in ("severity", "what", "remedy")} for f in findings]
        write_text(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode())
    else:
        console = output()
        console.print(printable(_inventory(given)))
        for finding in findings:
            label = Text(f"{finding.severity:<8}", style=_STYLES[finding.severity])
            console.print(Text.assemble(label, printable(finding.what)))
            console.print(printable(f"        -> {finding.remedy}"), style="dim")
        if not findings:
            console.print("Nothing is missing.")
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(1)


def _inventory(case: object) -> str:
    from rca.types import Case

    assert isinstance(case, Case)  # noqa: S101 - narrows the type without loading rca.types for --help
    telemetry = case.telemetry
    return (
        f"{case.incident.id}: {len(telemetry.components)} components, "
        f"{telemetry.metrics.values.shape[0]} series of {len(telemetry.metrics.times)} samples, "
        f"{len(telemetry.logs)} log lines, {len(telemetry.spans)} spans, "
        f"{len(telemetry.changes)} changes, {len(telemetry.alerts)} alerts"
    )
