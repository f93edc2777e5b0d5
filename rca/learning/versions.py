"""Versions of learned weights: numbered folders that are never changed, and which of them is in use.

learned/
  checkout/                a name: one team or system
    0001/ 0002/            versions: weights.npz, and card.json for people
    current.json           which one is in use ("" is none: the untrained answer), and which were
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from rca.errors import ModelError
from rca.learning.learned import LearnedModel
from rca.learning.storage import WEIGHTS, load_learned, save_learned
from rca.registry.durable import locked, write_file
from rca.registry.places import NAME, VERSION, own_folder, versions_of

CURRENT, CARD = "current.json", "card.json"
UNTRAINED = ""
_LARGEST = 1 << 20
# Decades of weekly learning.
MOST_KEPT = 2_000


class Use(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """That a version came into use, when (ISO 8601), and how."""

    version: str
    time: str
    action: Literal["promote", "rollback"]


class Pointer(msgspec.Struct, forbid_unknown_fields=True):
    """The version in use, "" for the untrained answer; those to go back to, last first out; and what happened."""

    current: str = UNTRAINED
    earlier: list[str] = []
    history: list[Use] = []


def learned_folder(out: str | Path | None = None) -> Path:
    """Where learned weights lie: the given folder, else ``$RCA_HOME/learned``, else that of the user's own data."""
    return own_folder("learned") if out is None else Path(out)


def name_folder(name: str, out: str | Path | None = None) -> Path:
    """The folder of a name; it need not be there.

    Raises:
        ModelError: it is no name, or its folder leads elsewhere.
    """
    if not NAME.fullmatch(name) or ".." in name:
        raise ModelError(
            f"{name[:80]!r} is no name for learned weights",
            remedy="Use up to 64 of a-z, 0-9, '-', '_' and '.', with a letter or digit at both ends",
        )
    root = learned_folder(out)
    folder = root / name
    if folder.is_symlink() and not folder.resolve().is_relative_to(root.resolve()):
        raise ModelError("leads out of its folder", where=folder, remedy="Copy what it leads to into the folder")
    return folder


def find_learned(reference: str | Path) -> LearnedModel:
    """Weights by path: a file, a version's folder, a name's folder, or a folder that holds a single name.

    A folder with a pointer gives the version in use.

    Raises:
        ModelError: there are none, none is in use, or they are damaged.
    """
    path = Path(reference)
    if path.is_dir() and not (path / WEIGHTS).is_file():
        if not (path / CURRENT).is_file():
            named = sorted(each.parent for each in path.glob(f"*/{CURRENT}"))
            if len(named) != 1:
                problem = "there are no learned weights" if not named else "holds several learned weights"
                names = ", ".join(each.name for each in named)
                raise ModelError(problem, where=path, remedy=f"Name one of {names}" if named else "Run `rca learn`")
            path = named[0]
        current = read_pointer(path).current
        if current == UNTRAINED:
            raise ModelError("no version is in use", where=path, remedy="Confirm more incidents and run `rca learn`")
        path = path / current
    return load_learned(path)


def read_pointer(folder: Path) -> Pointer:
    """Which version of a name is in use; none where nothing was promoted yet.

    Raises:
        ModelError: the pointer is damaged.
    """
    path = folder / CURRENT
    try:
        with path.open("rb") as file:
            pointer = msgspec.json.decode(file.read(_LARGEST), type=Pointer)
    except FileNotFoundError:
        return Pointer()
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as bad:
        raise ModelError(
            f"does not say which version is in use ({bad})", where=path, remedy="Remove it and run `rca learn`"
        ) from bad
    for version in (pointer.current, *pointer.earlier):
        if version != UNTRAINED and not VERSION.fullmatch(version):
            raise ModelError(f"{version[:80]!r} is no version", where=path, remedy="Remove it and run `rca learn`")
    return pointer


def add_version(folder: Path, model: LearnedModel, card: dict[str, Any]) -> str:
    """Keeps weights as the next version, not in use yet; the card is what people read. Gives the version.

    Raises:
        ModelError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / ".lock"):
            there = versions_of(folder)
            version = f"{int(there[-1]) + 1 if there else 1:04d}"
            target = folder / version
            draft = folder / f".{version}.draft"
            draft.mkdir(exist_ok=True)
            save_learned(replace(model, name=folder.name, version=version), draft / WEIGHTS)
            text = msgspec.json.format(msgspec.json.encode({"name": folder.name, "version": version, **card}), indent=1)
            write_file(draft / CARD, text + b"\n")
            draft.rename(target)
    except OSError as error:
        raise ModelError(
            f"cannot be written ({error})", where=folder, remedy="Choose a folder you may write"
        ) from error
    return version


def read_card(folder: Path, version: str) -> dict[str, Any]:
    """What was said of a version when it was learnt; empty where that cannot be read."""
    try:
        found = msgspec.json.decode((folder / version / CARD).read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return found


def promote(folder: Path, version: str, *, time: str) -> Pointer:
    """Puts a version into use; it is read completely before.

    Raises:
        ModelError: there is no such version, it is damaged, or the pointer cannot be written.
    """
    load_learned(folder / version)
    with locked(folder / ".lock"):
        pointer = read_pointer(folder)
        if pointer.current != version:
            pointer.earlier.append(pointer.current)
        return _point(folder, pointer, Use(version=version, time=time, action="promote"))


def roll_back(folder: Path, *, time: str) -> Pointer:
    """Goes back to what was in use before, at last to the untrained answer.

    Raises:
        ModelError: nothing was in use before, it is damaged, or the pointer cannot be written.
    """
    if not versions_of(folder):
        raise ModelError("there are no learned weights", where=folder, remedy="Run `rca learn` first")
    with locked(folder / ".lock"):
        pointer = read_pointer(folder)
        if not pointer.earlier:
            raise ModelError("nothing was in use before", where=folder, remedy="See `rca learn show`")
        version = pointer.earlier.pop()
        if version != UNTRAINED:
            load_learned(folder / version)
        return _point(folder, pointer, Use(version=version, time=time, action="rollback"))


def _point(folder: Path, pointer: Pointer, use: Use) -> Pointer:
    pointer.current = use.version
    pointer.earlier = pointer.earlier[-MOST_KEPT:]
    pointer.history = [*pointer.history, use][-MOST_KEPT:]
    try:
        write_file(folder / CURRENT, msgspec.json.format(msgspec.json.encode(pointer), indent=1) + b"\n")
    except OSError as bad:
        raise ModelError(f"cannot be written: {bad.strerror}", where=folder, remedy="Check space and rights") from bad
    return pointer
