"""How well a score finds labelled segments; no point adjustment anywhere.

Point adjustment (a segment counts as found in full once one of its samples is) makes random scores
look like the state of the art (Kim et al., AAAI 2022) and is left out on purpose.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Segments = npt.NDArray[np.int64]

# The longest buffer around a segment and the number of thresholds: what the benchmark TSB-AD uses.
WINDOW, THRESHOLDS = 100, 250
# What finding a segment at all counts for, beside how much of it: Tatbul et al., NeurIPS 2018; TSB-AD's choice.
EXISTENCE = 0.2


def find_segments(label: npt.NDArray[Any]) -> Segments:
    """Begin and end (exclusive) of each run of true samples: shape (segments, 2)."""
    edges = np.diff(np.concatenate([[0], np.asarray(label, bool).astype(np.int8), [0]]))
    return np.stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)], axis=1)


def vus_pr(score: npt.NDArray[Any], label: npt.NDArray[Any], window: int = WINDOW, count: int = THRESHOLDS) -> float:
    """Volume under the surface of precision, recall and tolerance (Paparrizos et al., VLDB 2022).

    For each buffer length up to ``window`` the label falls off on both sides of a segment as the
    square root of one less the share of the buffer; recall counts what is predicted of that
    and the share of segments found at all. As defined by the benchmark TSB-AD (Liu & Paparrizos,
    NeurIPS 2024): thresholds at ``count`` evenly spaced ranks, precision held between them.

    Args:
        score: higher is more anomalous, shape (time,), finite.
        label: true on anomalous samples, shape (time,).

    Returns:
        In [0, 1]; NaN where the label is false or true throughout.
    """
    truth = np.asarray(label, bool)
    segments = find_segments(truth)
    positives = int(truth.sum())
    if not 0 < positives < len(truth):
        return float("nan")
    ordered = np.sort(np.asarray(score))
    thresholds = ordered[len(score) - 1 - np.linspace(0, len(score) - 1, count).astype(int)]
    # The first (highest) threshold that each sample reaches; the last is the minimum, which all reach.
    first = np.searchsorted(-thresholds, -np.asarray(score), side="left")
    predicted = np.cumsum(np.bincount(first, minlength=count))
    inside = np.cumsum(np.bincount(first[truth], minlength=count))
    beside, weights = _buffers(truth, segments, window)
    areas = np.empty(window + 1)
    for width in range(window + 1):
        near = np.cumsum(np.bincount(first[beside], weights[width], minlength=count))
        hit = inside + near
        recall = np.minimum(hit / (positives + near / 2), 1.0) * _found(segments, first, width, count)
        areas[width] = np.dot(np.diff(recall, prepend=0.0), hit / predicted)
    return float(areas.mean())


def _buffers(truth: Bools, segments: Segments, window: int) -> tuple[Segments, Floats]:
    """Samples beside segments, and their label for each buffer length: shapes (n,), (window + 1, n)."""
    reach = window // 2
    distance = np.arange(1, reach + 1)
    width = np.arange(window + 1)[:, None]
    fall = np.where(distance <= width // 2, np.sqrt(np.maximum(1 - distance / np.maximum(width, 1), 0)), 0.0)
    near = np.zeros(len(truth), bool)
    for begin, end in segments:
        near[max(begin - reach, 0) : end + reach] = True
    beside = np.flatnonzero(near & ~truth)
    place = np.full(len(truth), -1)
    place[beside] = np.arange(len(beside))
    weights = np.zeros((window + 1, len(beside)))
    for begin, end in segments:
        for at in (begin - distance, end - 1 + distance):
            fits = (at >= 0) & (at < len(truth))
            fits[fits] = place[at[fits]] >= 0
            weights[:, place[at[fits]]] += fall[:, fits]
    return beside, np.minimum(weights, 1.0)


def _found(segments: Segments, first: npt.NDArray[Any], width: int, count: int) -> Floats:
    """For each threshold the share of segments, widened and merged where they touch, with a prediction."""
    reach = width // 2
    apart = np.flatnonzero(segments[:-1, 1] - 1 + reach < segments[1:, 0] - reach)
    begins = segments[np.concatenate([[0], apart + 1]), 0] - reach
    ends = segments[np.concatenate([apart, [len(segments) - 1]]), 1] + reach
    reached = [first[max(begin, 0) : end].min() for begin, end in zip(begins, ends, strict=True)]
    return np.cumsum(np.bincount(reached, minlength=count)) / len(reached)


def auc_pr(score: npt.NDArray[Any], label: npt.NDArray[Any]) -> float:
    """Average precision over samples; NaN where no sample, or every sample, is anomalous."""
    truth = np.asarray(label, bool)
    if not 0 < truth.sum() < len(truth):
        return float("nan")
    order = np.argsort(-np.asarray(score), kind="stable")
    ranked = np.asarray(score)[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # samples of one score come together
    hits = np.cumsum(truth[order])[last]
    return float(np.dot(np.diff(hits, prepend=0), hits / (last + 1)) / truth.sum())


def range_f1(score: npt.NDArray[Any], label: npt.NDArray[Any], count: int = THRESHOLDS) -> float:
    """The best range-based F1 (Tatbul et al., NeurIPS 2018) over thresholds at evenly spaced ranks.

    Flat position bias; a segment that is found in pieces counts by one over their number; finding
    it at all counts a fifth of recall. NaN where no sample is anomalous.
    """
    truth = np.asarray(label, bool)
    real = find_segments(truth)
    if not 0 < truth.sum() < len(truth):
        return float("nan")
    ordered = np.sort(np.asarray(score))[::-1]
    best = 0.0
    for threshold in np.unique(ordered[np.linspace(0, len(ordered) - 1, count).astype(int)]):
        alarm = np.asarray(score) >= threshold
        recall = EXISTENCE * _touched(real, alarm).mean() + (1 - EXISTENCE) * _overlap(real, alarm).mean()
        precision = _overlap(find_segments(alarm), truth).mean()
        if recall + precision > 0:
            best = max(best, 2 * recall * precision / (recall + precision))
    return float(best)


def _touched(segments: Segments, other: Bools) -> Bools:
    total = np.concatenate([[0], np.cumsum(other)])
    return np.asarray(total[segments[:, 1]] > total[segments[:, 0]])


def _overlap(segments: Segments, other: Bools) -> Floats:
    """How much of each segment the other covers, over the number of pieces."""
    total = np.concatenate([[0], np.cumsum(other)])
    begins = np.concatenate([[0], np.cumsum(other[1:] & ~other[:-1])])
    share = (total[segments[:, 1]] - total[segments[:, 0]]) / (segments[:, 1] - segments[:, 0])
    pieces = begins[segments[:, 1] - 1] - begins[segments[:, 0]] + other[segments[:, 0]]
    return np.asarray(share / np.maximum(pieces, 1))


def false_alarms(score: npt.NDArray[Any], label: npt.NDArray[Any], limit: float = 0.5) -> int:
    """How often the score rises over the limit outside the labelled segments."""
    alarm = np.asarray(score) > limit
    rises = alarm & ~np.concatenate([[False], alarm[:-1]])
    return int(np.count_nonzero(rises & ~np.asarray(label, bool)))


def delays(score: npt.NDArray[Any], label: npt.NDArray[Any], limit: float = 0.5) -> Floats:
    """Samples from the begin of each segment to the first over the limit; NaN where none is: shape (segments,)."""
    alarm = np.asarray(score) > limit
    segments = find_segments(label)
    found = [int(alarm[begin:end].argmax()) if alarm[begin:end].any() else np.nan for begin, end in segments]
    return np.array(found, float)
