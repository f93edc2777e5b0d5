"""``rca graph`` and ``rca history`` from end to end, on a case made by hand."""

from __future__ import annotations

import json
import re
import shutil
import uuid
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rca.cli import app
from rca.errors import InputError
from rca.knowledge import Knowledge, open_knowledge
from rca.knowledge.cypher import foreign_name, literal, schema_versions
from rca.knowledge.memory import MemoryStore
from rca.knowledge.page import render_graph
from rca.knowledge.picture import picture_of_topology
from rca.knowledge.rows import Batch
from rca.knowledge.script import to_cypher
from rca.knowledge.synced import SyncedStore
from rca.topology import Topology

_spec = spec_from_file_location("history", Path(__file__).with_name("history.py"))
assert _spec is not None
assert _spec.loader is not None
history = module_from_spec(_spec)
_spec.loader.exec_module(history)
START = history.START
DEMO = Path(__file__).resolve().parents[2] / "datasets" / "demo-shop" / "01-bad-deployment"
Run = Callable[..., Result]
BAD = "</script><script>alert(1)</script>'\\u0027`"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for name in ("RCA_GRAPH", "RCA_TENANT", "RCA_STATE_DIR", "RCA_NEO4J_URI"):
        monkeypatch.delenv(name, raising=False)

    def run_rca(*arguments: str | Path) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run_rca


def test_an_incident_goes_into_the_history_and_answers_questions(run: Run) -> None:
    assert run("history", "add", DEMO).exit_code == 0
    listed = json.loads(run("history", "list", "--format", "json").stdout)
    assert [row["state"] for row in listed] == ["believed"]
    incident = listed[0]["incident"]
    confirm = ("history", "confirm", incident, "--component", "images", "--kind", "change.deployment", "--by", "ann")
    assert run(*confirm).exit_code == 0
    assert run("history", "resolve", incident, "rolled back").exit_code == 0
    shown = json.loads(run("history", "show", incident, "--format", "json").stdout)
    assert shown["settled"]["state"] == "confirmed"
    assert shown["report"]["incident"]["id"] == incident
    assert "rolled back" in run("history", "show", incident).stdout
    assert json.loads(run("history", "causes", "--format", "json").stdout)[0]["confirmed"] == 1
    rules = json.loads(run("history", "rules", "--format", "json").stdout)
    assert rules[0]["incidents"] == 0
    assert rules[-1]["incidents"] == 1
    assert json.loads(run("history", "blast-radius", "--days", "1", "--format", "json").stdout)[0]["incidents"] == 1
    assert "storefront" in run("history", "teams").stdout
    assert run("history", "deny", incident, "--by", "bob").exit_code == 0
    assert json.loads(run("history", "deployments", "--format", "json").stdout) == []
    assert run("history", "show", "nothing").exit_code == 2


def test_a_topology_is_recorded_shown_exported_and_opened(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "topology.csv"
    file.write_text("caller,callee\nweb,cart\ncart,db\n")
    assert run("graph", "record", file, "--at", "2026-01-01T00:00:00Z").exit_code == 0
    assert run("graph", "record", DEMO).exit_code == 0
    shown = run("graph", "show", "--at", "2026-01-02T00:00:00Z").stdout
    assert "cart" in shown
    assert "yaml" in shown
    assert "cart" not in run("graph", "show", "--at", "2025-01-02T00:00:00Z").stdout
    near = json.loads(run("graph", "export", "--near", "cart", "--hops", "1").stdout)
    assert [node["id"] for node in near["nodes"]][:3] == ["cart", "db", "web"]
    page = tmp_path / "page.html"
    assert run("graph", "open", "--no-browser", "--out", page).exit_code == 0
    assert page.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert run("graph", "sync").exit_code == 2


def test_an_analysis_takes_its_topology_from_the_graph_and_says_when_it_is_old(run: Run, tmp_path: Path) -> None:
    graph = tmp_path / "graph.sqlite"
    assert (
        run("graph", "record", DEMO / "topology.json", "--at", "2026-01-01T00:00:00Z", "--graph", graph).exit_code == 0
    )
    case = shutil.copytree(DEMO, tmp_path / "case")
    (case / "topology.json").unlink()
    document = json.loads(run("analyze", case, "--graph", graph, "--format", "json").stdout)
    assert document["root_causes"][0]["component"] == "images"
    document = json.loads(run("analyze", case, "--graph", "bolt://127.0.0.1:1", "--format", "json").stdout)
    assert document["warnings"][0].startswith("degraded: the topology is the last one known here")
    assert document["degraded"] == document["warnings"][:1]
    assert document["root_causes"][0]["component"] == "images"


def test_what_neo4j_refused_is_shown_retried_and_dropped(
    run: Run, neo4j_address: tuple[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tenant, (address, password) = uuid.uuid4().hex, neo4j_address
    monkeypatch.setenv("RCA_NEO4J_PASSWORD", password)
    monkeypatch.setenv("RCA_TENANT", tenant)
    assert SyncedStore.__init__.__kwdefaults__ is not None
    monkeypatch.setitem(SyncedStore.__init__.__kwdefaults__, "patience", 60.0)  # of a loaded machine
    monkeypatch.setattr("rca.knowledge.synced.READ_SECONDS", 60.0)
    row = {"incident": "one", "component": "x" * 12_000, "role": "impact"}
    with open_knowledge(address, tenant=tenant) as knowledge:
        knowledge.store.write(Batch(rows={"touched": [row]}))
    file = tmp_path / "topology.csv"
    file.write_text("caller,callee\nweb,cart\n")
    recorded = run("graph", "record", file, "--graph", address)
    assert (recorded.exit_code, "refused 1 batch" in recorded.stderr) == (0, True)
    document = json.loads(run("analyze", DEMO, "--graph", address, "--similar", "--format", "json").stdout)
    assert sum("refused 1 batch" in warning for warning in document["warnings"]) == 1
    assert "refused 1 batch" in run("doctor", DEMO, "--graph", address).stdout
    for arguments in ((), ("--retry", "all")):
        shown = run("graph", "sync", "--graph", address, *arguments)
        assert shown.exit_code == 2
        assert f"tenant {tenant}: incident one, 1 touched" in shown.stdout
        assert "too large to index" in shown.stdout
    assert run("graph", "sync", "--graph", address, "--drop", "x").exit_code == 2
    assert run("graph", "sync", "--graph", address, "--drop", shown.stdout.split()[0]).stdout == "Nothing waits\n"


def test_a_hostile_name_stays_a_name_in_page_and_script(neo4j_store) -> None:
    knowledge = Knowledge(MemoryStore())
    knowledge.record_topology(Topology.from_edges([(BAD, "b")], attributes={BAD: {BAD: BAD}}), source="yaml", at=1)
    picture = picture_of_topology(knowledge.topology_at(1))
    page = render_graph(picture)
    assert page.count("<script") == 2
    assert "alert(1)</script>" not in page
    data = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    assert BAD in {node["id"] for node in json.loads(data[1])["nodes"]}
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)
    echoed = neo4j_store.look(f"RETURN {literal(BAD)} AS name, {literal([BAD, 'x'])} AS names, {literal(0.5)} AS n")
    assert echoed == [{"name": BAD, "names": [BAD, "x"], "n": 0.5}]
    for statement in to_cypher(picture).splitlines()[1:]:
        neo4j_store.look(f"EXPLAIN {statement}")


@pytest.mark.parametrize("name", ["", "a b", "a`", "a'", "1a", "a\\u0060", "x" * 101, "ä"])
def test_foreign_names_are_plain(name: str) -> None:
    with pytest.raises(InputError):
        foreign_name(name)


def test_the_schema_has_versions_and_needs_no_enterprise_edition() -> None:
    versions = schema_versions()
    assert len(versions) == 1
    assert all("IF NOT EXISTS" in statement for version in versions for statement in version)
    assert not any("NODE KEY" in statement or "NOT NULL" in statement for version in versions for statement in version)
