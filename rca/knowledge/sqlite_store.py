"""The default store: one SQLite file. What was written survives a crash and a power cut.

WAL with synchronous=FULL: a commit is on the disk when ``write`` returns, readers of other
processes are not kept waiting, and a reader never sees half a batch.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rca.errors import StoreError
from rca.knowledge.claims import Claims, ComponentClaim, DependencyClaim
from rca.knowledge.protocol import Rows, check_reach
from rca.knowledge.rows import FORGOTTEN, LONGEST_SHORT_KEY, RENEWED, TABLES, Batch, Row, Table, check_key
from rca.knowledge.sqlite_questions import LISTS, QUESTIONS
from rca.knowledge.sqlite_schema import prepare

_GIVEN = "(SELECT value FROM json_each(:given))"
_VALID = "valid_from <= :at AND :at < valid_to"
BUSY_SECONDS = 10.0  # another process may be writing a large batch


class SQLiteStore:
    """Rows in a SQLite file, which is created where it is missing; ``":memory:"`` keeps them in memory.

    Raises:
        StoreError: the file cannot be opened, is no database of rca's, or of a newer version.
    """

    def __init__(self, path: str | Path, tenant: str = "default", *, _shared: Connection | None = None) -> None:
        self._tenant = check_key(tenant, "the tenant", LONGEST_SHORT_KEY)
        self.connection = Connection(path) if _shared is None else _shared

    @property
    def tenant(self) -> str:
        """See ``GraphStore``."""
        return self._tenant

    def for_tenant(self, tenant: str) -> SQLiteStore:
        """See ``GraphStore``."""
        return SQLiteStore(self.connection.where, tenant, _shared=self.connection)

    def write(self, batch: Batch) -> None:
        """See ``GraphStore``."""
        with self.connection.writing() as cursor:
            write_rows(cursor, self._tenant, batch)

    def claims(self, at: int, *, source: str | None = None, later: bool = False) -> Claims:
        """See ``GraphStore``."""
        condition = "valid_to > :at AND (:later OR valid_from <= :at) AND (:source IS NULL OR source = :source)"
        given = {"at": at, "later": later, "source": source}
        return Claims(
            components=[ComponentClaim(*row) for row in self._select("components", condition, given)],
            dependencies=[DependencyClaim(*row) for row in self._select("dependencies", condition, given)],
        )

    def claims_near(self, names: Sequence[str], at: int, *, hops: int, callers: int) -> Claims:
        """See ``GraphStore``."""
        check_reach(hops, callers)
        near = self._reach(names, at, hops, "caller") | self._reach(names, at, callers, "callee")
        given = {"at": at, "given": json.dumps(sorted(near))}
        named = f"(name IN {_GIVEN} OR replica_of IN {_GIVEN}) AND {_VALID}"
        dependencies = self._select("dependencies", f"caller IN {_GIVEN} AND {_VALID}", given)
        return Claims(
            components=[ComponentClaim(*row) for row in self._select("components", named, given)],
            dependencies=[DependencyClaim(*row) for row in dependencies if row[1] in near],
        )

    def _reach(self, names: Sequence[str], at: int, hops: int, end: str) -> set[str]:
        column = TABLES["dependencies"].columns.index("callee" if end == "caller" else "caller")
        condition = f"{end} IN {_GIVEN} AND {_VALID}"
        reached = frontier = set(names)
        for _ in range(hops):
            given = {"at": at, "given": json.dumps(sorted(frontier))}
            frontier = {row[column] for row in self._select("dependencies", condition, given)} - reached
            reached = reached | frontier
        return reached

    def known(self, names: Sequence[str], at: int) -> Rows:
        """See ``GraphStore``."""
        given = {"at": at, "given": json.dumps(list(names))}
        found = self._select("components", f"name IN {_GIVEN} AND {_VALID}", given)
        return Rows(rows=[{"name": name} for name in {row[0] for row in found}])

    def incident_ids(self, since: int, until: int) -> Rows:
        """See ``GraphStore``."""
        statement = "SELECT id, start FROM incidents WHERE tenant = :tenant AND start >= :since AND start < :until"
        return Rows(rows=self._named(statement, {"since": since, "until": until}))

    def rows(self, table: str, keys: Sequence[str]) -> Rows:
        """See ``GraphStore``."""
        known = TABLES[table]
        found = self._select(table, f"{known.key[0]} IN {_GIVEN}", {"given": json.dumps(list(keys))})
        return Rows(rows=[_listed(dict(zip(known.columns, row, strict=True))) for row in found])

    def ask(self, question: str, parameters: Mapping[str, Any]) -> Rows:
        """See ``GraphStore``."""
        return Rows(rows=self._named(QUESTIONS[question], parameters))

    def concern(self) -> str:
        """See ``GraphStore``."""
        return ""

    def close(self) -> None:
        """See ``GraphStore``."""
        self.connection.close()

    def _select(self, table: str, condition: str, given: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        columns = ", ".join(f'"{column}"' for column in TABLES[table].columns)
        statement = f"SELECT {columns} FROM {table} WHERE tenant = :tenant AND {condition}"  # noqa: S608 (own names)
        with self.connection.reading() as cursor:
            return cursor.execute(statement, {**given, "tenant": self._tenant}).fetchall()

    def _named(self, statement: str, given: Mapping[str, Any]) -> list[Row]:
        with self.connection.reading() as cursor:
            cursor.execute(statement, {**given, "tenant": self._tenant})
            columns = [column[0] for column in cursor.description]
            return [_listed(dict(zip(columns, row, strict=True))) for row in cursor.fetchall()]


class Connection:
    """A SQLite file that threads take turns with."""

    def __init__(self, path: str | Path) -> None:
        self.where = str(path)
        self._lock = threading.RLock()
        try:
            if self.where != ":memory:":
                Path(path).resolve().parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                self.where, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        except (sqlite3.Error, OSError) as error:
            raise self._error(error, "opened") from error
        try:
            prepare(self._connection, self.where)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
        except StoreError:
            self._connection.close()
            raise
        except sqlite3.Error as error:
            self._connection.close()
            raise self._error(error, "opened") from error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Cursor]:
        """A cursor."""
        try:
            with self._lock:
                yield self._connection.cursor()
        except sqlite3.Error as error:
            raise self._error(error, "read") from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Cursor]:
        """A cursor within a transaction: committed at the end, undone by an error."""
        try:
            with self._lock:
                cursor = self._connection.cursor()
                cursor.execute("BEGIN IMMEDIATE")
                try:
                    yield cursor
                    cursor.execute("COMMIT")
                except BaseException:
                    if self._connection.in_transaction:  # a full disk may have ended it already
                        cursor.execute("ROLLBACK")
                    raise
        except sqlite3.Error as error:
            raise self._error(error, "written") from error

    def close(self) -> None:
        """Gives the file back."""
        with self._lock:
            self._connection.close()

    def _error(self, error: Exception, what: str) -> StoreError:
        return StoreError(f"cannot be {what}: {error}", where=self.where, remedy="Check the path, its rights and space")


def write_rows(cursor: sqlite3.Cursor, tenant: str, batch: Batch) -> None:
    """The rows of a batch within a transaction that is open."""
    for names, incidents in ((RENEWED, batch.renewed), (FORGOTTEN, batch.forgotten)):
        for name in names if incidents else ():
            cursor.execute(
                f"DELETE FROM {name} WHERE tenant = ? AND {TABLES[name].key[0]} IN "  # noqa: S608
                "(SELECT value FROM json_each(?))",
                (tenant, json.dumps(list(incidents))),
            )
    for name, rows in batch.tables():
        cursor.executemany(
            _insert(name, TABLES[name]),
            ([tenant, *(json.dumps(v) if type(v) is list else v for v in row.values())] for row in rows),
        )


def _insert(name: str, table: Table) -> str:
    """The statement that writes a row of a table; names are the engine's own."""
    columns = ", ".join(f'"{column}"' for column in ("tenant", *table.columns))
    marks = ", ".join("?" * (len(table.columns) + 1))
    keys = ", ".join(f'"{column}"' for column in ("tenant", *table.key))
    values = ", ".join(f'"{column}" = excluded."{column}"' for column in table.values)
    action = f"UPDATE SET {values}" if values and name not in RENEWED else "NOTHING"
    return f"INSERT INTO {name} ({columns}) VALUES ({marks}) ON CONFLICT ({keys}) DO {action}"  # noqa: S608


def _listed(row: Row) -> Row:
    return {name: json.loads(value) if name in LISTS else value for name, value in row.items()}
