"""``rca models``: trained detectors, their versions, and which of them is in use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rca.cli.terminal import Format, check_writable, output, printable, table, write_text

if TYPE_CHECKING:
    from rca.registry.inventory import Entry

app = typer.Typer(no_args_is_help=True, help="List, show, promote, roll back and verify trained models.")

Models = Annotated[
    Path | None, typer.Option("--models", help="The folder of models; default: $RCA_HOME/models, or your data.")
]
Reference = Annotated[str, typer.Argument(metavar="MODEL", help="NAME or NAME@VERSION.")]
_DAMAGED = 1


@app.command("list")
def list_models(
    models: Models = None,
    form: Annotated[Format, typer.Option("--format", help="How to print.")] = "table",
) -> None:
    """List all versions of all models, the bundled ones included; * marks those in use."""
    from rca.registry.inventory import entries, to_json

    found = entries(models)
    if form == "json":
        write_text(to_json(found))
        return
    rows = [_row(entry) for entry in found]
    output().print(
        table(("", "model", "version", "detector", "components", "trained", "data until", "state"), rows, right=(4,))
    )


def _row(entry: Entry) -> tuple[str, ...]:
    described = entry.described
    mark = "*" if entry.current else ""
    if described is None:
        return mark, entry.name, entry.version, "", "", "", "", f"damaged: {entry.problem}"
    return (
        mark,
        entry.name,
        entry.version,
        described.detector,
        str(len(described.features.components)),
        described.created[:10],
        described.data.end[:10],
        "bundled" if entry.bundled else "",
    )


@app.command("show")
def show(
    model: Reference,
    models: Models = None,
    form: Annotated[Format, typer.Option("--format", help="The card, or all of model.json.")] = "table",
) -> None:
    """Show the card of a version, the one in use where none is named."""
    from rca.registry.inventory import find_version
    from rca.registry.places import CARD, DESCRIPTION
    from rca.registry.storing import read_listed, read_manifest

    path = find_version(model, models)
    content = read_listed(path, DESCRIPTION if form == "json" else CARD, read_manifest(path))
    write_text(printable(content.decode("utf-8", "replace")))


@app.command("promote")
def promote_version(
    model: Annotated[str, typer.Argument(metavar="NAME@VERSION", help="The version to put into use.")],
    models: Models = None,
) -> None:
    """Put a version into use, once it was read completely."""
    from rca.errors import InputError
    from rca.registry import promote
    from rca.registry.places import split_reference

    name, version = split_reference(model)
    if version is None:
        raise InputError(f"{model[:80]!r} names no version", remedy="Write NAME@VERSION: see `rca models list`")
    promote(name, version, models=models)
    output().print(printable(f"{name}@{version} is in use"))


@app.command("rollback")
def rollback(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The model.")],
    models: Models = None,
) -> None:
    """Go back to the version that was in use before; again goes further back."""
    from rca.registry import roll_back

    pointer = roll_back(name, models=models)
    output().print(printable(f"{name}@{pointer.current} is in use"))


@app.command("verify")
def verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="[MODEL]...", help="NAME or NAME@VERSION; all.")] = None,
    models: Models = None,
) -> None:
    """Read every byte of versions and compare it with what was written; exit code 1 where it is not.

    Without a model all versions of all models are read.
    """
    from rca.registry.inventory import verify_all

    found = verify_all(names or (), models)
    rows = [(entry.reference, entry.problem or "as it was written") for entry in found]
    output().print(table(("model", "state"), rows))
    if any(entry.problem for entry in found):
        raise typer.Exit(_DAMAGED)


@app.command("changes")
def changes(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="The models; all of them.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The file to write; else standard output.")] = None,
    models: Models = None,
) -> None:
    """Write trainings and promotions as changes, as a case folder's changes.json holds them."""
    from rca.formats.native_json import changes_to_json
    from rca.registry.inventory import own_models
    from rca.registry.places import model_folder
    from rca.training.change import changes_of

    check_writable(out)
    folders = [model_folder(name, models) for name in names] if names else own_models(models)
    found = sorted((change for folder in folders for change in changes_of(folder)), key=lambda change: change.time)
    content = changes_to_json(tuple(found))
    if out is None:
        write_text(content.decode())
    else:
        out.write_bytes(content)
