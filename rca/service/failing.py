"""An analysis that failed outright: who would have been told of its report is told that there is none, and why.

Whatever ended a job without a report (an error, a worker that died each time, a queue or an analysis that
took too long, a replica that was killed) leaves it as failed in the store. From there it is told of once,
in one transaction with what follows: an incident that alerts opened is analysed again after
``follow_up_seconds``, as long as it was not analysed ``most_analyses`` times.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rca.errors import NotFoundError
from rca.notify.summary import FAILED, Summary, summarize_failure
from rca.service.logs import LOGGER
from rca.service.telling import messages_of, page_url
from rca.service.views import error_of
from rca.types import SECOND, to_text

if TYPE_CHECKING:
    from rca.service.configuration import Configuration
    from rca.stores.protocol import Store
    from rca.stores.records import AlertRecord, Delivery, IncidentRecord, Job


class Failures:
    """Analyses that failed."""

    def __init__(self, configuration: Configuration, store: Store) -> None:
        self._configuration = configuration
        self._store = store

    async def tell(self) -> int:
        """Tells of what failed and was not told yet; how many analyses that were.

        Raises:
            RCAError: the store is away.
        """
        told = 0
        for job in await asyncio.to_thread(self._store.untold_failures):
            deliveries, due = await asyncio.to_thread(self._consequences, job)
            if await asyncio.wrap_future(self._store.settle_failure(job.id, time.time_ns(), deliveries, due=due)):
                told += 1
                facts = {"job": job.id, "incident": job.incident, "again": bool(due)}
                LOGGER.error("an analysis failed", extra=facts | {"problem": (error_of(job) or {}).get("detail", "")})
        return told

    def deliveries(self, record: IncidentRecord, alerts: Sequence[AlertRecord]) -> list[Delivery]:
        """What is to be sent of an incident whose analysis failed; reads the store."""
        job = self._last(record.id)
        if job is None:
            return []
        summary = self._summary(record, job)
        return messages_of(self._configuration, record, summary, alerts, time.time_ns())

    def page(self, incident: str) -> str:
        """The page of an incident that has no report because its analysis failed, else ""; reads the store.

        Raises:
            NotFoundError: there is no such incident.
        """
        from rca.report.page import render_failure

        record = self._store.incident(incident)
        job = self._last(incident) if record.verdict == FAILED else None
        if job is None:
            return ""
        summary = self._summary(record, job)
        return render_failure(summary.title, summary.headline, summary.steps)

    def error(self, incident: str) -> dict[str, Any] | None:
        """Why there is no report of an incident, as a problem; None where none failed."""
        job = self._last(incident)
        return None if job is None else error_of(job)

    def _consequences(self, job: Job) -> tuple[list[Delivery], int]:
        """What is to be sent, and when the incident is analysed again (ns; 0: not by itself)."""
        try:
            record = self._store.incident(job.incident)
        except NotFoundError:  # it was deleted meanwhile
            return [], 0
        seconds = self._again(record, job)
        due = time.time_ns() + int(seconds * SECOND) if seconds else 0
        if (
            record.verdict not in ("", FAILED) or record.state == "merged"
        ):  # an answer stands, or is looked for elsewhere
            return [], due
        alerts = self._store.alerts_of(record.id)
        summary = self._summary(record, job)
        return messages_of(self._configuration, record, summary, alerts, time.time_ns()), due

    def _again(self, record: IncidentRecord, job: Job) -> float:
        """Seconds after which the incident is analysed again by itself; 0: it is not."""
        analyses = self._store.analyses_of(record.id)
        again = job.kind == "alert" and record.state == "open" and analyses < self._configuration.most_analyses
        return self._configuration.follow_up_seconds if again else 0.0

    def _summary(self, record: IncidentRecord, job: Job) -> Summary:
        error = error_of(job) or {}
        return summarize_failure(
            incident=record.id,
            title=record.title,
            problem=str(error.get("detail", "")),
            where=str(error.get("where", "")),
            remedy=str(error.get("remedy", "")),
            again=self._again(record, job),
            url=page_url(self._configuration, record.id),
            detected="" if record.detected is None else to_text(record.detected),
        )

    def _last(self, incident: str) -> Job | None:
        """The last analysis of an incident that failed."""
        return next(iter(self._store.jobs(incident=incident, state="failed", limit=1)), None)
