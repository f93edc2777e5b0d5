"""A circuit breaker: who does not answer is left alone for a while, so that nobody waits for it twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar, cast

from rca.errors import StoreError

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 60.0  # seconds; a database that restarts takes about the first
Result = TypeVar("Result")


class Breaker:
    """Closed: calls go through. Open after a failure; after a pause one call may try again.

    Each further failure doubles the pause, up to a minute; a success closes the circuit.
    """

    def __init__(
        self, *, pause: float = FIRST_PAUSE, longest: float = LONGEST_PAUSE, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._first, self._longest, self._now = pause, longest, now
        self._lock = threading.Lock()
        self._pause = pause
        self._open_until: float | None = None
        self._reason = ""

    @property
    def reason(self) -> str:
        """Why the circuit is open; empty where it is closed."""
        return self._reason

    def allows(self) -> bool:
        """Whether a call may go through; while the circuit is open, one per pause may."""
        with self._lock:
            if self._open_until is None:
                return True
            if self._now() < self._open_until:
                return False
            self._open_until = self._now() + self._pause  # this one tries, the others wait for what comes of it
            return True

    def succeeded(self) -> None:
        """Closes the circuit."""
        with self._lock:
            self._open_until, self._pause, self._reason = None, self._first, ""

    def failed(self, reason: str) -> None:
        """Opens the circuit, or leaves it open for longer."""
        with self._lock:
            if self._open_until is not None:
                self._pause = min(2 * self._pause, self._longest)
            self._open_until = self._now() + self._pause
            self._reason = reason or "it failed"


def within(seconds: float, work: Callable[[], Result]) -> Result:
    """The result of work, if it comes in time; work that does not is left to end by itself.

    A thread per call, as a server that hangs would keep one of a pool for ever; it is a daemon,
    so that the process can end.

    Raises:
        StoreError: no result in time; whatever else the work raises.
    """
    answers: SimpleQueue[tuple[bool, Any]] = SimpleQueue()

    def run() -> None:
        try:
            answers.put((True, work()))
        except BaseException as error:
            answers.put((False, error))

    threading.Thread(target=run, name="rca-store", daemon=True).start()
    try:
        done, value = answers.get(timeout=seconds)
    except Exception as late:
        raise StoreError(f"no answer within {seconds:g} s") from late
    if not done:
        raise value
    return cast(Result, value)
