"""The SQLite file: brought forward, refused where it is newer or another's, whole after a kill."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from rca.errors import StoreError
from rca.knowledge import Knowledge
from rca.knowledge import sqlite_schema as schema
from rca.knowledge.cypher import schema_versions
from rca.knowledge.neo4j_store import Neo4jStore
from rca.knowledge.rows import BEGINNING, FOREVER
from rca.knowledge.sqlite_store import SQLiteStore
from rca.topology import Topology

WRITER = """
import sys
from rca.knowledge import Knowledge
from rca.knowledge.sqlite_store import SQLiteStore
from rca.topology import Topology
known = Knowledge(SQLiteStore(sys.argv[1]))
for number in range(10_000):
    known.record_topology(Topology.from_edges([(f"a{number}", f"b{number}")]), source="spans", at=number + 1)
    print(number, flush=True)
"""


def test_a_newer_file_and_another_programs_are_refused(tmp_path: Path) -> None:
    newer, foreign, text = tmp_path / "newer", tmp_path / "foreign", tmp_path / "text"
    SQLiteStore(newer).close()
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    text.write_text("no database at all, but long enough to be looked at " * 20)
    for file, problem in ((newer, "version 99"), (foreign, "another program"), (text, "cannot be opened")):
        with pytest.raises(StoreError, match=problem):
            SQLiteStore(file)
    with pytest.raises(StoreError):
        SQLiteStore(tmp_path / "text" / "below.sqlite")


def test_an_older_file_is_brought_forward_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "old.sqlite"
    store = SQLiteStore(file)
    Knowledge(store).record_topology(Topology.from_edges([("a", "b")]), source="yaml", at=1)
    store.close()
    known = schema.MIGRATIONS
    broken = "ALTER TABLE components ADD COLUMN extra TEXT; SELECT nonsense;"
    monkeypatch.setattr(schema, "MIGRATIONS", (*known, broken))
    with pytest.raises(StoreError):
        SQLiteStore(file)
    monkeypatch.setattr(schema, "MIGRATIONS", (*known, "CREATE TABLE later (x);"))
    store = SQLiteStore(file)
    assert Knowledge(store).topology_at(1).topology.components == ("a", "b")
    with store.connection.reading() as cursor:
        assert cursor.execute("PRAGMA user_version").fetchone() == (len(known) + 1,)
        assert "extra" not in [row[1] for row in cursor.execute("PRAGMA table_info(components)")]
    store.close()


def test_what_was_acknowledged_outlives_a_kill(tmp_path: Path) -> None:
    file = tmp_path / "killed.sqlite"
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    done = [int(process.stdout.readline()) for _ in range(20)]
    os.kill(process.pid, signal.SIGKILL)
    done += [int(line) for line in process.stdout.read().splitlines() if line]
    process.stdout.close()
    process.wait()
    store = SQLiteStore(file)
    claims = store.claims(BEGINNING, later=True)
    kept = {claim.caller for claim in claims.dependencies}
    assert kept >= {f"a{number}" for number in done}
    assert {claim.name for claim in claims.components} == kept | {f"b{name[1:]}" for name in kept}
    store.close()


def test_a_database_that_an_older_rca_prepared_is_brought_forward_and_its_rows_stay(
    own_server, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = schema_versions()
    index = "rca_of_a_later_version"
    later = [*known, [f"CREATE INDEX {index} IF NOT EXISTS FOR (n:RcaFeedback) ON (n.tenant, n.verdict)"]]
    old = Neo4jStore(own_server.uri, password=own_server.password, tenant=uuid.uuid4().hex)
    Knowledge(old).record_topology(Topology.from_edges([("a", "b")]), source="yaml", at=1)
    monkeypatch.setattr("rca.knowledge.neo4j_store.schema_versions", lambda: later)
    new = Neo4jStore(own_server.uri, password=own_server.password, tenant=old.tenant)
    try:
        assert new.server.prepare() == len(later)
        assert Knowledge(new).topology_at(1).topology.components == ("a", "b")
        assert [row["name"] for row in new.look("SHOW INDEXES YIELD name") if row["name"] == index] == [index]
        monkeypatch.setattr("rca.knowledge.neo4j_store.schema_versions", lambda: known)
        stale = Neo4jStore(own_server.uri, password=own_server.password)
        with pytest.raises(StoreError, match=f"has version {len(later)}, this rca reads up to {len(known)}"):
            Knowledge(stale).record_topology(Topology.from_edges([("a", "b")]), source="yaml", at=1)
        stale.close()
    finally:
        with new.server._driver.session() as session:
            session.run(f"DROP INDEX {index} IF EXISTS").consume()
            session.run("MATCH (s:RcaSchema) SET s.version = $version", version=len(known)).consume()
        new.close()
        old.close()


def test_a_database_that_a_newer_rca_prepared_is_refused(
    neo4j_address: tuple[str, str], neo4j_store: Neo4jStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    neo4j_store.server.prepare()
    monkeypatch.setattr("rca.knowledge.neo4j_store.schema_versions", lambda: [])
    fresh = Neo4jStore(neo4j_address[0], password=neo4j_address[1])
    with pytest.raises(StoreError, match="has version 1, this rca reads up to 0"):
        fresh.incident_ids(0, FOREVER)
    fresh.close()
