from __future__ import annotations

from pathlib import Path

import networkx as nx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rca.errors import RCAError, TopologyError
from rca.topology import Topology
from rca.topology_files import find_cycles, read_topology, topology_from_json, topology_to_json

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def edges(topology: Topology) -> list[tuple[str, str, float]]:
    names = topology.components
    rows = zip(topology.caller.tolist(), topology.callee.tolist(), topology.weight.tolist(), strict=True)
    return [(names[a], names[b], w) for a, b, w in rows]


def write(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["caller,callee,calls", "parent,child,callCount", "source,target,calls"])
def test_edges_in_csv_are_read_and_repeats_add_up(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", f"{name}\nweb,cart,3\ncart,db,1\nweb,cart,2\nweb,ads,0\n")
    topology = read_topology(path)
    assert edges(topology) == [("cart", "db", 1.0), ("web", "cart", 5.0)]
    assert topology.components == ("ads", "cart", "db", "web")


def test_edges_without_counts_weigh_one(tmp_path: Path) -> None:
    assert edges(read_topology(write(tmp_path / "t.csv", "caller,callee\nweb,cart\n"))) == [("web", "cart", 1.0)]


def test_a_matrix_has_callers_in_rows_and_callees_in_columns(tmp_path: Path) -> None:
    topology = read_topology(write(tmp_path / "t.csv", ",web,cart,db\nweb,0,1,0\ncart,0,,2.5\ndb,0,0,0\n"))
    assert edges(topology) == [("cart", "db", 2.5), ("web", "cart", 1.0)]
    assert topology.components == ("cart", "db", "web")


def test_yaml_holds_components_with_their_facts_and_edges(tmp_path: Path) -> None:
    topology = read_topology(
        write(
            tmp_path / "t.yaml",
            "components:\n"
            "  web: {depends_on: [cart]}\n"
            "  cart: {kind: service, host: node-1, zone: eu-1, owner: shop, depends_on: db}\n"
            "  cart-0: {replica_of: cart}\n"
            "  idle:\n"
            "edges:\n"
            "  - [web, ads, 12]\n"
            "  - {caller: ads, callee: bank}\n",
        )
    )
    assert edges(topology) == [("ads", "bank", 1), ("cart", "db", 1), ("web", "ads", 12), ("web", "cart", 1)]
    assert topology.kinds == {"cart": "service"}
    assert topology.hosts == {"cart": "node-1"}
    assert topology.replica_of == {"cart-0": "cart"}
    assert topology.attributes == {"cart": {"zone": "eu-1", "owner": "shop"}}
    assert "idle" in topology.components


@pytest.mark.parametrize(
    "document",
    [
        '{"data": [{"parent": "web", "child": "cart", "callCount": 42}], "total": 0, "limit": 0, "errors": null}',
        '[{"parent": "web", "child": "cart", "callCount": 42, "errorCount": 1}]',
        '[["web", "cart", 42]]',
        '{"edges": [{"caller": "web", "callee": "cart", "calls": 42}]}',
        '{"components": ["web", "cart"], "edges": [["web", "cart", 40], ["web", "cart", 2]]}',
    ],
)
def test_json_of_our_own_of_jaeger_and_of_zipkin_says_the_same(document: str) -> None:
    assert edges(topology_from_json(document.encode())) == [("web", "cart", 42.0)]


@pytest.mark.parametrize(
    ("name", "content", "where", "problem"),
    [
        ("t.yaml", "components:\n  web:\n    kidn: service\n", ", line 3", "unknown fact 'kidn'"),
        ("t.yaml", "edges:\n  - [a, b]\n  - {caller: a}\n", ", line 3", "is no edge"),
        ("t.yaml", "nodes: {}\n", ", line 1", "unknown key 'nodes'"),
        ("t.yaml", "components:\n  web: {host: [a]}\n", ", line 2", "no text"),
        ("t.yaml", "components: &a\n  x: *a\n", ", line 2", "no anchor before it"),
        ("t.yaml", "components: 5\n", ", line 1", "no list of names"),
        ("t.yaml", "5\n", "", "no components or edges"),
        ("t.json", '{"edges": [["a", "b", -1]]}', ", edges, edge 1", "negative"),
        ("t.json", '{"edges": [["a", "b", true]]}', ", edges, edge 1", "no number"),
        ("t.json", '{"edges": [["a"]]}', ", edges, edge 1", "is no edge"),
        ("t.json", '{"edges": [["a", ""]]}', ", edges, edge 1", "empty"),
        ("t.json", '{"edges": {}}', ", edges", "no list"),
        ("t.json", '{"kinds": ["a"]}', ", kinds", "no mapping"),
        ("t.json", '{"attributes": {"a": 5}}', ", attributes", "no mapping of mappings"),
        ("t.json", '{"data": 5}', "", "data is no list"),
        ("t.json", "{", "", "no JSON"),
        ("t.json", "[" * 100_000, "", "nested too deep"),
        ("t.csv", "caller,callee\na\n", "", "Expected 2 columns"),
        ("t.csv", "caller,callee,calls\na,b,many\n", ", row 1", "no number"),
        ("t.csv", "caller,callee\n,b\n", ", row 1", "empty"),
        ("t.csv", "caller,callee,weight\na,b,1\n", "", "unknown column 'weight'"),
        ("t.csv", ",a,b\na,0,1\nc,0,0\n", "", "the row 'c' has no column"),
        ("t.csv", ",a,b\na,0,x\n", ", row a, column b", "no number"),
        ("t.csv", "a\nb\n", "", "one column alone"),
        ("t.csv", "", "", "no header"),
        ("t.txt", "", "", "no topology of a known form"),
    ],
)
def test_a_malformed_file_names_place_problem_and_remedy(
    name: str, content: str, where: str, problem: str, tmp_path: Path
) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(TopologyError) as caught:
        read_topology(path)
    assert caught.value.where == f"{path}{where}"
    assert problem in caught.value.problem
    assert caught.value.remedy


@pytest.mark.parametrize("form", ["csv", "json", "yaml"])
def test_a_file_that_is_not_there_is_an_error(form: str, tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match=rf"none\.{form}"):
        read_topology(tmp_path / f"none.{form}")


def test_cycles_are_allowed_and_reported() -> None:
    topology = Topology.from_edges(
        [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("x", "y"), ("y", "x"), ("d", "x"), ("z", "z")]
    )
    assert find_cycles(topology) == [("a", "b", "c"), ("x", "y")]
    assert find_cycles(Topology.from_edges([])) == []


NAMES = st.sampled_from(["a", "b", "c", "d", "é,\n"])
GRAPHS = st.lists(st.tuples(NAMES, NAMES, st.integers(1, 9).map(float)), max_size=12)


@given(GRAPHS)
def test_cycles_are_the_strong_components_that_networkx_finds(graph: list[tuple[str, str, float]]) -> None:
    topology = Topology.from_edges(graph)
    expected = [tuple(sorted(c)) for c in nx.strongly_connected_components(topology.to_networkx()) if len(c) > 1]
    assert find_cycles(topology) == sorted(expected)


@given(GRAPHS, st.dictionaries(NAMES, st.text(min_size=1, max_size=3), max_size=3))
def test_a_topology_is_read_back_as_it_was_written(graph: list[tuple[str, str, float]], facts: dict[str, str]) -> None:
    attributes = {name: {"zone": fact} for name, fact in facts.items()}
    topology = Topology.from_edges(
        graph, components=["alone"], kinds=facts, hosts=facts, replica_of=facts, attributes=attributes
    )
    read = topology_from_json(topology_to_json(topology))
    assert read.components == topology.components
    assert edges(read) == edges(topology)
    assert (read.kinds, read.hosts, read.replica_of, read.attributes) == (facts, facts, facts, attributes)


@pytest.mark.parametrize("form", ["csv", "json", "yaml"])
@QUICK
@given(
    content=st.one_of(
        st.binary(max_size=60),
        st.text(alphabet='[]{}:,"\n ab1-', max_size=60).map(str.encode),
    )
)
@example(content=b'{"components": {"a": {"kind": 1e400}}}')
@example(content=b'{"edges": [["a", "b", 1' + b"0" * 400 + b"]]}")
@example(content=b'{"kinds": {"a": 1' + b"0" * 4_000 + b"}}")
@example(content=b",\n")
def test_arbitrary_bytes_give_a_topology_or_an_error_that_names_the_file(
    form: str, content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / f"t.{form}"
    path.write_bytes(content)
    try:
        read_topology(path)
    except RCAError as error:
        assert error.where is not None
        assert str(path) in error.where
