"""The Neo4j store's connections: whoever waits for an answer gets it, and none is left open."""

from __future__ import annotations

import threading

import neo4j
import pytest

from rca.errors import StoreError
from rca.knowledge.neo4j_store import Neo4jStore


def test_who_waits_while_the_store_is_closed_gets_an_answer_and_nobody_else_does(
    neo4j_address: tuple[str, str],
) -> None:
    uri, password = neo4j_address
    store = Neo4jStore(uri, password=password)
    begun, closed = threading.Event(), threading.Event()
    answers: list[int] = []

    def work(transaction: neo4j.ManagedTransaction) -> int:
        begun.set()
        assert closed.wait(30)
        return int(transaction.run("RETURN 7 AS n").single(strict=True)["n"])

    waiting = threading.Thread(target=lambda: answers.append(store.server.read(work)))
    waiting.start()
    assert begun.wait(30)
    store.close()
    closed.set()
    waiting.join(30)
    assert answers == [7]
    with pytest.raises(StoreError, match="is closed"):
        store.server.read(work)


def test_connections_are_given_back_when_nobody_waits_any_more(
    neo4j_address: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, password = neo4j_address
    store = Neo4jStore(uri, password=password)
    server, opened, closed = store.server, threading.Event(), threading.Event()
    closings: list[bool] = []
    monkeypatch.setattr(server._driver, "close", lambda: closings.append(closed.is_set()))

    def work() -> None:
        with server._entered():
            opened.set()
            assert closed.wait(30)

    inside = threading.Thread(target=work)
    inside.start()
    assert opened.wait(30)
    store.close()
    assert closings == []
    closed.set()
    inside.join(30)
    assert closings == [True]
    monkeypatch.undo()
    server._driver.close()
