"""What answers about learning look like, for the OpenAPI description."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from rca.service.schemas import JobView


class LearnedVersionView(BaseModel):
    """Learned weights; docs/learning.md says what the card's figures mean.

    ``held_out`` has AC@1, AC@3 and MRR of the "learned" and the "untrained" answer on incidents that neither saw;
    ``moved`` the weights that moved most, ``doubtful`` incidents whose label is hardly believed.
    """

    version: str
    time: str
    incidents: int
    held_out: dict[str, dict[str, float]]
    moved: list[dict[str, Any]]
    doubtful: list[str]


class LearnedUseView(BaseModel):
    """That a version came into use ("": the untrained answer), when, how and by whom."""

    version: str
    time: str
    action: Literal["promote", "rollback"]
    who: str


class LessonResult(BaseModel):
    """What the last finished lesson came to: confirmed incidents, those that taught, those that could not be read."""

    version: str
    promoted: bool
    reason: str
    confirmed: int
    taught: int
    skipped: int


class Learned(BaseModel):
    """What was learnt: which version is in use ("": the untrained answer), and whether nothing is learnt any more.

    ``held``: somebody went back, so that the service learns again only when it is told to.
    """

    in_use: str
    held: bool
    confirmed: int
    needed: int
    lesson: JobView | None
    result: LessonResult | None
    versions: list[LearnedVersionView]
    uses: list[LearnedUseView]
