"""What was learnt, as tables for people: of a folder or of a service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rca.cli.terminal import output, printable, table


def in_words(version: str) -> str:
    """A version that is in use, "" for none."""
    return f"version {version}" if version else "the untrained answer"


def print_versions(cards: Mapping[str, Mapping[str, Any]], current: str) -> None:
    """Versions with what their cards say, oldest first, and the weights that moved in the one in use."""
    rows = []
    for version, card in cards.items():
        held = card.get("held_out", {})
        figures = [f"{held.get(method, {}).get('AC@1', float('nan')):.3f}" for method in ("learned", "untrained")]
        used = "in use" if version == current else ""
        rows.append([version, str(card.get("time", "")), str(card.get("incidents", "")), *figures, used])
    console = output()
    console.print(table(("version", "time", "incidents", "AC@1 held out", "untrained", ""), rows, right=(2, 3, 4)))
    if not current:
        console.print("none is in use: the untrained answer stands")
    card = cards.get(current) or list(cards.values())[-1]
    print_moved([(m["what"], m["before"], m["after"], m["support"]) for m in card.get("moved", [])])


def print_moved(rows: Sequence[tuple[str, float, float, int]]) -> None:
    """The weights that moved most."""
    if rows:
        cells = [
            [printable(what), f"{before:+.2f}", f"{after:+.2f}", str(count)] for what, before, after, count in rows
        ]
        output().print(table(("weight (log odds)", "before", "after", "incidents"), cells, right=(1, 2, 3)))
