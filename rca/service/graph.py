"""The knowledge graph as the service uses it: what it asks takes a second at most, what it writes keeps nobody waiting.

Writes go into a file first, in turn, in a thread of their own; a Neo4j server gets them from there
(``rca.knowledge.synced``). Where the graph does not answer in time, the analysis goes on without it, and
its report says so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, ParamSpec, TypeVar

from rca.errors import NotFoundError, OverloadedError, RCAError
from rca.knowledge import Feedback, Knowledge, Resolution, open_knowledge
from rca.knowledge.asynchronous import AsyncKnowledge
from rca.knowledge.rows import Batch, Row
from rca.knowledge.synced import SyncedStore
from rca.knowledge.writing import feedback_row, resolution_row
from rca.service.logs import LOGGER
from rca.service.noticing import Noticing
from rca.service.surrounding import Scene, Surroundings, look_around, scene_of
from rca.topology_files import read_topology
from rca.types import SECOND

if TYPE_CHECKING:
    from rca.service.configuration import Configuration
    from rca.service.metrics import Metrics
    from rca.service.operations import Pushed
    from rca.stores.protocol import Store
    from rca.stores.records import Feedback as Word
    from rca.topology import Topology

PATIENCE = 1.0  # seconds that an analysis waits for the graph, at most
ASKING_SECONDS = 20.0  # that a question of a client may take
FLUSH_SECONDS = 10.0  # how often what was noticed is written
_POLL = 1.0  # seconds between looks at the queue for Neo4j
_DAY, _HOUR = 86_400 * SECOND, 3_600 * SECOND
_MOST_NAMES = 50_000
Given = ParamSpec("Given")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphState:
    """How the store is: batches that wait for Neo4j, and those that it refused for good."""

    state: Literal["ok", "degraded"] = "ok"
    waiting: int = 0
    refused: int = 0


class Graph:
    """Topology and history of the service's tenant.

    Raises:
        StoreError: the file cannot be used, or the driver is missing.
    """

    def __init__(self, address: str, configuration: Configuration, store: Store, metrics: Metrics) -> None:
        self.knowledge: Knowledge = open_knowledge(
            address, tenant=configuration.tenant, state=Path(configuration.data), deferred=True
        )
        self._store, self._metrics = store, metrics
        self._reading = AsyncKnowledge(self.knowledge)
        self._asking = AsyncKnowledge(self.knowledge, threads=2)
        self._writing = AsyncKnowledge(self.knowledge, threads=1)
        self._noticing = Noticing(keep=int(configuration.event_days * _DAY))
        self._file = configuration.topology
        self._problems = {"read": "", "written": ""}
        self._writes: set[asyncio.Task[None]] = set()
        self.state = GraphState()

    # -- what an analysis asks --------------------------------------------------------------------

    async def around(self, scene: Scene, *, far: bool = False) -> Surroundings:
        """What lies around an incident's symptoms as of its time; ``far``: and what is known to lie further away."""
        begun = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                found = await self._reading.run(self._look, scene, far)
            self._problems["read"] = ""
        except (RCAError, TimeoutError) as error:
            self._fail("read", error)
            told = error.problem if isinstance(error, RCAError) else f"no answer within {PATIENCE:g} s"
            found = Surroundings(degraded=(f"degraded: the knowledge graph was not used ({told})",))
        self._metrics.graph_seconds.labels("read").observe(time.monotonic() - begun)
        return found

    async def around_snapshot(self, content: bytes) -> Surroundings:
        """The same for the symptoms of a snapshot, as of its incident."""
        return await self.around(await asyncio.to_thread(scene_of, content))

    # -- what is written --------------------------------------------------------------------------

    async def keep_analysis(self, content: bytes, incident: str) -> None:
        """Keeps an analysis (a batch as JSON) with what people said of its incident, in place of an earlier one."""
        await self._write(self._keep_analysis, content, incident)

    async def keep_word(self, word: Word) -> None:
        """Keeps what somebody said; what is said before the analysis is kept together with that."""
        await self._write(self._keep_word, word)

    def notice(self, pushed: Pushed, topology: Topology | None, sender: str) -> None:
        """Takes note of topology and changes, which are written within some seconds; from any thread."""
        if topology is not None:
            self._noticing.topology(topology, sender)
        if pushed.changes:
            self._noticing.changes(pushed.changes)

    def forget(self, incidents: Sequence[str]) -> None:
        """Deletes incidents, before the service's own store does; blocks."""
        self.knowledge.forget_incidents(incidents)

    def drop(self, incidents: Sequence[str]) -> None:
        """Deletes incidents that turned out to be part of others; nobody waits for it."""
        self._begin_write(self.knowledge.forget_incidents, incidents)

    # -- what clients ask -------------------------------------------------------------------------

    async def ask(self, work: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
        """The result of a method of the knowledge.

        Raises:
            OverloadedError: it takes too long; whatever the method raises.
        """
        try:
            async with asyncio.timeout(ASKING_SECONDS):
                return await self._asking.run(work, *args, **kwargs)
        except TimeoutError as late:
            raise OverloadedError(
                f"the knowledge graph took longer than {ASKING_SECONDS:g} s", remedy="Ask about a shorter time"
            ) from late

    # -- between requests -------------------------------------------------------------------------

    async def run(self) -> None:
        """Writes what was noticed and sends what waits, until it is cancelled."""
        await asyncio.to_thread(self._catch_up, first=True)
        await self._write(self._begin)
        flushed = time.monotonic()
        while True:
            await asyncio.sleep(_POLL)
            if time.monotonic() - flushed > FLUSH_SECONDS:
                flushed = time.monotonic()
                await self._write(self._noticing.write, self.knowledge, time.time_ns())
            await asyncio.to_thread(self._catch_up)

    async def close(self) -> None:
        """Writes what was noticed, and gives the store back."""
        await self._write(self._noticing.write, self.knowledge, time.time_ns())
        for each in (self._writing, self._asking, self._reading):
            await each.close()

    # -- within, in threads -----------------------------------------------------------------------

    def _look(self, scene: Scene, ask_far: bool) -> Surroundings:
        seen = [row[0] for row in self._store.components(limit=_MOST_NAMES)] if ask_far else []
        return look_around(self.knowledge, scene, seen)

    def _keep_analysis(self, content: bytes, incident: str) -> None:
        if self._store.home_of(incident) != incident:  # it is told with the one that it is part of
            self.knowledge.forget_incidents([incident])
            return
        batch = Batch.from_json(content)
        words = self._store.feedback(incident)
        rows = {**batch.rows, **_rows_of(words)}
        self.knowledge.record_analysed(Batch(rows=rows, renewed=batch.renewed))

    def _keep_word(self, word: Word) -> None:
        with suppress(NotFoundError):
            self.knowledge.give_feedback(_feedback(word))
            if (ended := _resolution(word)) is not None:
                self.knowledge.resolve(ended)

    def _begin(self) -> None:
        """What the process before may not have written any more, and the configured file."""
        now = time.time_ns()
        self._noticing.changes(self._store.entries("changes", now - _HOUR, now))
        if self._file:
            self.knowledge.record_topology(read_topology(self._file), source="configuration", at=now, complete=True)

    def _catch_up(self, *, first: bool = False) -> None:
        waiting, refused, problem = 0, 0, "".join(self._problems.values())
        if isinstance(store := self.knowledge.store, SyncedStore):
            try:
                state = store.catch_up(first=first)
            except RCAError as error:
                self._fail("read", error)
                return
            problem, waiting, refused = problem or state.reason, state.pending, state.set_aside
        self.state = GraphState(state="degraded" if problem or refused else "ok", waiting=waiting, refused=refused)

    async def _write(self, work: Callable[Given, object], *args: Given.args, **kwargs: Given.kwargs) -> None:
        """Does it in turn; who waits for it does so for a second at most, then it goes on by itself."""
        await asyncio.wait([self._begin_write(work, *args, **kwargs)], timeout=PATIENCE)

    def _begin_write(
        self, work: Callable[Given, object], *args: Given.args, **kwargs: Given.kwargs
    ) -> asyncio.Task[None]:
        begun = time.monotonic()

        async def run() -> None:
            try:
                await self._writing.run(work, *args, **kwargs)
                self._problems["written"] = ""
            except RCAError as error:
                self._fail("written", error)
            self._metrics.graph_seconds.labels("write").observe(time.monotonic() - begun)

        task = asyncio.create_task(run())
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        return task

    def _fail(self, what: str, error: Exception) -> None:
        self._problems[what] = problem = str(error) or type(error).__name__
        self._metrics.graph_failures.labels(what).inc()
        LOGGER.error("the knowledge graph cannot be %s", what, extra={"problem": problem})


def _feedback(word: Word) -> Feedback:
    return Feedback(
        incident=word.incident,
        by=word.who,
        at=word.time,
        verdict=word.opinion,
        component=word.component,
        kind=word.kind,
        note=word.note,
    )


def _resolution(word: Word) -> Resolution | None:
    """What ended the incident, where that was said."""
    if not word.resolution:
        return None
    return Resolution(incident=word.incident, by=word.who, at=word.time, text=word.resolution)


def _rows_of(words: Iterable[Word]) -> dict[str, list[Row]]:
    words = list(words)
    return {
        "feedback": [feedback_row(_feedback(word)) for word in words],
        "resolutions": [resolution_row(ended) for word in words if (ended := _resolution(word)) is not None],
    }
