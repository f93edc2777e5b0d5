"""From an alert to a page that says why: alerts open incidents, which are analysed and told of.

Alerts that belong together are one incident (``rca.service.grouping``). Shortly after it opened, its
telemetry is pulled and put together with what was ingested, analysed, and what was found goes to the
targets; where that was inconclusive, or further alerts joined, it is looked into once more after some time.
All of it survives a crash: alerts and what is due stand in the store, and so do messages, in the same
transaction as the report that they tell of.
"""

from __future__ import annotations

import asyncio
import gzip
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from rca.errors import RCAError
from rca.notify.forms import FORMS
from rca.notify.summary import FAILED
from rca.service.failing import Failures
from rca.service.grouping import PAGE_LABEL, Nearness, neighbours, record_of, title_of
from rca.service.jobs import Prepared, Progress, Told
from rca.service.logs import LOGGER, trace_id
from rca.service.operations import pushed_of
from rca.service.outgoing import Courier
from rca.service.paging import PageReader
from rca.service.posting import assemble_window, make_id
from rca.service.pulling import Puller
from rca.service.pushing import note
from rca.service.telling import deliveries_of, resolutions_of
from rca.stores.records import AlertRecord, Delivery, Grouping, IncidentRecord, Job, Merger
from rca.topology import Topology
from rca.types import MINUTE, SECOND, Window, to_text

if TYPE_CHECKING:
    from rca.service.state import Service
    from rca.sources.received import AlertNotice, Received

# Whose alert it is, by how its key begins; everything else is "other".
_SENDERS = ("alertmanager", "grafana", "pagerduty", "kubernetes")
_POLL = 1.0  # seconds after which what is due on other replicas is looked for
_AFTER = 2 * MINUTE  # of the alert: what an analysis looks at, and a sample more
_TOPOLOGY_SECONDS = 10.0  # how old what is known of the topology may be when alerts are grouped
_SURVEY_MINUTES = 5.0  # of metrics and calls that a survey looks at


class Alerting:
    """What the service does about alerts."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._configuration = service.configuration
        self._puller = Puller(service.configuration, service.naming, service.metrics)
        self._pages = PageReader(service.configuration)
        self._wake = asyncio.Event()
        self._topology: tuple[float, Topology] = (0.0, Topology.from_edges([]))
        self.courier = Courier(service.configuration, service.store, service.metrics)
        self.failures = Failures(service.configuration, service.store)

    def attach(self) -> None:
        """Registers what it does with the service, whose store and runner must be there."""
        service = self._service
        service.listeners.append(self.take)
        service.background += [self.run, self.courier.run, self._survey]
        service.runner.prepare = self.prepare
        service.runner.tell = self.tell
        service.runner.told = lambda told: self.courier.wake() if told.deliveries else None

    async def take(self, notices: Sequence[AlertNotice]) -> None:
        """Enters alerts into incidents; told again, they change nothing.

        Raises:
            RCAError: the store is away; the sender shall send again.
        """
        wanted = [notice for notice in notices if _sender(notice) in self._configuration.incident_sources]
        if not wanted:
            return
        now = time.time_ns()
        records = [record_of(notice, now, keys=await self._keys(notice)) for notice in wanted]
        grouped = await asyncio.wrap_future(
            self._service.store.group_alerts(records, await asyncio.to_thread(self._grouping, records, now))
        )
        counts = self._service.metrics.incidents
        for what in ("opened", "joined", "closed"):
            found = getattr(grouped, what)
            counts.labels(what).inc(len(found))
            for incident in found:
                LOGGER.info("alerts %s an incident", what, extra={"incident": incident})
        self._say_merged(grouped.merged)
        for incident in grouped.closed:
            await self._resolve(incident)
        paged = {grouped.placed[each.key] for each in records if each.page and each.key in grouped.placed}
        for incident in sorted(paged | {each.home for each in grouped.merged}):
            await self._tell_page(incident)
        self._wake.set()

    async def part(self, incident: str) -> Merger:
        """Undoes a merger.

        Raises:
            ConflictError: the incident is not merged.
        """
        merger = await asyncio.wrap_future(self._service.store.part_incident(incident, time.time_ns()))
        LOGGER.info("a merger was undone", extra={"incident": incident, "home": merger.home})
        self._wake.set()
        return merger

    async def run(self) -> None:
        """Queues what is due and tells of what failed, until it is cancelled."""
        while True:
            self._wake.clear()
            try:
                jobs = await asyncio.wrap_future(self._service.store.claim_due(time.time_ns(), self._job))
                if jobs:
                    self._service.runner.wake()
                if await self.failures.tell():
                    self.courier.wake()
            except RCAError as error:  # the store is away: it may come back
                LOGGER.error("no incident can be taken up", extra={"problem": str(error)})
            pause = min(_POLL, max(self._configuration.settle_seconds / 4, 0.1))
            await asyncio.sleep(pause)

    async def prepare(self, job: Job, progress: Progress) -> Prepared:
        """Makes the snapshot of an incident: what its sources have, and what was ingested."""
        store, files = self._service.store, self._service.files
        record = await asyncio.to_thread(store.incident, job.incident)
        alerts = await asyncio.to_thread(store.alerts_of, job.incident)
        detected = min((alert.start for alert in _fired(alerts)), default=record.end)
        end = max(detected + SECOND, min(time.time_ns(), detected + _AFTER))
        window = Window(start=detected - int(self._configuration.window_minutes * MINUTE), end=end)
        baseline = Window(start=window.start - self._configuration.baseline_minutes * MINUTE, end=window.start)
        progress("asking for telemetry")
        pulled = await self._puller.pull(window, baseline)
        await asyncio.to_thread(self._note, pulled.received)
        progress("reading the window")
        title = title_of(alerts)
        told = {
            "components": sorted({alert.component for alert in _fired(alerts)}),
            "labels": {},
            "start": window.start,
            "end": window.end,
            "given_end": True,
            "detected": detected,
            "baseline_start": baseline.start,
            "description": _reference(job.incident, title, detected),
        }
        answer = await assemble_window(self._service, told, job.incident, pulled)
        name = f"snapshots/{job.id}-{job.attempt}.zip"
        await asyncio.to_thread(files.write, name, answer.blobs[0])
        changed = replace(
            record,
            updated=time.time_ns(),
            title=title,
            start=window.start,
            end=window.end,
            detected=detected,
            snapshot=name,
        )
        await asyncio.wrap_future(store.amend_incident(changed))
        if record.snapshot and record.snapshot != name:
            await asyncio.to_thread(files.delete, [record.snapshot])
        warnings = (*pulled.warnings, *answer.values["degraded"])
        return Prepared(snapshot=name, warnings=warnings, notes=tuple(answer.values["notes"]), situated=True)

    async def tell(self, record: IncidentRecord, job: Job, verdict: str, document: bytes) -> Told:
        """What becomes of a report."""
        store, now = self._service.store, time.time_ns()
        report = _read(document)
        if job.kind == "alert" and verdict == "cause":
            apart = int(self._configuration.join_minutes * MINUTE)
            cause = report["root_causes"][0]["component"]
            merging = store.merge_same_cause(record.id, cause, apart=apart, now=time.time_ns())
            merged = await asyncio.wrap_future(merging)
            self._say_merged(merged)
        home = await asyncio.to_thread(store.home_of, record.id)
        if home != record.id:
            return Told(deliveries=tuple(await self._tell_home(home, report)))
        alerts = await asyncio.to_thread(store.alerts_of, record.id)
        deliveries = deliveries_of(self._configuration, record, report, alerts, now)
        if job.kind != "alert":
            return Told(deliveries=tuple(deliveries))
        analyses = await asyncio.to_thread(store.analyses_of, record.id)
        if analyses == 1:
            self._service.metrics.alert_to_report.observe((now - record.created) / SECOND)
        again = verdict != "cause" and analyses < self._configuration.most_analyses and record.state == "open"
        due = now + int(self._configuration.follow_up_seconds * SECOND) if again else 0
        return Told(deliveries=tuple(deliveries), due=due)

    async def _tell_home(self, home: str, report: dict[str, Any]) -> list[Delivery]:
        """What is to be sent of a report of an incident that is part of another: it goes where that one's do."""
        record = await asyncio.to_thread(self._service.store.incident, home)
        alerts = await asyncio.to_thread(self._service.store.alerts_of, home)
        return deliveries_of(self._configuration, record, report, alerts, time.time_ns())

    def _say_merged(self, mergers: Sequence[Merger]) -> None:
        self._service.metrics.incidents.labels("merged").inc(len(mergers))
        if mergers and self._service.graph is not None:
            self._service.graph.drop([each.incident for each in mergers])
        for each in mergers:
            facts = {"incident": each.incident, "home": each.home, "reason": each.reason}
            LOGGER.info("an incident is part of an earlier one", extra=facts)

    async def _tell_page(self, incident: str) -> None:
        """Tells a page that joined after the report; the others were told, and are not told again."""
        store = self._service.store
        record = await asyncio.to_thread(store.incident, incident)
        if not record.verdict:  # the report will tell it
            return
        alerts = await asyncio.to_thread(store.alerts_of, incident)
        if record.verdict == FAILED:
            deliveries = await asyncio.to_thread(self.failures.deliveries, record, alerts)
        else:
            _, document = await asyncio.to_thread(store.report, incident)
            deliveries = deliveries_of(self._configuration, record, _read(document), alerts, time.time_ns())
        paged = {target.name for target in self._configuration.targets if FORMS[target.form].page == "pagerduty"}
        await asyncio.wrap_future(store.add_deliveries([each for each in deliveries if each.target in paged]))
        self.courier.wake()

    async def _resolve(self, incident: str) -> None:
        store = self._service.store
        merged = [each.incident for each in await asyncio.to_thread(store.mergers, incident)]
        sent = [
            delivery
            for each in (incident, *merged)
            for delivery in await asyncio.to_thread(store.deliveries, incident=each, limit=1_000)
        ]
        if ended := resolutions_of(self._configuration, incident, sent, time.time_ns()):
            await asyncio.wrap_future(store.add_deliveries(ended))
            self.courier.wake()

    async def _keys(self, notice: AlertNotice) -> tuple[str, ...]:
        page = notice.alert.labels.get(PAGE_LABEL, "")
        return await asyncio.to_thread(self._pages.keys_of, page) if page else ()

    def _grouping(self, records: Sequence[AlertRecord], now: int) -> Grouping:
        configuration = self._configuration
        apart = int(configuration.join_minutes * MINUTE)
        near = neighbours(self._known_topology(), {each.component for each in records}, configuration.join_hops)
        nearness = Nearness(near=near, apart=apart)
        return Grouping(
            choose=nearness.choose,
            open=lambda alert: _opened(alert, int(configuration.window_minutes * MINUTE)),
            now=now,
            settled=now + int(configuration.settle_seconds * SECOND),
            follow_up=now + int(configuration.follow_up_seconds * SECOND),
            most_analyses=configuration.most_analyses,
            closed_since=now - apart,
            others=nearness.others,
        )

    def _known_topology(self) -> Topology:
        read, known = self._topology
        if time.monotonic() - read > _TOPOLOGY_SECONDS:
            known = self._service.topology()
            self._topology = (time.monotonic(), known)
        return known

    async def _survey(self) -> None:
        """Asks the sources who calls whom, now and then."""
        while self._puller.any:
            try:
                received = await self._puller.survey(_SURVEY_MINUTES)
                await asyncio.to_thread(self._note, received)
            except RCAError as error:
                LOGGER.warning("the sources were not asked", extra={"problem": str(error)})
            await asyncio.sleep(self._configuration.survey_minutes * 60)

    def _note(self, received: Received) -> None:
        """Remembers who was seen and who calls whom, for the next alert as well."""
        note(self._service, pushed_of(replace(received, changes=(), alerts=()), "pull"), "pull")
        self._topology = (0.0, self._topology[1])

    def _job(self, incident: str) -> Job:
        now = time.time_ns()
        return Job(
            id=f"job-{secrets.token_hex(12)}",
            kind="alert",
            incident=incident,
            state="queued",
            attempt=0,
            created=now,
            deadline=now + int(self._configuration.queue_seconds * SECOND),
            progress="queued",
            request=msgspec.json.encode({"trace": trace_id.get() or secrets.token_hex(16)}).decode(),
        )


def _opened(alert: AlertRecord, before: int) -> IncidentRecord:
    """The incident that an alert opens."""
    now = time.time_ns()
    return IncidentRecord(
        id=make_id(),
        created=now,
        updated=now,
        title=title_of([alert]),
        fingerprint=alert.groups[0] if alert.groups else alert.key,
        start=alert.start - before,
        end=alert.start + SECOND,
        detected=alert.start,
        source=alert.key.partition(":")[0],
    )


def _fired(alerts: Sequence[AlertRecord]) -> Sequence[AlertRecord]:
    """Alerts; pages, which repeat what alerts said, only where there is nothing else."""
    return [alert for alert in alerts if not alert.page] or alerts


def _reference(incident: str, title: str, detected: int) -> str:
    return msgspec.json.encode({"id": incident, "title": title, "detected_at": to_text(detected)}).decode()


def _read(document: bytes) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(gzip.decompress(document))
    return found


def _sender(notice: AlertNotice) -> str:
    name = notice.key.partition(":")[0]
    return name if name in _SENDERS else "other"
