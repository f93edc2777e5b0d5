"""``rca analyze``: one case folder in, one report out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from rca.cli.model_option import ModelOption, ModelsOption, model_reference
from rca.cli.terminal import Format, check_writable, messages, output, write_text


def analyze(
    case: Annotated[Path, typer.Argument(metavar="CASE", help="The folder of the case (see docs/telemetry.md).")],
    top_k: Annotated[int, typer.Option("--top-k", help="How many root causes to report.")] = 5,
    form: Annotated[Format, typer.Option("--format", help="How to print the report.")] = "table",
    html: Annotated[Path | None, typer.Option("--html", help="Also write the incident page to this file.")] = None,
    history: Annotated[
        Path | None, typer.Option("--history", help="A health profile, made by `rca profile build`.")
    ] = None,
    onset: Annotated[
        str | None, typer.Option("--onset", help="When it began, if that is known: 2026-01-31T12:00:00Z.")
    ] = None,
    model: ModelOption = None,
    models: ModelsOption = None,
    graph: Annotated[
        str | None, typer.Option("--graph", help="Take the topology from this knowledge graph: bolt://HOST, or a file.")
    ] = None,
    hops: Annotated[
        int, typer.Option("--hops", min=0, max=10, help="With --graph: how far around the symptom to look; 0: all.")
    ] = 3,
    learned: Annotated[
        Path | None, typer.Option("--learned", help="Learned weights: what `rca learn` wrote, or its folder.")
    ] = None,
    similar: Annotated[
        bool, typer.Option("--similar", help="Compare with confirmed incidents of the history (that of --graph).")
    ] = False,
) -> None:
    """Find the root causes of an incident."""
    from rca.cases.folder import read_case
    from rca.settings import Settings
    from rca.types import to_nanoseconds

    check_writable(html)
    settings = Settings(top_k=top_k)
    given = read_case(case)
    if history is not None:
        from rca.health.storage import load_profile

        given = replace(given, health=load_profile(history))
    trained = model_reference(model, models)
    if trained is not None:
        given = replace(given, model=trained)
    if onset is not None:
        given = replace(given, incident=replace(given.incident, onset=to_nanoseconds(onset)))

    warnings: tuple[str, ...] = ()
    if graph is not None:
        from rca.cli.graph_option import open_graph
        from rca.knowledge.window import situate

        with open_graph(graph, None, tell=False) as knowledge:
            situation = situate(knowledge, given, hops=hops)
        given, warnings = situation.case, situation.warnings

    precedents = None
    if similar:
        from rca.cli.graph_option import open_graph
        from rca.similar.history import read_precedents

        with open_graph(graph, None, tell=False) as knowledge:
            precedents = read_precedents(knowledge, but=(given.incident.id,))
            told = (knowledge.degraded(), knowledge.store.concern())
        warnings = tuple(dict.fromkeys((*warnings, *filter(None, told))))

    from rca.pipeline import analyze as explain

    report = explain(given, settings, learned=learned, precedents=precedents)
    degraded = tuple(warning for warning in warnings if warning.startswith("degraded:"))
    report = replace(report, warnings=(*warnings, *report.warnings), degraded=(*degraded, *report.degraded))
    if form == "json":
        from rca.report.document import to_json

        write_text(to_json(report, case=given))
    else:
        from rca.report.text import print_report

        print_report(report, given, output())
    if html is not None:
        from rca.report.page import write_page

        write_page(report, given, html)
        messages().print(f"Incident page: {html}")
