"""Every store on which the contract is tested: SQLite in a file, and a real PostgreSQL server of our own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rca.stores import open_store
from rca.stores.protocol import Store


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A PostgreSQL server on loopback, in a folder of its own."""

    def __init__(self, programs: Path) -> None:
        self.programs = programs
        self.root = Path(tempfile.mkdtemp(prefix="rca-postgres-"))
        self.port = free_port()
        if os.geteuid() == 0:
            shutil.chown(self.root, "postgres")
        self.run("initdb", "-D", self.root / "data", "-U", "rca", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        self.start()

    def run(self, program: str, *arguments: object) -> None:
        """Runs one of its programs, as another user where we are root, which PostgreSQL refuses."""
        command = [str(self.programs / program), *map(str, arguments)]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/")
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        options = f"-p {self.port} -k {self.root} -c listen_addresses=127.0.0.1 -c shared_buffers=16MB -c fsync=off"
        log = self.root / "log"
        self.run("pg_ctl", "-D", self.root / "data", "-l", log, "-w", "-o", options, "start")

    def stop(self, how: str = "fast") -> None:
        self.run("pg_ctl", "-D", self.root / "data", "-m", how, "-w", "stop")

    def database(self) -> str:
        """The URL of its one database, emptied."""
        import psycopg

        url = f"postgresql://rca@127.0.0.1:{self.port}/postgres"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
        return url


def start_server() -> Server:
    pytest.importorskip("psycopg_pool", reason="psycopg is not installed")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("no PostgreSQL server is installed")
    if os.geteuid() == 0 and shutil.which("runuser") is None:
        pytest.skip("root may not start PostgreSQL, and there is no runuser")
    return Server(found[-1].parent)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A server for all tests of this folder."""
    server = start_server()
    try:
        yield server
    finally:
        server.stop("immediate")
        shutil.rmtree(server.root, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new store of each kind is."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'rca.db'}"
    return str(request.getfixturevalue("postgres").database())


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A new store of each kind."""
    opened = open_store(url)
    yield opened
    opened.close()
