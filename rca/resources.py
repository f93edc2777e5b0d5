"""Where the bundled content lies: models, graphs and data sets, in a checkout and in a wheel alike."""

from __future__ import annotations

from pathlib import Path

from rca.errors import InputError

KINDS = ("models", "graphs", "datasets")


def bundled(kind: str, name: str = "") -> Path:
    """The path of bundled content: ``bundled("graphs", "rules")``.

    Raises:
        InputError: the kind is none of models, graphs, datasets, or there is nothing of that name.
    """
    if kind not in KINDS:
        raise InputError(f"{kind!r} is no kind of bundled content", remedy=f"Use one of {', '.join(KINDS)}")
    package = Path(__file__).resolve().parent
    installed = package / "_bundled" / kind
    root = (installed if installed.is_dir() else package.parent / kind).resolve()
    path = (root / name).resolve()
    if path != root and root not in path.parents:
        raise InputError(f"{name!r} leads out of the bundled {kind}", remedy="Give a name below it")
    if not path.exists():
        there = ", ".join(sorted(p.name for p in root.iterdir())) if root.is_dir() else "nothing"
        raise InputError(f"there is no bundled {kind[:-1]} {name!r}", remedy=f"There is: {there}")
    return path
