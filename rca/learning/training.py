"""Training: weights from confirmed incidents, robust against wrong ones, calibrated on incidents they never saw.

One configuration for every system. Weights come from a regularised joint softmax (see
``rca.learning.softmax``) with the untrained answer as prior. An inner cross-validation gives each label
the probability that weights trained without it give it, from which follows how far it is believed (a
mixture of 80 % right labels and 20 % random ones). A second one believes labels no further than the
first found, so that wrong labels no longer vouch for each other; it also gives the temperature that
calibrates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rca.errors import TrainingError
from rca.learning.background import Background
from rca.learning.bounds import bound_users
from rca.learning.columns import Columns
from rca.learning.confirmed import Confirmed, deal_folds
from rca.learning.learned import PRIOR_WORTH, LearnedModel, believe, candidate_rows, log_prior, temper, without_names
from rca.learning.softmax import UNKNOWN, Design, Labels, Softmax, fit_softmax

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

PENALTY = 2.0
INNER_FOLDS, INNER_SEED = 5, 99
# Cross-validations that judge the labels: the first believes them all. A third changes hardly anything.
ROUNDS = 2
# How many labels are expected to be right; a wrong one names any candidate. Fewer than there are, as a rule:
# a label that is wrongly believed costs more than a right one that is doubted.
RIGHT = 0.8
# A type that was confirmed less often has no weights of its own.
LEAST_OF_TYPE = 2
TEMPERATURES = np.linspace(0.5, 3.0, 51)


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """What weights say of training incidents that they did not see.

    Attributes:
        probability: of each candidate of each incident, before calibration.
        starts: where the candidates of each incident begin, shape (incidents + 1,).
        of_label: P(causes as labelled | type of fault as labelled), shape (incidents,).
    """

    probability: Floats
    starts: Codes
    of_label: Floats

    def of(self, incident: int) -> Floats:
        """The probabilities of one incident's candidates."""
        return self.probability[self.starts[incident] : self.starts[incident + 1]]


@dataclass(frozen=True, kw_only=True)
class Training:
    """A trained model, and what the inner cross-validation said of each label.

    Attributes:
        belief: how far each label was believed, in [0, 1], shape (incidents,).
        support: incidents whose confirmed cause has each column, shape (columns,).
    """

    model: LearnedModel
    held_out: HeldOut
    belief: Floats
    support: Codes


def train(incidents: Sequence[Confirmed]) -> Training:
    """Learn from confirmed incidents.

    Raises:
        TrainingError: there are fewer than five.
    """
    if len(incidents) < INNER_FOLDS:
        raise TrainingError(
            f"{len(incidents)} confirmed incidents are too few to learn from", remedy="Confirm the causes of more"
        )
    problem = _Problem(incidents)
    everything = np.arange(len(incidents))
    belief = np.ones(len(incidents))
    for _ in range(ROUNDS):
        held_out = problem.hold_out(belief)
        belief = _beliefs(held_out, incidents)
    weights = problem.fit(everything, belief, bounded=True)
    model = LearnedModel(
        columns=problem.columns,
        context_columns=problem.context_columns,
        weights=weights,
        background=problem.background,
        kinds=problem.kinds,
        services=problem.services,
        prior=problem.prior,
        temperature=_temperature(held_out, problem.causes),
        incidents=len(incidents),
    )
    return Training(model=model, held_out=held_out, belief=belief, support=problem.support())


class _Problem:
    """Confirmed incidents as matrices, and the fits on parts of them."""

    def __init__(self, incidents: Sequence[Confirmed]) -> None:
        self.incidents = incidents
        self.services = frozenset(one.service for one in incidents)
        self.prior = min(1.0, PRIOR_WORTH / len(incidents))
        self.background = Background.count((one.description, one.causes) for one in incidents)
        rows, starts = [], [0]
        for one in incidents:
            rows += candidate_rows(one.description, self.background, self.services, causes=one.causes)
            starts.append(len(rows))
        contexts = [one.description.context for one in incidents]
        self.columns = Columns.seen(rows)
        self.context_columns = Columns.seen(contexts, least=1)
        self.design = Design(
            features=self.columns.matrix(rows),
            context=self.context_columns.matrix(contexts),
            starts=np.array(starts, np.int64),
            offset=self.prior * np.concatenate([log_prior(one.description) for one in incidents]),
        )
        counts = Counter(one.kind for one in incidents if one.kind)
        self.kinds = tuple(sorted(kind for kind, count in counts.items() if count >= LEAST_OF_TYPE)) or ("",)
        code = {kind: i for i, kind in enumerate(self.kinds) if kind}
        self.types = np.array([code.get(one.kind, UNKNOWN) for one in incidents], np.int64)
        self.causes = np.array(
            [i in one.causes for one in incidents for i in range(len(one.description.candidates))], bool
        )

    def fit(self, chosen: Codes, belief: Floats, *, bounded: bool = False) -> Softmax:
        """Weights from some of the incidents, no user's share of a weight beyond its bound."""
        design = self.design.take(chosen)
        labels = Labels(causes=self.causes[self.design.rows(chosen)], types=self.types[chosen], weight=belief[chosen])
        weights = fit_softmax(design, labels, len(self.kinds), penalty=PENALTY)
        if not bounded:
            return weights
        who = [self.incidents[i].who for i in chosen]
        return bound_users(weights, design, labels, who, self.columns.scale, penalty=PENALTY)

    def hold_out(self, belief: Floats) -> HeldOut:
        """Every incident by weights that did not see it, and believed the others so far."""
        probability = np.zeros(self.design.features.shape[0])
        of_label = np.zeros(len(self.incidents))
        for test in deal_folds(self.incidents, INNER_FOLDS, seed=INNER_SEED):
            if not len(test):
                continue
            seen = np.setdiff1d(np.arange(len(self.incidents)), test)
            weights = self.fit(seen, belief)
            services = frozenset(self.incidents[i].service for i in seen)
            design = self.design.take(test)
            descriptions = [self.incidents[i].description for i in test]
            found, joint = believe(design, weights, without_names(weights, self.columns), descriptions, services)
            probability[self.design.rows(test)] = found
            known = np.array([self.incidents[i].service in services for i in test], bool)
            types = np.where(known, self.types[test], UNKNOWN)
            of_label[test] = _of_labels(design, self.causes[self.design.rows(test)], types, found, joint)
        return HeldOut(probability=probability, starts=self.design.starts, of_label=of_label)

    def support(self) -> Codes:
        """Incidents whose confirmed cause has each column."""
        rows = self.design.features[np.flatnonzero(self.causes)]
        return np.bincount(rows.indices, minlength=len(self.columns.features)).astype(np.int64)


def _of_labels(design: Design, causes: npt.NDArray[np.bool_], types: Codes, found: Floats, joint: Floats) -> Floats:
    """P(causes | type) of each incident, P(causes) where its type is unknown, shape (incidents,)."""
    types, starts = types[design.incident], design.starts[:-1]
    of_type = np.where(types == UNKNOWN, found, joint[np.arange(len(types)), types])
    right = np.add.reduceat(np.where(causes, of_type, 0.0), starts)
    return np.asarray(right / np.maximum(np.add.reduceat(of_type, starts), 1e-300))


def _beliefs(held_out: HeldOut, incidents: Sequence[Confirmed]) -> Floats:
    """P(label is right): labels are right with ``RIGHT``, else any candidate (Bootkrajang and Kaban, 2012)."""
    by_chance = (1.0 - RIGHT) / np.array([len(one.description.candidates) for one in incidents])
    right = RIGHT * held_out.of_label
    return np.asarray(right / (right + by_chance))


def _temperature(held_out: HeldOut, causes: npt.NDArray[np.bool_]) -> float:
    """The temperature at which the labels are most likely (Guo et al., ICML 2017).

    All labels count alike: to doubt those that the weights miss would make every confidence too high.
    """

    def surprise(temperature: float) -> float:
        tempered = temper(held_out.probability, held_out.starts, temperature)
        likely = np.add.reduceat(np.where(causes, tempered, 0.0), held_out.starts[:-1])
        return float(-np.log(np.maximum(likely, 1e-6)).sum())

    return float(min(TEMPERATURES.tolist(), key=surprise))
