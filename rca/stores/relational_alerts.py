"""Which alerts belong to which incident, and when an incident that they opened is to be analysed."""

# ruff: noqa: S608 - only names of our own tables and columns are written into statements; values are parameters

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace

import msgspec

from rca.stores.members import Members
from rca.stores.records import AlertRecord, Grouped, Grouping, IncidentRecord, Job, Merger
from rca.stores.relational_incidents import IncidentTables, insert_incident
from rca.stores.relational_mergers import MergerTables, close_where_over, merge, take_turn
from rca.stores.writer import Row, Transaction

_ALERT = "key, start_time, incident, component, name, state, group_keys, page, labels, updated"
_DUE = 20  # incidents that are taken up at once


class AlertTables(IncidentTables, MergerTables):
    """The part of the store that knows which alerts belong together."""

    def group_alerts(self, alerts: Sequence[AlertRecord], grouping: Grouping) -> Future[Grouped]:
        """Enters alerts into incidents: those that they belong to, or new ones; told again, they change nothing."""

        def write(sql: Transaction) -> Grouped:
            take_turn(sql)  # two alerts of one cause must see each other
            return _Sorting(sql, grouping).enter(alerts)

        return self.submit(write, rows=len(alerts))

    def alerts_of(self, incident: str) -> list[AlertRecord]:
        """The alerts of an incident, in order of time."""
        statement = f"SELECT {_ALERT} FROM incident_alerts WHERE incident = ? ORDER BY start_time, key"
        return [_alert(row) for row in self.read(statement, (incident,))]

    def analyses_of(self, incident: str) -> int:
        """How often an incident that alerts opened was analysed by itself; 0 also where nothing is known of it."""
        found = self.read("SELECT analyses FROM watched WHERE incident = ?", (incident,))
        return int(found[0][0]) if found else 0

    def claim_due(self, now: int, job_of: Callable[[str], Job]) -> Future[list[Job]]:
        """Queues a job for each incident whose analysis is due; nobody else does the same."""

        def write(sql: Transaction) -> list[Job]:
            rows = sql.rows(
                "UPDATE watched SET due = 0, analyses = analyses + 1 WHERE incident IN (SELECT incident FROM watched"
                f" WHERE due > 0 AND due <= ? ORDER BY due, incident LIMIT ?{self.skip_locked}) RETURNING incident",
                (now, _DUE),
            )
            jobs = [job_of(str(row[0])) for row in sorted(rows)]
            for job in jobs:
                self._insert_job(sql, job)
            return jobs

        return self.submit(write)

    def amend_incident(self, incident: IncidentRecord) -> Future[bool]:
        """Changes title, window, detection and snapshot of an incident; False where there is none, or it was merged."""
        statement = (
            "UPDATE incidents SET updated = ?, title = ?, start_time = ?, end_time = ?, detected = ?, snapshot = ?"
            " WHERE id = ? AND state <> 'merged'"
        )
        row = (incident.updated, incident.title, incident.start, incident.end, incident.detected, incident.snapshot)
        return self.submit(lambda sql: sql.run(statement, (*row, incident.id)) == 1)


class _Sorting:
    """One transaction: what is open, and what becomes of each alert."""

    def __init__(self, sql: Transaction, grouping: Grouping) -> None:
        self._sql = sql
        self._grouping = grouping
        rows = sql.rows(
            "SELECT a.key, a.start_time, a.incident, a.component, a.name, a.state, a.group_keys, a.page, a.labels,"
            " a.updated, i.state, i.cause, i.verdict, m.parted FROM incident_alerts a JOIN incidents i ON"
            " i.id = a.incident JOIN watched w ON w.incident = i.id LEFT JOIN mergers m ON m.incident = i.id"
            " WHERE i.state = 'open' OR w.closed >= ? ORDER BY i.created, i.id",
            (grouping.closed_since,),
        )
        self._members = Members()
        for row in rows:
            is_open, cause, verdict, parted = row[10:]
            self._members.add(
                _alert(row[:10]), is_open=is_open == "open", cause=cause, sure=verdict == "cause", parted=bool(parted)
            )
        self._opened: dict[str, None] = {}
        self._joined: dict[str, None] = {}
        self._closed: list[str] = []
        self._merged: list[Merger] = []
        self._placed: dict[str, str] = {}

    def enter(self, alerts: Sequence[AlertRecord]) -> Grouped:
        touched: dict[str, None] = {}
        for alert in alerts:
            incident = self._enter(alert)
            if incident:
                touched[incident] = None
                self._placed[alert.key] = incident
        self._closed += [each for each in touched if close_where_over(self._sql, each, self._grouping.now)]
        return Grouped(
            opened=tuple(self._opened),
            joined=tuple(self._joined),
            closed=tuple(self._closed),
            merged=tuple(self._merged),
            placed=self._placed,
        )

    def _enter(self, alert: AlertRecord) -> str:
        where = "key = ? AND start_time = ?"
        found = self._sql.rows(f"SELECT {_ALERT} FROM incident_alerts WHERE {where}", (alert.key, alert.start))
        if found:
            return self._tell_again(_alert(found[0]), alert)
        if alert.state == "resolved":  # its firing may still come, and then has nothing to open
            self._insert(alert, "")
            return ""
        incident = self._grouping.choose(alert, self._members)
        if incident:
            incident = self._merge_others(alert, incident)
            self._join(incident)
        else:
            incident = self._open(alert)
        self._insert(alert, incident)
        return incident

    def _tell_again(self, known: AlertRecord, alert: AlertRecord) -> str:
        """A repetition, or the end; what was resolved does not fire again with the same begin."""
        state = "resolved" if "resolved" in (known.state, alert.state) else "firing"
        groups = tuple(dict.fromkeys((*known.groups, *alert.groups)))
        if (state, groups) != (known.state, known.groups):
            self._sql.run(
                "UPDATE incident_alerts SET state = ?, group_keys = ?, updated = ? WHERE key = ? AND start_time = ?",
                (state, _encode(groups), self._grouping.now, alert.key, alert.start),
            )
        return known.incident

    def _open(self, alert: AlertRecord) -> str:
        record = self._grouping.open(alert)
        insert_incident(self._sql, record)
        self._sql.run("INSERT INTO watched VALUES (?, ?, 0, 0)", (record.id, self._grouping.settled))
        self._opened[record.id] = None
        return record.id

    def _merge_others(self, alert: AlertRecord, incident: str) -> str:
        """Merges what the alert shows to be one, the later into the earlier; the incident that the alert joins."""
        for other in self._grouping.others(alert, incident, self._members):
            home, later = sorted((incident, other), key=self._members.order)
            if self._members.may_be_one(home, later):
                reason = f"the alert {alert.name} of {alert.component} belongs to both"
                self._merged.append(
                    merge(self._sql, Merger(incident=later, home=home, time=self._grouping.now, reason=reason))
                )
                self._members.merge(later, home)
                self._placed = {key: home if at == later else at for key, at in self._placed.items()}
                # However often it was analysed: what is known of the other may be what it lacked.
                self._sql.run(
                    "UPDATE watched SET due = ? WHERE incident = ? AND due = 0", (self._grouping.follow_up, home)
                )
                incident = home
        return incident

    def _join(self, incident: str) -> None:
        if incident in self._opened:
            return
        now = self._grouping.now
        self._sql.run("UPDATE incidents SET state = 'open', updated = ? WHERE id = ?", (now, incident))
        self._sql.run("UPDATE watched SET closed = 0 WHERE incident = ?", (incident,))
        # What is due already will see the alert; what was analysed is analysed again, a bounded number of times.
        self._sql.run(
            "UPDATE watched SET due = ? WHERE incident = ? AND due = 0 AND analyses < ?",
            (self._grouping.follow_up, incident, self._grouping.most_analyses),
        )
        self._joined[incident] = None

    def _insert(self, alert: AlertRecord, incident: str) -> None:
        values = (alert.component, alert.name, alert.state, _encode(alert.groups), alert.page)
        row = (alert.key, alert.start, incident, *values, _encode(dict(alert.labels)), self._grouping.now, incident)
        marks = ", ".join("?" * len(row))
        self._sql.run(f"INSERT INTO incident_alerts ({_ALERT}, first_incident) VALUES ({marks})", row)
        if incident:
            self._members.add(replace(alert, incident=incident), is_open=True)


def _encode(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _alert(row: Row) -> AlertRecord:
    return AlertRecord(
        key=row[0],
        start=int(row[1]),
        incident=row[2],
        component=row[3],
        name=row[4],
        state=row[5],
        groups=tuple(msgspec.json.decode(row[6].encode(), type=list[str])),
        page=row[7],
        labels=msgspec.json.decode(row[8].encode(), type=dict[str, str]),
        updated=int(row[9]),
    )
