"""Reading labelled sets in the layouts in which they are published. Nothing is ever unpickled."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.detection.entity import Entity, make_entity
from rca.errors import EvaluationError
from rca.types import MINUTE, SECOND

_UNITS = {"s": SECOND, "sec": SECOND, "min": MINUTE, "h": 60 * MINUTE}
MOST_BYTES = 1 << 30


def read_npz(folder: Path, interval: int) -> Iterator[Entity]:
    """One ``<entity>.npz`` each, with the arrays ``train``, ``test`` and ``label``; ``INFO.json`` says the interval."""
    interval = _interval(folder / "INFO.json", interval)
    for path in sorted(folder.glob("*.npz"), key=natural_order):
        try:
            with np.load(path, allow_pickle=False) as arrays:
                parts = {name: arrays[name] for name in ("train", "test", "label") if name in arrays.files}
        except (ValueError, OSError, zipfile.BadZipFile) as error:
            raise EvaluationError("this is no archive of plain arrays", where=path, remedy="Save it again") from error
        if not {"test", "label"} <= set(parts):
            raise EvaluationError("the arrays test and label are needed", where=path, remedy="Save the set again")
        yield make_entity(path.stem, parts.get("train"), parts["test"], parts["label"], interval)


def read_tables(folder: Path, interval: int) -> Iterator[Entity]:
    """Tables without a heading in ``train/``, ``test/`` and ``test_label/``: SMD's text, JumpStarter's CSV."""
    tests = [path for path in (folder / "test").iterdir() if path.suffix in (".txt", ".csv")]
    for path in sorted(tests, key=natural_order):
        train, label = folder / "train" / path.name, folder / "test_label" / path.name
        for other in (train, label):
            if not other.is_file():
                raise EvaluationError("this file is missing", where=other, remedy="Unpack the whole set")
        yield make_entity(path.stem, read_numbers(train), read_numbers(path), read_numbers(label), interval)


def read_nab(folder: Path, interval: int) -> Iterator[Entity]:
    """NAB: ``data/<kind>/<series>.csv`` with time and value, ``labels/combined_windows.json`` with windows."""
    path = folder / "labels" / "combined_windows.json"
    try:
        windows: dict[str, list[list[str]]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvaluationError("the windows cannot be read", where=path, remedy="Unpack the whole set") from error
    for name in sorted(windows):
        table = folder / "data" / name
        if not table.is_file():
            continue  # a part of the set suffices
        times, values = _read_nab_series(table)
        label = np.zeros(len(times), bool)
        for begin, end in windows[name]:
            label |= (times >= np.datetime64(begin)) & (times <= np.datetime64(end))
        gaps = np.diff(times).astype("timedelta64[ns]").astype(np.int64)
        step = int(np.median(gaps)) if len(gaps) and np.median(gaps) > 0 else interval
        yield make_entity(name.removesuffix(".csv"), None, values, label, step)


def _read_nab_series(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()[1:] if line.strip()]
    try:
        times = np.array([row[0] for row in rows], "datetime64[s]")
        return times, np.array([float(row[1]) if row[1] else np.nan for row in rows])
    except (ValueError, IndexError) as error:
        raise EvaluationError("a row is no time and number", where=path, remedy="Unpack the set again") from error


def read_numbers(path: Path) -> npt.NDArray[np.float64]:
    """A table of numbers separated by commas, with or without a heading; empty cells are missing samples."""
    if path.stat().st_size > MOST_BYTES:
        raise EvaluationError("the file is larger than 1 GiB", where=path, remedy="Split it")
    try:
        with path.open(encoding="utf-8") as file:
            heading = any(_is_no_number(cell) for cell in file.readline().split(","))
        return np.genfromtxt(path, delimiter=",", skip_header=int(heading), dtype=np.float64, encoding="utf-8")
    except ValueError as error:
        raise EvaluationError("this is no table of numbers", where=path, remedy="Unpack the set again") from error


def _is_no_number(cell: str) -> bool:
    try:
        float(cell or "nan")
    except ValueError:
        return bool(cell.strip())
    return False


def _interval(path: Path, default: int) -> int:
    """The first duration in the set's description, such as "5 min"."""
    try:
        text = str(json.loads(path.read_text(encoding="utf-8")).get("interval", ""))
    except (OSError, ValueError, AttributeError):
        return default
    found = re.search(r"(\d+)\s*(s|sec|min|h)\b", text)
    return int(found[1]) * _UNITS[found[2]] if found and int(found[1]) else default


def natural_order(path: Path) -> tuple[Any, ...]:
    """service2 before service10."""
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", path.stem))


def has_pickles(folder: Path) -> bool:
    """Whether a set comes as Python pickles, which may run anything when they are read."""
    return any(folder.glob("*.pkl")) or any(folder.glob("processed/*.pkl"))
