"""Quantiles of many series by one sort, held against numpy's own."""

from __future__ import annotations

import warnings

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rca.detectors.quantiles import sorted_quantiles

tables = arrays(
    np.float32,
    st.tuples(st.integers(0, 5), st.integers(0, 9)),
    elements=st.one_of(st.just(np.nan), st.floats(-1000, 1000, width=32)),
)


@given(values=tables, quantiles=st.lists(st.floats(0, 1), min_size=1, max_size=3))
def test_quantiles_are_those_of_nanquantile(values: np.ndarray, quantiles: list[float]) -> None:
    found = sorted_quantiles(values, quantiles)
    assert found.shape == (len(quantiles), values.shape[0])
    if not values.size:
        assert np.isnan(found).all()
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # numpy warns of rows without a sample; ours says NaN
        expected = np.nanquantile(values.astype(np.float64), quantiles, axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)


def test_rows_of_one_two_and_no_samples() -> None:
    values = np.array([[7, np.nan, np.nan], [1, np.nan, 3], [np.nan] * 3], np.float32)
    np.testing.assert_array_equal(sorted_quantiles(values, (0.0, 0.5, 1.0)).T, [[7, 7, 7], [1, 2, 3], [np.nan] * 3])


def test_the_input_stays_as_it_was() -> None:
    values = np.array([[3.0, 1.0, 2.0]], np.float32)
    sorted_quantiles(values, (0.5,))
    assert values.tolist() == [[3.0, 1.0, 2.0]]
