"""PostgreSQL behind the same store, for several replicas of the service.

Jobs and deliveries are taken with ``FOR UPDATE SKIP LOCKED``, so replicas do not wait for each
other. The writer opens its connection again where the server was restarted: work that was not
acknowledged is written again, which its unique ids make harmless.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from rca.errors import StoreError
from rca.stores.relational import RelationalStore
from rca.stores.schema import migrate
from rca.stores.writer import Row, Session, closing_on_error

_READERS = 8
_WAIT = 10.0  # seconds for a connection
_MIGRATION = 7_221_001  # the number of our advisory lock: one replica migrates at a time


class _Session:
    """The connection that writes."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection = self._connect()

    def _connect(self) -> Any:
        import psycopg

        return psycopg.connect(self._url, autocommit=True, connect_timeout=int(_WAIT), options=_OPTIONS)

    def begin(self) -> None:
        self._connection.execute("BEGIN")

    def commit(self) -> None:
        self._connection.execute("COMMIT")

    def rollback(self) -> None:
        import psycopg

        try:
            self._connection.execute("ROLLBACK")
        except psycopg.Error:
            self._connection.close()

    def may_retry(self, error: Exception) -> bool:
        import psycopg

        if isinstance(error, psycopg.errors.TransactionRollback):  # deadlock
            return True
        if not self._connection.closed:
            return False
        time.sleep(0.2)
        with suppress(psycopg.Error):  # else the next attempt fails as well, and says why
            self._connection = self._connect()
        return True

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        return int(self._connection.execute(_marks(statement), _clean(parameters)).rowcount)

    def many(self, statement: str, rows: Sequence[Sequence[Any]]) -> int:
        if not rows:
            return 0
        with self._connection.cursor() as cursor:
            cursor.executemany(_marks(statement), [_clean(row) for row in rows])
            return int(cursor.rowcount)

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return list(self._connection.execute(_marks(statement), _clean(parameters)).fetchall())

    def close(self) -> None:
        self._connection.close()


class PostgresStore(RelationalStore):
    """A store in a PostgreSQL database, which replicas share.

    Args:
        url: ``postgresql://user@host/database``; passwords by ``PGPASSWORD`` or a password file.

    Raises:
        StoreError: the server does not answer, or a newer version made the schema.
    """

    shared = True
    skip_locked = " FOR UPDATE SKIP LOCKED"

    def __init__(self, url: str) -> None:
        try:
            from psycopg_pool import ConnectionPool
        except ImportError as bad:
            raise StoreError(
                "psycopg is not installed", where="postgresql", remedy="pip install 'rca-engine[postgres]'"
            ) from bad
        self._url = url
        super().__init__()
        self._pool = ConnectionPool(
            url,
            min_size=1,
            max_size=_READERS,
            timeout=_WAIT,
            kwargs={"autocommit": True, "options": _OPTIONS},
            open=True,
        )

    def _open_session(self) -> Session:
        import psycopg

        try:
            session = _Session(self._url)
            lock = f"SELECT pg_advisory_xact_lock({_MIGRATION})"
            with closing_on_error(session):
                migrate(session, blob="BYTEA", serial="BIGSERIAL PRIMARY KEY", where="postgresql", lock=lock)
        except psycopg.Error as bad:
            raise StoreError(
                f"cannot be opened: {_line(bad)}", where="postgresql", remedy="Check the URL and the server"
            ) from bad
        return session

    def read(self, statement: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """The rows of a query."""
        import psycopg
        from psycopg_pool import PoolTimeout

        for attempt in (1, 2):
            try:
                with self._pool.connection() as connection:
                    return list(connection.execute(_marks(statement), _clean(parameters)).fetchall())
            except psycopg.OperationalError as bad:
                # A connection that the server closed while it lay in the pool: the next one is fresh.
                if attempt == 2 or isinstance(bad, PoolTimeout):
                    raise StoreError(f"cannot be read: {_line(bad)}", where="postgresql") from bad
                self._pool.check()
            except psycopg.Error as bad:
                raise StoreError(f"cannot be read: {_line(bad)}", where="postgresql") from bad
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Commits what waits and closes all connections."""
        super().close()
        self._pool.close()


# Whatever the server's default: acknowledged means on disk.
_OPTIONS = "-c synchronous_commit=on -c timezone=UTC -c default_transaction_isolation=read\\ committed"


def _marks(statement: str) -> str:
    return statement.replace("?", "%s")


def _clean(values: Sequence[Any]) -> tuple[Any, ...]:
    """PostgreSQL's texts hold everything but NUL."""
    return tuple(v.replace("\x00", "\ufffd") if isinstance(v, str) and "\x00" in v else v for v in values)


def _line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
