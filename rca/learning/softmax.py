"""A joint softmax over candidates and types of fault, fitted with L-BFGS.

P(c, t | incident) is proportional to exp(x_c w + x_c V_t + z U_t + o_c): x_c are the features of a
candidate, z those of the incident, o_c an offset that is not learnt. It is the conditional logit of
McFadden (1974) with a type per incident that may be known (its label), or be summed out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import fmin_l_bfgs_b

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

# Share of the loss that also names the type; the rest asks for the component alone.
WITH_TYPE = 0.8
# Scale of the incident's features against the candidates'.
CONTEXT = 0.6
ITERATIONS = 100
# In units of the machine's precision: a loss that falls by less than one part in 1e6 has settled.
TOLERANCE = 1e-6 / float(np.finfo(np.float64).eps)
UNKNOWN = -1


@dataclass(frozen=True, kw_only=True)
class Design:
    """Incidents as matrices.

    Attributes:
        features: shape (candidates of all incidents, columns).
        context: shape (incidents, context columns).
        starts: where the candidates of each incident begin, int64, shape (incidents + 1,).
        offset: shape (candidates of all incidents,).
    """

    features: sparse.csr_array
    context: sparse.csr_array
    starts: Codes
    offset: Floats

    @property
    def incident(self) -> Codes:
        """The incident of each row, shape (candidates of all incidents,)."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    def take(self, chosen: Codes) -> Design:
        """Some incidents, in the given order."""
        rows = self.rows(chosen)
        sizes = np.diff(self.starts)[chosen]
        return Design(
            features=self.features[rows],
            context=self.context[chosen],
            starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            offset=self.offset[rows],
        )

    def rows(self, chosen: Codes) -> Codes:
        """The rows of some incidents."""
        if not len(chosen):
            return np.zeros(0, np.int64)
        return np.concatenate([np.arange(self.starts[i], self.starts[i + 1]) for i in chosen])


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What is known of incidents.

    Attributes:
        causes: bool, shape (candidates of all incidents,): at least one of each incident.
        types: int64, shape (incidents,): code of the type of fault, -1 where unknown.
        weight: float64 >= 0, shape (incidents,): how far each label is believed.
    """

    causes: npt.NDArray[np.bool_]
    types: Codes
    weight: Floats


@dataclass(frozen=True, kw_only=True)
class Softmax:
    """Fitted weights: ``common`` (columns,), ``by_type`` (columns, types), ``context`` (context columns, types)."""

    common: Floats
    by_type: Floats
    context: Floats

    def joint(self, design: Design) -> Floats:
        """P(candidate, type | incident), shape (candidates of all incidents, types); sums to 1 over each incident."""
        return _normalised(_logits(design, self), design)


def fit_softmax(design: Design, labels: Labels, types: int, *, penalty: float) -> Softmax:
    """Weights that make the labels likely, each drawn towards 0 by ``penalty`` / 2 times its square."""
    columns, context_columns = design.features.shape[1], design.context.shape[1]
    features = design.features.T.tocsr()
    context = design.context.T.tocsr()
    incident, starts = design.incident, design.starts[:-1]
    known = labels.types >= 0
    weight = labels.weight[incident]
    share = np.where(known, WITH_TYPE, 0.0)
    named = np.zeros((len(incident), types), bool)
    named[np.arange(len(incident)), np.maximum(labels.types, 0)[incident]] = True
    named &= (labels.causes & known[incident])[:, None]
    cut = (columns, columns * (1 + types))

    def loss(flat: Floats) -> tuple[float, Floats]:
        model = _shaped(flat, cut, columns, context_columns, types)
        joint = _normalised(_logits(design, model), design)
        right = np.where(labels.causes, joint.sum(axis=1), 0.0)
        right_type = np.where(named, joint, 0.0)
        of_cause = np.maximum(np.add.reduceat(right, starts), 1e-300)
        of_both = np.maximum(np.add.reduceat(right_type.sum(axis=1), starts), 1e-300)
        logs = (1.0 - share) * np.log(of_cause) + np.where(known, share * np.log(of_both), 0.0)
        gradient = weight[:, None] * (
            joint
            - ((1.0 - share) / of_cause)[incident][:, None] * np.where(labels.causes[:, None], joint, 0.0)
            - (share / of_both)[incident][:, None] * right_type
        )
        of_context = np.add.reduceat(gradient, starts, axis=0)
        of_types = features @ gradient
        slope = np.concatenate([of_types.sum(axis=1), of_types.ravel(), CONTEXT * (context @ of_context).ravel()])
        return float(-(labels.weight * logs).sum() + 0.5 * penalty * flat @ flat), slope + penalty * flat

    size = columns * (1 + types) + context_columns * types
    found, _, _ = fmin_l_bfgs_b(loss, np.zeros(size), m=8, maxiter=ITERATIONS, factr=TOLERANCE)
    return _shaped(found, cut, columns, context_columns, types)


def _shaped(flat: Floats, cut: tuple[int, int], columns: int, context_columns: int, types: int) -> Softmax:
    return Softmax(
        common=flat[: cut[0]],
        by_type=flat[cut[0] : cut[1]].reshape(columns, types),
        context=flat[cut[1] :].reshape(context_columns, types),
    )


def _logits(design: Design, model: Softmax) -> Floats:
    of_incident = CONTEXT * (design.context @ model.context)
    own = design.features @ (model.common[:, None] + model.by_type)
    return np.asarray(own + design.offset[:, None] + of_incident[design.incident])


def _normalised(logits: Floats, design: Design) -> Floats:
    starts, incident = design.starts[:-1], design.incident
    most = np.maximum.reduceat(logits.max(axis=1), starts)
    powers = np.exp(logits - most[incident][:, None])
    return np.asarray(powers / np.add.reduceat(powers.sum(axis=1), starts)[incident][:, None])
