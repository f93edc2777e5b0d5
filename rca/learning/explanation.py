"""Which weights moved, by how much, and how many confirmed incidents stand behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from rca.learning.learned import LearnedModel
from rca.learning.scene import Feature
from rca.learning.training import Training

MOST_TOLD = 20
_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "shown": "shows",
        "alone": "alone among its replicas shows",
        "many": "shows many times over",
        "surprise": "surprise of",
        "unusual": "unusual, when it is not the cause:",
        "of_service": "on the service",
        "amount": "in sum:",
        "around": "surroundings:",
        "client": "clients:",
        "cause": "rule from it to others:",
        "effect": "rule from others to it:",
        "service": "is of the service",
        "component": "is",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One weight, in log odds per unit of its feature, the mean over types of fault.

    ``support`` counts the confirmed incidents whose cause has the feature.
    """

    what: str
    before: float
    after: float
    support: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values, rounded."""
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(self).items()}


def explain_weights(training: Training, former: LearnedModel | None, *, most: int = MOST_TOLD) -> tuple[Moved, ...]:
    """The weights that moved most against the former ones (against none: from 0), largest move first."""
    after, before = effective(training.model), {} if former is None else effective(former)
    support = dict(zip(training.model.columns.features, training.support.tolist(), strict=True))
    moves = {feature: after.get(feature, 0.0) - before.get(feature, 0.0) for feature in {*after, *before}}
    chosen = sorted(moves, key=lambda feature: (-abs(moves[feature]), feature))[:most]
    return tuple(
        Moved(
            what=wording(feature),
            before=before.get(feature, 0.0),
            after=after.get(feature, 0.0),
            support=support.get(feature, 0),
        )
        for feature in chosen
    )


def effective(model: LearnedModel) -> dict[Feature, float]:
    """The weight of each feature in log odds per unit, the mean over types of fault."""
    weights = model.columns.scale * (model.weights.common + model.weights.by_type.mean(axis=1))
    return dict(zip(model.columns.features, np.asarray(weights).tolist(), strict=True))


def wording(feature: Feature) -> str:
    """A feature as people read it."""
    group, name = feature
    plain = group.rstrip("012")
    if plain == "of_service":
        name = name.replace("|", " shows ", 1)
    return f"{_WORDS.get(plain, plain)} {' '.join(name.split())}"
