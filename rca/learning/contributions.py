"""What the learned belief in a candidate adds up from: events, surroundings, who it is, the untrained answer."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from rca.learning.columns import SCALES
from rca.learning.description import Description
from rca.learning.learned import LearnedModel, log_prior, of_unconfirmed
from rca.learning.scene import Features
from rca.learning.softmax import CONTEXT
from rca.types import Contribution

Floats = npt.NDArray[np.float64]

# Contributions by event that are told one by one; the others are summed up.
MOST_TOLD = 6
TIMES = "who it is: how often it was a confirmed cause"
AROUND = "its callers, callees and clients"
RULES = "rules that join its events to others'"
SUMS = "what it shows in sum, against the others"
FAULT = "the type of fault that this looks like"
UNTRAINED = "the untrained answer"
REST = "what speaks for the other candidates"
OTHERS = "its other signs"
UNCONFIRMED = "what the weights leave to services that were never a confirmed cause"
_WHOLE = {
    "service": TIMES,
    "component": TIMES,
    "around": AROUND,
    "client": AROUND,
    "cause": RULES,
    "effect": RULES,
    "amount": SUMS,
}


def contributions(
    model: LearnedModel, description: Description, rows: Sequence[Features], candidate: int, probability: float
) -> tuple[Contribution, ...]:
    """What adds up to the log odds of one candidate's probability, largest first; what is left stands last.

    Args:
        model: the weights that gave the probability.
        description: the incident.
        rows: the features of its candidates, by ``candidate_rows``.
        candidate: position among its candidates.
        probability: the reported one, in (0, 1).
    """
    odds = _log_odds(probability)
    if description.services[candidate] in model.services:
        told, rest = _told(_learned_parts(model, description, rows[candidate], candidate)), REST
    else:
        told, rest = [_untrained_part(description, candidate)], UNCONFIRMED
    return (*told, Contribution(what=rest, events=(), value=odds - sum(part.value for part in told)))


def _untrained_part(description: Description, candidate: int) -> Contribution:
    """The log odds of a candidate of a service that was never confirmed, if the untrained answer were all."""
    strength = of_unconfirmed(description)
    return Contribution(what=UNTRAINED, events=(), value=_log_odds(float(strength[candidate] / strength.sum())))


def _learned_parts(
    model: LearnedModel, description: Description, row: Features, candidate: int
) -> dict[tuple[str, tuple[str, ...]], float]:
    """(what, events) -> what it adds to the log odds of a candidate of a service that was confirmed before."""
    features = model.columns.matrix([row])
    context = model.context_columns.matrix([description.context])
    own = np.asarray(features @ (model.weights.common[:, None] + model.weights.by_type)).ravel()
    of_type = own + CONTEXT * np.asarray(context @ model.weights.context).ravel()
    share = np.exp(of_type - of_type.max())
    share /= share.sum()
    weight = model.weights.common + model.weights.by_type @ share
    parts: defaultdict[tuple[str, tuple[str, ...]], float] = defaultdict(float)
    for (group, name), value in row.items():
        place = model.columns.place.get((group, name))
        if place is None:
            continue
        added = value * SCALES[group] * float(weight[place])
        if group in _WHOLE:
            parts[_WHOLE[group], ()] += added
            continue
        carriers = _carriers(description.events[candidate], group, name)
        for event in carriers:
            parts["", (event,)] += added / len(carriers)
    entropy = float(-(share * np.log(np.maximum(share, 1e-300))).sum())
    parts[FAULT, ()] += float((of_type - own) @ share) + entropy
    parts[UNTRAINED, ()] += model.prior * float(log_prior(description)[candidate])
    return parts


def _log_odds(probability: float) -> float:
    return math.log(max(probability, 1e-12) / max(1.0 - probability, 1e-12))


def _carriers(events: Mapping[tuple[int, str], tuple[str, ...]], group: str, name: str) -> tuple[str, ...]:
    level = int(group[-1])
    token = name.split("|", 1)[1] if group.startswith("of_service") else name
    return events.get((level, token), ())


def _told(parts: Mapping[tuple[str, tuple[str, ...]], float]) -> list[Contribution]:
    by_event = sorted(
        ((key, value) for key, value in parts.items() if key[1]), key=lambda item: (-abs(item[1]), item[0])
    )
    told = [Contribution(what="", events=key[1], value=value) for key, value in by_event[:MOST_TOLD]]
    rest = by_event[MOST_TOLD:]
    if rest:
        ids = tuple(sorted(key[1][0] for key, _ in rest))
        told.append(Contribution(what=OTHERS, events=ids, value=sum(value for _, value in rest)))
    told += [Contribution(what=key[0], events=(), value=value) for key, value in parts.items() if not key[1]]
    return sorted(told, key=lambda part: (-abs(part.value), part.what, part.events))
