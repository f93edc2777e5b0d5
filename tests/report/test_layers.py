from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rca.report.layers import Bend, arrange

NODES = list("abcdefgh")
edges = st.lists(st.tuples(st.sampled_from(NODES), st.sampled_from(NODES)), max_size=24)


def test_a_chain_takes_one_column_each() -> None:
    layers = arrange(["a", "b", "c"], [("a", "b"), ("b", "c")])
    assert layers.columns == (("a",), ("b",), ("c",))


def test_a_long_edge_bends_through_the_column_that_it_passes() -> None:
    layers = arrange(["a", "b", "c"], [("a", "b"), ("b", "c"), ("a", "c")])
    assert layers.bends["a", "c"] == (Bend(edge=("a", "c"), column=1),)
    assert set(layers.columns[1]) == {"b", Bend(edge=("a", "c"), column=1)}


def test_a_cycle_is_cut_before_the_most_important_node() -> None:
    layers = arrange(["b", "a"], [("a", "b"), ("b", "a")])
    assert layers.column_of == {"b": 0, "a": 1}


def test_nodes_are_ordered_so_that_edges_do_not_cross() -> None:
    layers = arrange(["a", "b", "x", "y"], [("a", "y"), ("b", "x")])
    first, second = layers.columns
    assert second == tuple({"a": "y", "b": "x"}[str(name)] for name in first)


def test_nothing_has_no_columns() -> None:
    assert arrange([], []).columns == ()


@given(edges)
def test_every_node_stands_once_and_bends_stand_between_their_ends(pairs: list[tuple[str, str]]) -> None:
    layers = arrange(NODES, pairs)
    placed = [place for column in layers.columns for place in column]
    assert sorted(place for place in placed if isinstance(place, str)) == NODES
    assert len(placed) == len(set(placed))
    for (a, b), bends in layers.bends.items():
        assert layers.column_of[a] < layers.column_of[b]
        assert [bend.column for bend in bends] == list(range(layers.column_of[a] + 1, layers.column_of[b]))


@given(edges)
def test_the_order_in_which_edges_come_changes_nothing(pairs: list[tuple[str, str]]) -> None:
    assert arrange(NODES, pairs) == arrange(NODES, pairs[::-1])
