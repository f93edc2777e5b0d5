"""Observation: what the untrained analysis saw of one incident, kept so that nobody need analyse it again to learn.

It is made before anything learnt has its say, and holds features only: who was the cause comes from people, later.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from rca.causality import CausalityGraph
from rca.errors import ModelError
from rca.extract.context import Context
from rca.learning.description import Description, describe
from rca.learning.scene import Feature
from rca.learning.tokens import Token
from rca.ranking import Ranking
from rca.similar.portrait import Portrait, portray

# Twenty times what an incident with a thousand candidates needs.
MOST_BYTES = 64 << 20
_LEVEL = 6


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One analysed incident.

    Attributes:
        description: what weights are learnt from.
        portrait: what other incidents are compared with.
        named, culprit: the component and the change that the report named; told of a precedent only where people
            confirmed that component, and never learnt from.
    """

    description: Description
    portrait: Portrait
    named: str = ""
    culprit: str = ""


class _Description(msgspec.Struct, array_like=True):
    incident: str
    candidates: tuple[str, ...]
    services: tuple[str, ...]
    features: tuple[dict[Feature, float], ...]
    context: dict[Feature, float]
    tokens: tuple[dict[Token, float], ...]
    untrained: list[float]


class _Observation(msgspec.Struct, array_like=True):
    description: _Description
    portrait: _Description
    shape: dict[str, list[str]]
    named: str
    culprit: str


_ENCODER = msgspec.msgpack.Encoder(enc_hook=float)
_DECODER = msgspec.msgpack.Decoder(_Observation)


def look(
    context: Context, graph: CausalityGraph, ranking: Ranking, *, named: str = "", culprit: str = ""
) -> Observation:
    """What an analysis saw; ``ranking`` is the untrained one, the rest what the report named."""
    incident = context.case.incident.id
    scores = dict(zip(ranking.names, ranking.scores.tolist(), strict=True))
    return Observation(
        description=describe(graph, ranking, context.topology, context.members, incident=incident),
        portrait=portray(graph, scores, context.topology, incident=incident),
        named=named,
        culprit=culprit,
    )


def pack(observation: Observation) -> bytes:
    """An observation as bytes, some 15 kB; the ids of events, which nothing is learnt from, are left out."""
    packed = _Observation(
        description=_packed(observation.description),
        portrait=_packed(observation.portrait.description),
        shape={part: sorted(features) for part, features in sorted(observation.portrait.shape.items())},
        named=observation.named,
        culprit=observation.culprit,
    )
    return zlib.compress(_ENCODER.encode(packed), _LEVEL)


def unpack(content: bytes) -> Observation:
    """What ``pack`` made bytes of.

    Raises:
        ModelError: they are damaged, or of another version.
    """
    try:
        packed = _DECODER.decode(inflate(content))
        return Observation(
            description=_description(packed.description),
            portrait=Portrait(
                description=_description(packed.portrait),
                shape={part: frozenset(features) for part, features in packed.shape.items()},
            ),
            named=packed.named,
            culprit=packed.culprit,
        )
    except (zlib.error, msgspec.MsgspecError, ValueError, TypeError) as bad:
        raise ModelError(
            f"what an analysis saw is damaged ({bad})", remedy="Analyse the incident's snapshot again"
        ) from bad


def is_sound(content: bytes) -> bool:
    """Whether an observation's checksum fits."""
    try:
        inflate(content)
    except (zlib.error, ValueError):
        return False
    return True


def inflate(content: bytes) -> bytes:
    """Inflates with its checksum compared, up to ``MOST_BYTES``.

    Raises:
        ValueError: it is larger, or cut off. zlib.error: it is damaged.
    """
    inflater = zlib.decompressobj()
    found = inflater.decompress(content, MOST_BYTES)
    if not inflater.eof:
        raise ValueError("it is cut off or too large")
    return found


def _packed(description: Description) -> _Description:
    return _Description(
        incident=description.incident,
        candidates=description.candidates,
        services=description.services,
        features=description.features,
        context=description.context,
        tokens=tuple(map(dict, description.tokens)),
        untrained=description.untrained.tolist(),
    )


def _description(packed: _Description) -> Description:
    count = len(packed.candidates)
    rows: tuple[tuple[Any, ...] | list[float], ...] = (
        packed.services,
        packed.features,
        packed.tokens,
        packed.untrained,
    )
    if any(len(column) != count for column in rows):
        raise ValueError("its candidates do not fit")
    nothing: Mapping[Token, tuple[str, ...]] = {}
    return Description(
        incident=packed.incident,
        candidates=packed.candidates,
        services=packed.services,
        features=packed.features,
        context=packed.context,
        tokens=packed.tokens,
        events=(nothing,) * count,
        untrained=np.array(packed.untrained, np.float64),
    )
