"""What is measured: our detectors, and the simple methods that they have to beat.

The simple methods get the forms in which they are strongest on server telemetry, more than one where
none is best everywhere: windows of the same length as ours or single samples, the mean of the last
ten distances where that helps; and the limit of one half set by the same rule as ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.detection import baselines
from rca.detection.entity import Entity
from rca.detectors.catalogue import find_detector
from rca.errors import EvaluationError

Scores = npt.NDArray[Any]
Method = Callable[[Entity, int], Scores]


def score_by(name: str, entity: Entity, seed: int) -> Scores:
    """Scores of the entity by one of our detectors, in [0, 1]."""
    fitted = find_detector(name).fit(entity.frame("train"), seed=seed)
    found: npt.NDArray[np.float32] = fitted.score_components(entity.frame("test")).scores[0]
    return found


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "rca": partial(score_by, "ensemble"),
        "gaussian": partial(score_by, "gaussian"),
        "mlp": partial(score_by, "mlp"),
        "gru": partial(score_by, "gru"),
        "convolution": partial(score_by, "convolution"),
        "rca-pca": partial(score_by, "pca"),
        "rca-k-means": partial(score_by, "k-means"),
        "robust": partial(score_by, "robust"),
        "pca": baselines.score_pca,
        "k-means": baselines.score_k_means,
        "isolation-forest": baselines.score_isolation_forest,
        "l2": baselines.score_l2,
        "l2-smoothed": baselines.score_l2_smoothed,
        "k-means-smoothed": baselines.score_k_means_smoothed,
        "random": baselines.score_random,
    }
)


def find_methods(names: Sequence[str]) -> dict[str, Method]:
    """Methods by name, in the order asked for.

    Raises:
        EvaluationError: there is none of this name.
    """
    for name in names:
        if name not in METHODS:
            raise EvaluationError("no method has this name", where=name, remedy=f"Choose of {', '.join(METHODS)}")
    return {name: METHODS[name] for name in names}
