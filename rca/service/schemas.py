"""What requests and answers look like, for the OpenAPI description and for decoding small bodies."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

IncidentId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", examples=["inc-20260131-0001"])]


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str = Field(examples=["urn:rca:problem:not-found"])
    title: str
    status: int
    detail: str
    instance: str
    trace: str
    where: str | None = None
    remedy: str | None = None


class JobView(BaseModel):
    """A piece of work."""

    id: str
    kind: str
    incident: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    attempt: int
    progress: str
    created: str
    started: str | None
    finished: str | None
    error: dict[str, Any] | None
    links: dict[str, str]


class IncidentView(BaseModel):
    """An incident, and what was answered last."""

    id: str
    title: str
    state: str
    created: str
    updated: str
    window: dict[str, str]
    detected_at: str | None
    verdict: str
    cause: str
    confidence: float
    links: dict[str, str]


class AlertView(BaseModel):
    """An alert of an incident; ``page`` is a page's id at its sender, empty where it is no page."""

    name: str
    component: str
    state: Literal["firing", "resolved"]
    began: str
    page: str
    labels: dict[str, str]


class MergerView(BaseModel):
    """An incident that turned out to be part of an earlier one, which has its alerts since, and why."""

    incident: str
    into: str
    time: str
    reason: str
    links: dict[str, str]


class IncidentDetail(IncidentView):
    """An incident with its alerts, its jobs and what was said of it.

    ``merged_into`` is the incident that it is part of, null where it stands for itself; ``merged`` are its parts.
    """

    merged_into: str | None
    merged: list[MergerView]

    alerts: list[AlertView]
    jobs: list[JobView]
    feedback: list[FeedbackView]


class IncidentPage(BaseModel):
    """Incidents, newest first; ``next`` is the cursor of the following page, null on the last."""

    incidents: list[IncidentView]
    next: str | None


class FeedbackView(BaseModel):
    """What somebody said of a report."""

    id: str
    time: str
    who: str
    opinion: Literal["confirmed", "wrong", "note"]
    component: str
    kind: str
    resolution: str
    note: str


class ReportDocument(BaseModel):
    """The report; docs/report.md describes it key by key."""

    model_config = ConfigDict(extra="allow")

    schema_: str = Field(alias="schema", examples=["rca.report/1"])
    incident: dict[str, Any]
    verdict: Literal["cause", "inconclusive", "healthy"]
    root_causes: list[dict[str, Any]]
    ranking: list[dict[str, Any]]


class SimilarView(BaseModel):
    """A confirmed incident that looked like another; docs/similar.md says what its numbers mean."""

    incident: str
    title: str
    start: str
    similarity: float
    belief: float | None
    resemblance: float
    component: str
    kind: str
    change: str
    resolutions: list[str]
    shared: list[str]


class SimilarIncidents(BaseModel):
    """The nearest confirmed incidents, nearest first."""

    similar: list[SimilarView]


class HeldOut(BaseModel):
    """How the learned version in use and the untrained answer rank confirmed incidents that neither saw (5 folds)."""

    version: str
    incidents: int
    learned: dict[str, float]
    untrained: dict[str, float]


class Accuracy(BaseModel):
    """How often the confirmed cause was among the first k, and the mean reciprocal of its rank."""

    incidents: int
    replayed: bool
    measures: dict[str, float]
    cases: list[dict[str, Any]]
    held_out: HeldOut | None = None


class ComponentPage(BaseModel):
    """Components that telemetry named, in order of name."""

    components: list[dict[str, str]]
    next: str | None


class Topology(BaseModel):
    """Who depends on whom, in the form of topology.json."""

    model_config = ConfigDict(extra="allow")

    components: list[str]
    edges: list[list[Any]]


class Rules(BaseModel):
    """The causality rules."""

    rules: list[dict[str, Any]]


class Models(BaseModel):
    """The trained models that ship with the engine."""

    models: list[dict[str, Any]]


class Taken(BaseModel):
    """What became of what was pushed."""

    accepted: int
    rejected: int
    ignored: int
    problem: str
    duplicate: bool


class Health(BaseModel):
    """Whether the service lives, or is ready; a knowledge graph that is degraded keeps nothing from being served."""

    status: Literal["ok", "failing"]
    problems: list[str] = []
    graph: Literal["off", "ok", "degraded"]


class DeliveryView(BaseModel):
    """A message to somebody outside."""

    id: str
    incident: str
    target: str
    state: Literal["waiting", "sent", "dead"]
    attempt: int
    created: str
    due: str | None
    error: str
    receipt: str


class Deliveries(BaseModel):
    """Messages, newest first."""

    deliveries: list[DeliveryView]


class AuditPage(BaseModel):
    """The audit log, newest first."""

    entries: list[dict[str, Any]]
    next: int | None


_Text = Annotated[str, msgspec.Meta(max_length=10_000)]
_Said = Annotated[str, msgspec.Meta(min_length=1, max_length=10_000, pattern=r"\S")]
_Name = Annotated[str, msgspec.Meta(max_length=300)]
_Kind = Annotated[str, msgspec.Meta(max_length=200)]
_Given = Annotated[str, msgspec.Meta(min_length=1, max_length=300, pattern=r"\S")]


class Confirmed(msgspec.Struct, forbid_unknown_fields=True, tag="confirmed", tag_field="opinion"):
    """The component that was the cause; ``kind``: the type of fault, ``resolution``: what ended the incident."""

    component: _Given
    kind: _Kind = ""
    resolution: _Text = ""
    note: _Text = ""
    who: _Name = ""


class Wrong(msgspec.Struct, forbid_unknown_fields=True, tag="wrong", tag_field="opinion"):
    """The report was wrong; ``component`` says what the cause was, where that is known."""

    component: _Name = ""
    kind: _Kind = ""
    resolution: _Text = ""
    note: _Text = ""
    who: _Name = ""


class Note(msgspec.Struct, forbid_unknown_fields=True, tag="note", tag_field="opinion"):
    """What others should know."""

    note: _Said
    component: _Name = ""
    kind: _Kind = ""
    resolution: _Text = ""
    who: _Name = ""


FeedbackBody = Confirmed | Wrong | Note
OPINIONS = ("Confirmed", "Wrong", "Note")


class EvaluateBody(msgspec.Struct, forbid_unknown_fields=True):
    """Which incidents (default: all whose cause was confirmed), and whether to analyse their snapshots again."""

    incidents: Annotated[list[Annotated[str, msgspec.Meta(max_length=100)]], msgspec.Meta(max_length=1_000)] = []
    replay: bool = False


IncidentDetail.model_rebuild()
