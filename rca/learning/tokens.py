"""Tokens: what an event is called where weights are learnt, from its family down to its own name.

A rare event borrows the weight of its family: each event stands at three levels (kind and side of
the call, evidence group, name), and the finer the level the smaller its scale (hierarchical shrinkage).
Names of components never enter a token, so that replicas and services share weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from rca.extract.meaning import classify
from rca.topology import Topology
from rca.types import Event

FAMILY, GROUP, NAME = 0, 1, 2
BLAMED = "dependency.blamed"

Token = tuple[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """What an event contributes to the features of its component.

    ``surprise`` is the natural logarithm of its likelihood ratio, in [0, 9.3]: 1e4 is as far as a
    rate is believed. ``source`` tells where it was seen: "call", "log", "change" or "measure".
    """

    event: int
    tokens: tuple[Token, ...]
    surprise: float
    source: str
    role: str
    peer: str
    operation: str


MOST_SURPRISE = 9.3


def read_sign(event: Event, place: int, topology: Topology) -> Sign:
    """The tokens, surprise and place of one event."""
    evidence, attributes = event.evidence, event.attributes
    operation, peer = attributes.get("operation", ""), attributes.get("peer", "")
    role = attributes.get("role", "")
    own = {event.component, topology.service(event.component)} - {""}
    others = {peer, topology.service(peer) if peer else ""} - {"", *own}
    group = evidence.group if evidence is not None else ""
    if operation and event.kind != BLAMED:
        group = f"{group}{event.name.replace(operation, '')}"
    name = _nameless(_nameless(event.name, own, "@"), others, "@peer")
    side = role or ("client" if _is_client(event.name) else "")
    tokens = (
        (FAMILY, _words(event.kind, side, event.direction)),
        (GROUP, _nameless(_nameless(group, own, "@"), others, "@peer") or event.kind),
        (NAME, _words(event.kind, role, event.direction, name)),
    )
    surprise = 0.0 if evidence is None else min(max(evidence.likelihood, 0.0) * 2.302585092994046, MOST_SURPRISE)
    return Sign(
        event=place,
        tokens=tokens[:1] if event.kind == BLAMED else tokens,
        surprise=surprise,
        source=_source(event, operation),
        role=role,
        peer=peer,
        operation=operation,
    )


def _words(kind: str, side: str, direction: str, name: str = "") -> str:
    """The parts of a token in reading order; a direction that the kind says already, or that is none, is left out."""
    told = direction == "none" or kind.endswith(f".{direction}")
    return " ".join(part for part in (kind, side, "" if told else direction, name) if part)


@lru_cache(maxsize=65_536)
def _is_client(name: str) -> bool:
    return classify(name).side == "client"


def _source(event: Event, operation: str) -> str:
    if event.kind.startswith("change."):
        return "change"
    if event.kind.startswith("log."):
        return "log"
    return "call" if operation else "measure"


def _nameless(text: str, names: set[str], stand_in: str) -> str:
    for name in sorted(names, key=lambda name: (-len(name), name)):
        if name in text:
            text = text.replace(name, stand_in)
    return text
