"""Precedents: confirmed incidents, and the nearest of them to another one.

Two things make a precedent near: how likely the incident has the precedent's confirmed kind of cause, which
weights learnt from the confirmed ones say (with fewer than 20 they say nothing, and all kinds count alike), and how
much the two causality graphs resemble each other. The first leads, the second orders precedents of one kind.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from rca.learning.confirmed import Confirmed, confirm
from rca.similar.kinds import KindModel, learn_kinds
from rca.similar.portrait import Portrait
from rca.similar.shape import PARTS, Shape

# Share of nearness that the kind of cause decides where it is known; the rest is the resemblance of the graphs.
OF_KIND = 0.75
# Less resemblance than this is none: two incidents that share only what nearly all show.
LEAST = 0.02


@dataclass(frozen=True, kw_only=True)
class Precedent:
    """A past incident whose cause people have confirmed.

    Attributes:
        portrait: what it looked like.
        components: the confirmed cause, equally right names of it.
        kind: of the cause in the confirmer's words, "" where nobody said.
        change: id of the change that did it, "" where none is known.
        resolutions: what ended it, in people's words, oldest first.
        title: what it was called.
        start: begin of its window, ns.
        who: who confirmed it, "" for the labels of a data set.
    """

    portrait: Portrait
    components: tuple[str, ...]
    kind: str = ""
    change: str = ""
    resolutions: tuple[str, ...] = ()
    title: str = ""
    start: int = 0
    who: str = ""

    @property
    def incident(self) -> str:
        """Its id."""
        return self.portrait.incident

    @cached_property
    def confirmed(self) -> Confirmed | None:
        """The same for learning; None where the cause showed nothing."""
        return confirm(self.portrait.description, self.components, kind=self.kind, who=self.who)


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A precedent and how near it is.

    ``similarity`` in [0, 1] orders; it is made of ``belief``, the probability of the precedent's kind of cause
    (None where nothing was learnt, or the kind is not known), and ``resemblance`` of the graphs, both in [0, 1].
    ``shared`` are the signs of both incidents that tell most, rarest first.
    """

    precedent: Precedent
    similarity: float
    belief: float | None
    resemblance: float
    shared: tuple[str, ...]


class Precedents:
    """Confirmed incidents to compare with; of two with the same id the later one in the sequence counts."""

    def __init__(self, precedents: Iterable[Precedent], *, kinds: KindModel | None = None) -> None:
        self.all = tuple({one.incident: one for one in precedents}.values())
        self.kinds = kinds
        self._rarity = {part: _rarity([one.portrait.shape[part] for one in self.all]) for part in PARTS}

    @classmethod
    def learn(cls, precedents: Iterable[Precedent]) -> Precedents:
        """With weights of kinds that all of them teach; none of them may then be asked about."""
        known = tuple(precedents)
        return cls(known, kinds=learn_kinds([one.confirmed for one in known if one.confirmed is not None]))

    def __len__(self) -> int:
        return len(self.all)

    def nearest(self, portrait: Portrait, most: int = 5, *, but: Collection[str] = ()) -> tuple[Neighbour, ...]:
        """The nearest precedents, nearest first, then the latest, then by id.

        Args:
            portrait: the incident that is asked about; itself it is never among the answers.
            most: how many at most.
            but: ids of others that are left out.
        """
        belief = {} if self.kinds is None else self.kinds.of(portrait.description)
        found = [
            self._compare(portrait, one, belief)
            for one in self.all
            if one.incident != portrait.incident and one.incident not in but
        ]
        near = [one for one in found if one.resemblance >= LEAST]
        near.sort(key=lambda one: (-one.similarity, -one.precedent.start, one.precedent.incident))
        return tuple(near[:most])

    def _compare(self, portrait: Portrait, other: Precedent, belief: Mapping[str, float]) -> Neighbour:
        resemblance, shared = self._resemblance(portrait.shape, other.portrait.shape)
        known = belief.get(other.kind) if other.kind else None
        of_kind = known
        if belief and known is None:  # as likely as any kind
            of_kind = 1.0 / (len(belief) + 1)
        similarity = resemblance if of_kind is None else of_kind * (OF_KIND + (1.0 - OF_KIND) * resemblance)
        return Neighbour(precedent=other, similarity=similarity, belief=known, resemblance=resemblance, shared=shared)

    def _resemblance(self, a: Shape, b: Shape) -> tuple[float, tuple[str, ...]]:
        """Cosines of the parts, features weighted by rarity, averaged by the parts' weights."""
        total = weights = 0.0
        for part, weight in PARTS.items():
            rarity = self._rarity[part]
            lengths = _length(a[part], rarity) * _length(b[part], rarity)
            if not a[part] and not b[part]:
                continue
            weights += weight
            if lengths:
                total += weight * _squares(a[part] & b[part], rarity) / lengths
        return (min(total / weights, 1.0) if weights else 0.0), self._rarest(a["events"] & b["events"])

    def _rarest(self, features: frozenset[str]) -> tuple[str, ...]:
        """Signs without their level, those that fewest precedents show first."""
        rarity = self._rarity["events"]
        ordered = sorted(features, key=lambda name: (-rarity.get(name, 0.0), name))
        return tuple(dict.fromkeys(name.partition(" ")[2] for name in ordered))


def _rarity(shapes: Sequence[frozenset[str]]) -> dict[str, float]:
    """Feature -> log of the share of incidents that show it, negated; what all show says nothing."""
    counts = Counter(feature for shape in shapes for feature in shape)
    return {feature: math.log((len(shapes) + 1) / (count + 0.5)) for feature, count in counts.items()}


def _squares(features: frozenset[str], rarity: Mapping[str, float]) -> float:
    return math.fsum(rarity.get(feature, 0.0) ** 2 for feature in features)


def _length(features: frozenset[str], rarity: Mapping[str, float]) -> float:
    return math.sqrt(_squares(features, rarity))
