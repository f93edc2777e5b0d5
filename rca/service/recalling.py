"""What a worker process remembers while it analyses: learned weights and confirmed incidents, read from files.

The service lays the files out (``rca.service.experience``); their names change with their content, so what was read
once stays valid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import copy
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from rca.errors import ModelError
from rca.knowledge.records import NO_CHANGE
from rca.learning.confirmed import confirm
from rca.learning.description import Description
from rca.learning.learned import LearnedModel
from rca.learning.storage import load_learned
from rca.report.document import similar_document
from rca.service.frames import Answer
from rca.similar.advice import similar_incident
from rca.similar.kind_storage import unpack_kinds
from rca.similar.kinds import KindModel
from rca.similar.observation import unpack
from rca.similar.portrait import Portrait
from rca.similar.precedents import Precedent, Precedents

Progress = Callable[[str], None]
# Confirmed incidents that are compared with, the latest; ten thousand signs of them stay in memory.
MOST_REMEMBERED = 500


class Remembered(msgspec.Struct, array_like=True, frozen=True):
    """A confirmed incident as the index file names it; ``file`` holds what was seen of it."""

    incident: str
    file: str
    component: str
    kind: str
    resolutions: tuple[str, ...]
    title: str
    start: int
    who: str


def learned_weights(parameters: Mapping[str, Any]) -> LearnedModel | None:
    """The weights to rank with.

    Raises:
        ModelError: they are missing or damaged.
    """
    path = str(parameters.get("learned", ""))
    return _weights(path) if path else None


def precedents_for(incident: str, parameters: Mapping[str, Any]) -> tuple[Precedents | None, int]:
    """The confirmed incidents to compare with, and of how many what was seen is damaged or gone.

    None is compared with itself, nor judged by kinds that it taught.

    Raises:
        ModelError: their list, or the weights of kinds, are damaged or gone.
    """
    index = str(parameters.get("precedents", ""))
    if not index:
        return None, 0
    found, lost = _precedents(index, str(parameters.get("kinds", "")))
    if found.kinds is not None and any(one.incident == incident for one in found.all):
        found = copy(found)
        found.kinds = None
    return found, lost


def compare(parameters: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    """The confirmed incidents nearest to one whose observation is given."""
    portrait = unpack(blobs[0]).portrait
    precedents, _ = precedents_for(str(parameters["incident"]), parameters)
    near = () if precedents is None else precedents.nearest(portrait, int(parameters["most"]))
    return Answer("result", {"similar": [similar_document(similar_incident(one)) for one in near]})


@lru_cache(maxsize=2)
def _weights(path: str) -> LearnedModel:
    return load_learned(path)


@lru_cache(maxsize=2)
def _kinds(path: str) -> KindModel | None:
    return unpack_kinds(_read(path)) if path else None


@lru_cache(maxsize=2)
def _precedents(index: str, kinds: str) -> tuple[Precedents, int]:
    try:
        rows = msgspec.msgpack.decode(_read(index), type=list[Remembered])
    except msgspec.MsgspecError as bad:
        raise ModelError(f"the list of confirmed incidents is damaged ({bad})", where=index) from bad
    folder = Path(index).parent
    found = []
    for row in rows:
        with suppress(ModelError):
            found.append(_precedent(str(folder / row.file), row))
    return Precedents(found, kinds=_kinds(kinds)), len(rows) - len(found)


@lru_cache(maxsize=2 * MOST_REMEMBERED)
def _precedent(path: str, row: Remembered) -> Precedent:
    seen = unpack(_read(path))
    portrait = Portrait(description=_causes_of(seen.portrait.description, row.component), shape=seen.portrait.shape)
    return Precedent(
        portrait=portrait,
        components=(row.component,),
        kind=row.kind,
        change="" if seen.culprit == NO_CHANGE or seen.named != row.component else seen.culprit,
        resolutions=row.resolutions,
        title=row.title,
        start=row.start,
        who=row.who,
    )


def _causes_of(description: Description, component: str) -> Description:
    """What is compared of a precedent's candidates: the signs of the cause; the rest would only fill memory."""
    known = confirm(description, [component])
    places = sorted(known.causes) if known is not None else []
    return Description(
        incident=description.incident,
        candidates=tuple(description.candidates[i] for i in places),
        services=tuple(description.services[i] for i in places),
        features=tuple({} for _ in places),
        context={},
        tokens=tuple(description.tokens[i] for i in places),
        events=tuple({} for _ in places),
        untrained=description.untrained[places],
    )


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as bad:
        raise ModelError(f"cannot be read: {bad.strerror}", where=path, remedy="Analyse the incident again") from bad
