"""``rca rules``: are rule files well-formed, and what do they say?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rca.cli.terminal import Format, output, printable, table, write_text

app = typer.Typer(no_args_is_help=True, help="Check and list the rules that link events.")
Paths = Annotated[
    list[Path] | None, typer.Argument(metavar="PATH", help="Rule files or folders; default: the bundled ones.")
]


@app.command("check")
def check(paths: Paths = None) -> None:
    """Read rule files strictly; the first mistake is shown with its file and line."""
    rows = _rows(paths)
    areas = sorted({row["area"] for row in rows})
    output().print(printable(f"{len(rows)} rules are well-formed, in {len(areas)} areas: {', '.join(areas)}"))


@app.command("list")
def show(
    paths: Paths = None,
    kind: Annotated[str, typer.Option("--kind", help="Only rules whose cause or effect is of this kind.")] = "",
    form: Annotated[Format, typer.Option("--format", help="How to print the rules.")] = "table",
) -> None:
    """List rules: what causes what, between which components, how soon and how surely."""
    rows = [row for row in _rows(paths) if not kind or kind in (row["cause"] + ", " + row["effect"]).split(", ")]
    if form == "json":
        import msgspec

        write_text(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode())
        return
    columns = ("name", "cause", "effect", "relation", "max_lag", "weight")
    cells = [[_short(row[column]) for column in columns] for row in rows]
    output().print(table(("rule", "cause", "effect", "relation", "within", "weight"), cells, right=(4, 5)))


def _rows(paths: list[Path] | None) -> list[dict[str, Any]]:
    from rca.rules import describe_rules, load_rules

    return describe_rules(load_rules(paths or None))


def _short(value: Any) -> str:
    """Long lists of kinds end in a count; ``--format json`` has them all."""
    kinds = str(value).split(", ")
    return str(value) if len(kinds) < 4 else f"{', '.join(kinds[:2])} and {len(kinds) - 2} more"
