"""What confirmed causes taught: lessons, the versions they made, which of them is in use, and what analyses saw."""

# ruff: noqa: S608 - only names of our own tables and columns are written into statements; values are parameters

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future

from rca.errors import NotFoundError
from rca.stores.records import Job, LearnedUse, LearnedVersion, PortraitRecord, ReportRecord, Sighting
from rca.stores.relational_jobs import JOB, LESSON, JobTables, insert_report, job_of_row
from rca.stores.writer import Transaction

# Versions that are kept; each is below a megabyte.
MOST_KEPT = 50
_AT_ONCE = 200  # parameters of one statement


class LearnedTables(JobTables):
    """The part of the store that holds what was learnt."""

    def add_lesson(self, job: Job, *, since: int) -> Future[str]:
        """Queues a lesson, unless one is not finished yet or was queued after a time; the id of whichever is there."""

        def write(sql: Transaction) -> str:
            sql.run("UPDATE turns SET turn = turn + 1 WHERE name = 'learn'")  # one replica after the other
            statement = (
                "SELECT id FROM jobs WHERE kind = ? AND (state IN ('queued', 'running') OR created > ?)"
                " ORDER BY created DESC LIMIT 1"
            )
            for (known,) in sql.rows(statement, (LESSON, since)):
                return str(known)
            self._insert_job(sql, job)
            return job.id

        return self.submit(write)

    def last_lesson(self) -> Job | None:
        """The lesson that was queued last."""
        found = self.read(f"SELECT {JOB} FROM jobs WHERE kind = ? ORDER BY created DESC, id DESC LIMIT 1", (LESSON,))
        return job_of_row(found[0]) if found else None

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

        def write(sql: Transaction) -> bool:
            if not self._leave(sql, job, attempt, now, "done", ""):
                return False
            insert_report(sql, report)
            if version is not None:
                row = (version.version, version.created, version.card, version.weights, version.kinds)
                sql.run(
                    "INSERT INTO learned_versions (version, created, card, weights, kinds) VALUES (?, ?, ?, ?, ?)", row
                )
            if use is not None:
                _insert_use(sql, use)
            _drop_old_versions(sql)
            return True

        return self.submit(write)

    def use_learned(self, use: LearnedUse) -> Future[None]:
        """Puts a version into use, "" for the untrained answer."""
        return self.submit(lambda sql: _insert_use(sql, use))

    def learned_uses(self) -> list[LearnedUse]:
        """What was put into use, oldest first."""
        rows = self.read("SELECT version, time, action, who FROM learned_uses ORDER BY id")
        return [LearnedUse(version=row[0], time=row[1], action=row[2], who=row[3]) for row in rows]

    def learned_versions(self) -> list[LearnedVersion]:
        """The versions that are kept, oldest first, without their weights."""
        rows = self.read("SELECT version, created, card FROM learned_versions ORDER BY version")
        return [LearnedVersion(version=row[0], created=row[1], card=row[2]) for row in rows]

    def learned_version(self, version: str) -> LearnedVersion:
        """One version with its weights."""
        statement = "SELECT version, created, card, weights, kinds FROM learned_versions WHERE version = ?"
        found = self.read(statement, (version,))
        if not found:
            raise NotFoundError(
                f"there is no learned version {version[:20]!r}", remedy="GET /api/v1/learned lists them"
            )
        name, created, card, weights, kinds = found[0]
        return LearnedVersion(version=name, created=created, card=card, weights=bytes(weights), kinds=bytes(kinds))

    def put_portrait(self, portrait: PortraitRecord) -> Future[None]:
        """Keeps what an analysis saw of an incident, in the place of what an earlier one saw."""
        return self.submit(lambda sql: insert_portrait(sql, portrait))

    def portraits(self, incidents: Sequence[str]) -> list[PortraitRecord]:
        """What was seen of some incidents, by incident; those that were never looked at are left out."""
        found: list[PortraitRecord] = []
        for names in _slices(sorted(set(incidents))):
            marks = ", ".join("?" * len(names))
            statement = (
                f"SELECT incident, job, engine, content FROM portraits WHERE incident IN ({marks}) ORDER BY incident"
            )
            rows = self.read(statement, names)
            found += [PortraitRecord(incident=r[0], job=r[1], engine=r[2], content=bytes(r[3])) for r in rows]
        return found

    def sightings(self, incidents: Sequence[str]) -> dict[str, Sighting]:
        """Incident -> what is known of it beside what was seen; those that were never looked at are left out."""
        found: dict[str, Sighting] = {}
        for names in _slices(sorted(set(incidents))):
            marks = ", ".join("?" * len(names))
            rows = self.read(
                "SELECT p.incident, p.job, p.engine, i.title, i.start_time FROM portraits p"
                f" JOIN incidents i ON i.id = p.incident WHERE p.incident IN ({marks})",
                names,
            )
            found |= {row[0]: Sighting(job=row[1], engine=row[2], title=row[3], start=row[4]) for row in rows}
        return found

    def judged_report(self, incident: str) -> bytes:
        """The document of the last report from before anybody confirmed the cause (else of the first), compressed.

        What was answered later may have been learnt from this very incident.
        """
        first = "SELECT coalesce(min(time), 0) FROM feedback WHERE incident = ? AND opinion = 'confirmed'"
        found = self.read(
            f"SELECT document FROM reports WHERE incident = ? AND created <= ({first}) ORDER BY created DESC LIMIT 1",
            (incident, incident),
        ) or self.read("SELECT document FROM reports WHERE incident = ? ORDER BY created LIMIT 1", (incident,))
        if not found:
            raise NotFoundError(f"incident {incident[:80]!r} has no report yet", remedy="Look at its job")
        return bytes(found[0][0])

    def feedback_mark(self) -> tuple[int, int]:
        """What changes whenever anybody says anything: how much was said, and when the last of it."""
        count, last = self.read("SELECT count(*), coalesce(max(time), 0) FROM feedback")[0]
        return int(count), int(last)

    def resolutions(self) -> dict[str, list[str]]:
        """Incident -> what people said that ended it, oldest first."""
        found: dict[str, list[str]] = {}
        rows = self.read("SELECT incident, resolution FROM feedback WHERE resolution <> '' ORDER BY incident, time, id")
        for incident, resolution in rows:
            found.setdefault(str(incident), []).append(str(resolution))
        return found


def insert_portrait(sql: Transaction, portrait: PortraitRecord) -> None:
    """Keeps what an analysis saw of an incident."""
    sql.run(
        "INSERT INTO portraits (incident, job, engine, content) VALUES (?, ?, ?, ?) ON CONFLICT (incident)"
        " DO UPDATE SET job = excluded.job, engine = excluded.engine, content = excluded.content",
        (portrait.incident, portrait.job, portrait.engine, portrait.content),
    )


def _insert_use(sql: Transaction, use: LearnedUse) -> None:
    row = (use.version, use.time, use.action, use.who)
    sql.run("INSERT INTO learned_uses (version, time, action, who) VALUES (?, ?, ?, ?)", row)


def _drop_old_versions(sql: Transaction) -> None:
    """The latest stay, and the one in use."""
    there = sql.rows("SELECT version FROM learned_versions ORDER BY version DESC")
    used = sql.rows("SELECT version FROM learned_uses ORDER BY id DESC LIMIT 1")
    old = [(row[0],) for row in there[MOST_KEPT:] if (row[0],) not in [tuple(each) for each in used]]
    sql.many("DELETE FROM learned_versions WHERE version = ?", old)


def _slices(names: list[str]) -> Iterator[list[str]]:
    yield from (names[i : i + _AT_ONCE] for i in range(0, len(names), _AT_ONCE))
