"""Finished chunks of a training on disk, so that a killed one goes on where it was.

A file is a SHA-256, the length of a JSON head, the head, and arrays as safetensors. It is written whole or
not at all, and one that is not as it was written is fitted again.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy.typing as npt

from rca.errors import ModelError
from rca.registry.durable import write_file
from rca.registry.weights import ArrayFacts, dump_arrays, facts_of, load_arrays

PLAN = "plan.json"
# What differs between two plans, in words.
WORDS = {
    "data": "other data",
    "detector": "another detector",
    "seed": "another seed",
    "excluded": "other excluded times",
    "chunks": "other components",
    "former": "another former version",
    "code_version": "another version of rca",
}


class _Head(msgspec.Struct, forbid_unknown_fields=True):
    facts: dict[str, Any]
    arrays: dict[str, ArrayFacts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What the fit of one chunk comes to: facts that JSON can say, and arrays."""

    facts: Mapping[str, Any]
    arrays: Mapping[str, npt.NDArray[Any]]

    def part(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """The arrays whose names begin with ``name/``, without that."""
        return {key[len(name) + 1 :]: array for key, array in self.arrays.items() if key.startswith(f"{name}/")}


def pack(fitted: Fitted) -> bytes:
    """The content of a checkpoint; the same fit gives the same bytes."""
    head = msgspec.json.encode(_Head(facts=dict(fitted.facts), arrays=facts_of(fitted.arrays)), order="deterministic")
    body = len(head).to_bytes(8, "little") + head + dump_arrays(fitted.arrays)
    return hashlib.sha256(body).digest() + body


def unpack(content: bytes, *, where: str) -> Fitted:
    """The reverse of ``pack``.

    Raises:
        ModelError: the content is not as it was written.
    """
    digest, body = content[:32], content[32:]
    if hashlib.sha256(body).digest() != digest:
        raise ModelError("the checkpoint is damaged", where=where, remedy="Remove it: it is fitted again")
    length = int.from_bytes(body[:8], "little")
    try:
        head = msgspec.json.decode(body[8 : 8 + length], type=_Head)
    except msgspec.MsgspecError as bad:
        raise ModelError(f"the checkpoint is damaged ({bad})", where=where, remedy="Remove it") from bad
    return Fitted(facts=head.facts, arrays=load_arrays(body[8 + length :], head.arrays, where=where))


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoints:
    """The finished chunks of one plan in a folder."""

    folder: Path
    chunks: int

    @classmethod
    def open(cls, folder: Path, plan: Mapping[str, Any], chunks: int, *, resume: bool) -> tuple[Checkpoints, str]:
        """The checkpoints of a plan, and what became of those that were there.

        Checkpoints of another plan are removed, as all are where the training is not to go on.
        """
        own = cls(folder=folder, chunks=chunks)
        former = _read_plan(folder / PLAN)
        if former == dict(plan) and resume:
            done = len(own.done())
            return own, f"{done} of {chunks} chunks were fitted already" if done else ""
        found = any(folder.glob("*.chunk"))
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_file(folder / PLAN, msgspec.json.encode(plan, order="deterministic"))
        if not found:
            return own, ""
        if not resume:
            return own, "chunks of an interrupted training were removed: --resume goes on with them"
        told = former or {}
        reasons = [words for key, words in WORDS.items() if told and told.get(key) != plan.get(key)]
        return own, f"the interrupted training was of {', '.join(reasons) or 'another plan'}: begun anew"

    def done(self) -> set[int]:
        """The chunks that are there and whole."""
        return {number for number in range(self.chunks) if self._is_whole(number)}

    def write(self, number: int, content: bytes) -> None:
        """Keeps a finished chunk."""
        write_file(self._path(number), content)

    def read(self, number: int) -> Fitted:
        """A finished chunk.

        Raises:
            ModelError: it is damaged.
        """
        path = self._path(number)
        return unpack(path.read_bytes(), where=str(path))

    def remove(self) -> None:
        """All of it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.chunk"

    def _is_whole(self, number: int) -> bool:
        path = self._path(number)
        if not path.is_file():
            return False
        content = path.read_bytes()
        return hashlib.sha256(content[32:]).digest() == content[:32]


def _read_plan(path: Path) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError):
        return None
