"""``rca train``: a detector learns what is healthy, from files or from Prometheus."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rca.cli.terminal import check_writable, messages, output, printable, progress, table
from rca.errors import InputError

if TYPE_CHECKING:
    from rca.training import TrainingResult
    from rca.training.prometheus import Queries
    from rca.types import Window

_WORST = 10
_DAYS = 7


def train(
    data: Annotated[
        str, typer.Option("--data", help="A metrics file, a folder of them, or the URL of a Prometheus server.")
    ],
    name: Annotated[str, typer.Option("--name", help="The model; its next version is made.")],
    detector: Annotated[
        str | None,
        typer.Option(
            "--detector", help="ensemble, robust, gaussian, pca, k-means, mlp, gru or convolution; default: ensemble."
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", help="Chunks fitted side by side; default: 1, with Ray all processors.")
    ] = None,
    backend: Annotated[
        Literal["loky", "ray"], typer.Option("--backend", help="Processes here, or a Ray cluster (RAY_ADDRESS).")
    ] = "loky",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted training.")] = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="Begin with the version in use.")] = False,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", help="Not healthy: FROM..TO, or a JSON file of incidents; may be repeated."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="The same seed, the same weights; default: 0.")] = None,
    promote: Annotated[bool, typer.Option("--promote/--no-promote", help="Put the new version into use.")] = True,
    models: Annotated[
        Path | None,
        typer.Option("--models", help="The folder of models; default: $RCA_HOME/models, or your data."),
    ] = None,
    begin: Annotated[str | None, typer.Option("--from", help="Learn from this time on.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Learn up to this time.")] = None,
    match: Annotated[
        list[str] | None, typer.Option("--match", help="Prometheus: a selector of series; may be repeated.")
    ] = None,
    query: Annotated[
        list[str] | None, typer.Option("--query", help="Prometheus: NAME=EXPRESSION; may be repeated.")
    ] = None,
    step: Annotated[str, typer.Option("--step", help="Prometheus: distance between samples.")] = "60s",
    component_label: Annotated[
        list[str] | None,
        typer.Option("--component-label", help="Prometheus: a label that names the component; may be repeated."),
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a report with plots to this file.")] = None,
) -> None:
    """Train a detector on history, and store it as the next version of a model.

    History may be larger than memory. Every finished chunk of components is kept: after an
    interruption, --resume goes on and comes to the same weights.
    """
    from rca.training import Order
    from rca.training import train as run
    from rca.training.excluded import read_excluded
    from rca.training.prometheus import fetch, is_server

    check_writable(html)
    server = is_server(data)
    if not server and (match or query or component_label):
        raise InputError("--match, --query and --component-label ask a server", where="--data", remedy="Give its URL")
    order = Order(
        name=name,
        detector=detector,
        seed=seed,
        excluded=read_excluded(exclude or ()),
        window=None if server else _window(begin, end),
        refresh=refresh,
        resume=resume,
        promote=promote,
    )
    asked = _asked(data, query or (), match or (), component_label or (), begin, end, step) if server else None
    result = run(
        data if asked is None else lambda staged, show: fetch(asked, staged, show),
        order,
        source=data if asked is None else asked.source,
        models=models,
        jobs=jobs,
        backend=backend,
        phase=progress,
    )
    _print(result)
    if html is not None:
        from rca.training.page import write_page

        write_page(result, html)
        messages().print(printable(f"Page: {html}"))


def _window(begin: str | None, end: str | None) -> Window | None:
    """The time to learn from; None: all that there is."""
    from rca.types import Window, to_nanoseconds

    if begin is None and end is None:
        return None
    first = 0 if begin is None else to_nanoseconds(begin)
    return Window(start=first, end=(1 << 63) - 1 if end is None else to_nanoseconds(end))


def _asked(
    url: str,
    queries: list[str] | tuple[()],
    matches: list[str] | tuple[()],
    labels: list[str] | tuple[()],
    begin: str | None,
    end: str | None,
    step: str,
) -> Queries:
    """The last seven whole days where no time is given, so that a training that goes on asks for the same."""
    from rca.training.prometheus import DAY, Queries, align, name_queries, parse_duration
    from rca.types import Window, to_nanoseconds

    until = to_nanoseconds(end) if end else time.time_ns() // DAY * DAY
    since = to_nanoseconds(begin) if begin else until - _DAYS * DAY
    every = parse_duration(step)
    return Queries(
        url=url,
        queries=name_queries(queries, matches),
        window=align(Window(start=since, end=until), every),
        step=every,
        labels=tuple(labels),
    )


def _print(result: TrainingResult) -> None:
    from rca.training.drift import DRIFTED

    console = output()
    console.print(
        printable(
            f"{result.stored.reference}: {len(result.components)} components, {result.series} series, "
            f"{result.samples:,} samples, {result.seconds:.1f} s"
        )
    )
    console.print(printable(f"{result.above:.2%} of the newest healthy samples pass the limit"))
    for message in result.messages:
        console.print(printable(message))
    if not result.drift_from:
        return
    console.print(
        printable(
            f"Against version {result.drift_from}: {result.drifted} of {result.compared} series drifted, "
            f"{result.new_series} are new, {result.lost_series} are gone"
        )
    )
    worst = [each for each in result.drift[:_WORST] if each.index > DRIFTED]
    rows = [(e.component, e.metric, e.peer, f"{e.index:.2f}", f"{e.shift:+.2f}") for e in worst]
    if rows:
        console.print(table(("component", "metric", "peer", "drift", "shift"), rows, right=(3, 4)))
