"""``rca simulate``: an incident of a simulated shop, with its answer beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rca.cli.terminal import output, printable, progress
from rca.errors import InputError

HISTORY = "history"


def simulate(
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same incident.")] = 0,
    components: Annotated[int, typer.Option("--components", help="Size of the shop: 10 to 5,000.")] = 30,
    fault: Annotated[
        str, typer.Option("--fault", help='What to break: "random", "none", or a name of `--list`.')
    ] = "random",
    count: Annotated[
        int, typer.Option("--count", min=1, help="So many incidents, of this seed and those after it.")
    ] = 1,
    world: Annotated[
        int | None, typer.Option("--world", help="All incidents in the shop of this seed; default: each in its own.")
    ] = None,
    history: Annotated[
        float, typer.Option("--history", min=0.0, help="Also write so many healthy days of that shop, to train on.")
    ] = 0.0,
    out: Annotated[
        Path | None, typer.Option("--out", help="The folder to make, or to fill; default simulated-SEED.")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the faults and stop.")] = False,
) -> None:
    """Make an incident of a simulated shop.

    The result is a case folder (of several, a folder of them); its answer.json says what was broken.
    """
    console = output()
    if listed:
        from rca.simulator.scenario import FAULTS, NO_FAULT, SUBTLE_FAULTS

        for name in (*FAULTS, *SUBTLE_FAULTS, NO_FAULT):
            console.print(name)
        return
    folder = out or Path(f"simulated-{seed}")
    if history and count > 1 and world is None:
        raise InputError(
            "incidents of different shops have no history in common",
            where="--history",
            remedy="Give --world, such as --world 1, to let all of them happen in one shop",
        )

    from rca.cases.folder import write_case
    from rca.simulator import simulate as run

    if count == 1 and not history:
        case, answer = run(seed=seed, components=components, fault=fault, world=world)
        write_case(case, folder, answer=answer)
        console.print(
            printable(f"{folder}: {len(case.telemetry.components)} components; `rca analyze {folder}` explains it")
        )
        return
    with progress("Simulating") as show:
        for done, number in enumerate(range(seed, seed + count)):
            show(done, count)
            case, answer = run(seed=number, components=components, fault=fault, world=world)
            write_case(case, folder / f"{number:06d}", answer=answer)
        show(count, count)
    if history:
        _write_history(folder / HISTORY, history, seed=seed, components=components, world=world)
        console.print(printable(f"{folder / HISTORY}: {history:g} healthy days; `rca train` learns from them"))
    console.print(printable(f"{folder}: {count} incidents; `rca evaluate native --data {folder}` measures on them"))


def _write_history(folder: Path, days: float, *, seed: int, components: int, world: int | None) -> None:
    """Healthy metrics of the shop, up to before its incidents."""
    from rca.formats.files import write_metrics
    from rca.simulator import simulate_history

    telemetry = simulate_history(seed=seed, components=components, world=world, days=days, traced_minutes=0)
    folder.mkdir(parents=True)
    write_metrics(telemetry.metrics, folder / "metrics.parquet")
