"""The arrays of a detector as one safetensors file: numbers and nothing that could run.

safetensors knows no texts: an array of texts is kept as the code points that it is made of, and its
type stands in the description beside the file.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from rca.errors import ModelError

# Far more than the weights of 100,000 components.
MOST_BYTES = 4 << 30
REMEDY = "Train the model again, or go back with `rca models rollback`"
_PICKLES = (b"\x80", b"PK\x03\x04", b"(", b"c")  # pickle, torch.save and the protocols before


class ArrayFacts(msgspec.Struct, forbid_unknown_fields=True):
    """What is known of an array before it is read.

    Attributes:
        dtype: as numpy writes it, such as ``<f4``.
        shape: its lengths.
        missing: how many of its values are NaN; infinite ones are never kept.
    """

    dtype: str
    shape: list[int]
    missing: int = 0


def dump_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """The content of a safetensors file; the same arrays give the same bytes.

    Raises:
        ModelError: an array holds objects or infinities.
    """
    from safetensors.numpy import save

    for name, array in arrays.items():
        if array.dtype.kind not in "biufU" or (array.dtype.itemsize > 8 and array.dtype.kind == "f"):
            raise ModelError(f"an array of {array.dtype} cannot be kept", where=name, remedy="Keep numbers or texts")
        if array.dtype.kind == "f" and bool(np.isinf(array).any()):
            raise ModelError("a weight is infinite", where=name, remedy="Look at the samples that it was trained with")
    return save({name: _plain(array) for name, array in arrays.items()})


def facts_of(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, ArrayFacts]:
    """Type, shape and missing values of each array, in order of their names."""
    return {
        name: ArrayFacts(
            dtype=_little(arrays[name]).str, shape=list(arrays[name].shape), missing=_missing(arrays[name])
        )
        for name in sorted(arrays)
    }


def load_arrays(content: bytes, facts: Mapping[str, ArrayFacts], *, where: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a safetensors file, which have to be those that ``facts`` tell.

    Raises:
        ModelError: no safetensors, or an array is missing, unknown, of another type or shape, or holds
            NaN or infinities that were not there when it was written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or size > len(content) - 8 or content[8:9] != b"{":
        what = "a pickle, which is never read" if content.startswith(_PICKLES) else "truncated, or not safetensors"
        raise ModelError(f"the weights are {what}", where=where, remedy=REMEDY)
    try:
        found = load(content)
    except (SafetensorError, ValueError, KeyError, TypeError) as bad:
        raise ModelError(f"the weights are no safetensors, or damaged ({bad})", where=where, remedy=REMEDY) from bad
    for name in sorted(found.keys() ^ facts.keys()):
        problem = "is missing" if name in facts else "is unknown to model.json"
        raise ModelError(f"the array {name[:80]!r} {problem}", where=where, remedy=REMEDY)
    return {name: _checked(found[name], facts[name], name, where) for name in facts}


def _plain(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Contiguous little-endian numbers; texts as code points with one dimension more."""
    plain = np.ascontiguousarray(array, _little(array)).reshape(array.shape)
    return plain.view("<u4").reshape(*array.shape, plain.dtype.itemsize // 4) if array.dtype.kind == "U" else plain


def _little(array: npt.NDArray[Any]) -> np.dtype[Any]:
    return np.dtype("<U1") if array.dtype.itemsize == 0 else array.dtype.newbyteorder("<")


def _checked(array: npt.NDArray[Any], facts: ArrayFacts, name: str, where: str) -> npt.NDArray[Any]:
    array = _texts(array, facts)
    if array.dtype.str != facts.dtype or list(array.shape) != facts.shape:
        found, wanted = (f"{kind} of shape {shape}" for kind, shape in _kinds(array, facts))
        raise ModelError(
            f"the array {name[:80]!r} is {found} where model.json says {wanted}", where=where, remedy=REMEDY
        )
    if array.dtype.kind == "f" and (_missing(array) != facts.missing or bool(np.isinf(array).any())):
        raise ModelError(f"the array {name[:80]!r} holds values that are no numbers", where=where, remedy=REMEDY)
    return array


def _texts(array: npt.NDArray[Any], facts: ArrayFacts) -> npt.NDArray[Any]:
    if not facts.dtype.startswith("<U") or array.dtype.str != "<u4" or not array.ndim or not array.shape[-1]:
        return array
    if array.size and int(array.max()) > sys.maxunicode:
        return array
    return np.ascontiguousarray(array).view(f"<U{array.shape[-1]}").reshape(array.shape[:-1])


def _kinds(array: npt.NDArray[Any], facts: ArrayFacts) -> tuple[tuple[str, list[int]], tuple[str, list[int]]]:
    return (array.dtype.str, list(array.shape)), (facts.dtype, facts.shape)


def _missing(array: npt.NDArray[Any]) -> int:
    return int(np.count_nonzero(np.isnan(array))) if array.dtype.kind == "f" else 0
