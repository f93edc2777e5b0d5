"""Stored models: written whole under a new version, read only where every byte is as it was written."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy.typing as npt

import rca
from rca.detectors.catalogue import restore
from rca.detectors.protocol import Detector, State
from rca.errors import DetectorError, ModelError
from rca.registry import places
from rca.registry.card import card
from rca.registry.description import (
    MOST_BYTES,
    Description,
    Training,
    data_of,
    decode_description,
    features_of,
)
from rca.registry.durable import locked, sync_folder, umask, write_file
from rca.registry.weights import MOST_BYTES as MOST_WEIGHTS
from rca.registry.weights import REMEDY, dump_arrays, facts_of, load_arrays
from rca.series import SeriesNames
from rca.types import to_text

LIMIT = 0.5
STATISTICS = "statistics.safetensors"
# What the manifest has to list, what it may list, and how large each may be.
LARGEST = {
    places.DESCRIPTION: MOST_BYTES,
    places.WEIGHTS: MOST_WEIGHTS,
    places.CARD: 1 << 20,
    STATISTICS: MOST_WEIGHTS,
}
LARGEST_MANIFEST = 1 << 16
LONGEST_READ = 1 << 20


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    sha256: str
    bytes: int


class _Manifest(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    files: dict[str, _Entry]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredModel:
    """A version of a model on disk; ``reference`` is what commands call it."""

    name: str
    version: str
    path: Path

    @property
    def reference(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A detector from the registry, and what is known about it.

    Attributes:
        series: the series that it was trained on.
        described: all of ``model.json``.
    """

    detector: Detector = field(repr=False)
    name: str
    version: str
    path: Path
    series: SeriesNames = field(repr=False)
    described: Description = field(repr=False)

    @property
    def reference(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"

    def statistics(self) -> dict[str, npt.NDArray[Any]]:
        """How the samples of its training were distributed; empty where that was not kept.

        Raises:
            ModelError: the file is damaged.
        """
        return statistics_of(self.path)[1]


def save_model(
    detector: Detector,
    name: str,
    training: Training,
    *,
    models: str | Path | None = None,
    created: int | None = None,
) -> StoredModel:
    """Writes a detector as the next version of a model, whole or not at all; it is not in use yet.

    Args:
        detector: a fitted one of the catalogue.
        name: of the model; see ``places.NAME``.
        training: how it came about.
        models: the folder of models; see ``places.models_folder``.
        created: nanoseconds; now where None.

    Raises:
        ModelError: the name is none, the detector cannot be read back, or nothing can be written.
    """
    folder = places.model_folder(name, models)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / ".lock"):
            _remove_drafts(folder)
            return _write(detector, name, training, folder, time.time_ns() if created is None else created)
    except OSError as bad:
        problem = f"cannot be written: {bad.strerror or bad}"
        raise ModelError(problem, where=folder, remedy="Check space and rights") from bad


def _remove_drafts(folder: Path) -> None:
    """What processes that were killed left behind; nobody else writes while the lock is held."""
    for draft in folder.glob(".draft-*"):
        shutil.rmtree(draft, ignore_errors=True)
    for file in folder.glob(".*.draft"):
        file.unlink(missing_ok=True)


def _write(detector: Detector, name: str, training: Training, folder: Path, created: int) -> StoredModel:
    versions = places.versions_of(folder)
    version = f"{int(versions[-1]) + 1 if versions else 1:04d}"
    state = detector.to_state()
    described = _describe(state, name, version, training, created)
    files = {
        places.WEIGHTS: dump_arrays(state.arrays),
        places.DESCRIPTION: msgspec.json.format(msgspec.json.encode(described, order="deterministic"), indent=1)
        + b"\n",
        places.CARD: card(described).encode(),
    }
    if training.statistics:
        files[STATISTICS] = dump_arrays(training.statistics)
    for file, content in files.items():
        if len(content) > LARGEST[file]:
            raise ModelError(f"takes {len(content):,} bytes, too many", where=file, remedy="Train fewer components")
    _restore(files[places.WEIGHTS], decode_description(files[places.DESCRIPTION], where=name), name)
    manifest = _Manifest(format=1, files={file: _entry(content) for file, content in sorted(files.items())})
    files[places.MANIFEST] = _readable(msgspec.json.encode(manifest))
    path = places.version_folder(folder, version)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=folder))
    try:
        for file, content in files.items():
            write_file(draft / file, content)
        draft.chmod(0o777 & ~umask())  # mkdtemp's folder is its owner's alone
        draft.rename(path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    sync_folder(folder)
    return StoredModel(name=name, version=version, path=path)


def _readable(content: bytes) -> bytes:
    """JSON for people, as long as people would read it."""
    return (msgspec.json.format(content, indent=1) if len(content) < LONGEST_READ else content) + b"\n"


def _describe(state: State, name: str, version: str, training: Training, created: int) -> Description:
    return Description(
        name=name,
        version=version,
        detector=str(state.config.get("detector", "")),
        created=to_text(created // 1_000_000_000 * 1_000_000_000),
        code_version=rca.__version__,
        seed=training.seed,
        parent=training.parent,
        data=data_of(training),
        metrics={key: float(value) for key, value in sorted(training.metrics.items())},
        thresholds={"anomalous from score": LIMIT},
        scaler="Each series is scaled by what was measured of it in health; the numbers are among the weights.",
        config=dict(state.config),
        arrays=facts_of(state.arrays),
        statistics=facts_of(training.statistics),
        features=features_of(training.series),
    )


def _entry(content: bytes) -> _Entry:
    return _Entry(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def load_version(folder: Path, version: str) -> LoadedModel:
    """Reads one version; nothing is parsed before its hash is that of the manifest.

    Raises:
        ModelError: it is missing, damaged, or was written by another version of the engine.
    """
    path = places.version_folder(folder, version)
    manifest = read_manifest(path)
    described = read_description(path, manifest)
    detector = _restore(read_listed(path, places.WEIGHTS, manifest), described, str(path / places.WEIGHTS))
    return LoadedModel(
        detector=detector,
        name=described.name,
        version=described.version,
        path=path,
        series=described.series(),
        described=described,
    )


def read_description(path: Path, manifest: Mapping[str, _Entry]) -> Description:
    """What a version's ``model.json`` says.

    Raises:
        ModelError: it is damaged, or says that it is another version.
    """
    where = str(path / places.DESCRIPTION)
    described = decode_description(read_listed(path, places.DESCRIPTION, manifest), where=where)
    if described.version != path.name:
        raise ModelError(
            f"is that of version {described.version}", where=where, remedy="Copy versions under their names"
        )
    return described


def statistics_of(path: Path) -> tuple[SeriesNames, dict[str, npt.NDArray[Any]]]:
    """The series of a version, and how their samples were distributed; nothing where that was not kept.

    Raises:
        ModelError: it is missing or damaged.
    """
    manifest = read_manifest(path)
    described = read_description(path, manifest)
    if not described.statistics:
        return described.series(), {}
    content = read_listed(path, STATISTICS, manifest)
    return described.series(), load_arrays(content, described.statistics, where=str(path / STATISTICS))


def _restore(weights: bytes, described: Description, where: str) -> Detector:
    arrays = load_arrays(weights, described.arrays, where=where)
    try:
        return restore(State(config=described.config, arrays=arrays))
    except DetectorError as bad:
        raise ModelError(f"does not fit its detector: {bad.problem}", where=where, remedy=bad.remedy or REMEDY) from bad
    except ImportError as bad:
        raise ModelError(
            f"needs what is not installed ({bad})", where=where, remedy="pip install 'rca-engine[train]'"
        ) from bad


def read_manifest(path: Path) -> Mapping[str, _Entry]:
    """What files a version has, and their hashes.

    Raises:
        ModelError: there is no such version, or its manifest is damaged.
    """
    where = path / places.MANIFEST
    if not path.is_dir():
        raise ModelError("there is no such version", where=path, remedy="See `rca models list`")
    try:
        manifest = msgspec.json.decode(_read(where, LARGEST_MANIFEST), type=_Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as bad:
        raise ModelError(f"the manifest is damaged ({bad})", where=where, remedy=REMEDY) from bad
    missing = {places.DESCRIPTION, places.WEIGHTS, places.CARD} - manifest.files.keys()
    strange = manifest.files.keys() - LARGEST.keys()
    if missing or strange or manifest.format != 1:
        problem = f"the manifest does not list {', '.join(sorted(missing))}" if missing else "the manifest is not ours"
        raise ModelError(problem, where=where, remedy=REMEDY)
    return manifest.files


def read_listed(path: Path, file: str, manifest: Mapping[str, _Entry]) -> bytes:
    """The content of a file of a version, where it is what the manifest says.

    Raises:
        ModelError: it is missing, larger than allowed, truncated or changed.
    """
    where, listed = path / file, manifest.get(file)
    if listed is None:
        raise ModelError("is not in the manifest", where=where, remedy=REMEDY)
    content = _read(where, LARGEST[file])
    if len(content) != listed.bytes:
        problem = f"has {len(content):,} bytes where {listed.bytes:,} were written: truncated, or replaced"
        raise ModelError(problem, where=where, remedy=REMEDY)
    if hashlib.sha256(content).hexdigest() != listed.sha256:
        raise ModelError("is damaged: its hash is not that of the manifest", where=where, remedy=REMEDY)
    return content


def _read(path: Path, most: int) -> bytes:
    if path.is_symlink():
        raise ModelError("is a link, and is not followed", where=path, remedy="Copy the file itself into the folder")
    try:
        with path.open("rb") as file:
            # Python sets aside as much as it is asked for, which a process of little memory does not have.
            content = file.read(min(most, os.fstat(file.fileno()).st_size) + 1)
    except OSError as bad:
        problem = "is missing" if isinstance(bad, FileNotFoundError) else f"cannot be read: {bad.strerror or bad}"
        raise ModelError(problem, where=path, remedy=REMEDY) from bad
    if len(content) > most:
        raise ModelError(f"is larger than {most:,} bytes", where=path, remedy=REMEDY)
    return content
