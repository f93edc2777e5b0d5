"""Bounds: how far one user's feedback may move a weight.

At the optimum of a penalised softmax each weight is a sum over incidents, penalty * w = sum of belief *
(what the cause shows - what the candidates show on average); so each user's part of each weight is known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rca.learning.softmax import WITH_TYPE, Design, Labels, Softmax

Floats = npt.NDArray[np.float64]

# The most that one user moves a weight, in log odds per unit of the feature. Sixty honest labels of one
# user move none further than 1.5.
MOST = 2.0


def bound_users(
    weights: Softmax, design: Design, labels: Labels, who: Sequence[str], scale: Floats, *, penalty: float
) -> Softmax:
    """The weights with each user's part cut at ``MOST``; labels without a user (of a data set) are not cut.

    Args:
        who: the user of each incident, "" for none.
        scale: of each column.
    """
    users = sorted(set(who) - {""})
    if not users:
        return weights
    residual = _residual(weights, design, labels)
    common, by_type = weights.common.copy(), weights.by_type.copy()
    # A weight is what all types share and what a type has of its own: each may use half.
    limit = 0.5 * MOST / np.maximum(scale, 1e-12)
    for user in users:
        rows = design.rows(np.flatnonzero([name == user for name in who]))
        part = design.features[rows].T @ residual[rows] / penalty
        of_all = part.sum(axis=1)
        common -= of_all - np.clip(of_all, -limit, limit)
        by_type -= part - np.clip(part, -limit[:, None], limit[:, None])
    return Softmax(common=common, by_type=by_type, context=weights.context)


def user_parts(weights: Softmax, design: Design, labels: Labels, *, penalty: float) -> Floats:
    """Each incident's part of each common weight, shape (incidents, columns)."""
    residual = _residual(weights, design, labels).sum(axis=1)
    parts = [
        design.features[a:b].T @ residual[a:b] / penalty
        for a, b in zip(design.starts[:-1], design.starts[1:], strict=True)
    ]
    return np.stack(parts) if parts else np.zeros((0, design.features.shape[1]))


def _residual(weights: Softmax, design: Design, labels: Labels) -> Floats:
    """Belief times (what the label says - what the weights say) of each candidate and type."""
    joint = weights.joint(design)
    incident, starts = design.incident, design.starts[:-1]
    types = joint.shape[1]
    known = labels.types >= 0
    named = np.arange(types)[None, :] == labels.types[incident][:, None]
    right = np.where(labels.causes[:, None], joint, 0.0)
    of_both = np.where(named, right, 0.0)
    share = np.where(known, WITH_TYPE, 0.0)
    total = np.maximum(np.add.reduceat(right.sum(axis=1), starts), 1e-300)
    both = np.maximum(np.add.reduceat(of_both.sum(axis=1), starts), 1e-300)
    target = ((1.0 - share) / total)[incident][:, None] * right + (share / both)[incident][:, None] * of_both
    return np.asarray(labels.weight[incident][:, None] * (target - joint))
