"""Labelled sets in our own tables: one folder with history, window and the anomalous stretches of each component."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rca.detection.entity import Entity
from rca.errors import EvaluationError
from rca.formats.files import read_metrics
from rca.telemetry import Floats, MetricFrame
from rca.types import SECOND, to_nanoseconds

FORMS = (".parquet", ".arrow", ".csv", ".json")
LABELS = "labels.csv"
HEADING = "component,start,end"


def is_native(folder: Path) -> bool:
    """Whether a folder has labels, history and a window."""
    return (folder / LABELS).is_file() and all(_table(folder, name) is not None for name in ("history", "window"))


def read_native(folder: Path, _: int) -> Iterator[Entity]:
    """``history`` and ``window``, tables of metrics as everywhere; ``labels.csv``: component, start, end (excluded).

    Raises:
        EvaluationError: a label is malformed, or history and window have nothing in common.
    """
    frames = [read_metrics(path) for name in ("history", "window") if (path := _table(folder, name)) is not None]
    labels = _read_labels(folder / LABELS)
    history, window = (_by_series(frame) for frame in frames)
    components = sorted({key[0] for key in window} & {key[0] for key in history})
    if not components or not all(len(frame.times) > 1 for frame in frames):
        raise EvaluationError(
            "history and window have no component in common", where=folder, remedy="Name components alike in both"
        )
    if frames[0].step != frames[1].step:
        problem = (
            f"history is sampled every {frames[0].step / SECOND:g} s, the window every {frames[1].step / SECOND:g} s"
        )
        raise EvaluationError(problem, where=folder, remedy="Sample both alike")
    prefix = f"{folder.name}/"
    for component in components:
        keys = sorted(key for key in window if key[0] == component and key in history)
        if not keys:
            continue
        times = frames[1].times
        label = np.zeros(len(times), bool)
        for start, end in labels.get(component, ()):
            label |= (times >= start) & (times < end)
        yield Entity(
            name=prefix + component,
            train=np.stack([history[key] for key in keys], axis=1),
            test=np.stack([window[key] for key in keys], axis=1),
            label=label,
            interval=frames[1].step,
            train_start=int(frames[0].times[0]),
            test_start=int(times[0]),
        )


def _table(folder: Path, name: str) -> Path | None:
    return next((path for form in FORMS if (path := folder / f"{name}{form}").is_file()), None)


def _by_series(frame: MetricFrame) -> dict[tuple[str, str, str], Floats]:
    peers = (*frame.components, "")
    codes = zip(frame.component.tolist(), frame.metric.tolist(), frame.peer.tolist(), strict=True)
    return {
        (frame.components[c], frame.metrics[m], peers[p]): values
        for (c, m, p), values in zip(codes, frame.values, strict=True)
    }


def _read_labels(path: Path) -> dict[str, list[tuple[int, int]]]:
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not lines or lines[0].replace(" ", "") != HEADING:
        raise EvaluationError("the heading is missing", where=path, remedy=f"Begin with the line {HEADING}")
    out: dict[str, list[tuple[int, int]]] = {}
    for number, line in enumerate(lines[1:], start=2):
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) != 3:
            raise EvaluationError(f"line {number} has {len(cells)} cells", where=path, remedy=f"Give {HEADING}")
        start, end = (to_nanoseconds(cell) for cell in cells[1:])
        if end <= start:
            raise EvaluationError(f"line {number} ends before it starts", where=path, remedy="Exchange the two")
        out.setdefault(cells[0], []).append((start, end))
    return out
