"""Which store an address means: a Neo4j server, a file, or memory."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from rca.knowledge.base import Knowledge
from rca.knowledge.memory import MemoryStore
from rca.knowledge.protocol import GraphStore
from rca.knowledge.sqlite_store import SQLiteStore

if TYPE_CHECKING:
    from rca.knowledge.neo4j_store import Neo4jStore

MEMORY = ":memory:"
_SERVER = re.compile(r"(bolt|neo4j)(\+s|\+ssc)?://", re.IGNORECASE)


def open_knowledge(
    address: str | Path, *, tenant: str = "default", state: str | Path | None = None, deferred: bool = False
) -> Knowledge:
    """What is known at an address: ``bolt://…`` or ``neo4j://…``, a SQLite file, or ``:memory:``.

    A server's user and password are taken from RCA_NEO4J_USER (neo4j) and RCA_NEO4J_PASSWORD, its
    database from RCA_NEO4J_DATABASE. What it has not yet taken, and what it last said, is kept in the
    folder ``state`` (RCA_STATE_DIR, else ~/.local/state/rca). The server need not answer. ``deferred``:
    whoever writes does not wait for it; ``SyncedStore.catch_up`` sends.

    Raises:
        StoreError: the file cannot be used, or the driver is missing.
    """
    return Knowledge(open_store(address, tenant=tenant, state=state, deferred=deferred))


def open_store(
    address: str | Path, *, tenant: str = "default", state: str | Path | None = None, deferred: bool = False
) -> GraphStore:
    """The store alone; see ``open_knowledge``."""
    if str(address) == MEMORY:
        return MemoryStore(tenant)
    if not is_server(address):
        return SQLiteStore(address, tenant)
    from rca.knowledge.synced import SyncedStore

    local = SQLiteStore(state_file(address, state), tenant)
    return SyncedStore(open_server(address, tenant=tenant), local, deferred=deferred)


def open_server(address: str | Path, *, tenant: str = "default") -> Neo4jStore:
    """A Neo4j server without a net; credentials as for ``open_knowledge``."""
    from rca.knowledge.neo4j_store import Neo4jStore

    return Neo4jStore(
        str(address),
        user=os.environ.get("RCA_NEO4J_USER", "neo4j"),
        password=os.environ.get("RCA_NEO4J_PASSWORD", ""),
        database=os.environ.get("RCA_NEO4J_DATABASE") or None,
        tenant=tenant,
    )


def is_server(address: str | Path) -> bool:
    """Whether an address is that of a Neo4j server."""
    return _SERVER.match(str(address)) is not None


def state_file(address: str | Path, state: str | Path | None = None) -> Path:
    """The file that holds what waits for a server, one per address."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    folder = Path(state or os.environ.get("RCA_STATE_DIR") or Path(base) / "rca")
    return folder / f"knowledge-{hashlib.sha256(str(address).encode()).hexdigest()[:16]}.sqlite"
