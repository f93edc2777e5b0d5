"""``rca simulate``: an incident of a simulated shop, with its answer beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rca.cli.terminal import output, printable, progress


def simulate(
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same incident.")] = 0,
    components: Annotated[int, typer.Option("--components", help="Size of the shop: 10 to 5,000.")] = 30,
    fault: Annotated[
        str, typer.Option("--fault", help='What to break: "random", "none", or a name of `--list`.')
    ] = "random",
    count: Annotated[
        int, typer.Option("--count", min=1, help="So many incidents, of this seed and those after it.")
    ] = 1,
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
        from rca.simulator.scenario import FAULTS, NO_FAULT

        for name in (*FAULTS, NO_FAULT):
            console.print(name)
        return
    folder = out or Path(f"simulated-{seed}")

    from rca.cases.folder import write_case
    from rca.simulator import simulate as run

    if count == 1:
        case, answer = run(seed=seed, components=components, fault=fault)
        write_case(case, folder, answer=answer)
        console.print(
            printable(f"{folder}: {len(case.telemetry.components)} components; `rca analyze {folder}` explains it")
        )
        return
    with progress("Simulating") as show:
        for done, number in enumerate(range(seed, seed + count)):
            show(done, count)
            case, answer = run(seed=number, components=components, fault=fault)
            write_case(case, folder / f"{number:06d}", answer=answer)
        show(count, count)
    console.print(printable(f"{folder}: {count} incidents; `rca evaluate native --data {folder}` measures on them"))
