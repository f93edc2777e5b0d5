"""Takes up jobs, lets worker processes do them, and stores what they found; each has one effect.

A job belongs to the runner that took it up until its lease ends, which is prolonged while it runs.
Where a worker or a whole replica dies, another takes the job up; what the first may still say is not
taken any more, because only the last attempt counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

import rca
from rca.errors import InputError, NotFoundError, RCAError, StoreError
from rca.service.logs import LOGGER, trace_id
from rca.service.workers import TooLongError, WorkerDiedError
from rca.stores.records import FINISHED, Delivery, IncidentRecord, Job, PortraitRecord, ReportRecord
from rca.types import SECOND

if TYPE_CHECKING:
    from rca.service.configuration import Configuration
    from rca.service.frames import Answer
    from rca.service.graph import Graph
    from rca.service.metrics import Metrics
    from rca.service.workers import WorkerPool
    from rca.stores.files import Files
    from rca.stores.protocol import Store

_POLL = 0.5  # seconds after which a runner looks for jobs of other replicas
_OTHERS = 0.25  # seconds after which a waiting request looks at a job that another replica may do


Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A snapshot to analyse.

    Attributes:
        warnings: what could not be had for it.
        notes: what else its report says.
        situated: whether what the graph knows of its surroundings is in it.
    """

    snapshot: str
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    situated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What becomes of a report besides being kept: messages, and when (ns; 0: not) it is looked into again."""

    deliveries: tuple[Delivery, ...] = ()
    due: int = 0


class JobRunner:
    """Runs as many jobs side by side as there are worker processes.

    Attributes:
        graph: tells what surrounds an incident, and keeps its analysis.
        poll: seconds after which it looks for jobs by itself.
        prepare: makes the snapshot of a job of the kind "alert".
        recall: what was learnt so far, for an analysis; reads the store.
        normal: what is known of health, for an analysis.
        tell: what becomes of an incident's report (the document, compressed).
        told: called when that is durable.
    """

    graph: Graph | None = None
    poll = _POLL
    prepare: Callable[[Job, Progress], Awaitable[Prepared]] | None = None
    recall: Callable[[], Mapping[str, str]] | None = None
    normal: Callable[[], Mapping[str, Any]] | None = None
    tell: Callable[[IncidentRecord, Job, str, bytes], Awaitable[Told]] | None = None
    told: Callable[[Told], None] | None = None

    def __init__(
        self, configuration: Configuration, store: Store, files: Files, pool: WorkerPool, metrics: Metrics
    ) -> None:
        self.name = f"runner-{secrets.token_hex(6)}"
        self._configuration = configuration
        self._store = store
        self._files = files
        self._pool = pool
        self._metrics = metrics
        self._wake = asyncio.Event()
        self._done: dict[str, asyncio.Event] = {}
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._kinds: dict[str, Callable[[Job, Progress], Awaitable[bool]]] = {
            "analyse": self._analyse,
            "alert": self._analyse,
            "evaluate": self._evaluate,
        }

    async def start(self) -> None:
        """Begins to take up jobs; first those that a killed process left behind, where it was the only one."""
        if not self._store.shared:
            await asyncio.wrap_future(self._store.return_jobs_of(""))
        self._tasks = [asyncio.create_task(self._serve()) for _ in range(self._pool.count)]

    async def stop(self, seconds: float) -> None:
        """Takes up no more jobs, lets the running ones end, and gives back those that do not in time."""
        self._stopping = True
        self._wake.set()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def wake(self) -> None:
        """Says that there is a new job."""
        self._wake.set()

    async def wait(self, job: str, seconds: float) -> Job:
        """The job once it is finished, or as it is after some seconds."""
        until = time.monotonic() + seconds
        event = self._done.setdefault(job, asyncio.Event())
        try:
            while True:
                found = await asyncio.to_thread(self._store.job, job)
                left = until - time.monotonic()
                if found.state in FINISHED or left <= 0:
                    return found
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(left, _OTHERS if self._store.shared else 1.0)):
                        await event.wait()
        finally:
            self._done.pop(job, None)

    async def cancel(self, job: str) -> bool:
        """Cancels a job; whoever runs it hears of it when it prolongs its lease."""
        cancelled = await asyncio.wrap_future(self._store.cancel_job(job, time.time_ns()))
        self._tell(job)
        return cancelled

    async def _serve(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                job = await self._claim()
            except RCAError as error:  # the store is away: it may come back
                LOGGER.error("no job can be taken up", extra={"problem": str(error)})
                job = None
            if job is not None:
                await self._run(job)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.poll):
                    await self._wake.wait()

    async def _claim(self) -> Job | None:
        now = time.time_ns()
        lease = now + int(self._configuration.lease_seconds * SECOND)
        future = self._store.claim_job(self.name, now, lease, most_attempts=self._configuration.attempts)
        return await asyncio.wrap_future(future)

    async def _run(self, job: Job) -> None:
        trace_id.set(str(msgspec.json.decode(job.request.encode()).get("trace", "")))
        progress = [job.progress]
        started = time.monotonic()
        work = asyncio.ensure_future(self._kinds[job.kind](job, lambda stage: progress.__setitem__(0, stage)))
        lease = asyncio.create_task(self._keep(job, progress, work))
        try:
            outcome = "done" if await work else "superseded"
        except asyncio.CancelledError:
            if not lease.done():  # the service stops: somebody else shall do it
                work.cancel()
                await asyncio.wrap_future(self._store.return_job(job.id, job.attempt))
                raise
            outcome = "cancelled"
        except Exception as error:
            outcome = await self._failed(job, error)
        finally:
            lease.cancel()
            await asyncio.gather(lease, return_exceptions=True)
        seconds = time.monotonic() - started
        self._measure(job, outcome, seconds)
        facts = {"job": job.id, "incident": job.incident, "attempt": job.attempt, "seconds": round(seconds, 3)}
        LOGGER.info("job %s", outcome, extra=facts)
        self._tell(job.id)

    def _measure(self, job: Job, outcome: str, seconds: float) -> None:
        self._metrics.analyses.labels(outcome).inc()
        self._metrics.analysis_seconds.observe(seconds)

    async def _keep(self, job: Job, progress: list[str], work: asyncio.Future[bool]) -> None:
        """Prolongs the lease, and stops the work where the job is no longer ours."""
        seconds = self._configuration.lease_seconds
        told, at = progress[0], time.monotonic()
        while True:
            await asyncio.sleep(min(0.1, seconds / 10))
            if progress[0] == told and time.monotonic() - at < min(seconds / 3, 1.0):
                continue
            told, at = progress[0], time.monotonic()
            lease = time.time_ns() + int(seconds * SECOND)
            try:
                ours = await asyncio.wrap_future(self._store.renew_job(job.id, job.attempt, lease, told))
            except RCAError:  # the store is away: the lease runs on
                continue
            if not ours:
                work.cancel()
                return

    async def _failed(self, job: Job, error: Exception) -> str:
        """What becomes of a job after an error: another attempt, or the end."""
        if isinstance(error, NotFoundError):
            error = InputError("its snapshot or its incident is gone", remedy="Post the window again")
        lost = isinstance(error, WorkerDiedError | StoreError)
        if lost and job.attempt < self._configuration.attempts:
            LOGGER.warning("a job is tried again", extra={"job": job.id, "problem": str(error)})
            future = self._store.return_job(job.id, job.attempt)
        else:
            if not isinstance(error, RCAError):
                LOGGER.error("a mistake in rca itself", exc_info=error, extra={"job": job.id})
            text = msgspec.json.encode(_describe(error)).decode()
            future = self._store.fail_job(job.id, job.attempt, time.time_ns(), text)
        with contextlib.suppress(RCAError):  # a store that is away: the lease runs out
            await asyncio.wrap_future(future)
        return "lost" if lost else "failed"

    async def _analyse(self, job: Job, progress: Progress) -> bool:
        if job.kind == "alert" and self.prepare is not None:
            prepared = await self.prepare(job, progress)
            record = await asyncio.to_thread(self._store.incident, job.incident)
        else:
            record = await asyncio.to_thread(self._store.incident, job.incident)
            asked = msgspec.json.decode(job.request.encode())
            prepared = Prepared(snapshot=asked.get("snapshot") or record.snapshot, notes=tuple(asked.get("notes", ())))
        known: dict[str, Any] = {"incident": job.incident, "history": self.graph is not None}
        known |= {"warnings": list(prepared.warnings), "notes": list(prepared.notes)}
        if self.recall is not None:
            try:
                known |= await asyncio.to_thread(self.recall)
            except StoreError as bad:  # an analysis is worth more than what was learnt
                known["warnings"].append(f"what was learnt was not used: it {bad.problem}")
        answer = await self._ask(prepared.snapshot, progress, known, situated=prepared.situated)
        values = answer.values
        document, page, graph, graphml, portrait, history = answer.blobs
        report = ReportRecord(
            job=job.id,
            incident=job.incident,
            created=time.time_ns(),
            document=document,
            page=page,
            graph=graph,
            graphml=graphml,
            portrait=PortraitRecord(incident=job.incident, job=job.id, engine=rca.__version__, content=portrait),
        )
        self._metrics.verdicts.labels(values["verdict"]).inc()
        told = Told() if self.tell is None else await self.tell(record, job, values["verdict"], document)
        if self.graph is not None:  # first: what a kill leaves undone here is done again, as the job is
            await self.graph.keep_analysis(history, job.incident)
        kept = await asyncio.wrap_future(
            self._store.finish_job(
                job.id,
                job.attempt,
                time.time_ns(),
                report,
                verdict=values["verdict"],
                cause=values["cause"],
                confidence=values["confidence"],
                deliveries=told.deliveries,
                due=told.due,
            )
        )
        if kept and self.told is not None:
            self.told(told)
        return kept

    async def _evaluate(self, job: Job, progress: Progress) -> bool:
        import gzip

        from rca.service.accuracy import held_out, measure, rank_of

        chosen = msgspec.json.decode(job.request.encode())["incidents"]
        confirmed = await asyncio.to_thread(self._store.confirmed, chosen)
        cases = []
        for done, feedback in enumerate(confirmed):
            progress(f"{done} of {len(confirmed)} incidents")
            record = await asyncio.to_thread(self._store.incident, feedback.incident)
            answer = await self._ask(record.snapshot, lambda _: None)
            cases.append(rank_of(feedback, answer.blobs[0]))
        measured = measure(cases, replayed=True) | {"held_out": await asyncio.to_thread(held_out, self._store)}
        document = gzip.compress(msgspec.json.encode(measured), mtime=0)
        report = ReportRecord(job=job.id, incident="", created=time.time_ns(), document=document)
        return await asyncio.wrap_future(
            self._store.finish_job(job.id, job.attempt, time.time_ns(), report, verdict="", cause="", confidence=0.0)
        )

    async def _ask(
        self, snapshot: str, progress: Progress, known: Mapping[str, Any] | None = None, *, situated: bool = False
    ) -> Answer:
        """The analysis of a snapshot; without what is ``known``, the untrained one."""
        content = await asyncio.to_thread(self._files.read, snapshot)
        normal = {} if self.normal is None else self.normal()
        parameters: dict[str, Any] = {"top_k": self._configuration.top_k, **normal, **(known or {})}
        if self.graph is not None and not situated:
            near = await self.graph.around_snapshot(content)
            parameters |= near.parameters()
            parameters["warnings"] = [*parameters.get("warnings", ()), *near.degraded]
        seconds = self._configuration.analysis_seconds
        return await self._pool.call("analyse", parameters, [content], seconds=seconds, progress=progress)

    def _tell(self, job: str) -> None:
        event = self._done.get(job)
        if event is not None:
            event.set()


def _describe(error: Exception) -> dict[str, Any]:
    if not isinstance(error, RCAError):
        return {
            "title": "Internal error",
            "status": 500,
            "detail": "a mistake in rca itself, not in your data",
            "remedy": "Report what the log of the service says of the job",
        }
    status = 422 if isinstance(error, InputError | TooLongError | WorkerDiedError) else 503
    known = {"title": "Analysis failed", "status": status, "detail": error.problem}
    return known | {name: value for name in ("where", "remedy") if (value := getattr(error, name))}
