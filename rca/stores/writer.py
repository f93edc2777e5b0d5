"""Group commit: many writers hand in work, one thread commits it together, and each hears of its own.

One commit costs an fsync (about 6 ms on an ordinary disk), however much is in it. So what gathers
while the last commit ran goes into the next one. Work is acknowledged only after its commit. Each
piece has a savepoint of its own: one that fails takes nobody else's with it. A piece may run twice
(after a deadlock, or a connection that was lost before the commit), so it must do nothing but write.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from rca.errors import OverloadedError, RCAError, StoreError
from rca.stores.gathering import gather

T = TypeVar("T")
Row = tuple[Any, ...]

MAX_ROWS = 10_000
LINGER = 0.005  # seconds that a commit waits for company
CAPACITY = 200_000  # rows that may wait: what 10 s of heavy ingest are


class Transaction(Protocol):
    """What a piece of work may do: statements with ``?`` for each parameter."""

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        """Runs a statement; the number of rows that it changed."""

    def many(self, statement: str, rows: Sequence[Sequence[Any]]) -> int:
        """Runs a statement once per row; the number of rows that were changed in all."""

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """The rows that a statement gives."""


class Session(Transaction, Protocol):
    """A connection that can begin, commit and roll back."""

    def begin(self) -> None:
        """Starts a transaction."""

    def commit(self) -> None:
        """Makes it durable."""

    def rollback(self) -> None:
        """Undoes it; never fails."""

    def may_retry(self, error: Exception) -> bool:
        """Whether the whole transaction may be tried again (deadlock, lost connection); reconnects if need be."""

    def close(self) -> None:
        """Closes the connection; never fails."""


@contextmanager
def closing_on_error(session: Session) -> Iterator[None]:
    """Closes a session whose first use fails."""
    try:
        yield
    except BaseException:
        session.close()
        raise


@dataclass(slots=True)
class _Piece:
    work: Callable[[Transaction], Any]
    rows: int
    done: Future[Any]


class Writer:
    """The one thread that writes.

    Args:
        open_session: opens the connection, inside the thread.
        capacity: rows that may wait; more are refused with OverloadedError.
    """

    def __init__(self, open_session: Callable[[], Session], *, capacity: int = CAPACITY, name: str = "rca-writer"):
        self._open = open_session
        self._capacity = capacity
        self._waiting: queue.SimpleQueue[_Piece | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._rows = 0
        self._closed = False
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()
        self._started.result()

    @property
    def waiting(self) -> int:
        """Rows that wait for their commit."""
        return self._rows

    def submit(self, work: Callable[[Transaction], T], *, rows: int = 1) -> Future[T]:
        """Hands in a piece of work; the future is done when it is durable.

        Raises:
            OverloadedError: too many rows wait already.
            StoreError: the writer is closed.
        """
        done: Future[T] = Future()
        done.set_running_or_notify_cancel()  # whoever stops waiting for it does not undo it
        with self._lock:
            if self._closed:
                raise StoreError("the store is closed")
            if self._rows and self._rows + rows > self._capacity:
                raise OverloadedError("the store is writing as fast as it can", remedy="Send again in a second")
            self._rows += rows
            self._waiting.put(_Piece(work, rows, done))
        return done

    def close(self) -> None:
        """Commits what waits, then stops."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._waiting.put(None)
        self._thread.join()

    def _serve(self) -> None:
        try:
            session = self._open()
        except BaseException as error:
            self._closed = True
            self._started.set_exception(error)
            return
        self._started.set_result(None)
        last = False
        while not last:
            group, last = gather(self._waiting, most_rows=MAX_ROWS, linger=LINGER)
            if group:
                self._write(session, group)
        session.close()

    def _write(self, session: Session, group: list[_Piece]) -> None:
        try:
            outcomes = self._attempt(session, group)
        except Exception as error:
            if len(group) > 1:  # whose fault it was shows when each is tried alone
                for piece in group:
                    self._write(session, [piece])
                return
            outcomes = [(group[0], None, error if isinstance(error, RCAError) else _failure(error))]
        with self._lock:
            self._rows -= sum(piece.rows for piece in group)
        for piece, value, failed in outcomes:
            if failed is None:
                piece.done.set_result(value)
            else:
                piece.done.set_exception(failed)

    def _attempt(self, session: Session, group: list[_Piece]) -> list[tuple[_Piece, Any, Exception | None]]:
        for attempt in range(3):
            try:
                session.begin()
                outcomes = [self._run(session, piece) for piece in group]
                session.commit()
                return outcomes
            except Exception as error:
                session.rollback()
                if attempt == 2 or not session.may_retry(error):
                    raise
        raise AssertionError("unreachable")

    def _run(self, session: Session, piece: _Piece) -> tuple[_Piece, Any, Exception | None]:
        session.run("SAVEPOINT piece")
        try:
            value = piece.work(session)
        except RCAError as error:  # what the work itself refuses; errors of the database end the transaction
            session.run("ROLLBACK TO SAVEPOINT piece")
            session.run("RELEASE SAVEPOINT piece")
            return piece, None, error
        session.run("RELEASE SAVEPOINT piece")
        return piece, value, None


def _failure(error: Exception) -> StoreError:
    return StoreError(
        f"cannot be written: {str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__}",
        where="store",
        remedy="Check its disk and its server",
    )
