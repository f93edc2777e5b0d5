"""One lesson: learn from what is confirmed, compare with the untrained answer, keep, and put into use if not worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rca.errors import ModelError
from rca.evaluation.measures import measures, score_card, stack, worst_rank
from rca.learning.confirmed import Confirmed
from rca.learning.explanation import Moved, explain_weights
from rca.learning.learned import ENOUGH, LearnedModel
from rca.learning.storage import load_learned
from rca.learning.training import INNER_FOLDS, Training, train
from rca.learning.versions import UNTRAINED, add_version, promote, read_card, read_pointer
from rca.registry.places import versions_of
from rca.types import to_nanoseconds

# Labels believed less than this are named: others do not bear them out.
DOUBTFUL = 0.1


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a lesson came to.

    Attributes:
        version: that was made, "" where none was.
        promoted: whether it is in use now.
        reason: why, in a sentence.
        figures: AC@1, AC@3 and MRR of "learned" and "untrained" on held-out incidents.
        moved: the weights that moved most against the version in use before, largest first.
        doubtful: incidents whose label is hardly believed.
    """

    version: str
    promoted: bool
    reason: str
    figures: dict[str, dict[str, float]]
    moved: tuple[Moved, ...] = ()
    doubtful: tuple[str, ...] = ()


def is_new(folder: Path, fingerprint: str) -> bool:
    """Whether the last version was learnt from something else."""
    there = versions_of(folder)
    return not there or read_card(folder, there[-1]).get("fingerprint") != fingerprint


def learn(incidents: Sequence[Confirmed], folder: Path, *, fingerprint: str, time: str) -> Outcome:
    """Learn, keep the weights as a new version, and use them where they rank held-out incidents no worse.

    Args:
        incidents: what is confirmed; fewer than 20 teach nothing.
        folder: of the name to keep versions under.
        fingerprint: of what was learnt from.
        time: of the lesson, ISO 8601.

    Raises:
        ModelError: the version cannot be written.
    """
    to_nanoseconds(time)
    if len(incidents) < ENOUGH:
        reason = f"{len(incidents)} incidents are confirmed, {ENOUGH} are needed: the untrained answer stays"
        return Outcome(version="", promoted=False, reason=reason, figures={})
    training = train(incidents)
    figures = held_out_figures(training, incidents)
    model = replace(training.model, figures=figures)
    former = _in_use(folder)
    moved = explain_weights(training, former)
    doubtful = tuple(
        one.description.incident for one, belief in zip(incidents, training.belief, strict=True) if belief < DOUBTFUL
    )
    promotable = all(figures["learned"][name] >= figures["untrained"][name] for name in ("AC@1", "MRR"))
    card: dict[str, Any] = {
        "time": time,
        "fingerprint": fingerprint,
        "incidents": len(incidents),
        "users": sorted({one.who for one in incidents if one.who}),
        "held_out": figures,
        "temperature": model.temperature,
        "moved": [row.to_dict() for row in moved],
        "doubtful": list(doubtful),
    }
    version = add_version(folder, model, card)
    if promotable:
        promote(folder, version, time=time)
    verb = "no worse" if promotable else "worse"
    reason = f"on incidents held out ({INNER_FOLDS}-fold) it ranks {verb} than the untrained answer"
    return Outcome(version=version, promoted=promotable, reason=reason, figures=figures, moved=moved, doubtful=doubtful)


def held_out_figures(training: Training, incidents: Sequence[Confirmed]) -> dict[str, dict[str, float]]:
    """AC@1, AC@3 and MRR of the learned and the untrained answer on the same incidents, ties at the worst rank."""
    cards: dict[str, list[Any]] = {"learned": [], "untrained": []}
    for i, one in enumerate(incidents):
        names = one.description.candidates
        right = [names[c] for c in sorted(one.causes)]
        for method, scores in (("learned", training.held_out.of(i)), ("untrained", one.description.untrained)):
            found = dict(zip(names, np.asarray(scores).tolist(), strict=True))
            cards[method].append(score_card(worst_rank(found, right)))
    return {
        method: {name: value for name, value in measures(stack(rows)).items() if name in ("AC@1", "AC@3", "MRR")}
        for method, rows in cards.items()
    }


def _in_use(folder: Path) -> LearnedModel | None:
    """The weights in use; None where there are none, or they cannot be read, which a new version mends."""
    try:
        current = read_pointer(folder).current
        return None if current == UNTRAINED else load_learned(folder / current)
    except ModelError:
        return None
