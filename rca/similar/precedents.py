"""Precedents: confirmed incidents, and the nearest of them to another one.

Two things make a precedent near: how likely the incident has the precedent's confirmed kind of cause, which
weights learnt from the confirmed ones say (with fewer than 20 they say nothing, and all kinds count alike), and how
much the two causality graphs resemble each other. The first leads, the second orders precedents of one kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from rca.learning.confirmed import Confirmed, confirm
from rca.similar.kinds import KindModel, learn_kinds
from rca.similar.portrait import Portrait
from rca.similar.shape import PARTS, Shape

Floats = npt.NDArray[np.float64]

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
        self._parts = {part: _Part.of([one.portrait.shape[part] for one in self.all]) for part in PARTS}

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
        resemblance = self._resemblance(portrait.shape).tolist()
        asked = {portrait.incident, *but}
        near = [
            (_similarity(belief, one.kind, alike), alike, one)
            for alike, one in zip(resemblance, self.all, strict=True)
            if one.incident not in asked and alike >= LEAST
        ]
        near.sort(key=lambda each: (-each[0], -each[2].start, each[2].incident))
        return tuple(
            Neighbour(
                precedent=one,
                similarity=similarity,
                belief=belief.get(one.kind),
                resemblance=alike,
                shared=self._rarest(portrait.shape["events"] & one.portrait.shape["events"]),
            )
            for similarity, alike, one in near[:most]
        )

    def _resemblance(self, shape: Shape) -> Floats:
        """Cosines of the parts, features weighted by rarity, averaged by the parts' weights, shape (precedents,)."""
        total, weights = np.zeros(len(self.all)), np.zeros(len(self.all))
        for name, weight in PARTS.items():
            part = self._parts[name]
            total += weight * part.cosines(shape[name])
            weights += weight * (part.filled | bool(shape[name]))
        return np.clip(total / np.maximum(weights, 1e-12), 0.0, 1.0)

    def _rarest(self, features: frozenset[str]) -> tuple[str, ...]:
        """Signs without their level, those that fewest precedents show first."""
        part = self._parts["events"]
        ordered = sorted(features, key=lambda name: (-part.rarity[part.place[name]], name))
        return tuple(dict.fromkeys(name.partition(" ")[2] for name in ordered))


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One part of all precedents' signatures.

    Attributes:
        place: feature -> column, sorted.
        rarity: log of the share of precedents that show each feature, negated, shape (columns,).
        rows: precedents by features, float64, of length 1 each (0 where empty), shape (precedents, columns).
        filled: bool, which precedents have any feature.
    """

    place: Mapping[str, int]
    rarity: Floats
    rows: sparse.csr_array
    filled: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, shapes: Sequence[frozenset[str]]) -> _Part:
        """Of the precedents' signatures, in order."""
        counts = Counter(feature for shape in shapes for feature in shape)
        place = {feature: i for i, feature in enumerate(sorted(counts))}
        rarity = np.log((len(shapes) + 1) / (np.array([counts[feature] for feature in place], np.float64) + 0.5))
        codes = [np.array(sorted(place[feature] for feature in shape), np.int64) for shape in shapes]
        starts = np.cumsum([0, *(len(code) for code in codes)])
        values = [rarity[code] / max(float(np.linalg.norm(rarity[code])), 1e-12) for code in codes]
        rows = sparse.csr_array(
            (_joined(values, np.float64), _joined(codes, np.int64), starts), shape=(len(shapes), len(place))
        )
        return cls(place=place, rarity=rarity, rows=rows, filled=np.array([bool(shape) for shape in shapes], bool))

    def cosines(self, features: frozenset[str]) -> Floats:
        """Cosine of each precedent with these features, of which unknown ones do not count, shape (precedents,)."""
        known = sorted(self.place[feature] for feature in features if feature in self.place)
        vector = np.zeros(len(self.place))
        vector[known] = self.rarity[known]
        return np.asarray(self.rows @ vector) / max(float(np.linalg.norm(vector)), 1e-12)


def _joined(arrays: Sequence[npt.NDArray[Any]], kind: type) -> npt.NDArray[Any]:
    return np.concatenate([np.zeros(0, kind), *arrays])


def _similarity(belief: Mapping[str, float], kind: str, resemblance: float) -> float:
    """A kind that is not known is as likely as any."""
    if not belief:
        return resemblance
    return belief.get(kind, 1.0 / (len(belief) + 1)) * (OF_KIND + (1.0 - OF_KIND) * resemblance)
