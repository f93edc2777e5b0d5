"""What Neo4j refuses for good is set aside: nothing else waits for it, what depends on it does, nothing is lost."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from rca.errors import NotFoundError, RejectedError
from rca.knowledge import Feedback, Knowledge, Resolution
from rca.knowledge.neo4j_store import Neo4jStore
from rca.knowledge.outbox import needs, subjects
from rca.knowledge.rows import Batch
from rca.knowledge.sqlite_store import SQLiteStore
from rca.knowledge.synced import SyncedStore
from rca.knowledge.window import situate
from rca.topology import Topology

_spec = spec_from_file_location("history", Path(__file__).with_name("history.py"))
assert _spec is not None
assert _spec.loader is not None
history = module_from_spec(_spec)
_spec.loader.exec_module(history)
START, DAY = history.START, history.DAY
WIDE = "\U0001f525" * 3_000  # 12 kB of UTF-8, more than Neo4j's indexes take
NOBODY = "bolt://127.0.0.1:1"


def too_large(incident: str) -> Batch:
    """A row that every store but Neo4j keeps."""
    return Batch(rows={"touched": [{"incident": incident, "component": WIDE, "role": "impact"}]})


@pytest.fixture
def store(neo4j_store: Neo4jStore, tmp_path: Path) -> Iterator[SyncedStore]:
    synced = SyncedStore(neo4j_store, SQLiteStore(tmp_path / "net.sqlite", neo4j_store.tenant), patience=60.0)
    yield synced
    synced.close()


@pytest.fixture
def away(tmp_path: Path) -> Iterator[SyncedStore]:
    """A store whose server does not answer: everything waits."""
    synced = SyncedStore(Neo4jStore(NOBODY, password="x"), SQLiteStore(tmp_path / "away.sqlite"), patience=60.0)
    yield synced
    synced.close()


def test_a_batch_that_is_refused_for_good_lets_later_ones_pass_and_is_told(store: SyncedStore) -> None:
    knowledge = Knowledge(store)
    assert store.concern() == ""
    store.write(too_large("one"))
    knowledge.record_incident(history.report("two", START))
    knowledge.record_topology(history.SHOP, source="yaml", at=START)
    assert [row["id"] for row in store.remote.incident_ids(START, START + 1).rows] == ["two"]
    assert not knowledge.topology_at(START).degraded
    state = store.state()
    assert (state.pending, state.set_aside, state.reason) == (0, 1, "")
    [told] = store.outbox.aside()
    assert "too large to index" in told.error
    assert told.holds == "incident one, 1 touched"
    assert "refused 1 batch" in store.concern()
    assert store.for_tenant("another").concern() == ""


def test_what_depends_on_a_refused_batch_waits_behind_it_in_order_and_nothing_else_does(store: SyncedStore) -> None:
    knowledge = Knowledge(store)
    store.write(too_large("one"))
    knowledge.record_incident(history.report("one", START, suspects=(0,)))
    knowledge.give_feedback(Feedback(incident="one", by="ann", at=2, verdict="confirmed", component="cart"))
    knowledge.record_incident(history.report("two", START, suspects=(0,)))  # the same change, which it brings itself
    first, *behind = store.outbox.aside()
    assert [one.error for one in behind] == [f"depends on {first.number}"] * 2
    assert [row["id"] for row in store.remote.incident_ids(START, START + 1).rows] == ["two"]
    store.outbox.drop(first.number)
    assert store.sync().pending == 0
    assert store.outbox.aside() == []
    assert Knowledge(store.remote).incident("one") == knowledge.incident("one")
    assert Knowledge(store.remote).incident("one").settled.component == "cart"


def test_a_constraint_of_somebody_elses_sets_aside_until_it_is_gone_and_a_retry_brings_everything_once(
    own_server, tmp_path: Path
) -> None:
    tenant = uuid.uuid4().hex
    remote = Neo4jStore(own_server.uri, password=own_server.password, tenant=tenant)
    store = SyncedStore(remote, SQLiteStore(tmp_path / "net.sqlite", tenant), patience=60.0)
    knowledge = Knowledge(store)

    def change_schema(statement: str) -> None:
        remote.server.prepare()
        with remote.server._driver.session() as session:
            session.run(statement).consume()

    change_schema("CREATE CONSTRAINT theirs FOR (n:RcaResolution) REQUIRE (n.tenant, n.text) IS UNIQUE")
    try:
        for number in (1, 2):
            knowledge.record_incident(history.report(f"i{number}", START + number))
            knowledge.resolve(Resolution(incident=f"i{number}", by="ann", at=number, text="restarted it"))
        knowledge.resolve(Resolution(incident="i2", by="bob", at=3, text="did so again"))
        refused, behind = store.outbox.aside()
        assert "ConstraintValidationFailed" in refused.error
        assert behind.error == f"depends on {refused.number}"
        store.outbox.retry()
        store.sync()
        assert len(store.outbox.aside()) == 2  # it is still there
    finally:
        change_schema("DROP CONSTRAINT theirs")
    knowledge.record_incident(history.report("i3", START + 3))
    store.outbox.retry()
    assert store.sync().set_aside == 0
    said = {(row["by"], row["text"]) for row in remote.rows("resolutions", ["i1", "i2"]).rows}
    assert said == {("ann", "restarted it"), ("bob", "did so again")}
    assert len(remote.rows("resolutions", ["i1", "i2"]).rows) == 3
    store.close()


def test_a_retry_goes_before_what_waits_and_is_newer(store: SyncedStore, away: SyncedStore) -> None:
    """A claim that was ended meanwhile must not come to life again."""
    knowledge, source = Knowledge(away), "yaml"
    for at, edge in ((100, ("a", "b")), (200, ("a", "c"))):
        knowledge.record_topology(Topology.from_edges([edge]), source=source, at=at)
    first = away.outbox.oldest()
    assert first is not None
    away.outbox.set_aside(first.number, "made up")
    away.outbox.retry(first.number)
    assert away.state().pending == 2
    later = SyncedStore(store.remote.for_tenant("default"), away.local, patience=60.0)
    tenant = store.tenant
    with away.local.connection.writing() as cursor:  # the server is shared: send it as a tenant of this test
        cursor.execute("UPDATE queue SET tenant = ?", (tenant,))
    assert later.sync().pending == 0
    known = Knowledge(store.remote)
    assert {at: list(known.topology_at(at).confidence) for at in (150, 250)} == {150: [("a", "b")], 250: [("a", "c")]}


def test_what_another_version_queued_is_set_aside_and_stops_nobody(store: SyncedStore) -> None:
    with store.local.connection.writing() as cursor:
        for content in (b"{}", b"no json", b'{"rows": {"incidents": [{"id": "x"}]}, "renewed": []}'):
            cursor.execute("INSERT INTO queue (tenant, batch) VALUES (?, ?)", (store.tenant, content))
    Knowledge(store).record_incident(history.report("two", START))
    assert store.state().pending == 0
    assert len(store.remote.incident_ids(START, START + 1).rows) == 1
    told = store.outbox.aside()
    assert all(one.error == one.holds for one in told)
    assert [one.error.split(":")[0] for one in told] == [
        "cannot be read",
        "cannot be read",
        "a row of incidents has other columns",
    ]
    with pytest.raises(NotFoundError, match="no batch 99"):
        store.outbox.drop(99)
    store.outbox.drop()
    assert store.state().set_aside == 0


def test_what_is_set_aside_outlives_the_process_and_a_server_that_is_away_sets_nothing_aside(
    away: SyncedStore, tmp_path: Path
) -> None:
    Knowledge(away).record_incident(history.report("one", START))
    assert (away.state().pending, away.state().set_aside) == (1, 0)
    entry = away.outbox.oldest()
    assert entry is not None
    away.outbox.set_aside(entry.number, "made up")
    again = SyncedStore(Neo4jStore(NOBODY, password="x"), SQLiteStore(tmp_path / "away.sqlite"))
    assert (again.state().pending, again.state().set_aside) == (0, 1)
    again.close()


def test_a_wrong_password_and_a_statement_that_is_not_understood_set_nothing_aside(
    neo4j_address: tuple[str, str], neo4j_store: Neo4jStore, tmp_path: Path
) -> None:
    locked = SyncedStore(
        Neo4jStore(neo4j_address[0], password="wrong one"), SQLiteStore(tmp_path / "net.sqlite"), patience=60.0
    )
    locked.write(too_large("one"))
    assert (locked.state().pending, locked.state().set_aside) == (1, 0)
    locked.close()
    with pytest.raises(Exception, match="SyntaxError") as told:
        neo4j_store.look("NOT CYPHER")
    assert not isinstance(told.value, RejectedError)
    with pytest.raises(RejectedError):
        neo4j_store.look("RETURN 1 / 0")


def test_a_report_says_that_the_graph_lacks_something(store: SyncedStore, shop) -> None:
    knowledge = Knowledge(store)
    knowledge.record_topology(shop.topology, source="yaml", at=shop.start)
    assert situate(knowledge, shop.case()).warnings == ()
    store.write(too_large("one"))
    assert any("refused 1 batch" in warning for warning in situate(knowledge, shop.case()).warnings)


def test_a_batch_depends_on_the_same_claims_incidents_and_on_changes_that_it_only_names() -> None:
    knowledge = Knowledge(SQLiteStore(":memory:"))
    batches: list[Batch] = []
    write = knowledge.store.write
    knowledge.store.write = lambda batch: (batches.append(batch), write(batch))[0]  # type: ignore[method-assign]
    knowledge.record_changes(history.CHANGES)
    knowledge.record_incident(history.report("one", START, suspects=(0,)))
    knowledge.give_feedback(
        Feedback(incident="one", by="ann", at=1, verdict="confirmed", component="cart", change="d4")
    )
    knowledge.record_topology(history.SHOP, source="yaml", at=1)
    knowledge.record_topology(history.SHOP, source="spans", at=1)
    knowledge.forget_incidents(["one"])
    changes, report, word, inventory, seen, forgotten = batches
    assert needs(changes).isdisjoint(subjects(changes))
    assert needs(report).isdisjoint(subjects(changes))
    assert not needs(word).isdisjoint(subjects(changes))
    assert not needs(word).isdisjoint(subjects(report))
    assert needs(seen).isdisjoint(subjects(inventory))
    assert not needs(forgotten).isdisjoint(subjects(report))


def test_an_incident_that_is_set_aside_is_read_from_the_file(store: SyncedStore) -> None:
    knowledge = Knowledge(store)
    knowledge.record_incident(history.report("two", START))
    store.write(too_large("one"))
    knowledge.record_incident(history.report("one", START, suspects=(0,)))
    assert [incident.id for incident in knowledge.incidents()] == ["one", "two"]
    assert [suspect.change for suspect in knowledge.incident("one").suspects] == ["d1"]
    assert store.rows("changes", ["d1"]).rows[0]["component"] == "cart"
