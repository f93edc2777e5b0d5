"""What is kept of an incident: what was seen, what the engine said, what people said, what helped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from rca.errors import InputError
from rca.knowledge.rows import LONGEST_SHORT_KEY, Row, check_key

Judgement = Literal["confirmed", "wrong", "note"]
State = Literal["confirmed", "believed", "wrong", "open"]
NO_CHANGE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What somebody found out about an incident's cause.

    ``verdict`` "confirmed" names the true cause (component, and kind and change as far as known;
    change "none": no change did it); "wrong" only says that the engine's answer was not it; "note"
    judges nothing. Of the others the latest word counts. ``at`` is in ns.

    Raises:
        InputError: a confirmed cause without a component, no author, or an unknown verdict.
    """

    incident: str
    by: str
    at: int
    verdict: Judgement
    component: str = ""
    kind: str = ""
    change: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        check_key(self.incident, "the incident")
        check_key(self.by, "the author", LONGEST_SHORT_KEY)
        if self.verdict not in ("confirmed", "wrong", "note"):
            raise InputError(f"{self.verdict!r} is no verdict", where="feedback", remedy="Use confirmed, wrong or note")
        if self.verdict == "confirmed":
            check_key(self.component, "the confirmed cause")
        if self.change:
            check_key(self.change, "the change")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What ended an incident, in somebody's words; ``at`` in ns."""

    incident: str
    by: str
    at: int
    text: str

    def __post_init__(self) -> None:
        check_key(self.incident, "the incident")
        check_key(self.by, "the author", LONGEST_SHORT_KEY)
        if not self.text.strip():
            raise InputError("the resolution says nothing", where=self.incident, remedy="Say what ended the incident")


@dataclass(frozen=True, slots=True, kw_only=True)
class PastEvent:
    """One event of a past incident; ``number`` is its place in the incident's causality graph."""

    number: int
    id: str
    component: str
    kind: str
    name: str
    start: int
    end: int
    severity: float
    direction: str
    evidence: Mapping[str, Any] | None = None
    attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class PastLink:
    """One edge: numbers of cause and effect, the rule and the further ones, the lag in ns, the weight in (0, 1]."""

    cause: int
    effect: int
    rule: str
    also: tuple[str, ...]
    lag: int
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCause:
    """One candidate that the engine named; ``rank`` counts from 1."""

    rank: int
    component: str
    kind: str
    score: float
    confidence: float
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PastSuspect:
    """One change under suspicion, with its probability."""

    change: str
    probability: float
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What an incident's cause is taken to be.

    ``state``: "confirmed" by people, "believed" by the engine and denied by nobody, "wrong" where
    the engine's answer was denied, "open" where there is none. ``change`` is "" where none is known
    to have done it.
    """

    state: State
    component: str = ""
    kind: str = ""
    change: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastIncident:
    """An incident of the history; events and links are in the order of the causality graph.

    ``report`` is the report document (JSON), empty where it was not asked for. ``touched`` is role
    (symptom, impact, blast) -> components, sorted.
    """

    id: str
    title: str
    start: int
    end: int
    detected_at: int | None
    onset: int | None
    verdict: str
    settled: Settled
    events: tuple[PastEvent, ...] = ()
    links: tuple[PastLink, ...] = ()
    causes: tuple[PastCause, ...] = ()
    suspects: tuple[PastSuspect, ...] = ()
    touched: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    missing: tuple[str, ...] = ()
    feedback: tuple[Feedback, ...] = ()
    resolutions: tuple[Resolution, ...] = ()
    report: str = ""


def latest_judgement(feedback: Iterable[Row]) -> Row | None:
    """The word that counts: the latest that judges; None where nobody has."""
    judged = (row for row in feedback if row["verdict"] != "note")
    return max(judged, key=lambda row: (row["at"], row["by"]), default=None)


def settle(incident: Row, feedback: Iterable[Row]) -> Settled:
    """The cause that counts: the latest word of people, else the engine's own where it believed one."""
    latest = latest_judgement(feedback)
    if latest is not None and latest["verdict"] == "confirmed":
        change = "" if latest["change"] == NO_CHANGE else latest["change"]
        return Settled(state="confirmed", component=latest["component"], kind=latest["kind"], change=change)
    if latest is not None:
        return Settled(state="wrong")
    if incident["verdict"] == "cause":
        return Settled(
            state="believed", component=incident["component"], kind=incident["kind"], change=incident["change"]
        )
    return Settled(state="open")
