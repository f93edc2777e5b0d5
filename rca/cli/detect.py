"""``rca detect``: how well detectors find labelled anomalies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rca.cli.terminal import check_writable, output, printable, progress, table

if TYPE_CHECKING:
    from rca.detection import DetectionEvaluation

app = typer.Typer(no_args_is_help=True, help="Measure how well detectors find labelled anomalies.")


@app.callback()
def detect() -> None:
    """Measure how well detectors find labelled anomalies."""


@app.command("evaluate")
def evaluate(
    dataset: Annotated[str, typer.Argument(metavar="SET", help="smd, asd, jumpstarter, nab or native.")],
    data: Annotated[Path, typer.Option("--data", help="The folder of the unpacked set, or the one it lies in.")],
    method: Annotated[
        list[str] | None,
        typer.Option("--method", help="rca, one of its detectors or a baseline; may be repeated; default: all."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of whatever is drawn at random.")] = 0,
    json: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
) -> None:
    """Fit each method to healthy history and measure it on what follows.

    Nothing is adjusted by labels; means over entities, with their standard errors.
    """
    from rca.detection import evaluate_detection

    check_writable(json)
    with progress(f"Evaluating {dataset}") as show:
        found = evaluate_detection(dataset, data, methods=tuple(method or ()), seed=seed, progress=show)
    if json is not None:
        json.write_text(found.to_json(), encoding="utf-8")
    _print(found)


def _print(found: DetectionEvaluation) -> None:
    from rca.detection.evaluation import MEASURES

    console = output()
    counts = (
        f"{len(found.entities)} entities, {found.segments} anomalous stretches, a sample every {found.interval:g} s"
    )
    console.print(printable(f"{found.dataset}: {counts}"))
    rows = []
    for name in found.figures:
        first = f"{_cell(found.mean(name, MEASURES[0]))} ± {_cell(found.standard_error(name, MEASURES[0]))}"
        others = [_cell(found.mean(name, measure)) for measure in MEASURES[1:]]
        rows.append([name, first, *others, str(found.unfound(name))])
    headings = ("method", "VUS-PR", "AUC-PR", "range F1", "false/day", "delay s", "missed")
    console.print(table(headings, rows, right=range(1, len(headings))))


def _cell(value: float) -> str:
    return "-" if value != value else f"{value:.{3 if value < 10 else 0}f}"
