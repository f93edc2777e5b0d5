"""All models at a glance, and whether they are as they were written; nothing here fails because of one that is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from rca.errors import ModelError
from rca.registry import places
from rca.registry.description import Description
from rca.registry.pointer import current_version, read_pointer
from rca.registry.storing import load_version, read_description, read_listed, read_manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One version; ``described`` is None where it cannot be read, for the reason that ``problem`` gives."""

    name: str
    version: str
    path: Path
    current: bool
    bundled: bool
    described: Description | None = None
    problem: str = ""

    @property
    def reference(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}" if self.version else self.name


def own_models(models: str | Path | None = None) -> list[Path]:
    """The folders of models in the folder of models, in order of their names."""
    root = places.models_folder(models)
    return _models_in(root)


def entries(models: str | Path | None = None) -> list[Entry]:
    """All versions, those of the folder of models first, then the bundled ones."""
    shipped = places.bundled_models()
    found = [entry for folder in own_models(models) for entry in _versions(folder, bundled=False)]
    if shipped is not None and shipped.resolve() != places.models_folder(models).resolve():
        found += [entry for folder in _models_in(shipped) for entry in _versions(folder, bundled=True)]
    return found


def find_version(reference: str, models: str | Path | None = None) -> Path:
    """The folder of a version, of the one in use where none is named.

    Raises:
        ModelError: there is none.
    """
    folder, version = places.find_model(reference, models)
    return places.version_folder(folder, current_version(folder) if version is None else version)


def verify_all(references: Sequence[str], models: str | Path | None = None) -> list[Entry]:
    """The versions with what is wrong with each, hashes compared and weights read.

    Args:
        references: ``name`` (all of its versions) or ``name@version``; none: everything.

    Raises:
        ModelError: there is no such model.
    """
    chosen = entries(models)
    if references:
        wanted = [places.find_model(reference, models) for reference in references]
        chosen = [
            entry
            for entry in chosen
            for folder, version in wanted
            if entry.path.parent.resolve() == folder.resolve() and version in (None, entry.version)
        ]
        if not chosen:
            raise ModelError("there is no such version", where=", ".join(references), remedy="See `rca models list`")
    checked = [_verify(entry) for entry in chosen]
    return checked + _broken_pointers(chosen)


def to_json(found: Sequence[Entry]) -> str:
    """A list with one object per version."""
    rows = []
    for entry in found:
        described = entry.described
        row: dict[str, object] = {"name": entry.name, "version": entry.version, "path": str(entry.path)}
        row |= {"current": entry.current, "bundled": entry.bundled, "problem": entry.problem}
        if described is not None:
            row |= {"detector": described.detector, "components": len(described.features.components)}
            row |= {"series": len(described.features.series), "created": described.created, "parent": described.parent}
            row |= {"data": msgspec.to_builtins(described.data), "metrics": described.metrics}
        rows.append(row)
    return msgspec.json.format(msgspec.json.encode(rows), indent=2).decode()


def _models_in(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if places.NAME.fullmatch(path.name) and places.versions_of(path))


def _versions(folder: Path, *, bundled: bool) -> Iterator[Entry]:
    try:
        pointer = read_pointer(folder)
    except ModelError:  # told by ``verify``; the versions themselves may be whole
        pointer = None
    for version in places.versions_of(folder):
        path = folder / version
        entry = Entry(
            name=folder.name,
            version=version,
            path=path,
            current=pointer is not None and pointer.current == version,
            bundled=bundled,
        )
        try:
            yield replace(entry, described=read_description(path, read_manifest(path)))
        except ModelError as bad:
            yield replace(entry, problem=bad.problem)


def _verify(entry: Entry) -> Entry:
    try:
        load_version(entry.path.parent, entry.version)
        manifest = read_manifest(entry.path)
        for file in manifest:
            read_listed(entry.path, file, manifest)
    except ModelError as bad:
        name = Path(bad.where).name if bad.where else ""
        return replace(entry, problem=f"{name}: {bad.problem}" if name else bad.problem)
    return entry


def _broken_pointers(chosen: Sequence[Entry]) -> list[Entry]:
    """Pointers that cannot be read, or lead to a version that is not there."""
    broken = []
    for folder in sorted({entry.path.parent for entry in chosen}):
        problem = ""
        try:
            pointer = read_pointer(folder)
            if pointer is not None and pointer.current not in places.versions_of(folder):
                problem = f"{places.POINTER}: version {pointer.current} is in use and not there"
        except ModelError as bad:
            problem = f"{places.POINTER}: {bad.problem}"
        if problem:
            broken.append(
                Entry(name=folder.name, version="", path=folder, current=False, bundled=False, problem=problem)
            )
    return broken
