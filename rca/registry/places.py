"""Where models lie: one folder per model, one folder per version in it, and no way out of them.

models/
  checkout/                a model
    0001/ 0002/            its versions, never changed once they are there
    current.json           which of them is in use, and which were
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from rca.errors import InputError, ModelError
from rca.resources import bundled

NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?")
VERSION = re.compile(r"[0-9]{4,6}")
MANIFEST, WEIGHTS, DESCRIPTION, CARD, POINTER = (
    "manifest.json",
    "weights.safetensors",
    "model.json",
    "card.md",
    "current.json",
)


def own_folder(what: str) -> Path:
    """Where something that was learnt lies: below ``$RCA_HOME``, else below the user's own data."""
    home = os.environ.get("RCA_HOME")
    if home:
        return Path(home) / what
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "rca" / what


def models_folder(models: str | Path | None = None) -> Path:
    """The folder of models: the given one, else ``$RCA_HOME/models``, else that of the user's own data."""
    return own_folder("models") if models is None else Path(models)


def bundled_models() -> Path | None:
    """The folder of the models that ship with the engine; None where there is none."""
    try:
        return bundled("models")
    except InputError:
        return None


def model_folder(name: str, models: str | Path | None = None) -> Path:
    """The folder of a model below the folder of models; it need not be there.

    Raises:
        ModelError: the name is none, or its folder leads elsewhere.
    """
    if not NAME.fullmatch(name) or ".." in name:
        raise ModelError(
            f"{name[:80]!r} is no name of a model",
            remedy="Use up to 64 of a-z, 0-9, '-', '_' and '.', with a letter or digit at both ends",
        )
    return _inside(models_folder(models), name)


def version_folder(folder: Path, version: str) -> Path:
    """The folder of a version below that of its model; it need not be there.

    Raises:
        ModelError: the version is none, or its folder leads elsewhere.
    """
    if not VERSION.fullmatch(version):
        raise ModelError(
            f"{version[:80]!r} is no version",
            where=folder.name,
            remedy="Give four digits, such as 0001: `rca models list`",
        )
    return _inside(folder, version)


def versions_of(folder: Path) -> tuple[str, ...]:
    """The versions of a model, oldest first."""
    if not folder.is_dir():
        return ()
    found = [path.name for path in folder.iterdir() if VERSION.fullmatch(path.name) and path.is_dir()]
    return tuple(sorted(found, key=lambda version: (int(version), version)))


def split_reference(reference: str) -> tuple[str, str | None]:
    """``name`` or ``name@version`` in its parts."""
    name, at, version = reference.partition("@")
    return name, version if at else None


def find_model(reference: str | Path, models: str | Path | None = None) -> tuple[Path, str | None]:
    """The folder of a model and the version that is asked for, if one is.

    Args:
        reference: ``name`` or ``name@version`` below the folder of models or among the bundled ones;
            or the path of a model's or a version's folder.
        models: the folder of models; see ``models_folder``.

    Raises:
        ModelError: there is no such model.
    """
    path = Path(reference)
    if isinstance(reference, Path) or os.sep in reference:
        if (path / MANIFEST).is_file() or VERSION.fullmatch(path.name):
            return path.parent, path.name
        return path, None
    name, version = split_reference(reference)
    own = model_folder(name, models)
    shipped = bundled_models()
    for folder in (own, *((model_folder(name, shipped),) if shipped is not None else ())):
        if versions_of(folder):
            return folder, version
    raise ModelError(
        "there is no such model", where=own, remedy="See `rca models list`, or make one with `rca train --name ...`"
    )


def _inside(root: Path, name: str) -> Path:
    path = root / name
    if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
        raise ModelError("leads out of its folder", where=path, remedy="Copy what it leads to into the folder")
    return path
