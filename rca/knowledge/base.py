"""What the organisation knows, with the verbs of the engine: the same over every store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rca.errors import InputError, NotFoundError
from rca.knowledge.claims import Claims, KnownTopology, claims_of, merge_claims, rows_of, succeed, withdraw
from rca.knowledge.protocol import GraphStore, Rows
from rca.knowledge.questions import QUESTIONS, Answer
from rca.knowledge.reading import past_incident
from rca.knowledge.records import NO_CHANGE, Feedback, PastIncident, Resolution, latest_judgement
from rca.knowledge.rows import BEGINNING, FOREVER, LONGEST_SHORT_KEY, Batch, Row, check_key, storable
from rca.knowledge.writing import batch_of, change_row, feedback_row, resolution_row

if TYPE_CHECKING:
    from rca.topology import Topology
    from rca.types import Change, Report

# Inventories: what they do not list is not there. Other sources only see what happens.
COMPLETE = frozenset({"yaml", "kubernetes", "cmdb"})
HOPS, CALLERS = 3, 1  # a failure seldom travels further than three calls; callers bring demand
PAGE = 50  # incidents read at once


class Knowledge:
    """Topology over time and the history of incidents in one store, for one tenant.

    All methods raise StoreError where the store cannot be used. Use it in a ``with`` statement, or
    close it.
    """

    def __init__(self, store: GraphStore) -> None:
        self.store = store

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the store back."""
        self.store.close()

    def degraded(self) -> str:
        """Why answers are the last that is known here; empty where the store itself answers."""
        reason = self.store.incident_ids(BEGINNING, BEGINNING).degraded
        return f"degraded: this is the last that is known here ({reason})" if reason else ""

    # -- topology ---------------------------------------------------------------------------------

    def record_topology(
        self,
        topology: Topology,
        *,
        source: str,
        at: int,
        confidence: float | None = None,
        complete: bool | None = None,
        expires: int | None = None,
    ) -> None:
        """Keeps what a source says is there at a time (ns); the same word again changes nothing.

        ``confidence`` in (0, 1] defaults by source. ``complete``: what is not listed has gone
        (default: so for yaml, kubernetes and cmdb); ``expires``: ns after which an incomplete source
        is no longer believed about what it has not seen.

        Raises:
            InputError: a name is empty or too long, the confidence out of range, or an inventory
                older than the last one of its source.
        """
        source = check_key(source, "the source", LONGEST_SHORT_KEY)
        fresh = claims_of(topology, source=source, at=at, confidence=confidence)
        standing = self.store.claims(at, source=source, later=True)
        whole = source in COMPLETE if complete is None else complete
        self.store.write(Batch(rows=rows_of(succeed(standing, fresh, at, complete=whole, expires=expires))))

    def retract(self, source: str, *, since: int = BEGINNING) -> int:
        """Takes back what a source has said of a time (ns) and later, as if it had then fallen silent; how many claims.

        What it had said before holds again where it ended it only then. Repairs a wrong file, or a wrong clock.
        """
        said = self.store.claims(BEGINNING, source=check_key(source, "the source", LONGEST_SHORT_KEY), later=True)
        undone = Claims(components=withdraw(said.components, since), dependencies=withdraw(said.dependencies, since))
        self.store.write(Batch(rows=rows_of(undone)))
        return len(undone.components) + len(undone.dependencies)

    def topology_at(self, at: int, *, least: float = 0.0) -> KnownTopology:
        """The whole topology as of a time (ns), without dependencies below the confidence ``least``."""
        return merge_claims(self.store.claims(at), at, least=least)

    def topology_near(
        self, names: Iterable[str], at: int, *, hops: int = HOPS, callers: int = CALLERS, least: float = 0.0
    ) -> KnownTopology:
        """The topology as of a time around some components: what they reach in ``hops`` dependencies, what calls them.

        Raises:
            InputError: ``hops`` or ``callers`` lies outside 0 to 10.
        """
        known = sorted({storable(name) for name in names})
        return merge_claims(self.store.claims_near(known, at, hops=hops, callers=callers), at, least=least)

    # -- history ----------------------------------------------------------------------------------

    def record_incident(
        self, report: Report, *, changes: Sequence[Change] = (), topology: Topology | None = None
    ) -> None:
        """Keeps an analysed incident, in place of an earlier analysis of it; feedback stays.

        ``changes`` are all that were seen, harmless ones too; ``topology`` tells who owns what.

        Raises:
            InputError: an id or a name is empty or too long.
        """
        self.record_analysed(batch_of(report, changes=changes, topology=topology))

    def record_analysed(self, batch: Batch) -> None:
        """Keeps what ``batch_of`` made of a report, perhaps in another process; see ``record_incident``."""
        suspects = list(batch.rows.get("suspects", ()))
        for incident in batch.renewed:
            own = [row for row in suspects if row["incident"] == incident]
            suspects += self._named_by_people(incident, own)
        self.store.write(replace(batch, rows={**batch.rows, "suspects": suspects}))

    def forget_incidents(self, ids: Iterable[str]) -> None:
        """Deletes incidents with all that was said of them; the changes around them stay."""
        if known := tuple(sorted({check_key(id, "the incident") for id in ids})):
            self.store.write(Batch(forgotten=known))

    def record_changes(self, changes: Iterable[Change], *, topology: Topology | None = None) -> None:
        """Keeps changes that no incident is known of."""
        self.store.write(Batch(rows={"changes": [change_row(change, topology) for change in changes]}))

    def give_feedback(self, feedback: Feedback) -> None:
        """Keeps what somebody found out; the latest word about an incident counts.

        Raises:
            NotFoundError: the history holds no such incident.
        """
        incident = self._incident_row(feedback.incident)
        rows: dict[str, list[Row]] = {"feedback": [feedback_row(feedback)]}
        if feedback.change not in ("", NO_CHANGE):
            rows |= self._named_change(feedback, incident)
        self.store.write(Batch(rows=rows))

    def resolve(self, resolution: Resolution) -> None:
        """Keeps what ended an incident.

        Raises:
            NotFoundError: the history holds no such incident.
        """
        self._incident_row(resolution.incident)
        self.store.write(Batch(rows={"resolutions": [resolution_row(resolution)]}))

    def incident(self, id: str) -> PastIncident:
        """One incident with everything that is kept of it.

        Raises:
            NotFoundError: the history holds no such incident.
        """
        row = self._incident_row(id)
        found, _ = self._complete([row])
        return found[0]

    def incidents(
        self, *, confirmed: bool = False, since: int = BEGINNING, until: int = FOREVER, reports: bool = False
    ) -> Iterator[PastIncident]:
        """Incidents whose window starts in [since, until), oldest first, with events, links and feedback.

        ``confirmed``: only those whose cause people have confirmed; ``reports``: with the report's
        document. Read in pages: the history may be longer than memory.
        """
        heads = sorted(self.store.incident_ids(since, until).rows, key=lambda row: (row["start"], row["id"]))
        for begin in range(0, len(heads), PAGE):
            ids = [head["id"] for head in heads[begin : begin + PAGE]]
            if confirmed:
                words = self.store.rows("feedback", ids).rows
                ids = [id for id in ids if _confirmed([row for row in words if row["incident"] == id])]
            rows = {row["id"]: row for row in self.store.rows("incidents", ids).rows}
            for incident in self._complete([rows[id] for id in ids if id in rows])[0]:
                yield incident if reports else replace(incident, report="")

    def ask(self, question: str, *, since: int = BEGINNING, until: int = FOREVER, **parameters: Any) -> Answer:
        """The answer to one of ``rca.knowledge.questions.QUESTIONS`` about [since, until).

        Raises:
            InputError: there is no such question, or it has no such parameter.
        """
        if question not in QUESTIONS:
            known = ", ".join(sorted(QUESTIONS))
            raise InputError(f"{question!r:.60} is no question", where="history", remedy=f"Ask one of {known}")
        asked = QUESTIONS[question]
        if unknown := sorted(set(parameters) - set(asked.defaults)):
            raise InputError(f"{question} has no {unknown[0][:60]}", where="history")
        given = {**asked.defaults, **parameters, "since": since, "until": until}
        sent = {name: value for name, value in given.items() if name != "rules"}
        found: Rows = self.store.ask(question, sent)
        rows = asked.finish([dict(row) for row in found.rows], given)
        kept = tuple({column: row[column] for column in asked.columns} for row in rows)
        return Answer(columns=asked.columns, rows=kept, degraded=found.degraded)

    # -- within -----------------------------------------------------------------------------------

    def _incident_row(self, id: str) -> Row:
        found = self.store.rows("incidents", [check_key(id, "the incident")]).rows
        if not found:
            raise NotFoundError(f"there is no incident {id[:80]!r}", where="history", remedy="See `rca history list`")
        return found[0]

    def _complete(self, rows: Sequence[Row]) -> tuple[list[PastIncident], str]:
        ids, degraded = [row["id"] for row in rows], ""
        parts: dict[str, dict[str, list[Row]]] = {}
        for table in ("events", "links", "causes", "touched", "suspects", "feedback", "resolutions"):
            read = self.store.rows(table, ids)
            degraded = degraded or read.degraded
            parts[table] = defaultdict(list)
            for row in read.rows:
                parts[table][row["incident"]].append(row)
        return [past_incident(row, {name: part[row["id"]] for name, part in parts.items()}) for row in rows], degraded

    def _named_change(self, feedback: Feedback, incident: Row) -> dict[str, list[Row]]:
        """Rows that make a confirmed change known, where nobody had recorded or suspected it."""
        change = storable(feedback.change)
        rows: dict[str, list[Row]] = {}
        if not self.store.rows("changes", [change]).rows:
            component = storable(feedback.component or "unknown")
            facts = {"kind": "", "name": change, "time": incident["start"], "team": "", "attributes": "{}"}
            rows["changes"] = [{"id": change, "component": component, **facts}]
        if all(row["change"] != change for row in self.store.rows("suspects", [incident["id"]]).rows):
            rows["suspects"] = [_unsuspected(incident["id"], change)]
        return rows

    def _named_by_people(self, incident: str, suspects: Sequence[Row]) -> list[Row]:
        """Changes that feedback names and a new analysis does not suspect."""
        known = {row["change"] for row in suspects} | {"", NO_CHANGE}
        named = {row["change"] for row in self.store.rows("feedback", [check_key(incident, "the incident")]).rows}
        return [_unsuspected(storable(incident), change) for change in sorted(named - known)]


def _unsuspected(incident: str, change: str) -> Row:
    return {"incident": incident, "change": change, "probability": 0.0, "sentence": ""}


def _confirmed(words: Sequence[Row]) -> bool:
    latest = latest_judgement(words)
    return latest is not None and latest["verdict"] == "confirmed"
