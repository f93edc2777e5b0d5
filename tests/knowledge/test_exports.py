"""What is exported is the whole graph: read back by networkx, by Neo4j and by ourselves it is the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from itertools import pairwise
from pathlib import Path

import networkx as nx
import pytest

from rca.knowledge import Knowledge
from rca.knowledge.cmdb import CmdbMapping, read_cmdb
from rca.knowledge.layout import lay_out
from rca.knowledge.memory import MemoryStore
from rca.knowledge.neo4j_store import Neo4jStore
from rca.knowledge.picture import Picture, picture_of_incident, picture_of_topology, to_graphml, to_json
from rca.knowledge.script import MOST_ROWS, to_cypher
from rca.topology import Topology

_spec = spec_from_file_location("history", Path(__file__).with_name("history.py"))
assert _spec is not None
assert _spec.loader is not None
history = module_from_spec(_spec)
_spec.loader.exec_module(history)
START = history.START
BAD = "</script>'\\u0027`\"}) DETACH DELETE n //\\"
AWKWARD = Topology.from_edges(
    [("shop", BAD, 3.0), (BAD, "shop"), ("shop", "pay"), ("a\x1eb\x1f", "pay")],
    components=["𝕬 ä", "lonely"],
    kinds={"pay": "database"},
    attributes={
        BAD: {BAD: BAD, "id": "not the id", "label": "l", "source": "s", "node_for_adding": "x"},
        "pay": {"a b": "1", "a_b": "2", "a-b": "3", "n": "7"},
    },
)


def awkward() -> Picture:
    knowledge = Knowledge(MemoryStore())
    knowledge.record_topology(AWKWARD, source="yaml", at=START)
    return picture_of_topology(knowledge.topology_at(START))


def incident() -> Picture:
    knowledge = Knowledge(MemoryStore())
    knowledge.record_incident(history.REPORTS[0])
    return picture_of_incident(knowledge.incident("one"))


def clean(text: str) -> str:
    """A name as the exports keep it: without the separators of the script and what XML cannot hold."""
    return text.replace("\x1e", "\ufffd").replace("\x1f", "\ufffd")


def links(picture: Picture) -> list[tuple[str, str, str]]:
    return sorted((clean(edge.source), clean(edge.target), edge.label) for edge in picture.edges)


@pytest.fixture
def empty_server(own_server) -> Iterator[Neo4jStore]:
    """A database without exported graphs, before and afterwards."""
    store = Neo4jStore(own_server.uri, password=own_server.password)

    def run(*statements: str) -> None:
        with store.server._driver.session() as session:
            for statement in statements:
                session.run(statement).consume()

    forget = "MATCH (n:Component|Event) DETACH DELETE n"
    run(forget)
    store.server.run_all = run  # type: ignore[attr-defined]
    yield store
    run(forget, "DROP INDEX rca_export_component IF EXISTS", "DROP INDEX rca_export_event IF EXISTS")
    store.close()


@pytest.mark.parametrize("make", [awkward, incident])
def test_networkx_reads_the_same_graph_back(make) -> None:
    picture = make()
    graph = nx.parse_graphml(to_graphml(picture))
    assert sorted(facts["id"] for _, facts in graph.nodes(data=True)) == sorted(
        clean(node.id) for node in picture.nodes
    )
    name = nx.get_node_attributes(graph, "id")
    assert sorted((name[a], name[b], facts["label"]) for a, b, facts in graph.edges(data=True)) == links(picture)
    told = {facts["id"]: facts for _, facts in graph.nodes(data=True)}
    for node in picture.nodes:
        assert {clean(str(value)) for value in node.facts.values()} <= {str(v) for v in told[clean(node.id)].values()}


@pytest.mark.parametrize("make", [awkward, incident])
def test_a_neo4j_that_runs_the_script_twice_holds_the_same_graph_once(make, empty_server: Neo4jStore) -> None:
    picture = make()
    statements = [line for line in to_cypher(picture).splitlines() if not line.startswith("//")]
    assert all(line.endswith(";") for line in statements)
    for _ in range(2):
        empty_server.server.run_all(*(line.removesuffix(";") for line in statements))  # type: ignore[attr-defined]
    nodes = {
        row["n"]["id"]: row["n"] for row in empty_server.look("MATCH (n:Component|Event) RETURN properties(n) AS n")
    }
    assert sorted(nodes) == sorted(clean(node.id) for node in picture.nodes)
    for node in picture.nodes:
        kept = nodes[clean(node.id)]
        assert (kept["label"], kept["group"], kept.get("marked", "")) == (clean(node.label), node.group, node.marked)
        assert {str(value) for value in node.facts.values() if value != ""} <= {str(v) for v in kept.values()}
    found = empty_server.look(
        "MATCH (a)-[r:DEPENDS_ON|MAY_HAVE_CAUSED]->(b) WHERE a:Component OR a:Event "
        "RETURN a.id AS a, b.id AS b, properties(r) AS r"
    )
    assert sorted((row["a"], row["b"], row["r"]["label"]) for row in found) == links(picture)
    numbers = {(row["a"], row["b"]): row["r"] for row in found}
    for edge in picture.edges:
        kept = numbers[clean(edge.source), clean(edge.target)]
        assert all(kept[name] == value for name, value in edge.facts.items() if isinstance(value, float))


def test_a_script_comes_back_as_a_cmdb(empty_server: Neo4jStore, own_server, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line for line in to_cypher(awkward()).splitlines() if not line.startswith("//")]
    empty_server.server.run_all(*(line.removesuffix(";") for line in lines))  # type: ignore[attr-defined]
    monkeypatch.setenv("RCA_NEO4J_PASSWORD", own_server.password)
    back = read_cmdb(own_server.uri, CmdbMapping(label="Component", name="id", facts={"kind": "kind"}))
    assert back.components == tuple(sorted(map(clean, AWKWARD.components)))
    assert back.kinds["pay"] == "database"
    assert len(back.caller) == len(AWKWARD.caller)


def test_a_long_script_has_few_statements_and_an_empty_one_has_none() -> None:
    knowledge = Knowledge(MemoryStore())
    assert to_cypher(picture_of_topology(knowledge.topology_at(1))).count("UNWIND") == 0
    names = [f"s{i}" for i in range(MOST_ROWS + 1)]
    knowledge.record_topology(Topology.from_edges(pairwise(names)), source="yaml", at=1)
    assert to_cypher(picture_of_topology(knowledge.topology_at(1))).count("UNWIND") == 3


@pytest.mark.parametrize("make", [awkward, incident])
def test_all_forms_count_the_same_and_are_the_same_bytes_again(make) -> None:
    picture = make()
    document = json.loads(to_json(picture))
    assert (len(document["nodes"]), len(document["edges"])) == (len(picture.nodes), len(picture.edges))
    assert len(set(lay_out(picture))) == len(picture.nodes)
    for write in (to_json, to_graphml, to_cypher):
        assert write(picture) == write(make())
