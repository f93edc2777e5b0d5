"""What all commands share of the terminal: where to write, how errors and progress look."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rca.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Format = Literal["table", "json"]


class Progress(Protocol):
    """Told how many of how many steps are done."""

    def __call__(self, done: int, total: int) -> None:
        """Shows it; a total of 0 is not known yet."""


def output() -> Console:
    """Standard output, for results; nothing in them is taken for markup."""
    return Console(markup=False, highlight=False, emoji=False)


def messages() -> Console:
    """Standard error, for everything that is not a result."""
    return Console(stderr=True, markup=False, highlight=False, emoji=False)


def show_error(problem: str, *, where: str | None = None, remedy: str | None = None) -> None:
    """An error as people read it: the problem, where it is, what to do."""
    console = messages()
    for label, text, style in (("Error", problem, "bold red"), ("Where", where, "bold"), ("Remedy", remedy, "bold")):
        if text:
            console.print(Text.assemble((f"{label}: ", style), printable(text)), soft_wrap=True)


def printable(text: str) -> str:
    """The text without characters that would steer the terminal; telemetry is not to be trusted."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def write_text(text: str) -> None:
    """Text to standard output as it is, with one newline at its end."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()) -> Table:
    """A plain table; the columns of ``right`` hold numbers."""
    grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    numbers = set(right)
    for index, heading in enumerate(headings):
        grid.add_column(heading, justify="right" if index in numbers else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(printable(cell)) for cell in row))
    return grid


@contextmanager
def progress(label: str) -> Iterator[Progress]:
    """A bar on standard error while the block runs; nothing where that is no terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = messages()
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total or None)

        yield show


def check_writable(path: Path | None) -> None:
    """Fails before the work rather than after it.

    Raises:
        InputError: the folder of the file does not exist, or the path is a folder.
    """
    if path is None:
        return
    if path.is_dir():
        raise InputError("this is a folder", where=path, remedy="Name a file in it")
    if not path.resolve().parent.is_dir():
        raise InputError("its folder does not exist", where=path, remedy=f"mkdir -p {path.parent}")
