"""What every store can do, whatever keeps it; tests/stores holds each to the same contract.

What writes returns a future that is done when the write is durable; what reads returns at once. All
of it may be called from any thread. Times are ns; ``now`` is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Protocol

from rca.stores.records import (
    AlertRecord,
    AuditEntry,
    Delivery,
    DeliveryState,
    Entry,
    Feedback,
    Filed,
    Grouped,
    Grouping,
    IdempotencyKey,
    IncidentRecord,
    Job,
    JobState,
    LearnedUse,
    LearnedVersion,
    Merger,
    Part,
    PortraitRecord,
    ReportRecord,
    Retention,
    Segment,
    Sighting,
    Stream,
    Token,
)


class Store(Protocol):
    """The system of record.

    Raises:
        StoreError: the database cannot be read or written; the future of a write raises it.
        NotFoundError: nothing of that name.
        ConflictError: an idempotency key that was used for something else.
        OverloadedError: too much waits to be written.
    """

    shared: bool
    """Whether several processes may serve from it at the same time."""

    # All of ``Store`` but the connections.
    @property
    def waiting(self) -> int:
        """Rows that wait for their commit."""

    def close(self) -> None:
        """Commits what waits and closes all connections."""

    def append(self, stream: Stream, entries: Sequence[Entry]) -> Future[int]:
        """Adds what is not there yet."""

    def entries(
        self, stream: Stream, start: int, end: int, *, components: Iterable[str] = (), limit: int = 100000
    ) -> list[Entry]:
        """What happened in [start, end), in order of time."""

    def count(self, stream: Stream) -> int:
        """How many entries there are."""

    def note_components(self, names: Iterable[str], now: int) -> Future[int]:
        """Remembers that components were seen."""

    def components(self, *, after: str = "", limit: int = 1000) -> list[tuple[str, int, int]]:
        """Name, first and last time seen, in order of name."""

    def note_topology(
        self, edges: Iterable[tuple[str, str]], facts: Mapping[tuple[str, str], str], now: int
    ) -> Future[None]:
        """Remembers dependencies, and facts as (component, kind of fact) -> value."""

    def edges(self, since: int) -> list[tuple[str, str]]:
        """Dependencies seen since a time: caller and callee, sorted."""

    def facts(self, since: int) -> list[tuple[str, str, str]]:
        """Component, kind of fact and its value, seen since a time, sorted."""

    def expired_incidents(self, before: int) -> list[str]:
        """Incidents that ``forget`` deletes, in order."""

    def forget(self, retention: Retention) -> Future[list[str]]:
        """Deletes what is too old; the names of the snapshots that nobody needs any more."""

    # The part of the store that holds incidents.
    def file_incident(
        self, incident: IncidentRecord, job: Job, *, key: IdempotencyKey | None = None, most_queued: int = 0
    ) -> Future[Filed]:
        """Adds an incident (or a further job of one that is there) and its job, together or not at all."""

    def incident(self, incident: str) -> IncidentRecord:
        """One incident."""

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

    def set_incident_state(self, incident: str, state: str, now: int) -> Future[bool]:
        """Opens or closes an incident."""

    def report(self, incident: str, part: Part = "document") -> tuple[str, bytes]:
        """The job that answered last, and one part of its report, compressed with gzip."""

    def report_of_job(self, job: str) -> bytes:
        """The document of one job's report, compressed with gzip."""

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
        """Stores a report, its deliveries and its follow-up where this attempt still counts; whether it did."""

    def untold_failures(self, *, limit: int = 20) -> list[Job]:
        """Jobs of incidents that ended without a report, of which nobody was told yet, oldest first."""

    def settle_failure(self, job: str, now: int, deliveries: Sequence[Delivery], *, due: int = 0) -> Future[bool]:
        """Notes that a failed job is told of, with its deliveries and when it is done again; False where it was."""

    def add_feedback(self, feedback: Feedback) -> Future[bool]:
        """Keeps what somebody said; False where it was there already."""

    def feedback(self, incident: str) -> list[Feedback]:
        """What was said of an incident, oldest first."""

    def confirmed(self, incidents: Sequence[str] = (), *, limit: int = 10000) -> list[Feedback]:
        """The last confirmed cause of each incident (of those named, where any are), by incident.

        The ``limit`` leaves the latest.
        """

    # The part of the store that holds jobs.
    def add_job(self, job: Job, *, most_queued: int = 0) -> Future[None]:
        """Queues a job; refused where ``most_queued`` wait already (0: no bound)."""

    def claim_job(
        self, worker: str, now: int, lease: int, *, most_attempts: int = 3, lessons: bool = False
    ) -> Future[Job | None]:
        """The oldest job that waits, or whose lease (until a time in ns) has run out; None where there is none.

        ``lessons``: of those, which do not hold up analyses; else of all others.
        """

    def renew_job(self, job: str, attempt: int, lease: int, progress: str) -> Future[bool]:
        """Prolongs the lease; False where the job was cancelled or taken up by another."""

    def fail_job(self, job: str, attempt: int, now: int, error: str) -> Future[bool]:
        """Ends a job without a report; False where this attempt no longer counts."""

    def return_job(self, job: str, attempt: int) -> Future[bool]:
        """Puts a job back into the queue, for another attempt."""

    def return_jobs_of(self, worker: str) -> Future[int]:
        """Puts back what a worker that is gone had taken up; "" is every worker."""

    def cancel_job(self, job: str, now: int) -> Future[bool]:
        """Cancels a job that is not finished; whether it was so."""

    def job(self, job: str) -> Job:
        """One job."""

    def jobs(self, *, incident: str = "", state: JobState | str = "", limit: int = 100) -> list[Job]:
        """Jobs, newest first."""

    def count_jobs(self) -> dict[str, int]:
        """How many jobs are in each state."""

    # The part of the store that holds what was learnt.
    def add_lesson(self, job: Job, *, since: int) -> Future[str]:
        """Queues a lesson, unless one is not finished yet or was queued after a time; the id of whichever is there."""

    def last_lesson(self) -> Job | None:
        """The lesson that was queued last."""

    def finish_lesson(
        self,
        job: str,
        attempt: int,
        now: int,
        report: ReportRecord,
        *,
        version: LearnedVersion | None = None,
        use: LearnedUse | None = None,
    ) -> Future[bool]:
        """Keeps what a lesson came to, and puts its version into use, where this attempt still counts."""

    def use_learned(self, use: LearnedUse) -> Future[None]:
        """Puts a version into use, "" for the untrained answer."""

    def learned_uses(self) -> list[LearnedUse]:
        """What was put into use, oldest first."""

    def learned_versions(self) -> list[LearnedVersion]:
        """The versions that are kept, oldest first, without their weights."""

    def learned_version(self, version: str) -> LearnedVersion:
        """One version with its weights."""

    def put_portrait(self, portrait: PortraitRecord) -> Future[None]:
        """Keeps what an analysis saw of an incident, in the place of what an earlier one saw."""

    def portraits(self, incidents: Sequence[str]) -> list[PortraitRecord]:
        """What was seen of some incidents, by incident; those that were never looked at are left out."""

    def sightings(self, incidents: Sequence[str]) -> dict[str, Sighting]:
        """Incident -> what is known of it beside what was seen; those that were never looked at are left out."""

    def judged_report(self, incident: str) -> bytes:
        """The document of the last report from before anybody confirmed the cause (else of the first), compressed."""

    def feedback_mark(self) -> tuple[int, int]:
        """What changes whenever anybody says anything: how much was said, and when the last of it."""

    def resolutions(self) -> dict[str, list[str]]:
        """Incident -> what people said that ended it, oldest first."""

    # The part of the store that says who may do what, and who did.
    def add_token(self, token: Token) -> Future[None]:
        """Keeps a token, without its secret; replaces one of the same id."""

    def token(self, token: str) -> Token:
        """One token."""

    def tokens(self) -> list[Token]:
        """All tokens, oldest first."""

    def revoke_token(self, token: str, now: int) -> Future[bool]:
        """Makes a token worthless; False where there is none that was not yet."""

    def record(self, entries: Sequence[AuditEntry]) -> Future[int]:
        """Adds to the audit log."""

    def audit(self, *, before: int | None = None, limit: int = 100) -> list[AuditEntry]:
        """The audit log, newest first, from just before an id."""

    # The part of the store that holds deliveries.
    def add_deliveries(self, deliveries: Sequence[Delivery]) -> Future[int]:
        """Queues deliveries; how many are new."""

    def claim_deliveries(self, now: int, lease: int, *, limit: int = 10) -> Future[list[Delivery]]:
        """Deliveries that are due, each with one attempt more; no one else gets them until ``lease``."""

    def settle_delivery(
        self, delivery: str, attempt: int, state: DeliveryState, *, due: int = 0, error: str = "", receipt: str = ""
    ) -> Future[bool]:
        """What became of an attempt: sent, to be tried again when ``due``, or dead."""

    def revive_delivery(self, delivery: str, now: int) -> Future[bool]:
        """Tries a delivery again that is dead."""

    def delivery(self, delivery: str) -> Delivery:
        """One delivery."""

    def deliveries(self, *, incident: str = "", state: DeliveryState | str = "", limit: int = 100) -> list[Delivery]:
        """Deliveries, newest first."""

    # The part of the store that knows which alerts belong together.
    def group_alerts(self, alerts: Sequence[AlertRecord], grouping: Grouping) -> Future[Grouped]:
        """Enters alerts into incidents: those that they belong to, or new ones; told again, they change nothing."""

    def alerts_of(self, incident: str) -> list[AlertRecord]:
        """The alerts of an incident, in order of time."""

    def analyses_of(self, incident: str) -> int:
        """How often an incident that alerts opened was analysed by itself; 0 also where nothing is known of it."""

    def claim_due(self, now: int, job_of: Callable[[str], Job]) -> Future[list[Job]]:
        """Queues a job for each incident whose analysis is due; nobody else does the same."""

    def amend_incident(self, incident: IncidentRecord) -> Future[bool]:
        """Changes title, window, time of detection and snapshot of an incident; False where there is none."""

    # The part of the store that knows which incidents are one.
    def home_of(self, incident: str) -> str:
        """The incident that another was merged into; itself where it was not."""

    def mergers(self, home: str) -> list[Merger]:
        """What was merged into an incident, oldest first."""

    def merge_same_cause(self, incident: str, cause: str, *, apart: int, now: int) -> Future[list[Merger]]:
        """Merges an open incident whose analysis names a cause with others whose reports name the same one."""

    def part_incident(self, incident: str, now: int) -> Future[Merger]:
        """Undoes a merger; ConflictError where there is none."""

    # The part of the store that knows where telemetry lies.
    def add_segments(self, segments: Sequence[Segment], bodies: Sequence[str], now: int) -> Future[None]:
        """Enters files that are on disk already, and the digests of the bodies that they hold."""

    def replace_segments(self, old: Sequence[str], new: Sequence[Segment]) -> Future[bool]:
        """Exchanges segments for others that hold the same; False, and nothing done, where one is gone."""

    def drop_segments(self, segments: Sequence[str]) -> Future[int]:
        """Takes files out of the manifest."""

    def segments(self, *, signal: str = "", start: int | None = None, end: int | None = None) -> list[Segment]:
        """Segments that overlap [start, end), oldest first."""

    def seen_bodies(self, digests: Sequence[str]) -> set[str]:
        """Which of these bodies are stored already."""

    def put_file(self, name: str, content: bytes, now: int) -> Future[None]:
        """Keeps a file inside the database."""

    def file(self, name: str) -> bytes:
        """A file inside the database."""

    def file_names(self) -> list[tuple[str, int]]:
        """Names and creation of all files inside the database."""

    def drop_files(self, names: Sequence[str]) -> Future[int]:
        """Deletes files inside the database."""
