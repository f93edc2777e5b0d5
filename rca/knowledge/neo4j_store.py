"""A store in Neo4j 5 and later, for teams that have it or outgrow one machine; Community Edition suffices.

All reads and writes are managed transactions: the driver repeats them after deadlocks and lost
leaders, for a quarter of a second, as somebody waits for an answer. Nothing is kept here when the
server is away: ``rca.knowledge.synced`` does that.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from rca.errors import RejectedError, StoreError
from rca.knowledge.claims import Claims, ComponentClaim, DependencyClaim
from rca.knowledge.cypher import near_query, query, schema_versions
from rca.knowledge.protocol import Rows
from rca.knowledge.rows import LONGEST_SHORT_KEY, Batch, Row, check_key

if TYPE_CHECKING:
    import neo4j

# Columns of a table that name components, which are nodes of their own.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "components": ("name",),
    "dependencies": ("caller", "callee"),
    "events": ("component",),
    "causes": ("component",),
    "touched": ("component",),
    "changes": ("component",),
}
RETRY_SECONDS, FIRST_RETRY = 0.25, 0.1  # somebody waits; the driver's own 30 s and 1 s are for nightly jobs
CONNECT_SECONDS = 1.0
WRITE_TRIES = 8  # with the driver's own repetitions less than three seconds
# What the server says of the rows themselves: the same ones again are refused again. A statement that it does not
# understand is not among them: it would understand none.
REJECTIONS = frozenset(
    {
        "Neo.ClientError.Schema.ConstraintValidationFailed",
        "Neo.ClientError.Statement.ArgumentError",
        "Neo.ClientError.Statement.ArithmeticError",
        "Neo.ClientError.Statement.ConstraintVerificationFailed",
        "Neo.ClientError.Statement.TypeError",
        "Neo.ClientError.General.InvalidArguments",
        "Neo.ClientError.General.TransactionOutOfMemoryError",
        "Neo.ClientError.Request.Invalid",
        "Neo.ClientError.Request.InvalidFormat",
    }
)
TOO_LARGE = ("Neo.DatabaseError.Statement.ExecutionFailed", "too large")  # a text that no index takes has no own code
Result = TypeVar("Result")
# The driver warns of each attempt; without any handler Python would print that between our own messages.
_SILENT = logging.NullHandler()


class Neo4jStore:
    """Rows as nodes and relationships.

    Args:
        uri: ``bolt://host:7687`` or ``neo4j://…``; ``+s`` for TLS.
        user, password: credentials.
        database: None is the server's default one.

    The schema is brought forward before the first write; a newer one is refused by the first read.

    Raises:
        StoreError: the driver is not installed, or the address is none.
    """

    def __init__(
        self,
        uri: str,
        *,
        user: str = "neo4j",
        password: str = "",
        database: str | None = None,
        tenant: str = "default",
        _shared: _Server | None = None,
    ) -> None:
        self._tenant = check_key(tenant, "the tenant", LONGEST_SHORT_KEY)
        self.server = _Server(uri, user, password, database) if _shared is None else _shared

    @property
    def tenant(self) -> str:
        """See ``GraphStore``."""
        return self._tenant

    def for_tenant(self, tenant: str) -> Neo4jStore:
        """See ``GraphStore``."""
        return Neo4jStore(self.server.uri, tenant=tenant, _shared=self.server)

    def write(self, batch: Batch) -> None:
        """See ``GraphStore``; more than one transaction takes is written in several, in order."""
        for part in batch.parts():
            self.server.write(partial(write_rows, tenant=self._tenant, batch=part))

    def apply(self, batch: Batch, *, origin: str, number: int) -> None:
        """Writes an entry of a queue, unless it or a later one of the same origin has been written before."""

        def work(transaction: neo4j.ManagedTransaction) -> None:
            given = {"tenant": self._tenant, "origin": origin, "number": number}
            if _run(transaction, query("write/queue"), given).single(strict=True)["due"]:
                write_rows(transaction, self._tenant, batch)

        self.server.write(work)

    def applied(self, origin: str) -> int:
        """The number of the last entry of a queue that was written; 0 where none was."""
        found = self._read("MATCH (q:RcaQueue {tenant: $tenant, origin: $origin}) RETURN q.applied AS n", origin=origin)
        return int(found[0]["n"]) if found else 0

    def claims(self, at: int, *, source: str | None = None, later: bool = False) -> Claims:
        """See ``GraphStore``."""
        given = {"at": at, "source": source or "", "later": later}
        components = self._read(query("read/components"), **given)[0]["rows"]
        dependencies = self._read(query("read/dependencies"), **given)[0]["rows"]
        return _claims(components, dependencies)

    def claims_near(self, names: Sequence[str], at: int, *, hops: int, callers: int) -> Claims:
        """See ``GraphStore``."""
        near = self._read(near_query(hops, callers), names=list(names), at=at)
        if not near:
            return Claims()
        known = sorted({*near[0]["names"], *names})
        components = self._read(query("read/near_components"), names=known, at=at)[0]["rows"]
        return _claims(components, near[0]["rows"])

    def near_names(self, names: Sequence[str], at: int, *, hops: int, callers: int) -> list[str]:
        """Only the names of what lies near; see ``GraphStore.claims_near``."""
        near = self._read(near_query(hops, callers, "read/near_names"), names=list(names), at=at)
        return sorted(near[0]["names"]) if near else []

    def known(self, names: Sequence[str], at: int) -> Rows:
        """See ``GraphStore``."""
        found = self._read(query("read/known"), names=list(names), at=at)
        return Rows(rows=[{"name": name} for name in found[0]["names"]])

    def incident_ids(self, since: int, until: int) -> Rows:
        """See ``GraphStore``."""
        return Rows(rows=self._read(query("read/incident_ids"), since=since, until=until))

    def rows(self, table: str, keys: Sequence[str]) -> Rows:
        """See ``GraphStore``."""
        return Rows(rows=self._read(query(f"read/{table}"), keys=list(keys)))

    def ask(self, question: str, parameters: Mapping[str, Any]) -> Rows:
        """See ``GraphStore``."""
        return Rows(rows=self._read(query(question), **parameters))

    def concern(self) -> str:
        """See ``GraphStore``."""
        return ""

    def close(self) -> None:
        """See ``GraphStore``."""
        self.server.close()

    def look(self, statement: str) -> list[Row]:
        """The rows of a statement about somebody else's graph, which has to be made of checked names only."""
        return self._read(statement)

    def _read(self, statement: str, **parameters: Any) -> list[Row]:
        given = {**parameters, "tenant": self._tenant}
        # Statements return plain values: Record.data() would look through each of them for nodes.
        return self.server.read(lambda transaction: [dict(row) for row in _run(transaction, statement, given)])


class _Server:
    """The driver and its connections, shared by the tenants."""

    def __init__(self, uri: str, user: str, password: str, database: str | None) -> None:
        try:
            import neo4j
            import neo4j.exceptions
        except ImportError as missing:
            raise StoreError(
                "the Neo4j driver is not installed", where=uri, remedy='pip install "rca-engine[neo4j]"'
            ) from missing
        logging.getLogger("neo4j").addHandler(_SILENT)
        self.uri = uri
        self._failures = (neo4j.exceptions.DriverError, neo4j.exceptions.Neo4jError, OSError)
        self._passing = neo4j.exceptions.TransientError
        self._turn, self._door = threading.Lock(), threading.Lock()
        self._inside, self._closed = 0, False
        self._database = database
        self._checked = self._prepared = False
        try:
            self._driver = neo4j.GraphDatabase.driver(
                uri,
                auth=(user, password) if password else None,
                max_transaction_retry_time=RETRY_SECONDS,
                initial_retry_delay=FIRST_RETRY,
                connection_timeout=CONNECT_SECONDS,
                connection_acquisition_timeout=2 * CONNECT_SECONDS,
                fetch_size=-1,  # answers are small or wanted whole; asking for more costs a round trip each
                notifications_min_severity="OFF",
            )
        except (*self._failures, ValueError) as error:
            raise StoreError(
                f"is no address of a Neo4j server: {error}", where=uri, remedy="Write bolt://HOST"
            ) from error

    def read(self, work: Callable[[neo4j.ManagedTransaction], Result]) -> Result:
        """Runs work in a transaction that may only read."""

        def within(session: neo4j.Session) -> Result:
            if not self._checked:
                self._version(session)
            return session.execute_read(work)

        return self._guarded(within, "read")

    def write(self, work: Callable[[neo4j.ManagedTransaction], Result]) -> Result:
        """Runs work in a transaction: all of it is written or nothing; threads take turns, as they would deadlock."""

        def within(session: neo4j.Session) -> Result:
            if not self._prepared:
                self._bring_forward(session)
            for _ in range(WRITE_TRIES - 1):  # deadlocks with other writers pass; a server that is away is told at once
                with contextlib.suppress(self._passing):
                    return session.execute_write(work)
            return session.execute_write(work)

        with self._turn:
            return self._guarded(within, "written")

    def prepare(self) -> int:
        """Brings the schema forward and gives its version.

        Raises:
            StoreError: a newer rca has prepared the database, or the server does not answer.
        """
        return self._guarded(self._bring_forward, "prepared")

    def close(self) -> None:
        """Gives the connections back; where somebody still waits for an answer, as soon as nobody does any more."""
        with self._door:
            self._closed = True
            over = not self._inside
        if over:
            self._driver.close()

    def _guarded(self, work: Callable[[neo4j.Session], Result], what: str) -> Result:
        try:
            with self._entered(), self._driver.session(database=self._database) as session:
                return work(session)
        except self._failures as error:
            raise self._error(error, what) from error

    @contextlib.contextmanager
    def _entered(self) -> Iterator[None]:
        """Keeps the driver open: one that is closed while it is used opens connections that nobody closes."""
        with self._door:
            if self._closed:
                raise StoreError("is closed", where=self.uri, remedy="Open it again")
            self._inside += 1
        try:
            yield
        finally:
            with self._door:
                self._inside -= 1
                over = self._closed and not self._inside
            if over:
                self._driver.close()

    def _version(self, session: neo4j.Session) -> int:
        """How far the database is prepared; a newer one is refused."""
        statement = "OPTIONAL MATCH (s:RcaSchema) RETURN coalesce(max(s.version), 0) AS version"
        version = int(session.execute_read(lambda t: _run(t, statement, {}).single(strict=True)["version"]))
        if version > (known := len(schema_versions())):
            raise StoreError(
                f"has version {version}, this rca reads up to {known}",
                where=self.uri,
                remedy="Use the newer rca that prepared it",
            )
        self._checked = True
        return version

    def _bring_forward(self, session: neo4j.Session) -> int:
        version, versions = self._version(session), schema_versions()
        for number, statements in enumerate(versions[version:], version + 1):
            for statement in statements:  # a change of the schema is a transaction of its own, and may be repeated
                session.run(statement).consume()
            session.execute_write(_set_version, number)
        self._prepared = True
        return len(versions)

    def _error(self, error: BaseException, what: str) -> StoreError:
        code = getattr(error, "code", None) or type(error).__name__
        remedy = "Check that the server runs and the address is right"
        if "Security" in code or "Auth" in code:
            remedy = "Set RCA_NEO4J_USER and RCA_NEO4J_PASSWORD"
        text = getattr(error, "message", None) or str(error)
        first = text.strip().splitlines()[:1]
        problem = f"cannot be {what}: {code}: {first[0] if first else ''}"
        if code in REJECTIONS or (code == TOO_LARGE[0] and TOO_LARGE[1] in text):
            return RejectedError(problem, where=self.uri, remedy="Change the constraint or the value that it names")
        return StoreError(problem, where=self.uri, remedy=remedy)


def _set_version(transaction: neo4j.ManagedTransaction, number: int) -> None:
    _run(transaction, "MERGE (s:RcaSchema {name: 'rca'}) SET s.version = $version", {"version": number}).consume()


def write_rows(transaction: neo4j.ManagedTransaction, tenant: str, batch: Batch) -> None:
    """The rows of a batch within a transaction: one statement per table."""
    if batch.forgotten:
        _run(transaction, query("write/forget"), {"tenant": tenant, "incidents": list(batch.forgotten)}).consume()
    if batch.renewed:
        for name in ("write/renew_events", "write/renew_answers"):
            _run(transaction, query(name), {"tenant": tenant, "incidents": list(batch.renewed)}).consume()
    names = {row[column] for table, rows in batch.tables() for column in _NAMES.get(table, ()) for row in rows}
    if names:
        _run(transaction, query("write/names"), {"tenant": tenant, "names": sorted(names)}).consume()
    for table, rows in batch.tables():
        if table == "events" and {row["incident"] for row in rows} <= set(batch.renewed):
            _run(transaction, query("write/new_events"), {"tenant": tenant, "groups": _by_incident(rows)}).consume()
            continue
        values = [list(row.values()) for row in rows]  # in the order of the table's columns, a third of the bytes
        _run(transaction, query(f"write/{table}"), {"tenant": tenant, "rows": values}).consume()


def _by_incident(rows: Sequence[Row]) -> list[tuple[str, list[list[Any]]]]:
    groups: dict[str, dict[int, list[Any]]] = {}
    for row in rows:
        groups.setdefault(row["incident"], {}).setdefault(row["number"], list(row.values()))  # of twins the first
    return [(incident, list(events.values())) for incident, events in groups.items()]


def _run(transaction: neo4j.ManagedTransaction, statement: str, parameters: Mapping[str, Any]) -> neo4j.Result:
    # The text of a statement is the engine's own: from a file that ships, never made of input.
    return transaction.run(statement, dict(parameters))


def _claims(components: list[list[Any]], dependencies: list[list[Any]]) -> Claims:
    return Claims(
        components=[ComponentClaim(name, *facts) for names, facts in components for name in names],
        dependencies=[
            DependencyClaim(caller, callee, source, valid_from, valid_to, last_seen, confidence, weight)
            for caller, source, valid_from, valid_to, last_seen, confidence, callees, weights in dependencies
            for callee, weight in zip(callees, weights, strict=True)
        ],
    )
