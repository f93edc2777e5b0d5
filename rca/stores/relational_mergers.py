"""Incidents that turned out to be one: the later points to the earlier, which has its alerts and pages from then on.

Every merger stays on record with its reason, in the audit log as well, and can be undone: each alert
remembers the incident that it came into first.
"""

# ruff: noqa: S608 - only names of our own tables and columns are written into statements; values are parameters

from __future__ import annotations

from concurrent.futures import Future

from rca.errors import ConflictError
from rca.stores.records import Merger
from rca.stores.relational_jobs import Tables
from rca.stores.writer import Row, Transaction

_MERGER = "incident, home, time, reason, parted"


class MergerTables(Tables):
    """The part of the store that knows which incidents are one."""

    def home_of(self, incident: str) -> str:
        """The incident that another was merged into; itself where it was not."""
        found = self.read("SELECT home FROM mergers WHERE incident = ? AND parted = 0", (incident,))
        return str(found[0][0]) if found else incident

    def mergers(self, home: str) -> list[Merger]:
        """What was merged into an incident, oldest first."""
        statement = f"SELECT {_MERGER} FROM mergers WHERE home = ? AND parted = 0 ORDER BY time, incident"
        return [_merger(row) for row in self.read(statement, (home,))]

    def merge_same_cause(self, incident: str, cause: str, *, apart: int, now: int) -> Future[list[Merger]]:
        """Merges an open incident whose analysis names a cause with others whose reports name the same one.

        Args:
            apart: ns that their alerts may begin apart.
        """

        def write(sql: Transaction) -> list[Merger]:
            take_turn(sql)
            rows = sql.rows(
                "SELECT i.id, MIN(a.start_time), MAX(a.start_time) FROM incidents i"
                " JOIN incident_alerts a ON a.incident = i.id LEFT JOIN mergers m ON m.incident = i.id"
                " WHERE i.state = 'open' AND m.incident IS NULL"
                " AND (i.id = ? OR (i.verdict = 'cause' AND i.cause = ?))"
                " GROUP BY i.id, i.created ORDER BY i.created, i.id",
                (incident, cause),
            )
            own = next((row for row in rows if row[0] == incident), None)
            if own is None:
                return []
            near = [row for row in rows if row[1] <= own[2] + apart and row[2] >= own[1] - apart]
            home, *later = (str(row[0]) for row in near)
            reason = f"both name {cause} as the cause"
            mergers = [Merger(incident=each, home=home, time=now, reason=reason) for each in later]
            return [merge(sql, each, cancelled=each.incident != incident) for each in mergers]

        return self.submit(write)

    def part_incident(self, incident: str, now: int) -> Future[Merger]:
        """Undoes a merger: the incident has its own alerts again, and is not merged by itself any more.

        Raises:
            ConflictError: it is not merged.
        """

        def write(sql: Transaction) -> Merger:
            take_turn(sql)
            found = sql.rows(
                f"UPDATE mergers SET parted = ? WHERE incident = ? AND parted = 0 RETURNING {_MERGER}", (now, incident)
            )
            if not found:
                raise ConflictError(f"incident {incident[:80]!r} is not merged", remedy="Look at the incident")
            merger = _merger(found[0])
            sql.run(
                "UPDATE incident_alerts SET incident = ? WHERE incident = ? AND first_incident = ?",
                (incident, merger.home, incident),
            )
            sql.run("UPDATE incidents SET state = 'open', updated = ? WHERE id = ?", (now, incident))
            sql.run("UPDATE watched SET due = ?, closed = 0 WHERE incident IN (?, ?)", (now, incident, merger.home))
            for each in (incident, merger.home):
                close_where_over(sql, each, now)
            return merger

        return self.submit(write)


def take_turn(sql: Transaction) -> None:
    """Waits until no other replica decides which alerts and incidents belong together."""
    sql.run("UPDATE turns SET turn = turn + 1 WHERE name = 'alerts'")


def merge(sql: Transaction, merger: Merger, *, cancelled: bool = True) -> Merger:
    """Puts an incident's alerts into an earlier one; ``cancelled``: what is done for the later one is stopped."""
    incident, home, now = merger.incident, merger.home, merger.time
    sql.run("UPDATE incident_alerts SET incident = ?, updated = ? WHERE incident = ?", (home, now, incident))
    sql.run("UPDATE incidents SET state = 'merged', updated = ? WHERE id = ?", (now, incident))
    sql.run("UPDATE watched SET due = 0, closed = 0 WHERE incident = ?", (incident,))
    if cancelled:
        sql.run(
            "UPDATE jobs SET state = 'cancelled', finished = ?, progress = 'merged into another incident'"
            " WHERE incident = ? AND kind = 'alert' AND state IN ('queued', 'running')",
            (now, incident),
        )
    sql.run("UPDATE mergers SET home = ? WHERE home = ? AND parted = 0", (home, incident))
    sql.run(f"INSERT INTO mergers ({_MERGER}) VALUES (?, ?, ?, ?, 0)", (incident, home, now, merger.reason))
    sql.run(
        "INSERT INTO audit (time, who, action, subject, outcome, trace) VALUES (?, ?, ?, ?, ?, ?)",
        (now, "alerts", "incident.merge", incident, f"into {home}: {merger.reason}"[:300], ""),
    )
    return merger


def close_where_over(sql: Transaction, incident: str, now: int) -> bool:
    """Closes an incident whose alerts are all resolved; pages that joined alerts end when they do."""
    rows = sql.rows("SELECT state, page FROM incident_alerts WHERE incident = ?", (incident,))
    told = [state for state, page in rows if not page] or [state for state, _ in rows]
    if "firing" in told:
        return False
    statement = "UPDATE incidents SET state = 'closed', updated = ? WHERE id = ? AND state = 'open'"
    if not sql.run(statement, (now, incident)):
        return False
    sql.run("UPDATE watched SET closed = ? WHERE incident = ?", (now, incident))
    return True


def _merger(row: Row) -> Merger:
    return Merger(incident=row[0], home=row[1], time=int(row[2]), reason=row[3], parted=int(row[4]))
