"""Learning: have the service learn, see what it learnt, and go back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from rca.learning.learned import ENOUGH
from rca.service.learning_schemas import Learned
from rca.service.lessons import last_result
from rca.service.routes.common import needs, principal_of, problems, read, service_of
from rca.service.schemas import JobView
from rca.service.uses import in_use, is_held, read_card, roll_back
from rca.service.views import API, answer, job_view
from rca.types import to_text

if TYPE_CHECKING:
    from rca.stores.protocol import Store
    from rca.stores.records import LearnedVersion

router = APIRouter(prefix=API, tags=["learning"])


@router.post(
    "/learn",
    summary="Learn now",
    status_code=202,
    dependencies=[needs("admin")],
    responses={202: {"model": JobView}, **problems()},
)
async def post_lesson(request: Request) -> Response:
    """Learns from everything that people confirmed, also where nothing is new or somebody went back.

    Answers with the job; with the one that is there already where a lesson is not finished yet.
    """
    service = service_of(request)
    job = await service.lessons.queue()
    await service.record(principal_of(request).id, "learn", job.id, "queued")
    return answer(job_view(job), 202, {"Location": f"{API}/jobs/{job.id}"})


@router.get(
    "/learned",
    summary="What was learnt",
    dependencies=[needs("read")],
    responses={200: {"model": Learned}, **problems()},
)
async def show_learned(request: Request) -> Response:
    """Which version is in use, the last lesson, and all versions that are kept, newest first."""
    return answer(await read(learned_view, service_of(request).store))


@router.post(
    "/learned/rollback",
    summary="Go back",
    dependencies=[needs("admin")],
    responses={200: {"model": Learned}, **problems(409, 422)},
)
async def post_rollback(
    request: Request,
    untrained: Annotated[bool, Query(description="To the untrained answer at once.")] = False,
) -> Response:
    """Goes back to the version that was in use before, at last to the untrained answer.

    From then on nothing is learnt by itself, until somebody asks for a lesson.
    """
    service, principal = service_of(request), principal_of(request)
    use = await read(roll_back, service.store, f"token {principal.name}", untrained=untrained)
    await service.record(principal.id, "learned.rollback", use.version or "untrained", "done")
    return answer(await read(learned_view, service.store))


def learned_view(store: Store) -> dict[str, Any]:
    """All that is known of what was learnt."""
    lesson = store.last_lesson()
    result = None if lesson is None else last_result(store, lesson)
    return {
        "in_use": in_use(store),
        "held": is_held(store),
        "confirmed": len(store.confirmed()),
        "needed": ENOUGH,
        "lesson": None if lesson is None else job_view(lesson),
        "result": None if result is None else _told(msgspec.to_builtins(result)),
        "versions": [_version_view(one) for one in reversed(store.learned_versions())],
        "uses": [
            {"version": use.version, "time": to_text(use.time), "action": use.action, "who": use.who}
            for use in reversed(store.learned_uses())
        ],
    }


def _told(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name != "fingerprint"}


def _version_view(version: LearnedVersion) -> dict[str, Any]:
    card = read_card(version.card)
    return {
        "version": version.version,
        "time": to_text(version.created),
        "incidents": card.get("incidents", 0),
        "held_out": card.get("held_out", {}),
        "moved": card.get("moved", []),
        "doubtful": card.get("doubtful", []),
    }
