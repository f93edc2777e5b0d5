"""Learned weights as files: one ``weights.npz`` of plain arrays and JSON texts, each with its checksum; no pickle."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from rca.errors import ModelError
from rca.health.storage import DAMAGE as DAMAGED_ARRAYS
from rca.learning.background import Background
from rca.learning.columns import SCALES, Columns
from rca.learning.learned import LearnedModel
from rca.learning.softmax import Softmax
from rca.registry.durable import write_file

FORMAT = 1
WEIGHTS = "weights.npz"
# Ten thousand incidents of a thousand components stay below this.
MOST_BYTES = 1 << 30
REMEDY = "Learn anew with `rca learn`, or go back with `rca learn rollback`"
DAMAGE = (*DAMAGED_ARRAYS, msgspec.MsgspecError)


class _Head(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is no array; a background's keys are [component, level, sign]."""

    format: int
    name: str
    version: str
    columns: list[tuple[str, str]]
    context_columns: list[tuple[str, str]]
    kinds: list[str]
    services: list[str]
    shown: list[tuple[str, int, str]]
    present: list[str]
    service_of: dict[str, str]
    prior: float
    temperature: float
    incidents: int
    figures: dict[str, Any]


def save_learned(model: LearnedModel, path: Path) -> None:
    """Write weights in one step.

    Raises:
        ModelError: the file cannot be written.
    """
    background = model.background
    shown, present = sorted(background.shown.items()), sorted(background.present.items())
    head = _Head(
        format=FORMAT,
        name=model.name,
        version=model.version,
        columns=list(model.columns.features),
        context_columns=list(model.context_columns.features),
        kinds=list(model.kinds),
        services=sorted(model.services),
        shown=[key for key, _ in shown],
        present=[key for key, _ in present],
        service_of=dict(sorted(background.service_of.items())),
        prior=model.prior,
        temperature=model.temperature,
        incidents=model.incidents,
        figures=dict(model.figures),
    )
    arrays: dict[str, npt.NDArray[Any]] = {
        "head": np.frombuffer(msgspec.json.encode(head), np.uint8),
        "common": model.weights.common,
        "by_type": model.weights.by_type,
        "context": model.weights.context,
        "shown": np.array([count for _, count in shown], np.int64),
        "present": np.array([count for _, count in present], np.int64),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            # The time is fixed: the same weights are the same bytes.
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), content.getvalue())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, buffer.getvalue())
    except OSError as error:
        raise ModelError(f"cannot be written ({error})", where=path, remedy="Choose a folder you may write") from error


def load_learned(path: str | Path) -> LearnedModel:
    """Read weights: a file, or the folder that holds its ``weights.npz``.

    Raises:
        ModelError: there is none, or it is damaged, of another version, or not made of finite numbers.
    """
    path = Path(path)
    path = path / WEIGHTS if path.is_dir() else path
    try:
        arrays = _read(path)
        head = msgspec.json.decode(arrays["head"].tobytes(), type=_Head)
        return _model(head, arrays)
    except FileNotFoundError as error:
        raise ModelError("there are no learned weights", where=path, remedy=REMEDY) from error
    except DAMAGE as error:
        raise ModelError(f"holds no learned weights, or damaged ones ({error})", where=path, remedy=REMEDY) from error


def _read(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a file, each read whole so that its checksum is compared; pickles are refused."""
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MOST_BYTES:
            raise ValueError("it is too large")
        return {
            name.removesuffix(".npy"): np.lib.format.read_array(io.BytesIO(archive.read(name)), allow_pickle=False)
            for name in archive.namelist()
        }


def _model(head: _Head, arrays: Mapping[str, npt.NDArray[Any]]) -> LearnedModel:
    if head.format != FORMAT:
        raise ValueError(f"format {head.format} where {FORMAT} is read")
    columns, context, kinds = len(head.columns), len(head.context_columns), len(head.kinds)
    shapes = {
        "common": (columns,),
        "by_type": (columns, kinds),
        "context": (context, kinds),
        "shown": (len(head.shown),),
        "present": (len(head.present),),
    }
    for name, shape in shapes.items():
        if arrays[name].shape != shape or not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} has another shape, or numbers that are not finite")
    if not (0 <= head.prior <= 1 and 0 < head.temperature < 100 and head.incidents >= 0 and kinds):
        raise ValueError("a number is out of its range")
    if any(group not in SCALES for group, _ in (*head.columns, *head.context_columns)):
        raise ValueError("a group of features is unknown")
    return LearnedModel(
        columns=Columns(features=tuple(head.columns)),
        context_columns=Columns(features=tuple(head.context_columns)),
        weights=Softmax(**{n: np.asarray(arrays[n], np.float64) for n in ("common", "by_type", "context")}),
        background=Background(
            shown=dict(zip(head.shown, arrays["shown"].tolist(), strict=True)),
            present=dict(zip(head.present, arrays["present"].tolist(), strict=True)),
            service_of=head.service_of,
        ),
        kinds=tuple(head.kinds),
        services=frozenset(head.services),
        prior=head.prior,
        temperature=head.temperature,
        incidents=head.incidents,
        name=head.name,
        version=head.version,
        figures=head.figures,
    )
