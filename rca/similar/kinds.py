"""KindModel: which kind of cause an incident looks like, learnt from confirmed ones.

P(kind | incident) = sum over candidates of P(candidate) P(kind | candidate): a softmax over the candidates
of each incident says who is the cause (as in ``rca.learning``, with the untrained answer as prior), a second one,
over kinds, reads the features of whoever it is, and of the incident as a whole. Two small fits take a fraction
of the time of the joint one, and nothing here ranks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rca.learning.background import Background
from rca.learning.columns import Columns
from rca.learning.confirmed import Confirmed
from rca.learning.description import Description
from rca.learning.learned import ENOUGH, PRIOR_WORTH, candidate_rows, log_prior
from rca.learning.scene import Features
from rca.learning.softmax import UNKNOWN, Design, Labels, Softmax, fit_softmax

Floats = npt.NDArray[np.float64]

PENALTY = 2.0
# A kind that was confirmed less often has no weights of its own.
LEAST_OF_KIND = 2


@dataclass(frozen=True, kw_only=True)
class KindModel:
    """Weights with all that applying them needs.

    Attributes:
        kinds: in the order of ``reading``'s weights.
        who: weights of the candidates.
        reading: weights of the kinds.
        prior: power of the untrained answer, in [0, 1].
    """

    kinds: tuple[str, ...]
    columns: Columns
    context_columns: Columns
    background: Background
    services: frozenset[str]
    who: Softmax
    reading: Softmax
    prior: float

    def of(self, description: Description) -> Mapping[str, float]:
        """P(kind), sums to 1; empty where the incident has no candidates."""
        if not description.candidates:
            return {}
        rows = candidate_rows(description, self.background, self.services)
        features = self.columns.matrix(rows)
        context = self.context_columns.matrix([description.context])
        starts = np.array([0, len(rows)], np.int64)
        offset = self.prior * log_prior(description)
        who = self.who.joint(Design(features=features, context=context, starts=starts, offset=offset)).sum(axis=1)
        alone = Design(
            features=features,
            context=context[np.zeros(len(rows), np.int64)],
            starts=np.arange(len(rows) + 1),
            offset=np.zeros(len(rows)),
        )
        belief = who @ self.reading.joint(alone)
        return dict(zip(self.kinds, belief.tolist(), strict=True))


def learn_kinds(incidents: Sequence[Confirmed]) -> KindModel | None:
    """Learn from confirmed incidents whose kind is known; None where they are fewer than 20, or all of one kind."""
    incidents = [one for one in incidents if one.kind]
    counts = Counter(one.kind for one in incidents)
    kinds = tuple(sorted(kind for kind, count in counts.items() if count >= LEAST_OF_KIND))
    if len(incidents) < ENOUGH or len(kinds) < 2:
        return None
    services = frozenset(one.service for one in incidents)
    background = Background.count((one.description, one.causes) for one in incidents)
    rows: list[Features] = []
    starts = [0]
    for one in incidents:
        rows += candidate_rows(one.description, background, services, causes=one.causes)
        starts.append(len(rows))
    contexts = [one.description.context for one in incidents]
    columns, context_columns = Columns.seen(rows), Columns.seen(contexts)
    prior = min(1.0, PRIOR_WORTH / len(incidents))
    design = Design(
        features=columns.matrix(rows),
        context=context_columns.matrix(contexts),
        starts=np.array(starts, np.int64),
        offset=prior * np.concatenate([log_prior(one.description) for one in incidents]),
    )
    causes = np.array([i in one.causes for one in incidents for i in range(len(one.description.candidates))], bool)
    unknown = np.full(len(incidents), UNKNOWN, np.int64)
    weight = np.ones(len(incidents))
    who = fit_softmax(design, Labels(causes=causes, types=unknown, weight=weight), 1, penalty=PENALTY)
    return KindModel(
        kinds=kinds,
        columns=columns,
        context_columns=context_columns,
        background=background,
        services=services,
        who=who,
        reading=_learn_reading(incidents, design, kinds),
        prior=prior,
    )


def _learn_reading(incidents: Sequence[Confirmed], design: Design, kinds: tuple[str, ...]) -> Softmax:
    """Weights of kinds, from the features of the confirmed causes; several of one incident share its weight."""
    code = {kind: i for i, kind in enumerate(kinds)}
    pairs = [(i, cause) for i, one in enumerate(incidents) if one.kind in code for cause in sorted(one.causes)]
    known = [i for i, _ in pairs]
    rows = [int(design.starts[i]) + cause for i, cause in pairs]
    alone = Design(
        features=design.features[rows],
        context=design.context[known],
        starts=np.arange(len(known) + 1),
        offset=np.zeros(len(known)),
    )
    labels = Labels(
        causes=np.ones(len(known), bool),
        types=np.array([code[incidents[i].kind] for i in known], np.int64),
        weight=np.array([1.0 / len(incidents[i].causes) for i in known], np.float64),
    )
    return fit_softmax(alone, labels, len(kinds), penalty=PENALTY)
