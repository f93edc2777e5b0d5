"""Confirmed incidents: descriptions with the cause that a person or a labelled set named.

What the engine itself believed is never among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rca.learning.description import Description

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """One incident whose cause is known.

    Attributes:
        description: what the analysis saw of it.
        causes: positions of the confirmed components among its candidates, at least one.
        kind: type of the fault in the confirmer's words, "" where nobody said.
        who: who confirmed it, "" for the labels of a data set.
    """

    description: Description
    causes: frozenset[int]
    kind: str = ""
    who: str = ""

    @property
    def service(self) -> str:
        """The service of the confirmed cause; the first by name where there are several."""
        return min(self.description.services[i] for i in self.causes)

    @property
    def component(self) -> str:
        """The confirmed component; the first by name where there are several."""
        return min(self.description.candidates[i] for i in self.causes)


def confirm(description: Description, components: Iterable[str], *, kind: str = "", who: str = "") -> Confirmed | None:
    """A description with its cause; None where none of the components was a candidate, so that nothing is to be learnt.

    A service stands for its replicas where it is no candidate itself.
    """
    place = {name: i for i, name in enumerate(description.candidates)}
    named = set(components)
    causes = frozenset(place[name] for name in named if name in place)
    if not causes:
        causes = frozenset(i for i, service in enumerate(description.services) if service in named)
    return Confirmed(description=description, causes=causes, kind=kind.strip(), who=who.strip()) if causes else None


def deal_folds(incidents: Sequence[Confirmed], folds: int, *, seed: int) -> list[Codes]:
    """Positions of the incidents in ``folds`` parts, stratified by kind and cause: each part holds its share of each.

    Incidents are shuffled with the seed, ordered by kind and cause, and dealt in turn.
    """
    shuffled = np.random.default_rng(seed).permutation(len(incidents))
    strata = sorted(shuffled.tolist(), key=lambda i: (incidents[i].kind, incidents[i].component))
    dealt = np.array(strata, np.int64)
    return [np.sort(dealt[fold::folds]) for fold in range(folds)]
