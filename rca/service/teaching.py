"""What a worker process does in a lesson, once all snapshots were looked at: learn."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from rca.errors import ModelError
from rca.learning.confirmed import Confirmed, confirm
from rca.learning.lesson import learn as learn_lesson
from rca.learning.storage import WEIGHTS
from rca.learning.versions import CARD, CURRENT, Pointer
from rca.service.frames import Answer
from rca.similar.kind_storage import pack_kinds
from rca.similar.kinds import learn_kinds
from rca.similar.observation import Observation, unpack

Progress = Callable[[str], None]
# What the weights of a service are called in reports.
NAME = "service"


class Label(msgspec.Struct, array_like=True):
    """What a person said of an incident; ``who`` is bounded together."""

    component: str
    kind: str
    who: str


class Came(msgspec.Struct):
    """What a lesson came to; see ``rca.learning.lesson.Outcome``. ``taught``: those whose cause was a candidate."""

    version: str
    promoted: bool
    reason: str
    confirmed: int
    taught: int
    card: str = ""


def learn(parameters: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    """Learns as ``rca learn`` does, from observations and what people said of them.

    The first content are the weights ``in_use`` (empty: none), the others observations in the order of the labels;
    ``latest`` is the last version that was made. The answer holds the new weights and kinds, where there are any.
    """
    labels = msgspec.convert(parameters["labels"], list[Label])
    in_use, seen = blobs[0], [unpack(blob) for blob in blobs[1:]]
    found = [one for one in map(_confirmed, seen, labels) if one is not None]
    progress(f"learning from {len(found)} incidents")
    with tempfile.TemporaryDirectory(prefix="rca-lesson-") as root:
        folder = Path(root) / NAME
        _lay_out(folder, parameters["in_use"], in_use, parameters["latest"])
        outcome = learn_lesson(found, folder, fingerprint=parameters["fingerprint"], time=parameters["time"])
        came = Came(outcome.version, outcome.promoted, outcome.reason, len(labels), len(found))
        if not outcome.version:
            return Answer("result", {"came": msgspec.to_builtins(came)})
        new = folder / outcome.version
        weights, card = (new / WEIGHTS).read_bytes(), (new / CARD).read_text(encoding="utf-8")
    progress("learning kinds of causes")
    kinds = learn_kinds([one for one in map(_portrayed, seen, labels) if one is not None])
    came.card = card
    content = b"" if kinds is None else pack_kinds(kinds)
    return Answer("result", {"came": msgspec.to_builtins(came)}, [weights, content])


def _confirmed(seen: Observation, label: Label) -> Confirmed | None:
    return confirm(seen.description, [label.component], kind=label.kind, who=label.who)


def _portrayed(seen: Observation, label: Label) -> Confirmed | None:
    return confirm(seen.portrait.description, [label.component], kind=label.kind, who=label.who)


def _lay_out(folder: Path, in_use: str, weights: bytes, latest: str) -> None:
    """A folder as ``rca learn`` keeps it, so that the next version gets its number and is compared with the last."""
    try:
        for version in sorted({in_use, latest} - {""}):
            (folder / version).mkdir(parents=True, exist_ok=True)
        if in_use:
            (folder / in_use / WEIGHTS).write_bytes(weights)
            (folder / CURRENT).write_bytes(msgspec.json.encode(Pointer(current=in_use)))
    except OSError as bad:
        raise ModelError(f"cannot be written: {bad.strerror}", where=folder, remedy="Check space and rights") from bad
