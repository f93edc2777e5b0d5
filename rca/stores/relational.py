"""The store over SQL that SQLite and PostgreSQL both speak; each adds its connections and its dialect."""

# ruff: noqa: S608 - only names of our own tables and columns are written into statements; values are parameters

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from rca.stores.records import Entry, Retention, Stream
from rca.stores.relational_access import AccessTables
from rca.stores.relational_alerts import AlertTables
from rca.stores.relational_learned import LearnedTables
from rca.stores.relational_segments import SegmentTables
from rca.stores.writer import Row, Session, Transaction, Writer

T = TypeVar("T")
_ENTRY = "id, time, component, kind, source, body"
_STREAMS: tuple[Stream, ...] = ("events", "changes")


class RelationalStore(AlertTables, LearnedTables, AccessTables, SegmentTables):
    """All of ``Store`` but the connections."""

    shared = False

    def __init__(self) -> None:
        self._writer = Writer(self._open_session)

    @abstractmethod
    def _open_session(self) -> Session:
        """The connection that writes, its schema brought up to date."""

    @abstractmethod
    def read(self, statement: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """The rows of a query."""

    def submit(self, work: Callable[[Transaction], T], *, rows: int = 1) -> Future[T]:
        """Work for the writer, in a transaction with what others hand in."""
        return self._writer.submit(work, rows=rows)

    @property
    def waiting(self) -> int:
        """Rows that wait for their commit."""
        return self._writer.waiting

    def close(self) -> None:
        """Commits what waits and closes all connections."""
        self._writer.close()

    def append(self, stream: Stream, entries: Sequence[Entry]) -> Future[int]:
        """Adds what is not there yet."""
        received = time.time_ns()
        rows = [(e.id, e.time, e.component, e.kind, e.source, received, e.body) for e in entries]
        rows.sort()  # replicas that lock rows in one order do not lock each other out
        statement = f"INSERT INTO {_table(stream)} VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
        return self.submit(lambda sql: sql.many(statement, rows), rows=len(rows))

    def entries(
        self, stream: Stream, start: int, end: int, *, components: Iterable[str] = (), limit: int = 100_000
    ) -> list[Entry]:
        """What happened in [start, end), in order of time."""
        names = sorted(set(components))
        chosen = f" AND component IN ({', '.join('?' * len(names))})" if names else ""
        statement = (
            f"SELECT {_ENTRY} FROM {_table(stream)} WHERE time >= ? AND time < ?{chosen} ORDER BY time, id LIMIT ?"
        )
        return [_entry(row) for row in self.read(statement, (start, end, *names, limit))]

    def count(self, stream: Stream) -> int:
        """How many entries there are."""
        return int(self.read(f"SELECT count(*) FROM {_table(stream)}")[0][0])

    def note_components(self, names: Iterable[str], now: int) -> Future[int]:
        """Remembers that components were seen."""
        rows = [(name, now, now) for name in sorted(set(names))]
        statement = (
            "INSERT INTO components VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET last_seen = excluded.last_seen"
        )
        return self.submit(lambda sql: sql.many(statement, rows), rows=len(rows))

    def components(self, *, after: str = "", limit: int = 1_000) -> list[tuple[str, int, int]]:
        """Name, first and last time seen, in order of name."""
        rows = self.read("SELECT * FROM components WHERE name > ? ORDER BY name LIMIT ?", (after, limit))
        return [(str(name), int(first), int(last)) for name, first, last in rows]

    def note_topology(
        self, edges: Iterable[tuple[str, str]], facts: Mapping[tuple[str, str], str], now: int
    ) -> Future[None]:
        """Remembers dependencies, and facts as (component, kind of fact) -> value."""
        links = [(caller, callee, now) for caller, callee in sorted(set(edges))]
        said = [(component, fact, facts[component, fact], now) for component, fact in sorted(facts)]

        def write(sql: Transaction) -> None:
            sql.many(
                "INSERT INTO edges VALUES (?, ?, ?)"
                " ON CONFLICT (caller, callee) DO UPDATE SET last_seen = excluded.last_seen",
                links,
            )
            sql.many(
                "INSERT INTO facts VALUES (?, ?, ?, ?) ON CONFLICT (component, fact)"
                " DO UPDATE SET value = excluded.value, last_seen = excluded.last_seen",
                said,
            )

        return self.submit(write, rows=len(links) + len(said))

    def edges(self, since: int) -> list[tuple[str, str]]:
        """Dependencies seen since a time: caller and callee, sorted."""
        rows = self.read("SELECT caller, callee FROM edges WHERE last_seen >= ? ORDER BY caller, callee", (since,))
        return [(str(caller), str(callee)) for caller, callee in rows]

    def facts(self, since: int) -> list[tuple[str, str, str]]:
        """Component, kind of fact and its value, seen since a time, sorted."""
        statement = "SELECT component, fact, value FROM facts WHERE last_seen >= ? ORDER BY component, fact"
        return [(str(component), str(fact), str(value)) for component, fact, value in self.read(statement, (since,))]

    def expired_incidents(self, before: int) -> list[str]:
        """Incidents that ``forget`` deletes, in order."""
        return [str(row[0]) for row in self.read("SELECT id FROM incidents WHERE updated < ? ORDER BY id", (before,))]

    def forget(self, retention: Retention) -> Future[list[str]]:
        """Deletes what is too old; the names of the snapshots that nobody needs any more."""

        def write(sql: Transaction) -> list[str]:
            for stream in _STREAMS:
                sql.run(f"DELETE FROM {_table(stream)} WHERE time < ?", (retention.events_before,))
            for table in ("components", "edges", "facts"):
                sql.run(f"DELETE FROM {table} WHERE last_seen < ?", (retention.events_before,))
            sql.run("DELETE FROM audit WHERE time < ?", (retention.incidents_before,))
            sql.run("DELETE FROM idempotency WHERE created < ?", (retention.events_before,))
            sql.run("DELETE FROM bodies WHERE received < ?", (retention.bodies_before,))
            old = sql.rows("SELECT id, snapshot FROM incidents WHERE updated < ?", (retention.incidents_before,))
            for table, key in (("jobs", "incident"), ("reports", "incident"), ("feedback", "incident")):
                sql.many(f"DELETE FROM {table} WHERE {key} = ?", [(row[0],) for row in old])
            for table in ("deliveries", "watched", "incident_alerts", "mergers", "portraits"):
                sql.many(f"DELETE FROM {table} WHERE incident = ?", [(row[0],) for row in old])
            sql.run("DELETE FROM incident_alerts WHERE incident = '' AND updated < ?", (retention.events_before,))
            sql.many("DELETE FROM incidents WHERE id = ?", [(row[0],) for row in old])
            # Lessons and measurements, which belong to no incident.
            sql.run("DELETE FROM reports WHERE incident = '' AND created < ?", (retention.incidents_before,))
            sql.run("DELETE FROM jobs WHERE incident = '' AND finished < ?", (retention.incidents_before,))
            return [str(row[1]) for row in old if row[1]]

        return self.submit(write)


def _table(stream: Stream) -> str:
    if stream not in _STREAMS:
        raise ValueError(stream)
    return stream


def _entry(row: Row) -> Entry:
    return Entry(id=row[0], time=int(row[1]), component=row[2], kind=row[3], source=row[4], body=row[5])
