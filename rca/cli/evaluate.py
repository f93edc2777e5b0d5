"""``rca evaluate``: how often the true cause comes first, on labelled incidents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rca.cli.model_option import ModelOption, ModelsOption, model_reference
from rca.cli.terminal import check_writable, messages, output, printable, progress, table

if TYPE_CHECKING:
    from collections.abc import Mapping

_COLUMNS = ("AC@1", "AC@3", "AC@5", "Avg@5", "MRR")


def evaluate(
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="SET",
            help="nezha-tt, nezha-ob, petshop, tvdiag-gaia, tvdiag-sockshop, tvdiag-hotel, rootcausebench, "
            "rcaeval or native.",
        ),
    ],
    data: Annotated[Path, typer.Option("--data", help="The folder of the unpacked set.")],
    method: Annotated[
        list[str] | None, typer.Option("--method", help="rca or a baseline; may be repeated; default: all.")
    ] = None,
    onset: Annotated[
        Literal["estimated", "given"], typer.Option("--onset", help="Whether the time of injection is told.")
    ] = "estimated",
    train: Annotated[
        str | None, typer.Option("--train", help="Labelled incidents to learn from: a folder, or 5-fold.")
    ] = None,
    model: ModelOption = None,
    models: ModelsOption = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", help="Incidents analysed side by side; default: 1, with Ray all processors.")
    ] = None,
    backend: Annotated[
        Literal["loky", "ray"], typer.Option("--backend", help="Processes here, or a Ray cluster (RAY_ADDRESS).")
    ] = "loky",
    json: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page with plots to this file.")] = None,
) -> None:
    """Measure on labelled incidents.

    Ties count as the worst rank, failures as misses.
    """
    from rca.evaluation import evaluate as run

    check_writable(json)
    check_writable(html)
    with progress(f"Evaluating {dataset}") as show:
        evaluation = run(
            dataset,
            data,
            methods=tuple(method) if method else None,
            onset=onset,
            train=train,
            model=model_reference(model, models),
            jobs=jobs,
            backend=backend,
            progress=show,
        )
    text = evaluation.to_json()
    if json is not None:
        json.write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8")
    if html is not None:
        from rca.evaluation.page import write_page

        write_page(evaluation, html)
        messages().print(printable(f"Page: {html}"))
    import msgspec

    _print(msgspec.json.decode(text), onset)


def _print(figures: Mapping[str, Any], onset: str) -> None:
    console = output()
    console.print(printable(f"{figures['dataset']}: {figures['n']} incidents, onset {onset}"))
    methods: Mapping[str, Mapping[str, Any]] = figures["methods"]
    rows = [
        [name, *(f"{row[column]:.3f}" for column in _COLUMNS), f"{row['seconds_per_incident']:.3f}", str(row["failed"])]
        for name, row in methods.items()
    ]
    right = range(1, len(_COLUMNS) + 3)
    console.print(table(("method", *_COLUMNS, "s/incident", "failed"), rows, right=right))
    for name, row in methods.items():
        if "first_failing" in row:
            counts = f"first failing {row['first_failing']}, culprit {row['culprit']}, decoys {row['decoys']}"
            console.print(printable(f"{name}: {counts}"))
        if "degraded" in row:
            console.print(printable(f"{name}: the trained detector could not be used in {row['degraded']} incidents"))
    if "learning" in figures:
        learnt = figures["learning"]
        least, most = learnt["learnt_from"]
        count = str(most) if least == most else f"{least} to {most}"
        console.print(
            printable(
                f"rca learnt from {count} incidents ({learnt['train']}); expected calibration error "
                f"{learnt['ece']:.3f}, before calibration {learnt['ece_raw']:.3f}"
            )
        )
    windows = figures["without_fault"]
    if windows:
        found = ", ".join(f"{name} {row['false_causes']}" for name, row in methods.items() if "false_causes" in row)
        what = "1 window" if windows == 1 else f"{windows} windows"
        console.print(printable(f"{what} without a fault beside them; answered with a cause: {found}"))
