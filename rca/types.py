"""The words of the engine as types: immutable values, checked when they are made.

Times are int64 nanoseconds since the epoch, UTC. Every score, severity and
confidence lies in [0, 1]: higher is more anomalous, more to blame, more certain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from rca.errors import CaseError, InputError

if TYPE_CHECKING:
    from rca.causality import CausalityGraph
    from rca.health import HealthProfile
    from rca.telemetry import Telemetry
    from rca.topology import Topology

SECOND = 1_000_000_000
MINUTE = 60 * SECOND

Direction = Literal["up", "down", "none"]
Verdict = Literal["cause", "inconclusive", "healthy"]


def to_nanoseconds(time: datetime | str | int) -> int:
    """Nanoseconds since the epoch of an aware datetime, an ISO 8601 text with a zone, or nanoseconds.

    Raises:
        InputError: the time has no zone, or is no time at all.
    """
    if isinstance(time, bool):
        raise InputError(f"{time!r} is not a time", remedy="Write ISO 8601 with a zone, such as 2026-01-31T12:00:00Z")
    if isinstance(time, int):
        return time
    if isinstance(time, str):
        try:
            time = datetime.fromisoformat(time)
        except ValueError as error:
            raise InputError(
                f"{time!r} is not a time", remedy="Write ISO 8601 with a zone, such as 2026-01-31T12:00:00Z"
            ) from error
    if time.tzinfo is None:
        raise InputError(f"{time.isoformat()} has no time zone", remedy="Append Z for UTC, or an offset such as +02:00")
    delta = time.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds * 1_000


def to_text(time: int) -> str:
    """ISO 8601 in UTC with seconds (fractions only where there are any)."""
    seconds, rest = divmod(int(time), SECOND)
    try:
        text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (OverflowError, ValueError, OSError) as error:
        raise InputError(f"{time} nanoseconds is not a time between the years 1 and 9999") from error
    return text + (f".{rest:09d}".rstrip("0") if rest else "") + "Z"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Window:
    """A half-open stretch of time, [start, end) in nanoseconds."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise InputError(f"a window ends at {self.end} before it starts at {self.start}", remedy="Exchange the two")

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return (self.end - self.start) / SECOND

    def overlaps(self, other: Window) -> bool:
        """Whether the two share any time."""
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Why an event speaks for the blame of its component, in numbers and in a sentence.

    Within one ``group`` only the strongest event of a component counts; groups add up.
    ``likelihood`` is log10 of a likelihood ratio against the component's own healthy behaviour
    (0: says nothing); ``amount`` adds up along calls (excess seconds, excess failures) and comes
    with ``noise``, the standard deviation of the same quantity in health; ``blame`` is what the
    event adds to its component, in [-1, 1]: negative where the event excuses it.
    ``weak`` evidence (an ordinary degradation, its order in time) counts only as far as no
    strong evidence speaks; ``explainable`` evidence loses to a cause that explains it.
    """

    sentence: str
    group: str
    blame: float = 0.0
    likelihood: float = 0.0
    amount: float | None = None
    noise: float | None = None
    unit: str = ""
    weak: bool = False
    explainable: bool = False

    def __post_init__(self) -> None:
        for name in ("blame", "likelihood", "amount", "noise"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise InputError(f"the {name} of an evidence is {value}", where=self.sentence)
        if not -1.0 <= self.blame <= 1.0:
            raise InputError(f"the blame of an evidence is {self.blame}, outside [-1, 1]", where=self.sentence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something notable that happened to one component between two times.

    ``kind`` is one of the catalogue (``graphs/kinds.yaml``), ``name`` what raised it (a metric, a
    template, an alert rule), ``severity`` in [0, 1].
    """

    id: str
    component: str
    kind: str
    name: str
    start: int
    end: int
    severity: float
    direction: Direction = "none"
    evidence: Evidence | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0.0 <= self.severity <= 1.0:
            raise InputError(f"the severity of event {self.id} is {self.severity}, outside [0, 1]")
        if self.end < self.start:
            raise InputError(f"event {self.id} ends before it starts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that people or machines did: a deployment, a configuration, a flag, a commit.

    ``diff`` and ``files`` belong to commits; ``attributes`` hold what else the sender said
    (version, author, commit, old and new value).
    """

    id: str
    component: str
    kind: str
    name: str
    time: int
    files: tuple[str, ...] = ()
    diff: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert as it fired: on a component, about a signal.

    ``kind`` is a kind of the catalogue where the sender's signal has one, else ``alert.firing``.
    ``group`` names what is told several times over (one processor's cores, percentiles of one
    latency); empty: the name. ``peer`` is the component on the other end, ``operation`` the call.
    ``time`` is None where the source gives none.
    """

    component: str
    name: str
    kind: str = "alert.firing"
    time: int | None = None
    end: int | None = None
    severity: float = 0.5
    direction: Direction = "none"
    group: str = ""
    peer: str = ""
    operation: str = ""
    text: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Symptom:
    """What the users of a component feel: the component, and the metric that shows it, if known."""

    component: str
    metric: str = ""
    direction: Direction = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A stretch of time to explain.

    ``window`` is where telemetry is read; ``detected_at`` when the alert fired (default: the end of
    the window); ``onset`` is only given where it is known (default: estimated); ``baseline`` is
    healthy time before the window, if there is any.
    """

    id: str
    window: Window
    symptoms: tuple[Symptom, ...] = ()
    baseline: Window | None = None
    detected_at: int | None = None
    onset: int | None = None
    title: str = ""

    def __post_init__(self) -> None:
        if self.window.end == self.window.start:
            raise CaseError("the window is empty", where=f"incident {self.id}", remedy="Give it an end after its start")
        if self.baseline is not None and self.baseline.overlaps(self.window):
            raise CaseError(
                "baseline and window overlap",
                where=f"incident {self.id}",
                remedy="End the baseline where the window starts, or earlier",
            )

    @property
    def alert_time(self) -> int:
        """When somebody or something noticed, in nanoseconds."""
        return self.window.end if self.detected_at is None else self.detected_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that an algorithm may see of one incident. Never the answer.

    ``model`` refers to the trained detector of its system: ``name``, ``name@version`` or a path; "" where there
    is none.
    """

    incident: Incident
    telemetry: Telemetry
    topology: Topology | None = None
    health: HealthProfile | None = None
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an algorithm may not see: the true root cause, as its labeller named it.

    ``components`` are equally right (a pod and its service); ``change`` is the culprit's id, "none"
    where no change did it, None where the set does not say.
    """

    components: tuple[str, ...]
    kind: str = ""
    metric: str = ""
    change: str | None = None
    decoys: tuple[str, ...] = ()
    first_failing: str | None = None
    blast_radius: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What one part adds to the log odds (natural logarithm) of a score that learned weights gave.

    ``events`` are the ids of the events it is about; ``what`` says what it is where that is no single event.
    """

    what: str
    events: tuple[str, ...]
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RootCause:
    """One candidate: the component, the event that began it, and why it is believed.

    ``score`` in [0, 1] orders the candidates and adds up from ``because`` (events with their
    evidence, strongest first); ``confidence`` in [0, 1] is the share of belief among all
    candidates; ``chain`` are the events from the cause to a symptom; ``beside`` what else was seen
    on the component and does not count; ``against`` says why this is not the first candidate.
    Where learned weights ranked, ``score`` is their belief, and its log odds add up from ``learned``.
    ``precedent`` is the share by which similar past incidents raised the strength of its evidence.
    """

    component: str
    event: Event | None
    score: float
    confidence: float
    sentence: str
    because: tuple[Event, ...] = ()
    chain: tuple[Event, ...] = ()
    beside: tuple[Event, ...] = ()
    change: Suspect | None = None
    against: str = ""
    learned: tuple[Contribution, ...] = ()
    precedent: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A change under suspicion: how much (posterior in [0, 1]), and by which of place, time and effect."""

    change: Change
    probability: float
    factors: Mapping[str, float]
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarIncident:
    """A past incident that looked like this one, and what people confirmed of it.

    ``similarity`` in [0, 1] orders. It is made of ``belief``, how likely this incident has the same ``kind`` of cause
    (None where too little is confirmed to say), and ``resemblance``, how far the causality graphs are alike, both in
    [0, 1]. ``shared`` names signs of both, those that few incidents show first; ``resolutions`` say what ended it.
    """

    incident: str
    title: str
    start: int
    similarity: float
    belief: float | None
    resemblance: float
    component: str
    kind: str
    change: str
    resolutions: tuple[str, ...]
    shared: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The answer to one incident.

    ``verdict``: "cause" (the first root cause is believed), "inconclusive" (candidates that the
    evidence does not separate; see ``missing``) or "healthy" (nothing abnormal was found).
    ``first_failing`` is the first ranked component that takes part in requests: another than the
    root cause where that is a host, a neighbour on it or a provider.
    ``ranking`` are all components that anything speaks against, most to blame first, ``scores``
    their scores in [0, 1].
    Three roles are kept apart: the root cause (the event of the first of ``root_causes``),
    ``critical`` failures (what it made of that component, as far as it reached the symptom; the
    symptom's own events where nothing else did) and ``impact`` (components on the way to the users
    that are degraded because of it). ``suspects`` are changes in order of suspicion; ``culprit``
    the id of the change that is believed, or "none"; ``operational`` are causes that are no change
    (demand, a full host, bad data, the world outside): their severity is the belief in them.
    ``degraded`` are those of the ``warnings`` that say what could not be used and what answered in its place.
    ``similar`` are confirmed incidents that looked like this one, nearest first, where a history was given.
    ``untrained`` are the scores without learned weights, most to blame first, where such weights ranked.
    """

    incident: Incident
    verdict: Verdict
    root_causes: tuple[RootCause, ...]
    ranking: tuple[str, ...]
    scores: tuple[float, ...]
    critical: tuple[Event, ...]
    impact: tuple[str, ...]
    blast_radius: tuple[str, ...]
    suspects: tuple[Suspect, ...]
    culprit: str
    onset: int | None
    missing: tuple[str, ...]
    warnings: tuple[str, ...]
    graph: CausalityGraph
    operational: tuple[Event, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    first_failing: str = ""
    degraded: tuple[str, ...] = ()
    similar: tuple[SimilarIncident, ...] = ()
    untrained: Mapping[str, float] = field(default_factory=dict)
