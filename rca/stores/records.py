"""What the store keeps, as values. Times are int64 nanoseconds since the epoch, UTC."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rca.stores.members import Members

Stream = Literal["events", "changes"]
JobState = Literal["queued", "running", "done", "failed", "cancelled"]
DeliveryState = Literal["waiting", "sent", "dead"]
Part = Literal["document", "page", "graph", "graphml"]
Opinion = Literal["confirmed", "wrong", "note"]

FINISHED: frozenset[str] = frozenset({"done", "failed", "cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One event or change as it came in; ``id`` is unique within its stream, ``body`` is JSON."""

    id: str
    time: int
    component: str
    kind: str
    source: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentRecord:
    """An incident: what is asked (``description``: the JSON of ``case.json``), and what was answered last."""

    id: str
    created: int
    updated: int
    title: str = ""
    state: str = "open"
    fingerprint: str = ""
    start: int
    end: int
    detected: int | None = None
    description: str = "{}"
    snapshot: str = ""
    verdict: str = ""
    cause: str = ""
    confidence: float = 0.0
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A piece of work; ``attempt`` counts how often it was taken up, and only the last may finish it."""

    id: str
    kind: str
    incident: str
    state: JobState
    attempt: int
    created: int
    started: int | None = None
    finished: int | None = None
    deadline: int | None = None
    lease: int = 0
    worker: str = ""
    progress: str = ""
    request: str = "{}"
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRecord:
    """The answer of one job: JSON, HTML and graph, each compressed with gzip."""

    job: str
    incident: str
    created: int
    document: bytes
    page: bytes = b""
    graph: bytes = b""
    graphml: bytes = b""
    portrait: PortraitRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortraitRecord:
    """What an analysis saw of an incident before anything learnt had its say; ``engine`` is the version that saw it."""

    incident: str
    job: str
    engine: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """Which job looked at an incident, the version of its engine, the incident's title, and where its window begins."""

    job: str
    engine: str
    title: str
    start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedVersion:
    """What one lesson made: weights, which kinds of cause incidents show, and the card that people read (JSON)."""

    version: str
    created: int
    card: str
    weights: bytes = b""
    kinds: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedUse:
    """That a version came into use ("": the untrained answer), when, how, and by whom."""

    version: str
    time: int
    action: Literal["promote", "rollback"]
    who: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What somebody said of a report: the confirmed cause, that it was wrong, or a note.

    ``who`` is what people read; ``token`` is the id of the token that it came with, which nobody can choose.
    ``kind`` is the type of fault, ``resolution`` what ended the incident, both in people's words.
    """

    id: str
    incident: str
    time: int
    who: str
    opinion: Opinion
    component: str = ""
    note: str = ""
    kind: str = ""
    resolution: str = ""
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message to somebody outside; its id is made of incident, target and content, so none goes out twice."""

    id: str
    incident: str
    target: str
    state: DeliveryState
    attempt: int
    due: int
    created: int
    body: str
    error: str = ""
    receipt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRecord:
    """An alert of an incident: known by key and begin, ``incident`` is "" before it is placed.

    ``groups`` are what it can be joined by (the sender's group, keys of a page), ``page`` the sender's own
    id of a page that somebody answers ("" where it is an alert and no page).
    """

    key: str
    start: int
    component: str
    name: str
    state: Literal["firing", "resolved"]
    incident: str = ""
    groups: tuple[str, ...] = ()
    page: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    updated: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Merger:
    """An incident that turned out to be part of an earlier one (``home``), why, and when that was undone (0: never)."""

    incident: str
    home: str
    time: int
    reason: str
    parted: int = 0


def no_others(alert: AlertRecord, incident: str, members: Members) -> Sequence[str]:
    """No incident is merged with another."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """How alerts are put into incidents.

    Attributes:
        choose: the incident that an alert belongs to, "" where it is none of those of the members; may
            be called twice, so it must not remember anything.
        open: the incident that an alert opens.
        now: ns.
        settled: when an incident that is opened now is analysed.
        follow_up: when one that an alert joins now is analysed again.
        most_analyses: how often one is analysed by itself.
        closed_since: incidents that were closed since then may be opened again.
        others: further open incidents that an alert belongs to beside the one that it was put into.
    """

    choose: Callable[[AlertRecord, Members], str]
    open: Callable[[AlertRecord], IncidentRecord]
    now: int
    settled: int
    follow_up: int
    most_analyses: int
    closed_since: int
    others: Callable[[AlertRecord, str, Members], Sequence[str]] = no_others


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped:
    """What became of alerts: incidents that were opened, joined, closed, merged; and each alert's, by its key."""

    opened: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    merged: tuple[Merger, ...] = ()
    placed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An API token: ``digest`` is the SHA-256 of its secret, which is not kept."""

    id: str
    name: str
    digest: bytes
    scopes: tuple[str, ...]
    created: int
    expires: int | None = None
    revoked: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Who did what to what, and how it ended."""

    time: int
    who: str
    action: str
    subject: str
    outcome: str
    trace: str = ""
    id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A file of ingested telemetry: one signal, the time it spans (inclusive), and its size."""

    id: str
    signal: str
    start: int
    end: int
    rows: int
    size: int
    created: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """What is deleted: everything older than a time in ns.

    ``bodies``: the digests by which a body that comes again is known.
    """

    events_before: int
    bodies_before: int
    incidents_before: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """What filing an incident did: ``replay`` where the same idempotency key had filed it before."""

    incident: str
    job: str
    replay: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKey:
    """A sender's name for a request, and the SHA-256 of what it sent under that name."""

    owner: str
    key: str
    digest: str
