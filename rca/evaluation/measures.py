"""AC@k, Avg@k and MRR as CIRCA and RCAEval define them, with ties at the worst rank.

One incident has one cause, which may have several names that are equally right. What a method gives
for an incident is summed up as a score card: whether the cause is among the first k, for k from 1
to 5, and the reciprocal of its rank. A method that fails, or does not name the cause, gets zeros.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

DEPTH = 5

# The first DEPTH entries: 1 where the cause is among the first k; the last: 1 / rank.
ScoreCard = npt.NDArray[np.float64]


def order(scores: Mapping[str, float]) -> tuple[str, ...]:
    """Components by decreasing score; by name where scores are equal."""
    return tuple(sorted(scores, key=lambda name: (-scores[name], name)))


def worst_rank(scores: Mapping[str, float], right: Iterable[str]) -> int | None:
    """The rank from 1 of the best of the right components, ties at the worst rank.

    Right components do not stand in each other's way. None where none of them has a score.
    """
    names = set(right)
    found = [scores[name] for name in names if name in scores]
    if not found:
        return None
    best = max(found)
    return 1 + sum(score >= best for name, score in scores.items() if name not in names)


def score_card(rank: int | None) -> ScoreCard:
    """The score card of a rank, shape (DEPTH + 1,); zeros for None."""
    card = np.zeros(DEPTH + 1)
    if rank is not None:
        card[:DEPTH] = np.arange(1, DEPTH + 1) >= rank
        card[DEPTH] = 1.0 / rank
    return card


def chance_card(components: int, right: int) -> ScoreCard:
    """What a uniformly random order of ``components`` gives on average, ``right`` of them being right.

    The best rank is beyond k with probability C(n - m, k) / C(n, k).
    """
    card = np.zeros(DEPTH + 1)
    if not 0 < right <= components:
        return card
    beyond = np.ones(components + 1)  # (rank,): that the first k hold none
    for k in range(1, components + 1):
        beyond[k] = beyond[k - 1] * max(components - right - k + 1, 0) / (components - k + 1)
    at_rank = beyond[:-1] - beyond[1:]
    first = 1.0 - beyond[1 : DEPTH + 1]
    card[:DEPTH] = np.pad(first, (0, DEPTH - len(first)), constant_values=1.0)
    card[DEPTH] = float((at_rank / np.arange(1, components + 1)).sum())
    return card


def measures(cards: npt.NDArray[np.float64]) -> dict[str, float]:
    """The measures of many incidents: AC@1, AC@3, AC@5, Avg@5 and MRR, each in [0, 1].

    AC@k is the share of incidents whose cause is among the first k; Avg@k the mean of AC@1 … AC@k;
    MRR the mean of 1 / rank.

    Args:
        cards: score cards, shape (incidents, DEPTH + 1).
    """
    return {name: float(values.mean()) if values.size else 0.0 for name, values in per_incident(cards).items()}


def per_incident(cards: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
    """What each incident adds to each measure, shape (incidents,) each."""
    return {
        "AC@1": cards[:, 0],
        "AC@3": cards[:, 2],
        "AC@5": cards[:, 4],
        "Avg@5": cards[:, :DEPTH].mean(axis=1),
        "MRR": cards[:, DEPTH],
    }


def stack(cards: Sequence[ScoreCard]) -> npt.NDArray[np.float64]:
    """Score cards as one array, shape (incidents, DEPTH + 1)."""
    return np.stack(cards) if cards else np.zeros((0, DEPTH + 1))
