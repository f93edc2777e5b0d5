"""Groups of what waits to be written: one write for all that came while the last one ran."""

from __future__ import annotations

import queue
import time
from typing import Protocol, TypeVar


class _Sized(Protocol):
    rows: int


P = TypeVar("P", bound=_Sized)


def gather(waiting: queue.SimpleQueue[P | None], *, most_rows: int, linger: float) -> tuple[list[P], bool]:
    """The next group, and whether it is the last: None in the queue says that nothing follows.

    Waits for the first piece as long as it takes, then ``linger`` seconds for company, until the
    group has ``most_rows`` rows.
    """
    first = waiting.get()
    if first is None:
        return [], True
    group, rows = [first], first.rows
    until = time.monotonic() + linger
    while rows < most_rows:
        try:
            piece = waiting.get(timeout=max(until - time.monotonic(), 0))
        except queue.Empty:
            break
        if piece is None:
            return group, True
        group.append(piece)
        rows += piece.rows
    return group, False
