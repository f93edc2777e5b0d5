"""Which version of a model is in use, which were before, and how to go back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

import msgspec

from rca.errors import ModelError
from rca.registry import places
from rca.registry.durable import locked, write_file
from rca.registry.storing import load_version
from rca.types import to_text

# Decades of weekly trainings; older ones are dropped.
MOST_KEPT = 2_000
_LARGEST = 1 << 20


class Promotion(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """That a version came into use, by a promotion or by going back to it; ``time`` in ISO 8601."""

    version: str
    time: str
    action: Literal["promote", "rollback"]


class Pointer(msgspec.Struct, forbid_unknown_fields=True):
    """What ``current.json`` holds: the version in use, those to go back to (last first out), and what happened."""

    current: str
    earlier: list[str] = []
    history: list[Promotion] = []


def read_pointer(folder: Path) -> Pointer | None:
    """The pointer of a model; None where no version was promoted yet.

    Raises:
        ModelError: it is damaged.
    """
    path = folder / places.POINTER
    remedy = f"Name a version with `rca models promote {folder.name}@VERSION`"
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        pointer = msgspec.json.decode(content, type=Pointer)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as bad:
        raise ModelError(f"does not say which version is in use ({bad})", where=path, remedy=remedy) from bad
    for version in (pointer.current, *pointer.earlier):
        if not places.VERSION.fullmatch(version):
            raise ModelError(f"{version[:80]!r} is no version", where=path, remedy=remedy)
    return pointer


def current_version(folder: Path) -> str:
    """The version in use.

    Raises:
        ModelError: none was promoted yet, or the pointer is damaged.
    """
    pointer = read_pointer(folder)
    if pointer is None:
        raise ModelError(
            "no version is in use", where=folder, remedy=f"Choose one with `rca models promote {folder.name}@VERSION`"
        )
    return pointer.current


def promote(name: str, version: str, *, models: str | Path | None = None) -> Pointer:
    """Puts a version into use; it is read completely before.

    Raises:
        ModelError: there is no such version, it is damaged, or the pointer cannot be written.
    """
    folder = _writable(name, models)
    load_version(folder, version)
    with locked(folder / ".lock"):
        try:
            former = read_pointer(folder)
        except ModelError:  # damaged: it begins anew
            former = None
        pointer = former or Pointer(current=version)
        if former is not None and former.current != version:
            pointer.earlier.append(former.current)
        return _write(folder, pointer, version, "promote")


def roll_back(name: str, *, models: str | Path | None = None) -> Pointer:
    """Goes back to the version that was in use before; once more goes further back.

    Raises:
        ModelError: there is none, it is damaged, or the pointer cannot be written.
    """
    folder = _writable(name, models)
    with locked(folder / ".lock"):
        pointer = read_pointer(folder)
        if pointer is None or not pointer.earlier:
            raise ModelError(
                "no version was in use before",
                where=folder,
                remedy=f"Choose one with `rca models promote {name}@VERSION`: {', '.join(places.versions_of(folder))}",
            )
        load_version(folder, pointer.earlier[-1])
        return _write(folder, pointer, pointer.earlier.pop(), "rollback")


def _writable(name: str, models: str | Path | None) -> Path:
    folder = places.model_folder(name, models)
    if not places.versions_of(folder):
        raise ModelError("there is no such model", where=folder, remedy="See `rca models list`")
    return folder


def _write(folder: Path, pointer: Pointer, version: str, action: Literal["promote", "rollback"]) -> Pointer:
    pointer.current = version
    now = to_text(time.time_ns() // 1_000_000_000 * 1_000_000_000)
    pointer.history = [*pointer.history, Promotion(version=version, time=now, action=action)][-MOST_KEPT:]
    pointer.earlier = pointer.earlier[-MOST_KEPT:]
    try:
        write_file(folder / places.POINTER, msgspec.json.format(msgspec.json.encode(pointer), indent=1) + b"\n")
    except OSError as bad:
        raise ModelError(f"cannot be written: {bad.strerror}", where=folder, remedy="Check space and rights") from bad
    return pointer
