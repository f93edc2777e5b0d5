"""``rca learn``: confirmed causes make the next answer better."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rca.cli.learned_there import learn_there, roll_back_there, show_there
from rca.cli.learned_words import in_words, print_moved, print_versions
from rca.cli.terminal import messages, output, printable, progress, table
from rca.errors import InputError

if TYPE_CHECKING:
    from rca.learning.confirmed import Confirmed
    from rca.learning.lesson import Outcome

app = typer.Typer(
    invoke_without_command=True,
    help="Learn from confirmed causes; show what was learnt; go back.",
)
Name = Annotated[str, typer.Option("--name", help="Whose weights: a team or a system.")]
Out = Annotated[
    Path | None, typer.Option("--out", help="The folder of learned weights; default: $RCA_HOME/learned or your own.")
]


URL = Annotated[
    str | None, typer.Option("--url", help="A running service: what it learnt; its token: RCA_TOKEN or --token-file.")
]
TokenFile = Annotated[Path | None, typer.Option("--token-file", help="A file with the service's token.")]


@app.callback()
def learn(
    ctx: typer.Context,
    data: Annotated[
        Path | None, typer.Option("--data", help="Case folders with answer.json, or the folder of --set.")
    ] = None,
    feedback: Annotated[
        Path | None,
        typer.Option("--feedback", help="Confirmed causes, one JSON object per line; see docs/learning.md."),
    ] = None,
    dataset: Annotated[str, typer.Option("--set", help="What --data holds, as in `rca evaluate`.")] = "native",
    name: Name = "default",
    out: Out = None,
    url: URL = None,
    token_file: TokenFile = None,
) -> None:
    """Learn from confirmed causes, and use it where held-out incidents are ranked no worse than without.

    Nothing is done where nothing is new since the last time, so it may run on a schedule. A service (--url) learns by
    itself; told to, it learns at once, also where somebody went back.
    """
    if ctx.invoked_subcommand is not None:
        return
    from rca.learning.versions import name_folder

    if (data is not None) + (feedback is not None) + (url is not None) != 1:
        raise InputError(
            "give one of --data, --feedback and --url", remedy="Name what was confirmed: rca learn --data FOLDER"
        )
    if url is not None:
        learn_there(url, token_file)
        return
    folder = name_folder(name, out)
    if data is not None:
        _learn_from_data(data, dataset, folder)
    elif feedback is not None:
        _learn_from_feedback(feedback, folder)


@app.command("show")
def show(name: Name = "default", out: Out = None, url: URL = None, token_file: TokenFile = None) -> None:
    """Say which version is in use, what it was learnt from, and which weights moved."""
    if url is not None:
        show_there(url, token_file)
        return
    from rca.learning.versions import name_folder, read_card, read_pointer
    from rca.registry.places import versions_of

    folder = name_folder(name, out)
    versions, pointer = versions_of(folder), read_pointer(folder)
    console = output()
    if not versions:
        console.print(printable(f"{name}: nothing was learnt yet; the untrained answer is used"))
        return
    print_versions({version: read_card(folder, version) for version in versions}, pointer.current)


@app.command("rollback")
def rollback(
    name: Name = "default",
    out: Out = None,
    untrained: Annotated[bool, typer.Option("--untrained", help="To the untrained answer at once.")] = False,
    url: URL = None,
    token_file: TokenFile = None,
) -> None:
    """Go back to the version that was in use before, at last to the untrained answer.

    A service (--url) then learns again only when it is told to: rca learn --url URL.
    """
    if url is not None:
        roll_back_there(url, token_file, untrained=untrained)
        return
    from rca.learning.versions import name_folder, roll_back

    folder = name_folder(name, out)
    pointer = roll_back(folder, time=_now())
    while untrained and pointer.current:
        pointer = roll_back(folder, time=_now())
    output().print(printable(f"{name}: {in_words(pointer.current)} is in use"))


def _learn_from_data(data: Path, dataset: str, folder: Path) -> None:
    from rca.cases.registry import load_set
    from rca.learning.feedback import fingerprint
    from rca.learning.lesson import is_new

    if not data.is_dir():
        raise InputError("there is no such folder", where=data, remedy="Give a folder of case folders with answer.json")
    mark = fingerprint([data], salt=dataset)
    if not is_new(folder, mark):
        output().print("nothing is new since the last time")
        return

    def confirmed() -> Iterator[Confirmed | None]:
        from rca.learning.confirmed import confirm
        from rca.learning.observing import observe

        for case, answer in load_set(dataset, data):
            yield confirm(observe(case), answer.components, kind=answer.kind) if answer.components else None

    _finish(confirmed(), folder, mark)


def _learn_from_feedback(file: Path, folder: Path) -> None:
    from rca.learning.feedback import fingerprint, read_feedback
    from rca.learning.lesson import is_new

    records = read_feedback(file)
    mark = fingerprint([file, *(record.case for record in records)], salt="feedback")
    if not is_new(folder, mark):
        output().print("nothing is new since the last time")
        return

    def confirmed() -> Iterator[Confirmed | None]:
        from rca.cases.folder import read_case
        from rca.learning.confirmed import confirm
        from rca.learning.observing import observe

        for record in records:
            yield confirm(observe(read_case(record.case)), [record.component], kind=record.kind, who=record.who)

    _finish(confirmed(), folder, mark)


def _finish(confirmed: Iterator[Confirmed | None], folder: Path, mark: str) -> None:
    from rca.learning.lesson import learn as run

    found: list[Confirmed] = []
    skipped = 0
    with progress("Learning") as bar:
        for one in confirmed:
            if one is None:
                skipped += 1
            else:
                found.append(one)
            bar(len(found) + skipped, 0)
    if skipped:
        messages().print(f"{skipped} incidents teach nothing: no cause is named, or it is none of their components")
    _print_outcome(run(found, folder, fingerprint=mark, time=_now()), folder)


def _print_outcome(outcome: Outcome, folder: Path) -> None:
    console = output()
    if not outcome.version:
        console.print(printable(outcome.reason))
        return
    state = "in use now" if outcome.promoted else "kept, but not used"
    console.print(printable(f"{folder.name} {outcome.version}: {state}; {outcome.reason}"))
    rows = [
        [method, *(f"{row[key]:.3f}" for key in ("AC@1", "AC@3", "MRR"))] for method, row in outcome.figures.items()
    ]
    console.print(table(("held out", "AC@1", "AC@3", "MRR"), rows, right=(1, 2, 3)))
    if outcome.doubtful:
        names = ", ".join(outcome.doubtful[:5]) + (", …" if len(outcome.doubtful) > 5 else "")
        console.print(printable(f"{len(outcome.doubtful)} labels are hardly believed, check them: {names}"))
    print_moved([(row.what, row.before, row.after, row.support) for row in outcome.moved])


def _now() -> str:
    import time

    from rca.types import SECOND, to_text

    return to_text(time.time_ns() // SECOND * SECOND)
