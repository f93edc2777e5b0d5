"""SQLite as the system of record: write-ahead log, every commit on disk before it is acknowledged.

``synchronous=FULL`` survives a crash of the program and of the machine. One thread writes, readers
have connections of their own. No network file systems: SQLite's locks do not work there.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rca.errors import StoreError
from rca.stores.relational import RelationalStore
from rca.stores.schema import migrate
from rca.stores.writer import Row, Session, closing_on_error

_BUSY = 10.0  # seconds to wait for another process, such as `rca token create`, to finish its commit


class _Session:
    """The connection that writes."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY, check_same_thread=False)
        # What is deleted later gives its pages back; must be set before the first table.
        self._connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        mode = self._connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        if mode != "wal":
            raise StoreError("this file system knows no write-ahead log", where=path, remedy="Use a local disk")
        self._connection.execute("PRAGMA synchronous=FULL")

    def begin(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        self._connection.execute("COMMIT")

    def rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def may_retry(self, error: Exception) -> bool:
        return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        return self._connection.execute(statement, parameters).rowcount

    def many(self, statement: str, rows: Sequence[Sequence[Any]]) -> int:
        return self._connection.executemany(statement, rows).rowcount

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return self._connection.execute(statement, parameters).fetchall()

    def close(self) -> None:
        self._connection.close()


class _Reader:
    """A connection that one thread reads with, and another may close: SQLite crashes where both do it at once."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY, check_same_thread=False)
        self._connection.execute("PRAGMA query_only=1")
        self._lock = threading.Lock()

    def rows(self, statement: str, parameters: Sequence[Any]) -> list[Row]:
        with self._lock:
            return self._connection.execute(statement, parameters).fetchall()

    def close(self) -> None:
        with self._lock:
            self._connection.close()


class SQLiteStore(RelationalStore):
    """A store in one file.

    Args:
        path: the file; made where it is missing, its folder must be there.

    Raises:
        StoreError: it cannot be opened, is no store, or a newer version made it.
    """

    shared = False

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._local = threading.local()
        self._readers: list[_Reader] = []
        self._closed = False
        self._lock = threading.Lock()
        super().__init__()

    def _open_session(self) -> Session:
        try:
            session = _Session(self._path)
            with closing_on_error(session):
                migrate(session, blob="BLOB", serial="INTEGER PRIMARY KEY", where=str(self._path))
        except sqlite3.Error as bad:
            raise StoreError(
                f"cannot be opened: {bad}", where=self._path, remedy="Check the file and its disk"
            ) from bad
        return session

    def read(self, statement: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """The rows of a query."""
        try:
            return self._reader().rows(statement, parameters)
        except sqlite3.Error as bad:
            raise StoreError(f"cannot be read: {bad}", where=self._path, remedy="Check the file and its disk") from bad

    def close(self) -> None:
        """Commits what waits, lets every query finish, and closes all connections."""
        super().close()
        with self._lock:
            self._closed = True
            for reader in self._readers:
                reader.close()
            self._readers.clear()

    def _reader(self) -> _Reader:
        reader: _Reader | None = getattr(self._local, "reader", None)
        if reader is None:
            with self._lock:
                if self._closed:
                    raise StoreError("the store is closed", where=self._path)
                reader = self._local.reader = _Reader(self._path)
                self._readers.append(reader)
        return reader
