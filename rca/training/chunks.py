"""One chunk of a training: some components read, a detector fitted to them, and what is worth knowing about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from inspect import signature
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.detectors.catalogue import find_detector
from rca.detectors.history import cut_out
from rca.detectors.joined import JoinedDetector
from rca.detectors.losses import watch_losses
from rca.detectors.protocol import Detector
from rca.registry.description import hash_frame
from rca.registry.storing import load_version, statistics_of
from rca.series import SeriesNames
from rca.telemetry import MetricFrame
from rca.training.checkpoints import Fitted, pack
from rca.training.drift import Distribution, compare_by_name
from rca.training.history import History
from rca.types import Window

# Samples of one chunk: 16 MiB that a fit multiplies by ten, a few seconds of the dearest detector.
CHUNK_CELLS = 4_000_000
# What components have in common is learnt from no fewer.
FEWEST_COMPONENTS = 32
# The newest samples, by which a detector is judged after its fit: a day of minutes.
JUDGED = 1_440
LIMIT = 0.5
REACH = 0.999


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkTask:
    """What a worker gets: places, names and numbers, no samples.

    Attributes:
        history: of the chunk's components.
        former: folder of the version that the fit begins with, or drift is measured against; "" is none.
        warm: whether the fit begins with it.
        since: drift is measured from this time on; None: all of the time.
    """

    history: History
    detector: str
    seed: int
    excluded: tuple[Window, ...]
    former: str = ""
    warm: bool = False
    since: int | None = None


def plan_chunks(components: Sequence[str], cells: int) -> list[tuple[str, ...]]:
    """Components in chunks of about ``CHUNK_CELLS`` samples; nothing but the history decides, so jobs do not."""
    each = max(cells // max(len(components), 1), 1)
    size = max(CHUNK_CELLS // each, FEWEST_COMPONENTS)
    count = -(-len(components) // size)
    bounds = [i * len(components) // count for i in range(count + 1)] if count else [0]
    return [tuple(components[a:b]) for a, b in pairwise(bounds)]


def fit_chunk(task: ChunkTask) -> bytes:
    """Fits one chunk and gives what a checkpoint holds: no components where there are no samples of them.

    Raises:
        TrainingError, TelemetryError: the history cannot be read.
        DetectorError: the detector cannot learn from it.
    """
    frame = task.history.read()
    if not frame.values.size:
        return pack(Fitted(facts={"components": []}, arrays={}))
    with watch_losses() as losses:
        detector = _fit(task, frame)
    state = detector.to_state()
    well = cut_out(frame, task.excluded)
    series = SeriesNames.of(frame)
    arrays = _prefixed("detector", state.arrays)
    arrays |= _prefixed("series", {name: getattr(series, name) for name in ("component", "metric", "peer")})
    arrays |= _prefixed("statistics", Distribution.of(well).arrays())
    names, judged = _judge(detector, well)
    arrays |= _prefixed("judged", judged)
    if task.former:
        arrays |= _prefixed("drift", _drift(task, well))
    facts = {
        "detector": dict(state.config),
        "components": list(task.history.components),
        "series": {"components": list(series.components), "metrics": list(series.metrics)},
        "judged": names,
        "hash": hash_frame(frame),
        "samples": int(np.count_nonzero(~np.isnan(frame.values))),
        "times": [int(frame.times[0]), int(frame.times[-1]) + max(frame.step, 1), frame.step],
        "losses": {"total": losses.total, "components": losses.components},
    }
    return pack(Fitted(facts=facts, arrays=arrays))


def learns_from_former(detector: str) -> bool:
    """Whether a detector can begin with a former one."""
    return "previous" in signature(find_detector(detector).fit).parameters


def _fit(task: ChunkTask, frame: MetricFrame) -> Detector:
    more: dict[str, Any] = {}
    if task.warm and learns_from_former(task.detector):
        more["previous"] = _former_of(load_former(task.former), set(task.history.components))
    return find_detector(task.detector).fit(frame, seed=task.seed, excluded=task.excluded, **more)


@lru_cache(maxsize=1)
def load_former(path: str) -> Detector:
    """The detector of a version, read once per worker."""
    folder = Path(path)
    return load_version(folder.parent, folder.name).detector


@lru_cache(maxsize=1)
def _former_statistics(path: str) -> tuple[SeriesNames, dict[str, npt.NDArray[Any]]]:
    return statistics_of(Path(path))


def _former_of(detector: Detector, components: set[str]) -> Detector | None:
    """The part of a former detector that knows these components; the whole of one that is not in parts."""
    if not isinstance(detector, JoinedDetector):
        return detector
    pairs = zip(detector.parts, detector.components, strict=True)
    found = [part for part, names in pairs if components & set(names)]
    return found[0] if len(found) == 1 else None


def _drift(task: ChunkTask, well: MetricFrame) -> dict[str, npt.NDArray[Any]]:
    series, statistics = _former_statistics(task.former)
    if not statistics:
        return {}
    new = well
    if task.since is not None:
        new = well.slice(Window(start=task.since, end=max(int(well.times[-1]) + 1, task.since)))
    found = compare_by_name(series, statistics, new)
    return {"index": found.index, "shift": found.shift, "known": found.known}


def _judge(detector: Detector, well: MetricFrame) -> tuple[list[str], dict[str, npt.NDArray[Any]]]:
    """How the newest healthy samples of each component score: share above the limit, and how far they reach."""
    first = max(len(well.times) - JUDGED, 0)
    newest = well.slice(Window(start=int(well.times[first]), end=int(well.times[-1]) + 1))
    found = detector.score_components(newest)
    own = np.unique(newest.component)
    scores = found.scores[own]
    names = [newest.components[code] for code in own.tolist()]
    return names, {
        "above": (scores > LIMIT).mean(axis=1).astype(np.float32),
        "reach": np.quantile(scores, REACH, axis=1).astype(np.float32),
    }


def _prefixed(name: str, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    return {f"{name}/{key}": array for key, array in arrays.items()}
