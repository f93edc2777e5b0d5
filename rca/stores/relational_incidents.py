"""Incidents, their reports, and what people said of them."""

# ruff: noqa: S608 - only names of our own tables and columns are written into statements; values are parameters

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from rca.errors import ConflictError, NotFoundError, OverloadedError
from rca.stores.records import Delivery, Feedback, Filed, IdempotencyKey, IncidentRecord, Job, Part, ReportRecord
from rca.stores.relational_deliveries import DeliveryTables
from rca.stores.relational_jobs import JOB, JobTables, insert_report, job_of_row
from rca.stores.relational_learned import insert_portrait
from rca.stores.writer import Row, Transaction

_PARTS: tuple[Part, ...] = ("document", "page", "graph", "graphml")
_INCIDENT = (
    "id, created, updated, title, state, fingerprint, start_time, end_time, detected, description, snapshot,"
    " verdict, cause, confidence, source"
)
_FEEDBACK = "id, incident, time, who, opinion, component, note, kind, resolution, token"


class IncidentTables(JobTables, DeliveryTables):
    """The part of the store that holds incidents."""

    def file_incident(
        self, incident: IncidentRecord, job: Job, *, key: IdempotencyKey | None = None, most_queued: int = 0
    ) -> Future[Filed]:
        """Adds an incident (or a further job of one that is there) and its job, together or not at all."""

        def write(sql: Transaction) -> Filed:
            if key is not None:
                statement = "SELECT digest, incident, job FROM idempotency WHERE owner = ? AND key = ?"
                for digest, known, earlier in sql.rows(statement, (key.owner, key.key)):
                    if digest != key.digest:
                        raise ConflictError(
                            "this Idempotency-Key was used for another request",
                            remedy="Use a new key for a new request",
                        )
                    return Filed(incident=known, job=earlier, replay=True)
            if most_queued and int(sql.rows("SELECT count(*) FROM jobs WHERE state = 'queued'")[0][0]) >= most_queued:
                raise OverloadedError(f"{most_queued} analyses wait already", remedy="Send again later")
            insert_incident(
                sql,
                incident,
                " ON CONFLICT (id) DO UPDATE SET updated = excluded.updated, title = excluded.title,"
                " start_time = excluded.start_time, end_time = excluded.end_time, detected = excluded.detected,"
                " description = excluded.description, snapshot = excluded.snapshot",
            )
            self._insert_job(sql, job)
            if key is not None:
                row = (key.owner, key.key, key.digest, incident.id, job.id, incident.updated)
                sql.run("INSERT INTO idempotency VALUES (?, ?, ?, ?, ?, ?)", row)
            return Filed(incident=incident.id, job=job.id)

        return self.submit(write)

    def incident(self, incident: str) -> IncidentRecord:
        """One incident."""
        found = self.read(f"SELECT {_INCIDENT} FROM incidents WHERE id = ?", (incident,))
        if not found:
            raise NotFoundError(f"there is no incident {incident[:80]!r}", remedy="GET /api/v1/incidents lists them")
        return _incident(found[0])

    def incidents(
        self,
        *,
        before: tuple[int, str] | None = None,
        limit: int = 50,
        state: str = "",
        verdict: str = "",
        cause: str = "",
        fingerprint: str = "",
        since: int = 0,
    ) -> list[IncidentRecord]:
        """Incidents, newest first, from just before a (creation, id)."""
        where = ["updated >= ?"]
        parameters: list[Any] = [since]
        for column, value in (("state", state), ("verdict", verdict), ("cause", cause), ("fingerprint", fingerprint)):
            if value:
                where.append(f"{column} = ?")
                parameters.append(value)
        if before is not None:
            where.append("(created, id) < (?, ?)")
            parameters.extend(before)
        statement = (
            f"SELECT {_INCIDENT} FROM incidents WHERE {' AND '.join(where)} ORDER BY created DESC, id DESC LIMIT ?"
        )
        return [_incident(row) for row in self.read(statement, (*parameters, limit))]

    def set_incident_state(self, incident: str, state: str, now: int) -> Future[bool]:
        """Opens or closes an incident."""
        statement = "UPDATE incidents SET state = ?, updated = ? WHERE id = ?"
        return self.submit(lambda sql: sql.run(statement, (state, now, incident)) == 1)

    def report(self, incident: str, part: Part = "document") -> tuple[str, bytes]:
        """The job that answered last, and one part of its report, compressed with gzip."""
        if part not in _PARTS:
            raise ValueError(part)
        statement = f"SELECT job, {part} FROM reports WHERE incident = ? ORDER BY created DESC, job DESC LIMIT 1"
        found = self.read(statement, (incident,))
        if not found:
            self.incident(incident)
            raise NotFoundError(f"incident {incident[:80]!r} has no report yet", remedy="Look at its job")
        return str(found[0][0]), bytes(found[0][1])

    def report_of_job(self, job: str) -> bytes:
        """The document of one job's report, compressed with gzip."""
        found = self.read("SELECT document FROM reports WHERE job = ?", (job,))
        if not found:
            raise NotFoundError(f"job {job[:80]!r} has no report", remedy="Look at the job")
        return bytes(found[0][0])

    def finish_job(
        self,
        job: str,
        attempt: int,
        now: int,
        report: ReportRecord,
        *,
        verdict: str,
        cause: str,
        confidence: float,
        deliveries: Sequence[Delivery] = (),
        due: int = 0,
    ) -> Future[bool]:
        """Stores a report where this attempt is still the one that counts; whether it was.

        Together with it, or not at all: the ``deliveries`` that tell of it, and when (``due``) an incident
        that alerts opened is analysed again.
        """

        def write(sql: Transaction) -> bool:
            if not self._leave(sql, job, attempt, now, "done", ""):
                return False
            insert_report(sql, report)
            if report.portrait is not None:
                insert_portrait(sql, report.portrait)
            sql.run(
                "UPDATE incidents SET verdict = ?, cause = ?, confidence = ?, updated = ? WHERE id = ?",
                (verdict, cause, confidence, now, report.incident),
            )
            self._insert_deliveries(sql, deliveries)
            if due:
                sql.run("UPDATE watched SET due = ? WHERE incident = ? AND due = 0", (due, report.incident))
            return True

        return self.submit(write)

    def untold_failures(self, *, limit: int = 20) -> list[Job]:
        """Jobs of incidents that ended without a report, of which nobody was told yet, oldest first."""
        statement = (
            f"SELECT {JOB} FROM jobs WHERE state = 'failed' AND told = 0 AND incident <> ''"
            " ORDER BY finished, id LIMIT ?"
        )
        return [job_of_row(row) for row in self.read(statement, (limit,))]

    def settle_failure(self, job: str, now: int, deliveries: Sequence[Delivery], *, due: int = 0) -> Future[bool]:
        """Notes that a failed job is told of, once; whether it was not yet.

        Together with it, or not at all: the ``deliveries``, when the incident is analysed again, and
        "failed" as its verdict where it has no report.
        """

        def write(sql: Transaction) -> bool:
            found = sql.rows(
                "UPDATE jobs SET told = 1 WHERE id = ? AND state = 'failed' AND told = 0 RETURNING incident", (job,)
            )
            if not found:
                return False
            incident = found[0][0]
            statement = "UPDATE incidents SET verdict = 'failed', updated = ? WHERE id = ? AND verdict = ''"
            sql.run(statement, (now, incident))
            self._insert_deliveries(sql, deliveries)
            if due:
                sql.run("UPDATE watched SET due = ? WHERE incident = ? AND due = 0", (due, incident))
            return True

        return self.submit(write)

    def add_feedback(self, feedback: Feedback) -> Future[bool]:
        """Keeps what somebody said; False where it was there already."""
        row = [getattr(feedback, name.strip()) for name in _FEEDBACK.split(",")]
        marks = ", ".join("?" * len(row))
        statement = f"INSERT INTO feedback ({_FEEDBACK}) VALUES ({marks}) ON CONFLICT (id) DO NOTHING"
        return self.submit(lambda sql: sql.run(statement, row) == 1)

    def feedback(self, incident: str) -> list[Feedback]:
        """What was said of an incident, oldest first."""
        statement = f"SELECT {_FEEDBACK} FROM feedback WHERE incident = ? ORDER BY time, id"
        return [_feedback(row) for row in self.read(statement, (incident,))]

    def confirmed(self, incidents: Sequence[str] = (), *, limit: int = 10_000) -> list[Feedback]:
        """The last confirmed cause of each incident (of those named, where any are), by incident.

        The ``limit`` leaves the latest.
        """
        chosen = f" AND f.incident IN ({', '.join('?' * len(incidents))})" if incidents else ""
        columns = ", ".join(f"f.{name.strip()}" for name in _FEEDBACK.split(","))
        statement = (
            f"SELECT {columns} FROM feedback f WHERE f.opinion = 'confirmed'{chosen} AND NOT EXISTS (SELECT 1 FROM"
            " feedback g WHERE g.incident = f.incident AND g.opinion = 'confirmed' AND (g.time, g.id) > (f.time, f.id))"
            " ORDER BY f.time DESC, f.id DESC LIMIT ?"
        )
        found = [_feedback(row) for row in self.read(statement, (*incidents, limit))]
        return sorted(found, key=lambda word: word.incident)


def insert_incident(sql: Transaction, incident: IncidentRecord, otherwise: str = "") -> None:
    """Adds an incident; ``otherwise`` says what is done where there is one of that id."""
    values = "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"
    sql.run(f"INSERT INTO incidents ({_INCIDENT}) VALUES ({values}){otherwise}", _incident_row(incident))


def _incident_row(incident: IncidentRecord) -> tuple[Any, ...]:
    return (
        incident.id,
        incident.created,
        incident.updated,
        incident.title,
        incident.state,
        incident.fingerprint,
        incident.start,
        incident.end,
        incident.detected,
        incident.description,
        incident.snapshot,
        incident.verdict,
        incident.cause,
        incident.confidence,
        incident.source,
    )


def _incident(row: Row) -> IncidentRecord:
    return IncidentRecord(
        id=row[0],
        created=row[1],
        updated=row[2],
        title=row[3],
        state=row[4],
        fingerprint=row[5],
        start=row[6],
        end=row[7],
        detected=row[8],
        description=row[9],
        snapshot=row[10],
        verdict=row[11],
        cause=row[12],
        confidence=row[13],
        source=row[14],
    )


def _feedback(row: Row) -> Feedback:
    return Feedback(**dict(zip((name.strip() for name in _FEEDBACK.split(",")), row, strict=True)))
