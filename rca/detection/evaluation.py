"""Every method on every entity of a labelled set: means, standard errors and the figures behind them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rca.detection.entity import Entity
from rca.detection.measures import auc_pr, delays, false_alarms, find_segments, range_f1, vus_pr
from rca.detection.methods import METHODS, find_methods
from rca.detection.sets import read_set
from rca.types import SECOND

MEASURES = ("VUS-PR", "AUC-PR", "range-F1", "false_alarms_per_day", "delay")
Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionEvaluation:
    """Figures of a labelled set.

    Attributes:
        dataset: its name.
        entities: their names, in the order in which they were read.
        interval: between samples, in seconds, of the first entity.
        segments: labelled stretches of all entities.
        figures: method -> entity -> measure -> value; NaN where it does not exist, such as the
            delay where nothing was found.
    """

    dataset: str
    entities: tuple[str, ...]
    interval: float
    segments: int
    figures: Mapping[str, Mapping[str, Figures]]

    def mean(self, method: str, measure: str) -> float:
        """Over the entities where the measure exists; NaN where it exists in none."""
        values = self._values(method, measure)
        return float(np.mean(values)) if values else math.nan

    def standard_error(self, method: str, measure: str) -> float:
        """Of the mean, over entities; NaN with fewer than two."""
        values = self._values(method, measure)
        return float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan

    def unfound(self, method: str) -> int:
        """Labelled stretches in which the method raised no alarm."""
        return int(sum(self.figures[method][entity]["unfound"] for entity in self.entities))

    def _values(self, method: str, measure: str) -> list[float]:
        found = (self.figures[method][entity][measure] for entity in self.entities)
        return [value for value in found if not math.isnan(value)]

    def to_json(self) -> str:
        """All figures: means per method, standard errors, and each entity's; null where one does not exist."""
        methods = {}
        for method, by_entity in self.figures.items():
            methods[method] = {
                **{measure: _plain(self.mean(method, measure)) for measure in MEASURES},
                "unfound": self.unfound(method),
                "standard_error": {measure: _plain(self.standard_error(method, measure)) for measure in MEASURES},
                "entities": {
                    entity: {measure: _plain(value) for measure, value in by_entity[entity].items()}
                    for entity in self.entities
                },
            }
        document = {
            "dataset": self.dataset,
            "n": len(self.entities),
            "interval": self.interval,
            "segments": self.segments,
            "methods": methods,
        }
        return json.dumps(document, indent=2) + "\n"


def evaluate_detection(
    dataset: str,
    path: Path,
    *,
    methods: Sequence[str] = (),
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> DetectionEvaluation:
    """Fit each method to each entity's healthy history and measure it on what follows.

    Args:
        dataset: one of ``rca.detection.SETS``.
        path: the folder of the set, or the one it lies in.
        methods: names of ``METHODS``; none: all.
        seed: of whatever is drawn at random.
        progress: told how many of how many fits are done.

    Raises:
        EvaluationError: the set or a method is unknown, or the set is malformed.
    """
    chosen = find_methods(methods or tuple(METHODS))
    entities = read_set(dataset, path)
    figures: dict[str, dict[str, Figures]] = {name: {} for name in chosen}
    done, total = 0, len(entities) * len(chosen)
    for entity in entities:
        for name, score in chosen.items():
            progress(done, total)
            figures[name][entity.name] = measure(score(entity, seed), entity)
            done += 1
    progress(done, total)
    return DetectionEvaluation(
        dataset=dataset,
        entities=tuple(entity.name for entity in entities),
        interval=entities[0].interval / SECOND,
        segments=sum(len(find_segments(entity.label)) for entity in entities),
        figures=figures,
    )


def measure(score: Any, entity: Entity) -> dict[str, float]:
    """All measures of one entity; delays in seconds."""
    late = delays(score, entity.label) * entity.interval / SECOND
    found = late[~np.isnan(late)]
    healthy_days = float(np.mean(~entity.label)) * entity.days
    return {
        "VUS-PR": vus_pr(score, entity.label),
        "AUC-PR": auc_pr(score, entity.label),
        "range-F1": range_f1(score, entity.label),
        "false_alarms_per_day": false_alarms(score, entity.label) / healthy_days if healthy_days else math.nan,
        "delay": float(found.mean()) if len(found) else math.nan,
        "unfound": float(len(late) - len(found)),
    }


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value
