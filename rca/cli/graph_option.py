"""Which store a command means, and for whom."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rca.cli.terminal import messages, printable

if TYPE_CHECKING:
    from rca.knowledge import Knowledge

GraphOption = Annotated[
    str | None,
    typer.Option(
        "--graph",
        help="The knowledge graph: bolt://HOST, or a file. Default: RCA_GRAPH, else ~/.local/state/rca/graph.sqlite.",
    ),
]
TenantOption = Annotated[str | None, typer.Option("--tenant", help="Whose knowledge; default: RCA_TENANT.")]


@contextmanager
def open_graph(graph: str | None, tenant: str | None, *, tell: bool = True) -> Iterator[Knowledge]:
    """The store that the options name; in the end ``tell`` says what of it did not answer, or lacks something."""
    from rca.knowledge import open_knowledge

    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    address = graph or os.environ.get("RCA_GRAPH") or Path(base) / "rca" / "graph.sqlite"
    with open_knowledge(address, tenant=tenant or os.environ.get("RCA_TENANT") or "default") as knowledge:
        yield knowledge
        for said in (knowledge.degraded(), knowledge.store.concern()) if tell else ():
            if said:
                messages().print(printable(said), soft_wrap=True)


def to_time(text: str | None, default: int) -> int:
    """A time of the command line in ns."""
    from rca.types import to_nanoseconds

    return default if text is None else to_nanoseconds(text)
