"""The measures of detection on worlds small enough to be reckoned by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rca.detection.measures import auc_pr, delays, false_alarms, find_segments, range_f1, vus_pr

labels = st.lists(st.booleans(), min_size=2, max_size=60)


def test_segments_are_runs_of_true_samples_up_to_both_ends() -> None:
    assert find_segments(np.array([1, 1, 0, 1, 0, 0, 1])).tolist() == [[0, 2], [3, 4], [6, 7]]
    assert find_segments(np.zeros(3)).tolist() == []


def test_auc_pr_is_the_precision_at_each_hit() -> None:
    # Ranks: hit, miss, hit, miss: precision 1 at the first half of recall, 2/3 at the second.
    assert auc_pr(np.array([4.0, 3.0, 2.0, 1.0]), np.array([1, 0, 1, 0])) == pytest.approx((1 + 2 / 3) / 2)
    # Of one score all samples come at once.
    assert auc_pr(np.ones(4), np.array([1, 0, 0, 0])) == pytest.approx(0.25)


def test_vus_pr_without_tolerance_is_precision_and_recall_at_ranks() -> None:
    score, label = np.array([0.1, 0.9, 0.8, 0.2]), np.array([0, 1, 1, 0])
    assert vus_pr(score, label, window=0, count=4) == pytest.approx(1.0)
    # Thresholds at .9 (a healthy sample), .8, .2 and .1: recall 0, 1/2, 1, 1, precision 0, 1/2, 2/3, 1/2.
    assert vus_pr(np.array([0.9, 0.8, 0.2, 0.1]), label, window=0, count=4) == pytest.approx(1 / 4 + 1 / 3)


def test_vus_pr_gives_part_of_a_hit_to_what_lies_beside_a_segment() -> None:
    # Buffer 2 reaches one sample to each side, worth sqrt(1 - 1/2). At the one threshold above the
    # rest only sample 1, beside the segment, is predicted: its segment counts as found.
    score, label = np.array([0.0, 1.0, 0.0, 0.0, 0.0]), np.array([0, 0, 1, 0, 0])
    beside = np.sqrt(0.5)
    # Threshold 1: hit = beside of 1 predicted, recall = beside / (1 + beside / 2).
    first = beside / (1 + beside / 2)
    # Threshold 0: all predicted, hit = 1 + 2 beside of 5, recall capped at 1.
    area = first * beside + (1 - first) * (1 + 2 * beside) / 5
    # Buffers 0 and 1 reach nowhere: at threshold 1 nothing is hit, at 0 one of five.
    assert vus_pr(score, label, window=2, count=2) == pytest.approx((0.2 + 0.2 + area) / 3)


def test_vus_pr_counts_only_the_share_of_segments_that_are_found() -> None:
    # Both segments as one of two samples each, one found in full: recall 1/2, existence 1/2.
    score, label = np.array([1.0, 1.0, 0, 0, 0, 0]), np.array([1, 1, 0, 0, 1, 1])
    assert vus_pr(score, label, window=0, count=2) == pytest.approx(1 / 4 + 3 / 4 * 4 / 6)


def test_range_f1_of_half_a_segment_found_in_one_piece() -> None:
    # Recall .2 + .8 / 2, precision 1; any lower threshold is worse.
    score, label = np.array([0, 1.0, 1.0, 0, 0, 0, 0, 0, 0, 0]), np.array([0, 1, 1, 1, 1, 0, 0, 0, 0, 0])
    assert range_f1(score, label) == pytest.approx(2 * 0.6 / 1.6)


def test_range_f1_divides_by_the_number_of_pieces() -> None:
    # Two of three samples in two pieces: .2 + .8 x 2/3 / 2; everything together: precision 3/9, recall 1.
    score, label = np.array([1.0, 0, 1.0, 0, 0, 0, 0, 0, 0]), np.array([1, 1, 1, 0, 0, 0, 0, 0, 0])
    recall = 0.2 + 0.8 / 3
    assert range_f1(score, label) == pytest.approx(2 * recall / (1 + recall))


def test_false_alarms_are_rises_outside_segments() -> None:
    score = np.array([0.9, 0.9, 0.1, 0.9, 0.9, 0.1, 0.6])
    assert false_alarms(score, np.zeros(7)) == 3
    assert false_alarms(score, np.array([0, 0, 0, 1, 1, 0, 0])) == 2


def test_a_delay_runs_from_the_begin_of_a_segment_to_the_first_alarm_in_it() -> None:
    score = np.array([0.9, 0.1, 0.1, 0.9, 0.1, 0.1])
    found = delays(score, np.array([0, 1, 1, 1, 0, 1]))
    np.testing.assert_array_equal(found, [2, np.nan])


@pytest.mark.parametrize("measure", [vus_pr, auc_pr, range_f1])
@pytest.mark.parametrize("label", [np.zeros(5), np.ones(5)])
def test_nothing_is_said_where_all_samples_are_alike(measure: object, label: np.ndarray) -> None:
    assert np.isnan(measure(np.arange(5.0), label))  # type: ignore[operator]


@settings(deadline=None)
@given(label=labels, seed=st.integers(0, 99))
def test_measures_lie_between_0_and_1_and_do_not_change_with_a_monotone_scale(label: list[bool], seed: int) -> None:
    truth = np.array(label)
    score = np.random.default_rng(seed).integers(0, 9, len(truth)).astype(float)
    for measure in (vus_pr, auc_pr, range_f1):
        value = measure(score, truth)
        if 0 < truth.sum() < len(truth):
            assert 0 <= value <= 1 + 1e-12
            assert measure(np.exp(score / 3), truth) == pytest.approx(value)


@settings(deadline=None)
@given(label=labels, seed=st.integers(0, 99))
def test_vus_pr_is_what_its_definition_says_step_by_step(label: list[bool], seed: int) -> None:
    truth = np.array(label)
    if not 0 < truth.sum() < len(truth):
        return
    score = np.random.default_rng(seed).integers(0, 9, len(truth)).astype(float)
    areas = [_area(score, truth, width, 7) for width in range(13)]
    assert vus_pr(score, truth, window=12, count=7) == pytest.approx(np.mean(areas))


def _area(score: np.ndarray, truth: np.ndarray, width: int, count: int) -> float:
    """One buffer length, sample by sample."""
    reach, segments = width // 2, find_segments(truth).tolist()
    soft = truth.astype(float)
    for begin, end in segments:
        for at in range(len(truth)):
            away = begin - at if at < begin else at - end + 1
            if not truth[at] and 0 < away <= reach:
                soft[at] = min(1.0, soft[at] + np.sqrt(1 - away / width))
    merged = [segments[0]]
    for begin, end in segments[1:]:
        if merged[-1][1] - 1 + reach < begin - reach:
            merged.append([begin, end])
        else:
            merged[-1] = [merged[-1][0], end]
    area, before = 0.0, 0.0
    ranked = np.sort(score)[::-1]
    for rank in np.linspace(0, len(score) - 1, count).astype(int):
        predicted = score >= ranked[rank]
        found = np.mean([predicted[max(begin - reach, 0) : end + reach].any() for begin, end in merged])
        hit = soft[predicted].sum()
        recall = min(hit / (truth.sum() + soft[predicted & ~truth].sum() / 2), 1) * found
        area += (recall - before) * hit / predicted.sum()
        before = recall
    return area
