"""Jobs: how far they are, their end as it comes, and cancelling; and the measure of accuracy."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Request
from starlette.responses import Response, StreamingResponse

from rca.errors import ConflictError
from rca.service.accuracy import held_out, measure_reports
from rca.service.bodies import decode_body, encode
from rca.service.logs import trace_id
from rca.service.problems import ProblemError
from rca.service.routes.common import BODY, needs, principal_of, problems, read, service_of
from rca.service.schemas import Accuracy, EvaluateBody, JobView
from rca.service.state import Service
from rca.service.views import API, answer, compressed, job_view
from rca.stores.records import FINISHED, Job
from rca.types import SECOND

router = APIRouter(prefix=API, tags=["jobs"])
JobId = Annotated[str, Path(max_length=100, pattern=r"^[A-Za-z0-9-]+$", description="The job.")]
_SMALL_BODY = 256 << 10
_POLL = 0.2
_QUIET = 15.0  # seconds after which proxies may take a connection for dead


@router.get(
    "/jobs/{job}",
    summary="Show a job",
    dependencies=[needs("read")],
    responses={200: {"model": JobView}, **problems(404, 410, 422)},
)
async def show_job(request: Request, job: JobId) -> Response:
    """How far a job is."""
    return answer(job_view(await _there(service_of(request), job)))


@router.get(
    "/jobs/{job}/result",
    summary="What a job found",
    dependencies=[needs("read")],
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}, **problems(404, 410, 422)},
)
async def show_result(request: Request, job: JobId) -> Response:
    """The report, or the measures, of a finished job."""
    service = service_of(request)
    await _there(service, job)
    document = await read(service.store.report_of_job, job)
    return compressed(document, "application/json", request.headers.get("accept-encoding", ""))


@router.get(
    "/jobs/{job}/events",
    summary="Follow a job",
    dependencies=[needs("read")],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}, **problems(404, 410, 422)},
)
async def follow_job(request: Request, job: JobId) -> Response:
    """Server-sent events: ``progress`` whenever the job changes, at last ``done``, ``failed`` or ``cancelled``."""
    service = service_of(request)
    first = await _there(service, job)
    return StreamingResponse(_follow(service, first), media_type="text/event-stream")


@router.delete(
    "/jobs/{job}",
    summary="Cancel a job",
    dependencies=[needs("analyse")],
    responses={200: {"model": JobView}, **problems(404, 409, 422)},
)
async def cancel_job(request: Request, job: JobId) -> Response:
    """Cancels a job that is not finished; a running one stops within seconds."""
    service = service_of(request)
    found = await read(service.store.job, job)
    if not await service.runner.cancel(job):
        raise ConflictError(f"the job is {found.state} already", remedy="Nothing is left to cancel")
    await service.record(principal_of(request).id, "job.cancel", job, "done")
    return answer(job_view(await read(service.store.job, job)))


@router.post(
    "/evaluate",
    summary="Measure the accuracy",
    dependencies=[needs("analyse")],
    responses={200: {"model": Accuracy}, 202: {"model": JobView}, **problems(*BODY)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/EvaluateBody"},
                    "example": {"replay": False},
                }
            },
        }
    },
)
async def evaluate(request: Request) -> Response:
    """How often the confirmed cause came first: as it was answered before people said so, or in a replay.

    A replay analyses the snapshots again without anything learnt, which knows the answers. How good what was learnt is
    says ``held_out``: measured on confirmed incidents that the weights did not see.
    """
    service = service_of(request)
    async with service.bodies.body(request, _SMALL_BODY) as body:
        asked = decode_body(body, request.headers, EvaluateBody, most=_SMALL_BODY)
    if asked.replay:
        job = await _replay(service, asked.incidents)
        return answer(job_view(job), 202, {"Location": f"{API}/jobs/{job.id}"})
    confirmed = await read(service.store.confirmed, asked.incidents)
    measured = await read(measure_reports, service.store, confirmed)
    return answer({**measured, "held_out": await read(held_out, service.store)})


async def _there(service: Service, job: str) -> Job:
    """The job; what was cancelled is gone."""
    found = await read(service.store.job, job)
    if found.state == "cancelled":
        raise ProblemError(410, "Cancelled", "the job was cancelled", remedy="Post the window again")
    return found


async def _replay(service: Service, incidents: list[str]) -> Job:
    now = time.time_ns()
    job = Job(
        id=f"job-{secrets.token_hex(12)}",
        kind="evaluate",
        incident="",
        state="queued",
        attempt=0,
        created=now,
        deadline=now + int(service.configuration.queue_seconds * SECOND),
        progress="queued",
        request=msgspec.json.encode({"incidents": incidents, "trace": trace_id.get()}).decode(),
    )
    await asyncio.wrap_future(service.store.add_job(job, most_queued=service.configuration.max_queued))
    service.runner.wake()
    return job


async def _follow(service: Service, job: Job) -> AsyncIterator[bytes]:
    told = ("", "", -1)
    quiet = time.monotonic()
    while True:
        if (seen := (job.state, job.progress, job.attempt)) != told:
            name = job.state if job.state in FINISHED else "progress"
            yield b"event: " + name.encode() + b"\ndata: " + encode(job_view(job)) + b"\n\n"
            told, quiet = seen, time.monotonic()
        elif time.monotonic() - quiet > _QUIET:
            yield b": still here\n\n"
            quiet = time.monotonic()
        if job.state in FINISHED or not service.ready:
            return
        await asyncio.sleep(_POLL)
        job = await asyncio.to_thread(service.store.job, job.id)
