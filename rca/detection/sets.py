"""Labelled sets by name: where they lie below a path, and in which layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from rca.detection.entity import Entity
from rca.detection.layouts import has_pickles, read_nab, read_npz, read_tables
from rca.detection.native import is_native, read_native
from rca.errors import EvaluationError
from rca.types import MINUTE

CONVERT = (
    "Convert it where it can be trusted: load the arrays of <entity>_train.pkl, <entity>_test.pkl and "
    "<entity>_test_label.pkl and numpy.savez_compressed('<entity>.npz', train=..., test=..., label=...)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A published set.

    Attributes:
        folders: what its folder may begin with, in small letters.
        interval: between samples, where the set does not say, in nanoseconds.
    """

    folders: tuple[str, ...]
    interval: int


SETS: Mapping[str, Published] = MappingProxyType(
    {
        "smd": Published(folders=("smd", "servermachinedataset"), interval=MINUTE),
        "asd": Published(folders=("asd",), interval=5 * MINUTE),
        "jumpstarter": Published(folders=("jumpstarter", "dataset"), interval=5 * MINUTE),
        "nab": Published(folders=("nab",), interval=5 * MINUTE),
        "native": Published(folders=(), interval=MINUTE),
    }
)


def read_set(name: str, path: Path) -> tuple[Entity, ...]:
    """The entities of a set, by name.

    Args:
        name: one of ``SETS``.
        path: the folder of the set, or the one it lies in.

    Raises:
        EvaluationError: the set is unknown, not there, malformed or without entities.
    """
    if name not in SETS:
        raise EvaluationError("no labelled set has this name", where=name, remedy=f"Choose one of {', '.join(SETS)}")
    if not path.is_dir():
        raise EvaluationError("there is no such folder", where=path, remedy="Name the folder of the unpacked set")
    published = SETS[name]
    entities = tuple(entity for read, folder in _find(name, path) for entity in read(folder, published.interval))
    names = [entity.name for entity in entities]
    if not entities or len(set(names)) < len(names):
        problem = "two entities have the same name" if entities else "the set has no entity"
        raise EvaluationError(problem, where=path, remedy="Name the folder of one unpacked set")
    return entities


_Read = Callable[[Path, int], Iterator[Entity]]


def _find(name: str, path: Path) -> list[tuple[_Read, Path]]:
    """The folder itself where it has a layout, else those below whose names fit the set."""
    layout = _layout(name, path)
    if layout is not None:
        return [(layout, path)]
    below = sorted(each for each in path.iterdir() if each.is_dir())
    fitting = [each for each in below if each.name.lower().startswith(SETS[name].folders or ("",))]
    found = [(layout, each) for each in fitting if (layout := _layout(name, each)) is not None]
    if len(found) > 1 and name != "native":
        places = ", ".join(folder.name for _, folder in found)
        raise EvaluationError(f"several sets are here: {places}", where=path, remedy="Name the folder of one of them")
    if not found:
        if any(has_pickles(each) for each in (path, *below)):
            problem = "the set is pickled, and reading a pickle can run whatever is in it"
            raise EvaluationError(problem, where=path, remedy=CONVERT)
        raise EvaluationError(f"there is no set {name} here", where=path, remedy="Name the folder of the unpacked set")
    return found


def _layout(name: str, folder: Path) -> _Read | None:
    if name == "native":
        return read_native if is_native(folder) else None
    if any(folder.glob("*.npz")):
        return read_npz
    if name == "nab":
        return read_nab if (folder / "labels" / "combined_windows.json").is_file() else None
    return read_tables if (folder / "test").is_dir() and (folder / "test_label").is_dir() else None
