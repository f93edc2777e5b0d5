"""Grouping of a frame's series into arrays of components."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rca.detectors.components import group_components, padded_width
from rca.telemetry import MetricFrame
from rca.types import MINUTE

NAMES = ("cart", "db", "web")


def frame(keys: list[tuple[str, str, str]], length: int = 4) -> MetricFrame:
    """Series by component, metric and peer; the samples of each are its number."""
    components = tuple(sorted({key[0] for key in keys} | {key[2] for key in keys if key[2]}))
    metrics = tuple(sorted({key[1] for key in keys}))
    return MetricFrame(
        components=components,
        metrics=metrics,
        component=np.array([components.index(key[0]) for key in keys], np.int32),
        metric=np.array([metrics.index(key[1]) for key in keys], np.int32),
        peer=np.array([components.index(key[2]) if key[2] else -1 for key in keys], np.int32),
        times=MINUTE * np.arange(length, dtype=np.int64),
        values=np.repeat(np.arange(len(keys), dtype=np.float32)[:, None], length, axis=1),
    )


def test_components_of_one_width_form_one_group_with_their_series_by_metric_and_peer() -> None:
    keys = [("web", "cpu", ""), ("web", "calls", "db"), ("web", "calls", "cart"), ("db", "cpu", ""), ("db", "io", "")]
    groups = group_components(frame(keys))
    assert [group.names for group in groups] == [("db",), ("web",)]
    assert [group.rows.tolist() for group in groups] == [[[3, 4]], [[2, 1, 0]]]


def test_what_a_component_lacks_to_its_groups_width_is_missing() -> None:
    (group,) = group_components(frame([("db", "cpu", "")]))
    assert group.rows.tolist() == [[0, -1]]
    gathered = group.gather(np.ones((1, 3), np.float32))
    assert gathered[0, 0].tolist() == [1, 1, 1]
    assert np.isnan(gathered[0, 1]).all()


def test_no_series_make_no_groups() -> None:
    assert group_components(MetricFrame.empty()) == ()


@given(st.integers(1, 500))
def test_padding_adds_at_most_a_quarter_to_more_than_a_single_series(series: int) -> None:
    width = padded_width(series)
    assert series <= width <= max(1.25 * series, 2)
    assert padded_width(width) == width


@given(
    st.sets(st.tuples(st.sampled_from(NAMES), st.sampled_from("abcdefghijkl"), st.sampled_from(("", *NAMES)))),
    st.randoms(use_true_random=False),
)
def test_every_series_lies_in_exactly_one_place_whatever_the_order(keys: set, random: object) -> None:
    ordered = sorted(keys)
    if not ordered:
        return
    whole = frame(ordered)
    order = list(range(len(ordered)))
    random.shuffle(order)  # type: ignore[attr-defined]
    groups = group_components(whole)
    rows = np.concatenate([group.rows[group.rows >= 0] for group in groups])
    assert sorted(rows.tolist()) == list(range(len(ordered)))
    for group, other in zip(groups, group_components(whole.select(np.array(order))), strict=True):
        assert group.names == other.names
        shuffled = np.where(other.rows >= 0, np.array(order)[other.rows], -1)
        assert (shuffled == group.rows).all()


def test_codes_in_another_order_than_names_change_nothing() -> None:
    plain = frame([("a", "x", ""), ("a", "y", ""), ("b", "x", ""), ("b", "y", "")])
    turned = replace(
        plain, components=("b", "a"), metrics=("y", "x"), component=1 - plain.component, metric=1 - plain.metric
    )
    assert group_components(turned)[0].rows.tolist() == group_components(plain)[0].rows.tolist()


def test_chunks_are_the_group_cut() -> None:
    (group,) = group_components(frame([(name, "cpu", "") for name in "abcde"]))
    parts = list(group.chunks(2))
    assert [part.names for part in parts] == [("a", "b"), ("c", "d"), ("e",)]
    assert (np.concatenate([part.rows for part in parts]) == group.rows).all()
