"""Lessons: the service learns from what people confirmed, on a schedule and when it is told to.

A lesson is a job like any other: queued in the store, taken up by one replica under a lease, done in a process of its
own, and finished in one transaction, so that whatever dies leaves the version that was in use. It does not take the
place of an analysis.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

import rca
from rca.errors import NotFoundError, RCAError, StoreError
from rca.service.jobs import JobRunner, Progress
from rca.service.logs import LOGGER, trace_id
from rca.service.teaching import Came, Label
from rca.service.uses import UNTRAINED, in_use, is_held
from rca.service.workers import WorkerPool
from rca.similar.observation import is_sound
from rca.stores.records import FINISHED, Feedback, Job, LearnedUse, LearnedVersion, PortraitRecord, ReportRecord
from rca.stores.relational_jobs import LESSON
from rca.types import SECOND, to_text

if TYPE_CHECKING:
    from rca.service.configuration import Configuration
    from rca.service.metrics import Metrics
    from rca.stores.files import Files
    from rca.stores.protocol import Store

# The latest that are learnt from.
MOST_TAUGHT = 1_000
# How long learning may take once all snapshots were looked at; a thousand incidents take some minutes.
_LEARN_SECONDS = 3_600.0
_LOOK_SECONDS = 600.0  # how often it is looked whether a lesson is due, at most
HOUR = 3_600 * SECOND
# Confirmations from before their token was kept: they are bounded together.
_UNKNOWN = "unknown"


class Result(msgspec.Struct):
    """What a finished lesson tells; ``skipped`` snapshots could not be looked at."""

    fingerprint: str
    version: str
    promoted: bool
    reason: str
    confirmed: int
    taught: int
    skipped: int


class Lessons(JobRunner):
    """Queues lessons when they are due, and gives them one at a time."""

    poll = 5.0

    def __init__(self, configuration: Configuration, store: Store, files: Files, metrics: Metrics) -> None:
        super().__init__(configuration, store, files, WorkerPool(1, memory=configuration.worker_memory << 20), metrics)
        self._kinds = {LESSON: self._teach}
        self._lesson: asyncio.Task[Any] | None = None

    async def start(self) -> None:
        """Begins to take up lessons, and to queue them where that is configured."""
        self._tasks = [asyncio.create_task(self._serve())]
        if self._configuration.learn_hours:
            self._tasks.append(asyncio.create_task(self._schedule()))

    async def stop(self, seconds: float) -> None:
        """Gives a lesson that does not end in time back to the queue, and ends its process."""
        await super().stop(seconds)
        if self._lesson is not None:
            await asyncio.wait([self._lesson])

    async def queue(self, *, since: int | None = None) -> Job:
        """Queues a lesson, unless one waits, is running, or was queued after a time; whichever is there.

        Raises:
            StoreError: the store is away.
        """
        now = time.time_ns()
        job = Job(
            id=f"job-{secrets.token_hex(12)}",
            kind=LESSON,
            incident="",
            state="queued",
            attempt=0,
            created=now,
            progress="queued",
            request=msgspec.json.encode({"trace": trace_id.get()}).decode(),
        )
        there = await asyncio.wrap_future(self._store.add_lesson(job, since=now if since is None else since))
        self.wake()
        return await asyncio.to_thread(self._store.job, there)

    async def _schedule(self) -> None:
        period = int(self._configuration.learn_hours * HOUR)
        while not self._stopping:
            try:
                if await asyncio.to_thread(self._is_due, period):
                    await self.queue(since=time.time_ns() - period)
            except RCAError as error:  # the store is away: it may come back
                LOGGER.error("no lesson can be queued", extra={"problem": str(error)})
            await asyncio.sleep(min(period / SECOND / 4, _LOOK_SECONDS))

    def _is_due(self, period: int) -> bool:
        """Whether people said something new since the last lesson, which was long enough ago; and nobody went back."""
        last = self._store.last_lesson()
        if last is not None and (last.state not in FINISHED or last.created > time.time_ns() - period):
            return False
        words = self._store.confirmed(limit=MOST_TAUGHT)
        if not words or is_held(self._store):
            return False
        told = None if last is None else last_result(self._store, last)
        return told is None or told.fingerprint != fingerprint(words)

    async def _claim(self) -> Job | None:
        now = time.time_ns()
        lease = now + int(self._configuration.lease_seconds * SECOND)
        attempts = self._configuration.attempts
        return await asyncio.wrap_future(
            self._store.claim_job(self.name, now, lease, most_attempts=attempts, lessons=True)
        )

    def _measure(self, job: Job, outcome: str, seconds: float) -> None:
        self._metrics.lessons.labels(outcome).inc()

    async def _teach(self, job: Job, progress: Progress) -> bool:
        self._lesson = asyncio.current_task()
        words = await asyncio.to_thread(self._store.confirmed, limit=MOST_TAUGHT)
        self._pool = WorkerPool(1, memory=self._configuration.worker_memory << 20)
        try:
            await self._pool.start()
            skipped = await self._look(words, progress)
            learnt = await self._learn(job, words, skipped, progress)
        finally:
            await self._pool.close()
        report, version, use = learnt
        return await asyncio.wrap_future(
            self._store.finish_lesson(job.id, job.attempt, time.time_ns(), report, version=version, use=use)
        )

    async def _look(self, words: Sequence[Feedback], progress: Progress) -> int:
        """Looks at incidents that this version of the engine has not seen; how many could not be looked at."""
        there = await asyncio.to_thread(self._seen, words)
        new = [word.incident for word in words if word.incident not in there]
        skipped = 0
        for done, incident in enumerate(new):
            progress(f"looking at incident {done + 1} of {len(new)}")
            try:
                record = await asyncio.to_thread(self._store.incident, incident)
                answer = await self._ask(record.snapshot, _nothing, {"incident": incident})
                *_, seen, _ = answer.blobs
            except RCAError as error:
                if isinstance(error, StoreError) and not isinstance(error, NotFoundError):
                    raise
                skipped += 1
                LOGGER.warning("nothing is learnt from", extra={"incident": incident, "problem": str(error)})
                continue
            portrait = PortraitRecord(
                incident=incident, job=f"seen-{secrets.token_hex(8)}", engine=rca.__version__, content=seen
            )
            await asyncio.wrap_future(self._store.put_portrait(portrait))
        return skipped

    async def _learn(
        self, job: Job, words: Sequence[Feedback], skipped: int, progress: Progress
    ) -> tuple[ReportRecord, LearnedVersion | None, LearnedUse | None]:
        """What came of it, the version that was made, and that it is used from now on."""
        seen = await asyncio.to_thread(self._seen, words)
        told = [word for word in words if word.incident in seen]
        latest = await asyncio.to_thread(self._latest)
        used = await asyncio.to_thread(self._version_in_use)
        mark, now = fingerprint(words), time.time_ns()
        parameters: dict[str, Any] = {
            "labels": [msgspec.to_builtins(Label(w.component, w.kind, w.token or _UNKNOWN)) for w in told],
            "in_use": "" if used is None else used.version,
            "latest": latest,
            "fingerprint": mark,
            "time": to_text(now // SECOND * SECOND),
        }
        contents = [b"" if used is None else used.weights, *(seen[word.incident] for word in told)]
        answer = await self._pool.call("learn", parameters, contents, seconds=_LEARN_SECONDS, progress=progress)
        came = msgspec.convert(answer.values["came"], Came)
        result = Result(mark, came.version, came.promoted, came.reason, len(words), came.taught, skipped)
        document = gzip.compress(msgspec.json.encode(result), mtime=0)
        version = use = None
        if came.version:
            weights, kinds = answer.blobs
            version = LearnedVersion(version=came.version, created=now, card=came.card, weights=weights, kinds=kinds)
            if came.promoted:
                use = LearnedUse(version=came.version, time=now, action="promote", who=f"lesson {job.id}")
        LOGGER.info("a lesson ended", extra={"version": came.version, "promoted": came.promoted, "why": came.reason})
        return ReportRecord(job=job.id, incident="", created=now, document=document), version, use

    def _seen(self, words: Sequence[Feedback]) -> dict[str, bytes]:
        """Incident -> what this version of the engine saw of it, where that is undamaged."""
        found = self._store.portraits([word.incident for word in words])
        return {one.incident: one.content for one in found if one.engine == rca.__version__ and is_sound(one.content)}

    def _latest(self) -> str:
        """The last version that there ever was, "" for none: no number is given twice."""
        versions = [one.version for one in self._store.learned_versions()]
        return max((*versions, *(use.version for use in self._store.learned_uses())), default="")

    def _version_in_use(self) -> LearnedVersion | None:
        version = in_use(self._store)
        try:
            return None if version == UNTRAINED else self._store.learned_version(version)
        except NotFoundError:  # it is gone, which a new one mends
            return None


def _nothing(stage: str) -> None:
    """How far one of many analyses is, nobody is told."""


def fingerprint(words: Sequence[Feedback]) -> str:
    """What changes when there is something new to learn: what people said, or another engine to learn with."""
    said = [[word.incident, word.component, word.kind, word.token] for word in words]
    return hashlib.sha256(msgspec.json.encode([rca.__version__, said])).hexdigest()


def last_result(store: Store, job: Job) -> Result | None:
    """What a lesson came to; None where it did not finish."""
    if job.state != "done":
        return None
    try:
        return msgspec.json.decode(gzip.decompress(store.report_of_job(job.id)), type=Result)
    except (NotFoundError, msgspec.MsgspecError, OSError):
        return None
