"""Which store a command means, and for whom."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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


def open_graph(graph: str | None, tenant: str | None) -> Knowledge:
    """The store that the options name."""
    from rca.knowledge import open_knowledge

    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    address = graph or os.environ.get("RCA_GRAPH") or Path(base) / "rca" / "graph.sqlite"
    return open_knowledge(address, tenant=tenant or os.environ.get("RCA_TENANT") or "default")


def to_time(text: str | None, default: int) -> int:
    """A time of the command line in ns."""
    from rca.types import to_nanoseconds

    return default if text is None else to_nanoseconds(text)
