"""The outbox: what a Neo4j server has yet to take, in order, and what it refused for good and so was set aside.

A batch that the server refuses because of what it holds (a constraint of somebody's, a value that no index takes)
would be refused tomorrow as well. It is set aside with the reason, so that later ones go on; those that depend on it
are set aside behind it and keep their order. Somebody retries or drops it.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from rca.errors import InputError, NotFoundError
from rca.knowledge.rows import Batch
from rca.knowledge.sqlite_store import Connection

Subject = tuple[str, ...]
_CHOSEN = "(SELECT value FROM json_each(:chosen))"
_ASIDE = "(SELECT number FROM aside)"


@dataclass(frozen=True, slots=True)
class Entry:
    """A batch in the queue; ``number`` orders it among all of the file."""

    number: int
    tenant: str
    content: bytes

    def batch(self) -> Batch:
        """The rows.

        Raises:
            InputError: another version of rca wrote them in another form, or the file is damaged.
        """
        try:
            return Batch.from_json(self.content)
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"cannot be read: {error}", where="queue") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """A batch that is not sent until somebody says so.

    Attributes:
        number: names it.
        tenant: whose it is.
        at: when it was set aside, ns.
        error: why the server refused it; where it only depends on another one: on which.
        holds: what is in it, in words.
    """

    number: int
    tenant: str
    at: int
    error: str
    holds: str


class Outbox:
    """The queue in a SQLite file; threads and processes may share it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._subjects: Mapping[int, tuple[str, frozenset[Subject]]] = {}  # as they were read last

    @staticmethod
    def add(cursor: sqlite3.Cursor, tenant: str, batch: Batch) -> None:
        """Queues a batch, within the transaction that keeps its rows."""
        cursor.execute("INSERT INTO queue (tenant, batch) VALUES (?, ?)", (tenant, batch.to_json()))

    def oldest(self) -> Entry | None:
        """What is to be sent next."""
        with self._connection.reading() as cursor:
            row = cursor.execute(
                f"SELECT number, tenant, batch FROM queue WHERE number NOT IN {_ASIDE} ORDER BY number LIMIT 1"  # noqa: S608
            ).fetchone()
        return None if row is None else Entry(number=row[0], tenant=row[1], content=row[2])

    def waiting(self) -> int:
        """How many are to be sent."""
        with self._connection.reading() as cursor:
            row = cursor.execute("SELECT (SELECT count(*) FROM queue) - (SELECT count(*) FROM aside)").fetchone()
        return int(row[0])

    def cross_out(self, number: int) -> None:
        """Forgets a batch that was sent."""
        with self._connection.writing() as cursor:
            cursor.execute("DELETE FROM queue WHERE number = ?", (number,))

    def set_aside(self, number: int, error: str, *, behind: int | None = None) -> None:
        """Keeps a batch from being sent; ``behind``: because it depends on this one, which was set aside before."""
        with self._connection.writing() as cursor:
            cursor.execute(
                "INSERT OR IGNORE INTO aside (number, error, behind, at) "
                "SELECT number, ?, ?, ? FROM queue WHERE number = ?",
                (error, behind, time.time_ns(), number),
            )

    def blocker(self, tenant: str, batch: Batch) -> int | None:
        """The first batch among those set aside that this one depends on; None where it may be sent."""
        if not (aside := self._read_subjects()):
            return None
        needed = needs(batch)
        return min(
            (n for n, (whose, what) in aside.items() if whose == tenant and not needed.isdisjoint(what)), default=None
        )

    def held(self, tenant: str, what: str) -> frozenset[str]:
        """Names of the incidents or changes (``what`` is "incident" or "change") that batches set aside write about."""
        aside = self._read_subjects().values()
        written = (each for whose, subjects in aside if whose == tenant for each in subjects)
        return frozenset(name for kind, *names in written if kind == what for name in names)

    def aside(self) -> list[SetAside]:
        """What was set aside, in order."""
        with self._connection.reading() as cursor:
            rows = cursor.execute(
                "SELECT number, tenant, batch, at, error FROM aside JOIN queue USING (number) ORDER BY number"
            ).fetchall()
        return [
            SetAside(number=number, tenant=tenant, at=at, error=error, holds=_in_words(Entry(number, tenant, content)))
            for number, tenant, content, at, error in rows
        ]

    def count_aside(self, tenant: str | None = None) -> int:
        """How many were set aside, of one tenant or of all."""
        statement = "SELECT count(*) FROM aside JOIN queue USING (number) WHERE :tenant IS NULL OR tenant = :tenant"
        with self._connection.reading() as cursor:
            return int(cursor.execute(statement, {"tenant": tenant}).fetchone()[0])

    def retry(self, number: int | None = None) -> None:
        """Queues again what was set aside (None: all of it), and what is behind it, before everything that is newer.

        Raises:
            NotFoundError: no such batch is set aside.
        """
        with self._connection.writing() as cursor:
            _requeue(cursor, _with_followers(cursor, _chosen(cursor, number)))

    def drop(self, number: int | None = None) -> None:
        """Forgets what was set aside (None: all of it); what was behind it is queued again.

        Raises:
            NotFoundError: no such batch is set aside.
        """
        with self._connection.writing() as cursor:
            chosen = _chosen(cursor, number)
            freed = _with_followers(cursor, chosen) - chosen
            _delete(cursor, chosen)
            _requeue(cursor, freed)

    def _read_subjects(self) -> Mapping[int, tuple[str, frozenset[Subject]]]:
        """What is set aside writes about, by number; each is read once, as numbers are never used twice."""
        with self._connection.reading() as cursor:
            numbers = [row[0] for row in cursor.execute("SELECT number FROM aside ORDER BY number").fetchall()]
            known = {number: self._subjects[number] for number in numbers if number in self._subjects}
            for number in numbers:
                if number not in known:
                    row = cursor.execute("SELECT tenant, batch FROM queue WHERE number = ?", (number,)).fetchone()
                    known[number] = ("", frozenset()) if row is None else (row[0], _subjects_of(Entry(number, *row)))
            self._subjects = known
        return known


def subjects(batch: Batch) -> frozenset[Subject]:
    """What a batch writes about: claims of a source, incidents, changes."""
    rows = batch.rows
    found: set[Subject] = {("incident", name) for name in (*batch.renewed, *batch.forgotten)}
    found |= {("incident", row["id"]) for row in rows.get("incidents", ())}
    for table in ("events", "links", "causes", "touched", "suspects", "feedback", "resolutions"):
        found |= {("incident", row["incident"]) for row in rows.get(table, ())}
    found |= {("component", row["source"], row["name"]) for row in rows.get("components", ())}
    found |= {("dependency", row["source"], row["caller"], row["callee"]) for row in rows.get("dependencies", ())}
    return frozenset(found | {("change", row["id"]) for row in rows.get("changes", ())})


def needs(batch: Batch) -> frozenset[Subject]:
    """What has to be written before a batch: earlier claims and rows of the same, changes that it suspects.

    A change that it brings itself is not among them: its facts are the same whoever saw it.
    """
    own = {("change", row["id"]) for row in batch.rows.get("changes", ())}
    suspected = {("change", row["change"]) for row in batch.rows.get("suspects", ())}
    return frozenset((subjects(batch) | suspected) - own)


def _subjects_of(entry: Entry) -> frozenset[Subject]:
    try:
        return subjects(entry.batch())
    except InputError:
        return frozenset()


def _in_words(entry: Entry) -> str:
    try:
        batch = entry.batch()
    except InputError as error:
        return error.problem
    incidents = sorted(name for what, *names in subjects(batch) if what == "incident" for name in names)
    named = [f"incident {name[:60]}" for name in incidents[:3]] + [f"{len(incidents) - 3} more"] * (len(incidents) > 3)
    counts = [f"{len(rows)} {table}" for table, rows in batch.tables() if table != "incidents"]
    return ", ".join([*named, *counts])


def _chosen(cursor: sqlite3.Cursor, number: int | None) -> set[int]:
    statement = "SELECT number FROM aside WHERE :number IS NULL OR number = :number"
    rows = cursor.execute(statement, {"number": number}).fetchall()
    if number is not None and not rows:
        raise NotFoundError(f"no batch {number} is set aside", where="queue", remedy="See `rca graph sync`")
    return {row[0] for row in rows}


def _with_followers(cursor: sqlite3.Cursor, chosen: Iterable[int]) -> set[int]:
    """Some batches and all that are set aside behind them."""
    rows = cursor.execute(
        "WITH RECURSIVE held (number) AS (SELECT value FROM json_each(:chosen) "
        "UNION SELECT aside.number FROM aside JOIN held ON aside.behind = held.number) SELECT number FROM held",
        _given(chosen),
    ).fetchall()
    return {row[0] for row in rows}


def _requeue(cursor: sqlite3.Cursor, chosen: Iterable[int]) -> None:
    """Queues batches again, and everything that waits already, all in order under new numbers.

    The server takes no number that lies below the last one it took, and nothing may overtake what it depends on.
    """
    rows = cursor.execute(
        f"SELECT number FROM queue WHERE number NOT IN {_ASIDE} OR number IN {_CHOSEN}",  # noqa: S608
        _given(chosen),
    ).fetchall()
    moved = {row[0] for row in rows}
    cursor.execute(
        f"INSERT INTO queue (tenant, batch) SELECT tenant, batch FROM queue WHERE number IN {_CHOSEN} ORDER BY number",  # noqa: S608
        _given(moved),
    )
    _delete(cursor, moved)


def _delete(cursor: sqlite3.Cursor, chosen: Iterable[int]) -> None:
    for table in ("aside", "queue"):
        cursor.execute(f"DELETE FROM {table} WHERE number IN {_CHOSEN}", _given(chosen))  # noqa: S608


def _given(chosen: Iterable[int]) -> dict[str, str]:
    return {"chosen": json.dumps(sorted(chosen))}
