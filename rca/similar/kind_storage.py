"""Weights of kinds as bytes: numbers and texts, compressed with a checksum; no pickle."""

from __future__ import annotations

import zlib

import msgspec
import numpy as np
import numpy.typing as npt

from rca.errors import ModelError
from rca.learning.background import Background
from rca.learning.columns import SCALES, Columns
from rca.learning.scene import Feature
from rca.learning.softmax import Softmax
from rca.similar.kinds import KindModel
from rca.similar.observation import inflate

_PARTS = ("common", "by_type", "context")


class _Array(msgspec.Struct, array_like=True):
    shape: tuple[int, ...]
    content: bytes


class _Model(msgspec.Struct, array_like=True):
    kinds: tuple[str, ...]
    columns: tuple[Feature, ...]
    context_columns: tuple[Feature, ...]
    shown: dict[tuple[str, int, str], int]
    present: dict[str, int]
    service_of: dict[str, str]
    services: list[str]
    who: dict[str, _Array]
    reading: dict[str, _Array]
    prior: float


def pack_kinds(model: KindModel) -> bytes:
    """The weights as bytes, the same for the same weights."""
    background = model.background
    packed = _Model(
        kinds=model.kinds,
        columns=model.columns.features,
        context_columns=model.context_columns.features,
        shown=dict(sorted(background.shown.items())),
        present=dict(sorted(background.present.items())),
        service_of=dict(sorted(background.service_of.items())),
        services=sorted(model.services),
        who=_packed(model.who),
        reading=_packed(model.reading),
        prior=model.prior,
    )
    return zlib.compress(msgspec.msgpack.encode(packed), 6)


def unpack_kinds(content: bytes) -> KindModel:
    """What ``pack_kinds`` made bytes of.

    Raises:
        ModelError: they are damaged, or not made of finite numbers.
    """
    try:
        packed = msgspec.msgpack.decode(inflate(content), type=_Model)
        if any(group not in SCALES for group, _ in (*packed.columns, *packed.context_columns)):
            raise ValueError("a group of features is unknown")
        columns, context = len(packed.columns), len(packed.context_columns)
        return KindModel(
            kinds=packed.kinds,
            columns=Columns(features=packed.columns),
            context_columns=Columns(features=packed.context_columns),
            background=Background(shown=packed.shown, present=packed.present, service_of=packed.service_of),
            services=frozenset(packed.services),
            who=_softmax(packed.who, columns, context, 1),
            reading=_softmax(packed.reading, columns, context, len(packed.kinds)),
            prior=packed.prior,
        )
    except (zlib.error, msgspec.MsgspecError, ValueError, TypeError, KeyError) as bad:
        raise ModelError(
            f"the weights of kinds are damaged ({bad})", remedy="Learn again: rca learn --url URL"
        ) from bad


def _packed(weights: Softmax) -> dict[str, _Array]:
    found = {}
    for name in _PARTS:
        array = np.ascontiguousarray(getattr(weights, name), "<f8")
        found[name] = _Array(array.shape, array.tobytes())
    return found


def _softmax(packed: dict[str, _Array], columns: int, context: int, kinds: int) -> Softmax:
    shapes = {"common": (columns,), "by_type": (columns, kinds), "context": (context, kinds)}
    parts: dict[str, npt.NDArray[np.float64]] = {}
    for name, shape in shapes.items():
        array = np.frombuffer(packed[name].content, "<f8").reshape(packed[name].shape)
        if array.shape != shape or not np.isfinite(array).all():
            raise ValueError(f"{name} has another shape, or numbers that are not finite")
        parts[name] = np.asarray(array, np.float64)
    return Softmax(**parts)
