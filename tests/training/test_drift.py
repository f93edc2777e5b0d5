"""Drift: none where nothing changed, some where the level, the spread or the presence of samples did."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rca.series import SeriesNames
from rca.training.drift import DRIFTED, Distribution, compare, compare_by_name


def test_the_same_distribution_does_not_drift(day) -> None:
    frame = day(length=1000)
    drift = compare(Distribution.of(frame), day(1, length=1000))
    assert drift.known.all()
    assert (drift.index < 0.1).all()
    assert (np.abs(drift.shift) < 0.1).all()


def test_a_shift_shows_with_its_sign_and_a_spread_without_one(day) -> None:
    before = Distribution.of(day(length=1000))
    up, down = (compare(before, day(1, length=1000, shift=shift)) for shift in (2.0, -2.0))
    assert (up.index > DRIFTED).all()
    assert (up.shift > 0.5).all()
    assert (down.shift < -0.5).all()
    frame = day(1, length=1000)
    middle = np.median(frame.values, axis=1, keepdims=True)
    wide = compare(before, replace(frame, values=middle + 4 * (frame.values - middle)))
    assert (wide.index > DRIFTED).all()
    assert (np.abs(wide.shift) < 0.3).all()


def test_a_series_that_never_moved_drifts_when_it_moves_and_only_then(day) -> None:
    frame = day(length=200)
    still = replace(frame, values=np.full_like(frame.values, 7.0))
    before = Distribution.of(still)
    assert (compare(before, still).index == 0).all()
    moved = compare(before, replace(still, values=still.values + 1))
    assert (moved.index > DRIFTED).all()
    assert np.isfinite(moved.shift).all()
    zero = Distribution.of(replace(frame, values=np.zeros_like(frame.values)))
    assert np.isfinite(compare(zero, still).shift).all()


def test_too_few_samples_tell_nothing(day) -> None:
    before = Distribution.of(day(length=1000))
    few = compare(before, day(1, length=50))
    assert np.isnan(few.index).all()
    none = compare(before, replace(day(1), values=np.full_like(day(1).values, np.nan)))
    assert np.isnan(none.index).all()


def test_series_are_compared_by_name_and_unknown_ones_are_told(day) -> None:
    frame = day(length=300)
    order = np.random.default_rng(0).permutation(len(frame.component))
    kept = frame.select(order[:-1])  # one is not known
    drift = compare_by_name(SeriesNames.of(kept), Distribution.of(kept).arrays(), frame)
    unknown = np.flatnonzero(~drift.known)
    assert unknown.tolist() == [order[-1]]
    assert np.isnan(drift.index[unknown]).all()
    assert (drift.index[drift.known] < 1e-6).all()


@pytest.mark.parametrize("rows", [0, 3])
def test_a_distribution_survives_being_kept(day, rows: int) -> None:
    frame = day().select(np.arange(rows))
    before = Distribution.of(frame)
    again = Distribution.from_arrays(before.arrays())
    for name, array in before.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)
    assert len(before.take(np.array([-1], np.int64)).count) == 1
