"""The service as a whole: its store, its files, its processes, and what it does between requests."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rca.errors import NotFoundError, RCAError, StoreError
from rca.service.alerting import Alerting
from rca.service.auth import Authenticator, admin_token, make_token
from rca.service.bodies import BodyReader
from rca.service.configuration import Configuration
from rca.service.experience import Experience
from rca.service.graph import Graph
from rca.service.jobs import JobRunner
from rca.service.lessons import Lessons
from rca.service.logs import LOGGER, trace_id
from rca.service.metrics import Metrics
from rca.service.normality import Normality
from rca.service.own_metrics import MetricsExporter
from rca.service.receiving import Receiver
from rca.service.workers import WorkerPool
from rca.sources.naming import Naming
from rca.stores import open_store
from rca.stores.files import DatabaseFiles, Files, FolderFiles
from rca.stores.records import AuditEntry, Retention
from rca.stores.windows import WindowStore
from rca.types import SECOND

if TYPE_CHECKING:
    from rca.sources.received import AlertNotice
    from rca.stores.protocol import Store
    from rca.topology import Topology

DAY = 86_400 * SECOND
_CALLS = 256  # bodies that may wait for a process that reads them
_NOTED_SECONDS = 60.0  # how exact "last seen" of a component or dependency is
_MOST_NOTED = 200_000

AlertListener = Callable[[Sequence["AlertNotice"]], Awaitable[None]]


class Service:
    """Everything that routes need.

    Attributes:
        listeners: told of alerts after they are durable.
        background: started with the service and stopped before its store.
    """

    store: Store
    files: Files
    windows: WindowStore
    auth: Authenticator
    experience: Experience
    runner: JobRunner
    lessons: Lessons
    normality: Normality
    alerting: Alerting
    receiver: Receiver

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.metrics = Metrics()
        self.bodies = BodyReader(configuration)
        memory = configuration.worker_memory << 20
        self.decoders = WorkerPool(configuration.decoders, memory=memory, most_waiting=_CALLS)
        self.analysts = WorkerPool(configuration.analyst_count, memory=memory, analysing=True)
        self.naming = Naming(
            labels=configuration.component_labels,
            namespaces=configuration.namespaces,
            replicas=configuration.replicas,
        )
        self.listeners: list[AlertListener] = []
        self.background: list[Callable[[], Awaitable[None]]] = []
        self.printed_token = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._lock: int | None = None
        self._noted: dict[tuple[str, ...], float] = {}
        self._topology: Topology | None = None
        self.graph: Graph | None = None
        self.ready = False

    async def start(self) -> None:
        """Opens the store and starts everything.

        Raises:
            RCAError: the store, the data folder or the topology file cannot be used.
        """
        await asyncio.to_thread(self._open)
        await self._ensure_admin()
        await asyncio.gather(self.decoders.start(), self.analysts.start(), asyncio.to_thread(_load))
        self.runner = JobRunner(self.configuration, self.store, self.files, self.analysts, self.metrics)
        self.experience = Experience(self.store)
        self.runner.graph = self.graph
        self.runner.recall = self.experience.recall
        self.normality = Normality(self.configuration, self.store, self.files, self.windows)
        await asyncio.to_thread(self.normality.check)
        self.runner.normal = self.normality.known
        self.background.append(self.normality.run)
        self.lessons = Lessons(self.configuration, self.store, self.files, self.metrics)
        self.lessons.graph, self.lessons.normal = self.runner.graph, self.runner.normal
        self.alerting = Alerting(self)
        self.alerting.attach()
        await self.runner.start()
        await self.lessons.start()
        self.receiver = Receiver(self)
        await asyncio.to_thread(self.receiver.start)
        self._tasks = [asyncio.create_task(self._maintain())]
        self._tasks += [asyncio.create_task(self.graph.run())] if self.graph is not None else []
        self._tasks += [asyncio.ensure_future(begin()) for begin in (*self.background, MetricsExporter(self).run)]
        self.ready = True

    async def stop(self) -> None:
        """Lets running analyses end, writes what waits, and closes everything."""
        self.ready = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if hasattr(self, "receiver"):
            await asyncio.to_thread(self.receiver.stop)
        if hasattr(self, "lessons"):
            await self.lessons.stop(0.0)
        if hasattr(self, "runner"):
            await self.runner.stop(self.configuration.stop_seconds)
        if hasattr(self, "normality"):
            self.normality.close()
        if hasattr(self, "experience"):
            await asyncio.to_thread(self.experience.close)
        await asyncio.gather(self.decoders.close(), self.analysts.close())
        if self.graph is not None:
            await self.graph.close()
        if hasattr(self, "windows"):
            await asyncio.to_thread(self.windows.close)
        if hasattr(self, "store"):
            await asyncio.to_thread(self.store.close)
        if self._lock is not None:
            os.close(self._lock)

    async def record(self, who: str, action: str, subject: str, outcome: str) -> None:
        """Adds to the audit log; a failure of the store is logged and stops nothing."""
        entry = AuditEntry(
            time=time.time_ns(),
            who=who,
            action=action,
            subject=subject[:300],
            outcome=outcome,
            trace=trace_id.get(),
        )
        try:
            await asyncio.wrap_future(self.store.record([entry]))
        except RCAError as error:
            LOGGER.error("the audit log cannot be written", extra={"problem": str(error), "action": action})

    def is_news(self, *key: str) -> bool:
        """Whether a component or dependency was not noted within the last minute; notes it."""
        now = time.monotonic()
        if self._noted.get(key, 0.0) > now:
            return False
        if len(self._noted) > _MOST_NOTED:
            self._noted.clear()
        self._noted[key] = now + _NOTED_SECONDS
        return True

    def topology(self) -> Topology:
        """What telemetry showed within the retention of events, and the configured file."""
        from rca.topology import Topology

        since = time.time_ns() - int(self.configuration.event_days * DAY)
        facts: dict[str, dict[str, str]] = {"kinds": {}, "hosts": {}, "replica_of": {}}
        for component, fact, value in self.store.facts(since):
            facts.setdefault(fact, {})[component] = value
        seen = Topology.from_edges(
            self.store.edges(since), kinds=facts["kinds"], hosts=facts["hosts"], replica_of=facts["replica_of"]
        )
        return seen if self._topology is None else self._topology.merge(seen)

    def _open(self) -> None:
        configuration = self.configuration
        data = Path(configuration.data)
        if configuration.store_url.startswith("sqlite:") or not configuration.files_in_database:
            try:
                data.mkdir(parents=True, exist_ok=True)
            except OSError as bad:
                raise StoreError(f"cannot be made: {bad.strerror}", where=data, remedy="Check its parent") from bad
        if configuration.store_url.startswith("sqlite:"):
            self._lock = _lock(Path(configuration.store_url.removeprefix("sqlite:")))
        if configuration.topology:
            from rca.topology_files import read_topology

            self._topology = read_topology(configuration.topology)
        self.store = open_store(configuration.store_url)
        self.files = DatabaseFiles(self.store) if configuration.files_in_database else FolderFiles(data)
        self.windows = WindowStore(self.store, self.files, most_bytes=configuration.window_size << 20)
        self.auth = Authenticator(self.store)
        if address := configuration.graph_address:
            self.graph = Graph(address, configuration, self.store, self.metrics)

    async def _ensure_admin(self) -> None:
        """The configured token, or a new one where there is none at all; printed once, never logged."""
        if self.configuration.admin_token:
            token = admin_token(self.configuration.admin_token, now=time.time_ns())
            await asyncio.wrap_future(self.store.add_token(token))
        elif not await asyncio.to_thread(self.store.tokens):
            token, self.printed_token = make_token("first start", ["admin"], now=time.time_ns())
            await asyncio.wrap_future(self.store.add_token(token))
            print(f"Admin token, shown only now: {self.printed_token}", file=sys.stderr, flush=True)

    async def _maintain(self) -> None:
        while True:
            await asyncio.sleep(self.configuration.maintenance_seconds)
            try:
                await asyncio.to_thread(self.maintain, time.time_ns())
            except RCAError as error:
                LOGGER.error("maintenance failed", extra={"problem": str(error)})

    def maintain(self, now: int) -> None:
        """Merges small files and deletes what is too old."""
        configuration = self.configuration
        self.windows.merge_small_files(now)
        before = now - int(configuration.telemetry_days * DAY)
        expired = self.windows.expire(before, configuration.telemetry_size << 20)
        orphans = self.windows.collect_orphans(now)
        retention = Retention(
            events_before=now - int(configuration.event_days * DAY),
            bodies_before=now - int(configuration.resend_hours * 3_600 * SECOND),
            incidents_before=now - int(configuration.incident_days * DAY),
        )
        old = self.store.expired_incidents(retention.incidents_before)
        if old and self.graph is not None:  # first: what the store has forgotten, nobody can name any more
            self.graph.forget(old)
        snapshots = self.store.forget(retention).result()
        with suppress(NotFoundError):
            self.files.delete(snapshots)
        if expired or orphans or snapshots:
            facts = {"segments": expired, "orphans": orphans, "incidents": len(snapshots)}
            LOGGER.info("deleted what was too old", extra=facts)


def _load() -> None:
    """Loads what the first request would otherwise wait for."""
    import google.protobuf.message
    import pandas
    import pyarrow.parquet

    from rca.kinds import load_kinds

    load_kinds()
    _ = (google.protobuf.message, pandas, pyarrow.parquet)


def _lock(database: Path) -> int:
    """Keeps a second service from the same SQLite file: it would take up the jobs of the first."""
    import fcntl

    path = database.with_name(f"{database.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as bad:
        raise StoreError(f"cannot be made: {bad.strerror}", where=path, remedy="Check the folder's rights") from bad
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as bad:
        os.close(handle)
        raise StoreError(
            "another service uses this store", where=database, remedy="Stop it, or use PostgreSQL for several replicas"
        ) from bad
    return handle
