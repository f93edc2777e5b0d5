from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rca.evaluation.bootstrap import interval
from rca.evaluation.measures import chance_card, measures, order, score_card, stack, worst_rank


def test_measures_of_three_incidents_by_hand():
    found = measures(stack([score_card(1), score_card(4), score_card(None)]))
    assert found == pytest.approx(
        {
            "AC@1": 1 / 3,
            "AC@3": 1 / 3,
            "AC@5": 2 / 3,
            # AC@1 to AC@5 are 1/3, 1/3, 1/3, 2/3, 2/3
            "Avg@5": 7 / 15,
            "MRR": (1 + 1 / 4) / 3,
        }
    )


def test_no_incidents_measure_nothing():
    assert set(measures(stack([])).values()) == {0.0}


def test_ties_count_as_the_worst_rank():
    assert worst_rank({"a": 2.0, "b": 2.0, "c": 2.0, "d": 1.0}, ["b"]) == 3


def test_names_that_are_equally_right_do_not_stand_in_each_others_way():
    assert worst_rank({"pod": 2.0, "service": 2.0, "other": 1.0}, ["pod", "service"]) == 1


def test_a_cause_that_is_not_named_has_no_rank():
    assert worst_rank({"a": 1.0}, ["b"]) is None
    assert score_card(None).sum() == 0


def test_the_order_is_by_score_then_by_name():
    assert order({"b": 1.0, "a": 1.0, "c": 2.0}) == ("c", "a", "b")


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3), min_size=1), st.sampled_from("abcdef"))
def test_the_worst_rank_is_the_last_place_among_all_orders_of_ties(scores, right):
    rank = worst_rank(scores, [right])
    if right not in scores:
        assert rank is None
        return
    places = [
        names.index(right) + 1
        for names in permutations(scores)
        if all(scores[a] >= scores[b] for a, b in pairwise(names))
    ]
    assert rank == max(places)


@pytest.mark.parametrize(("size", "right"), [(1, 1), (2, 1), (4, 1), (4, 2), (7, 3), (6, 6)])
def test_chance_is_the_mean_over_all_orders(size, right):
    cards = [score_card(min(order.index(i) for i in range(right)) + 1) for order in permutations(range(size))]
    assert chance_card(size, right) == pytest.approx(np.mean(cards, axis=0))


def test_chance_finds_nothing_that_is_not_there():
    assert chance_card(5, 0).sum() == chance_card(0, 0).sum() == 0


def test_the_interval_holds_the_mean_and_shrinks_with_more_incidents():
    few, many = np.tile([0.0, 1.0], 10), np.tile([0.0, 1.0], 1000)
    low, high = interval(few)
    assert low < 0.5 < high
    narrow = interval(many)
    assert narrow[1] - narrow[0] < (high - low) / 5
    # the normal approximation of 2,000 incidents: 0.5 ± 1.96 · 0.5 / sqrt(2000)
    assert narrow == pytest.approx((0.478, 0.522), abs=0.004)


def test_the_interval_depends_on_the_seed_alone():
    values = np.random.default_rng(1).random(50)
    assert interval(values, seed=3) == interval(values, seed=3) != interval(values, seed=4)


def test_an_interval_without_incidents_is_zero():
    assert interval(np.zeros(0)) == (0.0, 0.0)
