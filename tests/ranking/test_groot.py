"""GrootRank: the published example, networkx as oracle, and what must not matter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rca.causality import CausalityGraph, link_events
from rca.errors import InputError, SettingsError
from rca.ranking import groot
from rca.ranking.groot import Variant, groot_rank
from rca.rules import load_rules, parse_rules
from rca.topology import Topology
from rca.types import MINUTE, Event

RULE = parse_rules(
    "- {name: r, cause: errors.up, effect: errors.up, relation: any, max_lag: 1m, weight: 1, why: Test.}"
)[0]
VARIANTS = get_args(Variant)


def graph_of(size: int, edges: Iterable[tuple[int, int, float]]) -> CausalityGraph:
    """Of (cause, effect, weight)."""
    rows = sorted(edges)
    return CausalityGraph(
        events=tuple(
            Event(id=f"e{i}", component=f"c{i}", kind="errors.up", name="", start=0, end=1, severity=1.0)
            for i in range(size)
        ),
        rules=(RULE,),
        cause=np.array([row[0] for row in rows], np.int32),
        effect=np.array([row[1] for row in rows], np.int32),
        rule=np.zeros(len(rows), np.int32),
        lag=np.zeros(len(rows), np.int64),
        weight=np.array([row[2] for row in rows], np.float64),
    )


# The example that eBay's code carries: steps 1 -> 2, 1 -> 4, 2 -> 3, 2 -> 4, 4 -> 5 from effect to cause.
EXAMPLE = graph_of(5, [(1, 0, 1), (3, 0, 1), (2, 1, 1), (3, 1, 1), (4, 3, 1)])


@pytest.mark.parametrize(
    ("variant", "sinks"), [("personalisation", (0.345, 0.242)), ("dangling", (0.336, 0.226))], ids=["paper", "code"]
)
def test_the_published_example_gives_the_published_numbers(variant: Variant, sinks: tuple[float, float]) -> None:
    rank = groot_rank(EXAMPLE, np.ones(5, bool), variant=variant)
    assert (rank[4], rank[2]) == pytest.approx(sinks, abs=6e-4)


def test_both_variants_favour_events_without_a_cause_over_plain_pagerank() -> None:
    plain = nx.pagerank(nx.DiGraph([(0, 1), (0, 3), (1, 2), (1, 3), (3, 4)]))
    assert (plain[4], plain[2]) == pytest.approx((0.310, 0.183), abs=6e-4)
    for variant in VARIANTS:
        rank = groot_rank(EXAMPLE, np.ones(5, bool), variant=variant)
        assert rank[4] > plain[4]
        assert rank[2] > plain[2]


def networkx_rank(graph: CausalityGraph, base: np.ndarray, variant: Variant, damping: float) -> np.ndarray:
    """The same by networkx: edges turned round, the same restart and dangling vectors."""
    size = len(graph.events)
    walk = nx.DiGraph()
    walk.add_nodes_from(range(size))
    walk.add_weighted_edges_from(zip(graph.effect.tolist(), graph.cause.tolist(), graph.weight.tolist(), strict=True))
    seeds = np.flatnonzero(base).tolist() or range(size)
    near = {node for seed in seeds for node in (seed, *nx.descendants(walk, seed))}
    weight = {node: 0.5 if walk.out_degree(node) else 1.0 for node in walk}
    if base.dtype == bool or not base.any():
        base = np.array([float(node in near) for node in walk])
    restart = dict(enumerate(base.astype(float)))
    dangling = {node: weight[node] * (node in near) for node in walk}
    if variant == "personalisation":
        restart = dangling = {node: restart[node] * weight[node] for node in walk}
    rank = nx.pagerank(
        walk, alpha=damping, personalization=restart, dangling=dangling, tol=1e-12 / max(size, 1), max_iter=2_000
    )
    return np.array([rank[node] for node in range(size)])


@st.composite
def worlds(draw: st.DrawFn) -> CausalityGraph:
    size = draw(st.integers(1, 12))
    pairs = draw(st.sets(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)), max_size=30))
    weights = draw(st.lists(st.floats(1e-3, 1), min_size=len(pairs), max_size=len(pairs)))
    return graph_of(size, [(a, b, w) for (a, b), w in zip(sorted(pairs), weights, strict=True) if a != b])


def symptoms_of(data: st.DataObject, size: int) -> np.ndarray:
    kind = data.draw(st.sampled_from(["mask", "numbers"]))
    drawn: np.ndarray = data.draw(
        hnp.arrays(bool, size) if kind == "mask" else hnp.arrays(float, size, elements=st.sampled_from([0.0, 0.3, 2.0]))
    )
    return drawn


@settings(max_examples=60, deadline=None)
@given(worlds(), st.data(), st.sampled_from(VARIANTS), st.sampled_from([0.5, 0.85]))
def test_it_agrees_with_networkx(graph: CausalityGraph, data: st.DataObject, variant: Variant, damping: float) -> None:
    symptoms = symptoms_of(data, len(graph.events))
    rank = groot_rank(graph, symptoms, variant=variant, damping=damping, tolerance=1e-12)
    assert np.abs(rank - networkx_rank(graph, symptoms, variant, damping)).sum() < 1e-5
    assert rank.sum() == pytest.approx(1.0)
    assert np.all(np.isfinite(rank) & (rank >= 0))


@pytest.mark.parametrize("variant", VARIANTS)
def test_events_that_no_symptom_leads_to_get_nothing(variant: Variant) -> None:
    two_worlds = graph_of(5, [(1, 0, 1.0), (2, 1, 1.0), (4, 3, 1.0)])
    rank = groot_rank(two_worlds, np.array([True, False, False, False, False]), variant=variant)
    assert rank[3] == rank[4] == 0.0
    assert rank[2] > rank[1]
    assert rank[2] > rank[0]


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_heavier_edge_gets_more_of_the_walk(variant: Variant) -> None:
    rank = groot_rank(graph_of(3, [(1, 0, 0.9), (2, 0, 0.1)]), np.array([True, False, False]), variant=variant)
    assert rank[1] > rank[2] > 0


@pytest.mark.parametrize("variant", VARIANTS)
def test_without_edges_or_events_or_symptoms_the_result_is_defined(variant: Variant) -> None:
    assert groot_rank(graph_of(0, []), np.zeros(0, bool), variant=variant).shape == (0,)
    one = groot_rank(graph_of(3, []), np.array([False, True, False]), variant=variant)
    assert one.tolist() == [0.0, 1.0, 0.0]
    none = groot_rank(EXAMPLE, np.zeros(5, bool), variant=variant)
    assert none == pytest.approx(groot_rank(EXAMPLE, np.ones(5, bool), variant=variant))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_cycle_of_causes_settles(variant: Variant) -> None:
    rank = groot_rank(graph_of(3, [(0, 1, 1.0), (1, 2, 1.0), (2, 0, 1.0)]), np.ones(3, bool), variant=variant)
    assert rank == pytest.approx([1 / 3] * 3)


def test_a_mask_restarts_around_the_symptoms_and_numbers_restart_at_them() -> None:
    chain = graph_of(3, [(1, 0, 1.0), (2, 1, 1.0)])
    mask = groot_rank(chain, np.array([True, False, False]))
    numbers = groot_rank(chain, np.array([1.0, 0.0, 0.0]))
    assert numbers[0] > mask[0]
    assert numbers == pytest.approx(groot_rank(chain, np.array([1e300, 0.0, 0.0])))


@settings(max_examples=25, deadline=None)
@given(worlds(), st.data(), st.sampled_from(VARIANTS))
def test_the_order_of_events_does_not_matter(graph: CausalityGraph, data: st.DataObject, variant: Variant) -> None:
    size = len(graph.events)
    place = np.array(data.draw(st.permutations(range(size))))
    symptoms = symptoms_of(data, size)
    moved = np.empty_like(symptoms)
    moved[place] = symptoms
    edges = zip(place[graph.cause].tolist(), place[graph.effect].tolist(), graph.weight.tolist(), strict=True)
    other = groot_rank(graph_of(size, edges), moved, variant=variant, tolerance=1e-12)
    assert other[place] == pytest.approx(groot_rank(graph, symptoms, variant=variant, tolerance=1e-12), abs=1e-10)


def shop(names: dict[str, str]) -> tuple[CausalityGraph, np.ndarray]:
    """web -> cart -> db with a full database disk below slow callers; the slow web is the symptom."""
    web, cart, db = (names[name] for name in ("web", "cart", "db"))
    topology = Topology.from_edges([(web, cart), (cart, db)], kinds={db: "database"})
    rows = [("saturation.disk", db, 0), ("latency.up", db, 1), ("latency.up", cart, 2), ("latency.up", web, 3)]
    events = [
        Event(
            id=f"{kind}:{component}", component=component, kind=kind, name="m", start=at * MINUTE, end=9 * MINUTE,
            severity=0.8,
        )
        for kind, component, at in rows
    ]  # fmt: skip
    return link_events(events, topology, load_rules()), np.array([False, False, False, True])


@pytest.mark.parametrize("variant", VARIANTS)
def test_names_of_components_do_not_matter_and_the_full_disk_comes_first(variant: Variant) -> None:
    first = groot_rank(*shop({"web": "web", "cart": "cart", "db": "db"}), variant=variant)
    second = groot_rank(*shop({"web": "a", "cart": "z", "db": "m"}), variant=variant)
    assert first == pytest.approx(second)
    assert first.argmax() == 0


@pytest.mark.parametrize(
    ("symptoms", "arguments", "error", "reason"),
    [
        (np.ones(4, bool), {}, InputError, "one value per event"),
        (np.ones((5, 1), bool), {}, InputError, "one axis"),
        (np.array([1, 0, 0, 0, -1.0]), {}, InputError, "no negative restart"),
        (np.array([1, 0, 0, 0, np.nan]), {}, InputError, "no NaN comes in"),
        (np.array([1, 0, 0, 0, np.inf]), {}, InputError, "nor infinity"),
        (np.ones(5, bool), {"variant": "both"}, SettingsError, "two variants"),
        (np.ones(5, bool), {"damping": 1.0}, SettingsError, "a walk that never restarts may not settle"),
        (np.ones(5, bool), {"damping": float("nan")}, SettingsError, "NaN is no probability"),
        (np.ones(5, bool), {"tolerance": 0.0}, SettingsError, "rounding never ends"),
    ],
)
def test_a_bad_argument_is_an_error(
    symptoms: np.ndarray, arguments: dict[str, Any], error: type[Exception], reason: str
) -> None:
    with pytest.raises(error):
        groot_rank(EXAMPLE, symptoms, **arguments)


def test_too_few_iterations_in_a_circle_are_an_error_and_not_a_result() -> None:
    circle = graph_of(3, [(0, 1, 1), (1, 0, 1), (2, 0, 1)])
    with pytest.raises(SettingsError):
        groot_rank(circle, np.array([True, False, False]), iterations=2)


@pytest.mark.parametrize("variant", VARIANTS)
def test_without_circles_the_limit_of_the_walk_is_found_in_whatever_order_events_stand(variant: Variant) -> None:
    rng = np.random.default_rng(0)
    edges = {(a, b): rng.uniform(0.1, 1) for a, b in np.sort(rng.integers(0, 60, (150, 2))).tolist() if a < b}
    symptoms = rng.random(60) < 0.1
    for place in (np.arange(60), np.arange(60)[::-1], rng.permutation(60)):
        graph = graph_of(60, [(int(place[a]), int(place[b]), weight) for (a, b), weight in edges.items()])
        moved = np.zeros(60, bool)
        moved[place] = symptoms
        steps, caused = groot._steps(graph)
        assert groot.visits(steps, np.ones(60), 0.85) is not None
        base, reached = groot._around(moved.astype(float), steps, boolean=True)
        preference = np.where(caused, 0.5, 1.0)
        restart = groot._normalised(base * preference if variant == "personalisation" else base)
        dead_end = restart if variant == "personalisation" else groot._normalised(reached * preference)
        walked = groot._walk(steps, ~caused, restart, dead_end, 0.85, 1e-13, 1_000)
        assert groot_rank(graph, moved, variant=variant) == pytest.approx(walked, abs=1e-11)
