"""LearnedModel: what confirmed causes taught, and the posterior that it gives each candidate of an incident.

The posterior of a component is the softmax's, summed over the types of fault. Components of services
that were never confirmed as a cause are no worse for it: the weights of who a component is are left
out for them, and among themselves they keep the order of the untrained answer. Together they get the
share of belief that the product of the untrained answer and of the weights that know no names gives
them (a product of experts, Hinton 2002).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.learning.background import Background
from rca.learning.columns import IDENTITY, Columns
from rca.learning.description import Description
from rca.learning.scene import Features
from rca.learning.softmax import Design, Softmax

Floats = npt.NDArray[np.float64]

# With fewer confirmed incidents the untrained answer stays: it is better until then.
ENOUGH = 20
# The untrained answer as prior is worth so many confirmed incidents.
PRIOR_WORTH = 20.0
# Belief goes with this power of the untrained strength.
TRUST = 2.0
# Added to the untrained strength before its logarithm: a twentieth of one full piece of evidence.
FLOOR = 0.05
# The same where the untrained answer speaks for services that were never confirmed: there, silence counts.
SILENCE = 1e-3
# The power of the nameless weights beside the untrained answer in how much those services get together.
BESIDE = 0.2


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """What the learned weights believe of one incident.

    Attributes:
        probability: of each candidate, calibrated, sums to 1, shape (candidates,).
        raw: the same before calibration.
        types: P(type of fault), shape (types,).
    """

    probability: Floats
    raw: Floats
    types: Floats


@dataclass(frozen=True, kw_only=True)
class LearnedModel:
    """Weights with all that applying them needs.

    Attributes:
        columns, context_columns: what the weights belong to.
        weights: of the softmax.
        background: what components show when they are not the cause.
        kinds: types of fault, in the order of the weights.
        services: those that were confirmed as a cause at least once.
        prior: kappa, the power of the untrained answer in the softmax, in [0, 1].
        temperature: > 0; above 1 the raw posterior is too sure.
        incidents: how many were learnt from.
        name, version: which artefact it is; "" before it is kept.
    """

    columns: Columns
    context_columns: Columns
    weights: Softmax
    background: Background
    kinds: tuple[str, ...]
    services: frozenset[str]
    prior: float
    temperature: float
    incidents: int
    name: str = ""
    version: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_enough(self) -> bool:
        """Whether there were enough confirmed incidents for the learned posterior to answer."""
        return self.incidents >= ENOUGH

    @property
    def title(self) -> str:
        """Its name and version, for people."""
        return " ".join(part for part in (self.name, self.version) if part) or "unnamed"

    @cached_property
    def nameless(self) -> Softmax:
        """The weights without those of who a component is."""
        return without_names(self.weights, self.columns)

    def posterior(self, description: Description, rows: Sequence[Features] | None = None) -> Posterior:
        """The belief in each candidate; of a description without candidates, empty.

        ``rows`` are the candidates' features, by ``candidate_rows``, where they are known already.
        """
        if not description.candidates:
            nothing = np.zeros(0)
            return Posterior(probability=nothing, raw=nothing, types=np.zeros(len(self.kinds)))
        rows = candidate_rows(description, self.background, self.services) if rows is None else rows
        design = Design(
            features=self.columns.matrix(rows),
            context=self.context_columns.matrix([description.context]),
            starts=np.array([0, len(rows)], np.int64),
            offset=self.prior * log_prior(description),
        )
        raw, joint = believe(design, self.weights, self.nameless, [description], self.services)
        return Posterior(probability=temper(raw, design.starts, self.temperature), raw=raw, types=joint.sum(axis=0))


def candidate_rows(
    description: Description,
    background: Background,
    services: frozenset[str],
    *,
    causes: frozenset[int] | None = None,
) -> list[Features]:
    """The features of each candidate with the background's; who it is only for services that were confirmed.

    ``causes`` are those of an incident that the background counts.
    """
    rows = []
    usual = background.features(description, causes)
    for service, own, background_of in zip(description.services, description.features, usual, strict=True):
        if service in services:
            rows.append({**own, **background_of})
        else:
            rows.append({key: x for key, x in own.items() if key[0] not in IDENTITY} | background_of)
    return rows


def without_names(weights: Softmax, columns: Columns) -> Softmax:
    """The weights without those of who a component is."""
    kept = np.array([group not in IDENTITY for group, _ in columns.features], np.float64)
    return Softmax(common=weights.common * kept, by_type=weights.by_type * kept[:, None], context=weights.context)


def log_prior(description: Description) -> Floats:
    """The untrained answer as log odds: two candidates at 2 : 1 are believed 4 : 1."""
    return np.asarray(TRUST * np.log(description.untrained + FLOOR))


def of_unconfirmed(description: Description) -> Floats:
    """How far the untrained answer speaks for services that were never confirmed, > 0, shape (candidates,)."""
    return np.asarray((description.untrained + SILENCE) ** TRUST)


def believe(
    design: Design,
    weights: Softmax,
    nameless: Softmax,
    descriptions: Sequence[Description],
    services: frozenset[str],
) -> tuple[Floats, Floats]:
    """P(candidate), shape (candidates of all incidents,), and the softmax's P(candidate, type), for some incidents."""
    joint = weights.joint(design)
    learned = joint.sum(axis=1)
    strange = np.array([s not in services for d in descriptions for s in d.services], bool)
    if not strange.any():
        return learned, joint
    starts, incident = design.starts[:-1], design.incident
    own = np.concatenate([of_unconfirmed(d) for d in descriptions])
    product = own * np.maximum(nameless.joint(design).sum(axis=1), 1e-12) ** BESIDE
    of_strange = np.add.reduceat(np.where(strange, product, 0.0), starts) / np.add.reduceat(product, starts)
    own = np.where(strange, own, 0.0)
    own /= np.maximum(np.add.reduceat(own, starts), 1e-300)[incident]
    return np.asarray((1.0 - of_strange)[incident] * learned + of_strange[incident] * own), joint


def temper(probability: Floats, starts: npt.NDArray[np.int64], temperature: float) -> Floats:
    """Probabilities to the power of 1 / temperature, normalised over each incident; their order stays."""
    incident = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    logs = np.log(np.maximum(probability, 1e-12)) / temperature
    powers = np.exp(logs - np.maximum.reduceat(logs, starts[:-1])[incident])
    return np.asarray(powers / np.add.reduceat(powers, starts[:-1])[incident])
