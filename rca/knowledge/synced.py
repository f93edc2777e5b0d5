"""Neo4j with a net below: what is written survives its outage, and what is asked is answered from what is known.

Every write goes into a SQLite file first, the rows and an entry of a queue in one transaction, and
from there to Neo4j in order. Entries are numbered; Neo4j keeps the number of the last one beside
the rows it brought, in the same transaction. So each takes effect once, whoever is killed when.
What Neo4j refuses for good is set aside (``rca.knowledge.outbox``).
Every topology that was read is remembered in the file too. While Neo4j does not answer, the file
does, and says so: ``degraded``.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from rca.errors import InputError, RejectedError, StoreError
from rca.knowledge.base import CALLERS, HOPS
from rca.knowledge.breaker import Breaker, within
from rca.knowledge.claims import Claims
from rca.knowledge.memory import claims_near, known_of
from rca.knowledge.neo4j_store import Neo4jStore
from rca.knowledge.outbox import Entry, Outbox
from rca.knowledge.protocol import Rows, check_reach
from rca.knowledge.remembered import recall, remember
from rca.knowledge.rows import BEGINNING, Batch
from rca.knowledge.sqlite_store import SQLiteStore, write_rows

READ_SECONDS = 0.7  # an answer may come a second later than without Neo4j
ASK_SECONDS = 5.0  # for all of the history or of a source's claims, which no analysis waits for
WRITE_SECONDS = 10.0  # nobody waits for a write longer than this; it goes on by itself
Answered = TypeVar("Answered", Claims, Rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncState:
    """How far Neo4j is behind: batches that wait for it and why, and batches that it refused for good."""

    pending: int
    reason: str
    set_aside: int = 0


class SyncedStore:
    """Neo4j as the shared memory, a SQLite file as the net below it.

    Args:
        remote, local: the two, of one tenant.
        breaker: when to leave the server alone.
        patience: seconds that a question waits for the server before the file answers it.
        deferred: whether ``write`` leaves sending to ``catch_up``, so that nobody who writes waits for the server.
    """

    def __init__(
        self,
        remote: Neo4jStore,
        local: SQLiteStore,
        *,
        breaker: Breaker | None = None,
        patience: float = READ_SECONDS,
        deferred: bool = False,
        _shared: tuple[threading.Lock, dict[str, str]] | None = None,
    ) -> None:
        self.remote, self.local = remote, local
        self.outbox = Outbox(local.connection)
        self.breaker = breaker or Breaker()
        self._patience, self._deferred = patience, deferred
        self._sending, self._origins = _shared or (threading.Lock(), {})

    @property
    def tenant(self) -> str:
        """See ``GraphStore``."""
        return self.local.tenant

    def for_tenant(self, tenant: str) -> SyncedStore:
        """See ``GraphStore``."""
        return SyncedStore(
            self.remote.for_tenant(tenant),
            self.local.for_tenant(tenant),
            breaker=self.breaker,
            patience=self._patience,
            deferred=self._deferred,
            _shared=(self._sending, self._origins),
        )

    def write(self, batch: Batch) -> None:
        """See ``GraphStore``; safe on disk when this returns, in Neo4j as soon as that can be reached."""
        for part in batch.parts():
            with self.local.connection.writing() as cursor:
                write_rows(cursor, self.tenant, part)
                self.outbox.add(cursor, self.tenant, part)
        if not self._deferred and self.breaker.allows():
            self._try(max(WRITE_SECONDS, self._patience), self._send)

    def catch_up(self, seconds: float = WRITE_SECONDS, *, first: bool = False) -> SyncState:
        """Sends what waits, or asks whether the server is back, unless the circuit leaves it alone; see ``sync``.

        ``first``: asks in any case. A server takes longer for its first answer of a kind than an analysis waits.
        """
        behind = self.state()
        if (first or behind.pending or behind.reason) and self.breaker.allows():

            def work() -> None:
                self._send()
                self.remote.claims_near([], 0, hops=HOPS, callers=CALLERS)  # what analyses ask

            self._try(seconds, work)
        return self.state()

    def sync(self, seconds: float = 600.0) -> SyncState:
        """Sends what waits, whether the circuit is open or not, and says how far that went."""
        self._try(seconds, self._send)
        return self.state()

    def state(self) -> SyncState:
        """What waits, and why; of all tenants of the file."""
        return SyncState(pending=self.outbox.waiting(), reason=self.breaker.reason, set_aside=self.outbox.count_aside())

    def concern(self) -> str:
        """See ``GraphStore``."""
        if not (count := self.outbox.count_aside(self.tenant)):
            return ""
        batches = "1 batch" if count == 1 else f"{count} batches"
        return f"Neo4j refused {batches}, which it therefore lacks; `rca graph sync` shows what and why"

    def claims(self, at: int, *, source: str | None = None, later: bool = False) -> Claims:
        """See ``GraphStore``."""
        return self._consult(
            lambda: self.remote.claims(at, source=source, later=later),
            lambda: self._known(at, source=source, later=later),
            f"all {source or ''} {later}",
            seconds=ASK_SECONDS if later else READ_SECONDS,
        )

    def claims_near(self, names: Sequence[str], at: int, *, hops: int, callers: int) -> Claims:
        """See ``GraphStore``."""
        check_reach(hops, callers)
        return self._consult(
            lambda: self.remote.claims_near(names, at, hops=hops, callers=callers),
            lambda: claims_near(self._known(at), names, at, hops=hops, callers=callers),
            f"near {hops} {callers} {sorted(names)}",
        )

    def known(self, names: Sequence[str], at: int) -> Rows:
        """See ``GraphStore``."""
        return self._consult(lambda: self.remote.known(names, at), lambda: known_of(self._known(at), names))

    def incident_ids(self, since: int, until: int) -> Rows:
        """See ``GraphStore``."""
        found = self._consult(
            lambda: self.remote.incident_ids(since, until), lambda: self.local.incident_ids(since, until)
        )
        if not (held := self.outbox.held(self.tenant, "incident")):
            return found
        own = [row for row in self.local.incident_ids(since, until).rows if row["id"] in held]
        return replace(found, rows=[*(row for row in found.rows if row["id"] not in held), *own])

    def rows(self, table: str, keys: Sequence[str]) -> Rows:
        """See ``GraphStore``; of incidents and changes that are set aside the file's word counts."""
        held = self.outbox.held(self.tenant, "change" if table == "changes" else "incident")
        others = [key for key in keys if key not in held]
        found = self._consult(lambda: self.remote.rows(table, others), lambda: self.local.rows(table, others))
        own = [key for key in keys if key in held]
        return replace(found, rows=[*found.rows, *self.local.rows(table, own).rows]) if own else found

    def ask(self, question: str, parameters: Mapping[str, Any]) -> Rows:
        """See ``GraphStore``."""
        return self._consult(
            lambda: self.remote.ask(question, parameters),
            lambda: self.local.ask(question, parameters),
            seconds=ASK_SECONDS,
        )

    def close(self) -> None:
        """See ``GraphStore``."""
        self._try(READ_SECONDS, self.remote.close)
        self.local.close()

    def _consult(
        self,
        remote: Callable[[], Answered],
        local: Callable[[], Answered],
        topology: str = "",
        *,
        seconds: float = READ_SECONDS,
    ) -> Answered:
        answer: Answered | None = None
        if self.breaker.allows():

            def ask() -> None:
                nonlocal answer
                self._send()
                answer = remote()

            self._try(self._patience * seconds / READ_SECONDS, ask)
        if answer is None:
            return replace(local(), degraded=f"Neo4j at {self.remote.server.uri}: {self.breaker.reason or 'busy'}")
        if topology and isinstance(answer, Claims):
            remember(self.local.connection, self.tenant, topology, answer)
        return answer

    def _known(self, at: int, *, source: str | None = None, later: bool = False) -> Claims:
        own = self.local.claims(BEGINNING, source=source, later=True)  # ended ones too: what was read may be older
        return recall(self.local.connection, self.tenant, own, at, source=source, later=later)

    def _try(self, seconds: float, work: Callable[[], None]) -> None:
        try:
            within(seconds, work)
        except StoreError as error:
            self.breaker.failed(error.problem)
        else:
            self.breaker.succeeded()

    def _send(self) -> None:
        """Sends the queue, oldest first, one sender of a process at a time."""
        with self._sending:
            while (entry := self.outbox.oldest()) is not None:
                self._send_one(entry)

    def _send_one(self, entry: Entry) -> None:
        try:
            batch = entry.batch()
            if (first := self.outbox.blocker(entry.tenant, batch)) is not None:
                self.outbox.set_aside(entry.number, f"depends on {first}", behind=first)
                return
            remote = self.remote.for_tenant(entry.tenant)
            remote.apply(batch, origin=self._origin(entry.tenant), number=entry.number)
        except (InputError, RejectedError) as refused:
            self.outbox.set_aside(entry.number, refused.problem)
        else:
            self.outbox.cross_out(entry.number)

    def _origin(self, tenant: str) -> str:
        """The name of this queue in Neo4j; a new one where the file is an older copy of itself.

        Its numbers would have been used before then, and their entries taken for known.
        """
        if tenant in self._origins:
            return self._origins[tenant]
        with self.local.connection.writing() as cursor:
            cursor.execute("INSERT OR IGNORE INTO facts (name, value) VALUES ('origin', ?)", (uuid.uuid4().hex,))
            origin = str(cursor.execute("SELECT value FROM facts WHERE name = 'origin'").fetchone()[0])
            last = cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = 'queue'").fetchone()
        if self.remote.for_tenant(tenant).applied(origin) > (int(last[0]) if last else 0):
            origin = uuid.uuid4().hex
            with self.local.connection.writing() as cursor:
                cursor.execute("UPDATE facts SET value = ? WHERE name = 'origin'", (origin,))
        self._origins[tenant] = origin
        return origin
