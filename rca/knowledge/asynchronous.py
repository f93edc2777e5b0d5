"""The same for an event loop: each call runs in a thread of its own few.

The driver's asynchronous sessions would need a second form of every method, breaker and queue, for
no gain: a call waits for the network or for SQLite, which has no asynchronous form at all. The
threads are few and not the loop's own, so that a server that hangs cannot take those from others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, Self, TypeVar

from rca.knowledge.base import Knowledge
from rca.knowledge.records import PastIncident

Given = ParamSpec("Given")
Result = TypeVar("Result")
THREADS = 4
_END = object()


class AsyncKnowledge:
    """Awaits the methods of a ``Knowledge``: ``await known.run(known.knowledge.topology_near, ["cart"], at)``."""

    def __init__(self, knowledge: Knowledge, *, threads: int = THREADS) -> None:
        self.knowledge = knowledge
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="rca-knowledge")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def run(self, work: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
        """The result of a method of the knowledge, without keeping the loop."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(work, *args, **kwargs))

    async def incidents(self, **chosen: Any) -> AsyncIterator[PastIncident]:
        """See ``Knowledge.incidents``; each page is read in a thread."""
        found = self.knowledge.incidents(**chosen)
        while isinstance(incident := await self.run(partial(next, found, _END)), PastIncident):
            yield incident

    async def close(self) -> None:
        """Gives the store and the threads back."""
        await self.run(self.knowledge.close)
        self._pool.shutdown(wait=False)
