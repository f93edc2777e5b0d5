"""Stores to test, Neo4j among them: a server found at ../shared/servers or RCA_NEO4J_URI."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rca.errors import StoreError
from rca.knowledge import GraphStore, Knowledge
from rca.knowledge.memory import MemoryStore
from rca.knowledge.neo4j_store import Neo4jStore
from rca.knowledge.sqlite_store import SQLiteStore
from rca.knowledge.synced import SyncedStore

SERVE = Path(__file__).resolve().parents[3] / "shared" / "servers" / "serve"
PASSWORD = "a-password-of-tests"
START_SECONDS = 120  # of a loaded machine; an idle one takes five


class Server:
    """A Neo4j server of our own, which may be killed and started again on the same folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"bolt://127.0.0.1:{self.port}"
        self.password = PASSWORD
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {**os.environ, "NEO4J_PASSWORD": PASSWORD}
        with (self.folder.parent / f"{self.folder.name}.log").open("ab") as log:
            command = [str(SERVE), "neo4j", str(self.folder), str(self.port)]
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        wait_for(self.uri, PASSWORD, self.process)

    def kill(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


def wait_for(uri: str, password: str, process: subprocess.Popen[bytes] | None = None) -> None:
    """Until the server answers a real request: its port opens earlier."""
    end = time.monotonic() + START_SECONDS
    while True:
        store = Neo4jStore(uri, password=password)
        try:
            store.server.prepare()
            return
        except StoreError:
            if time.monotonic() > end or (process is not None and process.poll() is not None):
                raise
            time.sleep(0.2)
        finally:
            store.close()


def missing() -> str:
    """Why no server can be started here; empty where one can."""
    if not SERVE.is_file():
        return "no Neo4j server: neither RCA_NEO4J_URI nor ../shared/servers"
    if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
        return "no Neo4j server: Java 17 or later is not installed"
    return ""


@pytest.fixture(scope="session")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that tests may kill; one per worker, as each worker runs other tests at the same time."""
    if reason := missing():
        pytest.skip(reason)
    server = Server(tmp_path_factory.mktemp("neo4j") / "data")
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="session")
def neo4j_address(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Address and password of a server."""
    if uri := os.environ.get("RCA_NEO4J_URI"):
        password = os.environ.get("RCA_NEO4J_PASSWORD", "")
        wait_for(uri, password)
        return uri, password
    return request.getfixturevalue("own_server").uri, PASSWORD


@pytest.fixture
def neo4j_store(neo4j_address: tuple[str, str]) -> Iterator[Neo4jStore]:
    """A store of a tenant that is new, so that tests share a server without meeting."""
    store = Neo4jStore(neo4j_address[0], password=neo4j_address[1], tenant=uuid.uuid4().hex)
    yield store
    store.close()


@pytest.fixture(params=["memory", "sqlite", "neo4j", "synced"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GraphStore]:
    """Each of the stores, empty."""
    if request.param == "neo4j":
        yield request.getfixturevalue("neo4j_store")
        return
    if request.param == "synced":  # what bolt://… opens
        remote = request.getfixturevalue("neo4j_store")
        local = SQLiteStore(tmp_path / "net.sqlite", remote.tenant)
        yield SyncedStore(remote, local, patience=60.0)
        local.close()
        return
    made: dict[str, Callable[[], GraphStore]] = {
        "memory": MemoryStore,
        "sqlite": lambda: SQLiteStore(tmp_path / "knowledge.sqlite"),
    }
    opened = made[request.param]()
    yield opened
    opened.close()


@pytest.fixture
def knowledge(store: GraphStore) -> Knowledge:
    return Knowledge(store)
