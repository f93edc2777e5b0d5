"""Retraining is a change: what was trained and put into use, as changes that an incident can be judged with."""

from __future__ import annotations

from pathlib import Path

from rca.errors import ModelError
from rca.registry import places
from rca.registry.pointer import read_pointer
from rca.registry.storing import read_description, read_manifest
from rca.types import Change, to_nanoseconds

TRAINED, IN_USE = "retraining.finished", "model.version_changed"
FILE = "changes.json"


def changes_of(folder: Path) -> tuple[Change, ...]:
    """The changes of one model in order of time; its name stands for the component.

    A version that is damaged is left out: ``rca models verify`` tells of it.

    Raises:
        ModelError: the pointer is damaged.
    """
    name, changes = folder.name, []
    for version in places.versions_of(folder):
        path = places.version_folder(folder, version)
        try:
            described = read_description(path, read_manifest(path))
        except ModelError:
            continue
        facts = {"version": version, "previous": described.parent, "detector": described.detector}
        facts |= {"data": described.data.hash, "from": described.data.start, "to": described.data.end}
        changes.append(
            Change(
                id=f"trained:{name}@{version}",
                component=name,
                kind=TRAINED,
                name=f"model {name} trained: version {version}",
                time=to_nanoseconds(described.created),
                attributes={key: value for key, value in facts.items() if value},
            )
        )
    pointer = read_pointer(folder)
    before = ""
    for number, each in enumerate(pointer.history if pointer else ()):
        verb = "put into use" if each.action == "promote" else "put back into use"
        facts = {"version": each.version, "previous": before, "action": each.action}
        changes.append(
            Change(
                id=f"{each.action}:{name}@{each.version}:{number + 1}",
                component=name,
                kind=IN_USE,
                name=f"model {name}: version {each.version} {verb}",
                time=to_nanoseconds(each.time),
                attributes={key: value for key, value in facts.items() if value},
            )
        )
        before = each.version
    return tuple(sorted(changes, key=lambda change: change.time))
