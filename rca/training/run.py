"""A training from beginning to end: history in chunks, a detector for each, one version of a model of them all.

Every finished chunk is kept, so that a training that was killed goes on where it was and comes to the same
weights to the bit: chunks follow from the history alone, and each is fitted by itself.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

import rca
from rca.detectors.catalogue import CLASSES, find_detector
from rca.detectors.joined import JoinedDetector
from rca.errors import ModelError, TrainingError
from rca.parallel import Backend, check_backend, run_tasks
from rca.registry import places
from rca.registry.durable import locked
from rca.registry.pointer import current_version, promote, read_pointer
from rca.registry.storing import LoadedModel, StoredModel, load_version, save_model
from rca.training.checkpoints import Checkpoints
from rca.training.chunks import ChunkTask, fit_chunk, plan_chunks
from rca.training.history import History, open_history
from rca.training.result import TrainingResult, assemble
from rca.training.staging import parquet_files, part_by_component
from rca.types import Window, to_nanoseconds

Show = Callable[[int, int], None]
Phase = Callable[[str], AbstractContextManager[Show]]
WORK = ".training"
# A version whose own healthy history passes the limit more often is not put into use by itself.
MOST_ABOVE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be trained.

    Attributes:
        name: of the model.
        detector: of the catalogue; None: that of the version in use when refreshing, else the ensemble.
        seed: None: that of the version in use when refreshing, else 0.
        excluded: times that are not healthy; refreshing leaves out those of the version in use as well.
        window: the time to learn from; None: all of it.
        refresh: begin with the version in use.
        resume: go on with what an interrupted training has finished.
        promote: put the new version into use.
    """

    name: str
    detector: str | None = None
    seed: int | None = None
    excluded: tuple[Window, ...] = ()
    window: Window | None = None
    refresh: bool = False
    resume: bool = False
    promote: bool = True


def train(
    data: str | Path | Callable[[Path, Show], Sequence[Path]],
    order: Order,
    *,
    source: str = "",
    models: str | Path | None = None,
    jobs: int | None = None,
    backend: Backend = "loky",
    phase: Phase | None = None,
) -> TrainingResult:
    """Trains a detector and stores it as the next version of a model.

    Args:
        data: a metrics file, a folder of them, or what fetches Parquet files into a folder it is given.
        order: what to train.
        source: what people call the data; its path where empty.
        models: the folder of models; see ``rca.registry.places.models_folder``.
        jobs, backend: see ``rca.parallel.run_tasks``; neither changes the result.
        phase: called with the name of each phase, gives what is told how far it is.

    Raises:
        TrainingError: there is nothing to learn from, or another training of the model is under way.
        TelemetryError: a file is malformed. DetectorError: the detector is unknown.
        ModelError: the version to begin with is damaged. WorkerError: workers die again and again.
    """
    check_backend(backend, jobs)
    folder = places.model_folder(order.name, models)
    work = folder / WORK
    phase = phase or (lambda _: nullcontext(lambda done, total: None))
    try:
        work.mkdir(parents=True, exist_ok=True)
        with locked(work / "lock", wait=False) as mine:
            if not mine:
                raise TrainingError(
                    "another training of this model is under way",
                    where=folder,
                    remedy="Wait for it, or use another name",
                )
            return _train(data, order, source or str(data), folder, work, models, jobs, backend, phase)
    except OSError as bad:
        problem = f"cannot be written: {bad.strerror or bad}"
        raise TrainingError(problem, where=bad.filename or folder, remedy="Check space and rights") from bad


def _train(
    data: str | Path | Callable[[Path, Show], Sequence[Path]],
    order: Order,
    source: str,
    folder: Path,
    work: Path,
    models: str | Path | None,
    jobs: int | None,
    backend: Backend,
    phase: Phase,
) -> TrainingResult:
    began = time.perf_counter()
    messages: list[str] = []
    former = _former(folder, order, messages)
    order = _complete(order, former)
    staged = work / "staged"
    with phase("Reading") as show:
        files = data(staged, show) if callable(data) else parquet_files(Path(data), staged, show)
        history = open_history(files, source=source, window=order.window)
        chunks = _chunks(history, former if order.refresh else None)
        plan = _plan(history, chunks, order, former)
        history = part_by_component(history, chunks, staged)
    checkpoints, message = Checkpoints.open(work / "chunks", plan, len(chunks), resume=order.resume)
    messages += [message] if message else []
    with phase("Fitting") as show:
        _fit(_tasks(history, chunks, order, former), checkpoints, jobs, backend, show)
    with phase("Storing") as show:
        show(0, 1)
        detector, training, report = assemble(checkpoints, order, history, former)
        stored = save_model(detector, order.name, training, models=models)
        report = replace(report, stored=stored, seconds=time.perf_counter() - began)
        messages += _promote(order, stored, report.above, models)
    checkpoints.remove()
    shutil.rmtree(staged, ignore_errors=True)
    return replace(report, messages=tuple(messages))


def _former(folder: Path, order: Order, messages: list[str]) -> LoadedModel | None:
    """The version in use: needed to refresh, else only to tell how the data drifted."""
    if order.refresh:
        return load_version(folder, current_version(folder))
    try:
        return load_version(folder, current_version(folder)) if read_pointer(folder) else None
    except ModelError as bad:
        messages.append(f"drift is not known: the version in use cannot be read ({bad.problem})")
        return None


def _complete(order: Order, former: LoadedModel | None) -> Order:
    """The order with everything decided."""
    begun = former.described if former is not None and order.refresh else None
    detector = order.detector or (_detector_of(begun.config) if begun else "ensemble")
    if detector == "joined" or detector not in CLASSES:
        names = ", ".join(name for name in CLASSES if name != "joined")
        raise TrainingError(f"{detector[:80]!r} is no detector", where="--detector", remedy=f"Use one of {names}")
    find_detector(detector)
    seed = order.seed if order.seed is not None else (begun.seed if begun else 0)
    known = [Window(start=to_nanoseconds(a), end=to_nanoseconds(b)) for a, b in begun.data.excluded] if begun else []
    excluded = tuple(sorted({*order.excluded, *known}))
    return replace(order, detector=detector, seed=seed, excluded=excluded)


def _detector_of(config: Mapping[str, Any]) -> str:
    if config.get("detector") != "joined":
        return str(config.get("detector"))
    return str(config["parts"][0]["config"]["detector"])


def _chunks(history: History, former: LoadedModel | None) -> list[tuple[str, ...]]:
    """Chunks of components; those of a former version in parts stay together, so that each can begin with its own."""
    if former is None or not isinstance(former.detector, JoinedDetector):
        return plan_chunks(history.components, history.cells)
    here = set(history.components)
    kept = [tuple(name for name in part if name in here) for part in former.detector.components]
    kept = [part for part in kept if part]
    known = {name for part in kept for name in part}
    new = [name for name in history.components if name not in known]
    share = history.cells * len(new) // len(history.components)
    return kept + plan_chunks(new, share)


def _plan(
    history: History, chunks: Sequence[Sequence[str]], order: Order, former: LoadedModel | None
) -> dict[str, Any]:
    """What decides the result, for checkpoints to be compared with."""
    return {
        "data": history.hash,
        "detector": order.detector,
        "seed": order.seed,
        "excluded": [[window.start, window.end] for window in order.excluded],
        "chunks": hashlib.sha256(msgspec.json.encode(chunks)).hexdigest(),
        "former": f"{former.version} {former.described.data.hash} {order.refresh}" if former else "",
        "code_version": rca.__version__,
    }


def _tasks(
    history: History, chunks: Sequence[Sequence[str]], order: Order, former: LoadedModel | None
) -> list[ChunkTask]:
    window = former.described.window() if former is not None else None
    return [
        ChunkTask(
            history=history.of(chunk),
            detector=str(order.detector),
            seed=int(order.seed or 0),
            excluded=order.excluded,
            former=str(former.path.resolve()) if former else "",
            warm=order.refresh,
            since=window.end if window else None,
        )
        for chunk in chunks
    ]


def _fit(tasks: Sequence[ChunkTask], checkpoints: Checkpoints, jobs: int | None, backend: Backend, show: Show) -> None:
    done = checkpoints.done()
    open_chunks = [number for number in range(len(tasks)) if number not in done]
    show(len(done), len(tasks))
    for place, content in run_tasks(fit_chunk, (tasks[i] for i in open_chunks), jobs=jobs, backend=backend):
        checkpoints.write(open_chunks[place], content)
        done.add(open_chunks[place])
        show(len(done), len(tasks))


def _promote(order: Order, stored: StoredModel, above: float, models: str | Path | None) -> list[str]:
    remedy = f"rca models promote {stored.reference}"
    if not order.promote:
        return [f"{stored.reference} is not in use yet: `{remedy}`"]
    if above > MOST_ABOVE:
        return [
            f"{stored.reference} is not in use: {above:.1%} of its own healthy samples pass its limit. "
            f"Were there incidents in the history (--exclude)? Else `{remedy}`"
        ]
    promote(stored.name, stored.version, models=models)
    return []
