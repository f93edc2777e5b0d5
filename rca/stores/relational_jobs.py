"""Jobs: taken up by one worker at a time, under a lease, and finished by the last that took them up."""

# ruff: noqa: S608 - only names of our own tables and columns are written into statements; values are parameters

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from rca.errors import NotFoundError, OverloadedError
from rca.stores.records import Job, JobState, ReportRecord
from rca.stores.writer import Row, Transaction

T = TypeVar("T")
JOB = (
    "id, kind, incident, state, attempt, created, started, finished, deadline, lease, worker, progress, request, error"
)
LESSON = "learn"
LOST = "its worker died each time"
LATE = "its deadline passed before a worker was free"


class Tables(ABC):
    """How the parts of the store reach the database."""

    skip_locked = ""

    @abstractmethod
    def read(self, statement: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """The rows of a query."""

    @abstractmethod
    def submit(self, work: Callable[[Transaction], T], *, rows: int = 1) -> Future[T]:
        """Work for the writer, in a transaction with what others hand in."""


class JobTables(Tables):
    """The part of the store that holds jobs."""

    def add_job(self, job: Job, *, most_queued: int = 0) -> Future[None]:
        """Queues a job; refused where ``most_queued`` wait already (0: no bound)."""

        def write(sql: Transaction) -> None:
            if most_queued and int(sql.rows("SELECT count(*) FROM jobs WHERE state = 'queued'")[0][0]) >= most_queued:
                raise OverloadedError(f"{most_queued} analyses wait already", remedy="Send again later")
            self._insert_job(sql, job)

        return self.submit(write)

    def claim_job(
        self, worker: str, now: int, lease: int, *, most_attempts: int = 3, lessons: bool = False
    ) -> Future[Job | None]:
        """The oldest job that waits, or whose lease (until a time in ns) has run out; None where there is none.

        ``lessons``: of those, which do not hold up analyses; else of all others.
        """
        kinds = f"kind {'=' if lessons else '<>'} '{LESSON}'"

        def write(sql: Transaction) -> Job | None:
            sql.run(
                "UPDATE jobs SET state = 'failed', finished = ?, error = ? WHERE attempt >= ?"
                " AND (state = 'queued' OR (state = 'running' AND lease < ?))",
                (now, LOST, most_attempts, now),
            )
            sql.run(
                "UPDATE jobs SET state = 'failed', finished = ?, error = ? WHERE state = 'queued' AND deadline < ?",
                (now, LATE, now),
            )
            found = sql.rows(
                "UPDATE jobs SET state = 'running', attempt = attempt + 1, started = ?, lease = ?, worker = ?,"
                f" progress = 'started' WHERE id = (SELECT id FROM jobs WHERE {kinds} AND (state = 'queued'"
                " OR (state = 'running' AND lease < ?)) ORDER BY created, id"
                f" LIMIT 1{self.skip_locked}) RETURNING {JOB}",
                (now, lease, worker, now),
            )
            return job_of_row(found[0]) if found else None

        return self.submit(write)

    def renew_job(self, job: str, attempt: int, lease: int, progress: str) -> Future[bool]:
        """Prolongs the lease; False where the job was cancelled or taken up by another."""
        statement = "UPDATE jobs SET lease = ?, progress = ? WHERE id = ? AND attempt = ? AND state = 'running'"
        return self.submit(lambda sql: sql.run(statement, (lease, progress, job, attempt)) == 1)

    def fail_job(self, job: str, attempt: int, now: int, error: str) -> Future[bool]:
        """Ends a job without a report; False where this attempt no longer counts."""
        return self.submit(lambda sql: self._leave(sql, job, attempt, now, "failed", error))

    def return_job(self, job: str, attempt: int) -> Future[bool]:
        """Puts a job back into the queue, for another attempt."""
        statement = (
            "UPDATE jobs SET state = 'queued', lease = 0, worker = '', progress = 'queued again'"
            " WHERE id = ? AND attempt = ? AND state = 'running'"
        )
        return self.submit(lambda sql: sql.run(statement, (job, attempt)) == 1)

    def return_jobs_of(self, worker: str) -> Future[int]:
        """Puts back what a worker that is gone had taken up; "" is every worker."""
        statement = (
            "UPDATE jobs SET state = 'queued', lease = 0, worker = '', progress = 'queued again'"
            " WHERE state = 'running' AND (worker = ? OR ? = '')"
        )
        return self.submit(lambda sql: sql.run(statement, (worker, worker)))

    def cancel_job(self, job: str, now: int) -> Future[bool]:
        """Cancels a job that is not finished; whether it was so."""
        statement = (
            "UPDATE jobs SET state = 'cancelled', finished = ?, progress = 'cancelled'"
            " WHERE id = ? AND state IN ('queued', 'running')"
        )
        return self.submit(lambda sql: sql.run(statement, (now, job)) == 1)

    def job(self, job: str) -> Job:
        """One job."""
        found = self.read(f"SELECT {JOB} FROM jobs WHERE id = ?", (job,))
        if not found:
            raise NotFoundError(f"there is no job {job[:80]!r}", remedy="Ask for the job that a 202 named")
        return job_of_row(found[0])

    def jobs(self, *, incident: str = "", state: JobState | str = "", limit: int = 100) -> list[Job]:
        """Jobs, newest first."""
        statement = (
            f"SELECT {JOB} FROM jobs WHERE (incident = ? OR ? = '') AND (state = ? OR ? = '')"
            " ORDER BY created DESC, id DESC LIMIT ?"
        )
        return [job_of_row(row) for row in self.read(statement, (incident, incident, state, state, limit))]

    def count_jobs(self) -> dict[str, int]:
        """How many jobs are in each state."""
        return {str(state): int(count) for state, count in self.read("SELECT state, count(*) FROM jobs GROUP BY state")}

    def _insert_job(self, sql: Transaction, job: Job) -> None:
        row = tuple(getattr(job, name.strip()) for name in JOB.split(","))
        sql.run(f"INSERT INTO jobs ({JOB}) VALUES ({', '.join('?' * len(row))}) ON CONFLICT (id) DO NOTHING", row)

    def _leave(self, sql: Transaction, job: str, attempt: int, now: int, state: JobState, error: str) -> bool:
        statement = (
            "UPDATE jobs SET state = ?, finished = ?, error = ?, progress = ?"
            " WHERE id = ? AND attempt = ? AND state = 'running'"
        )
        return sql.run(statement, (state, now, error, state, job, attempt)) == 1


def insert_report(sql: Transaction, report: ReportRecord) -> None:
    """Keeps what a job came to, once."""
    parts = (report.document, report.page, report.graph, report.graphml)
    sql.run(
        "INSERT INTO reports VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (job) DO NOTHING",
        (report.job, report.incident, report.created, *parts),
    )


def job_of_row(row: Row) -> Job:
    """The job of a row of the columns ``JOB``."""
    return Job(**dict(zip((name.strip() for name in JOB.split(",")), row, strict=True)))
