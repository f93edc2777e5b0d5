"""The ranking by learned weights in the place of the untrained one, with what each score adds up from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from rca.causality import CausalityGraph
from rca.confidence import NOTHING
from rca.errors import ModelError
from rca.extract.context import Context
from rca.learning.contributions import contributions
from rca.learning.description import describe
from rca.learning.learned import ENOUGH, LearnedModel, candidate_rows
from rca.ranking import Belief, Ranking
from rca.stages import Stages

# Less believed candidates are not ranked, unless something speaks against them without learning.
LEAST = 1e-4
# Candidates whose score is told part by part.
MOST_EXPLAINED = 10


def rerank(
    ranking: Ranking,
    graph: CausalityGraph,
    context: Context,
    learned: LearnedModel | str | Path,
    stages: Stages,
) -> Ranking:
    """The ranking by what confirmed causes taught; the untrained one, with a warning, where that cannot be used.

    Where nothing abnormal was found there is nothing to rank: learned weights make no incident.
    """
    model = _usable(learned, stages)
    if model is None or not len(ranking.strength) or ranking.strength[0] < NOTHING:
        return ranking
    description = describe(graph, ranking, context.topology, context.members, incident=context.case.incident.id)
    rows = candidate_rows(description, model.background, model.services)
    probability = model.posterior(description, rows).probability
    code = {name: i for i, name in enumerate(ranking.blame.components)}
    codes = np.array([code[name] for name in description.candidates], np.int64)
    before = {int(c): place for place, c in enumerate(ranking.order)}
    kept = np.array([p >= LEAST or int(c) in before for p, c in zip(probability, codes, strict=True)], bool)
    place = np.array([before.get(int(c), len(codes)) for c in codes])
    order = [i for i in np.lexsort((codes, place, -probability)).tolist() if kept[i]]
    believed = np.clip(probability[order], 1e-12, 1.0 - 1e-12)
    first = description.candidates[order[0]]
    stages.warn(
        f"ranked with learned weights {model.title}, from {model.incidents} confirmed incidents; "
        f"without them the answer is {ranking.first}"
    )
    return replace(
        ranking,
        order=codes[order],
        strength=-np.log1p(-believed),
        first=first,
        onset=ranking.onset_of(int(codes[order[0]])),
        belief=Belief(
            source=model.title,
            probability=believed,
            parts={
                description.candidates[i]: contributions(model, description, rows, i, float(probability[i]))
                for i in order[:MOST_EXPLAINED]
            },
            untrained=dict(zip(ranking.names, ranking.scores.tolist(), strict=True)),
        ),
    )


def _usable(learned: LearnedModel | str | Path, stages: Stages) -> LearnedModel | None:
    if isinstance(learned, LearnedModel):
        model = learned
    else:
        from rca.learning.versions import find_learned

        try:
            model = find_learned(learned)
        except ModelError as error:
            stages.degrade(f"learned weights were not used, the untrained answer stands: {error}")
            return None
    if not model.is_enough:
        stages.warn(
            f"learned weights {model.title} know {model.incidents} confirmed incidents; "
            f"below {ENOUGH} the untrained answer stands"
        )
        return None
    return model
