"""Incidents: windows in, reports, pages and graphs out, and what people say of them."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query, Request
from starlette.responses import Response

from rca.errors import NotFoundError
from rca.service.bodies import decode_body
from rca.service.examples import PARQUET_QUERY, REFERENCE, WINDOW, WINDOW_SCHEMA
from rca.service.posting import Posted, post_window, replay
from rca.service.problems import ProblemError
from rca.service.reading import ARROW, JSON, MEDIA, PARQUET, ZIP
from rca.service.routes.common import BODY, needs, principal_of, problems, read, service_of
from rca.service.schemas import (
    FeedbackBody,
    FeedbackView,
    IncidentDetail,
    IncidentPage,
    JobView,
    ReportDocument,
    SimilarIncidents,
)
from rca.service.state import Service
from rca.service.views import (
    API,
    alert_view,
    answer,
    compressed,
    decode_cursor,
    encode_cursor,
    error_of,
    feedback_view,
    incident_view,
    job_view,
    merger_view,
)
from rca.stores.records import FINISHED, Feedback, Filed, Opinion, Part

router = APIRouter(prefix=API, tags=["incidents"])
IncidentId = Annotated[str, Path(max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="The incident.")]
LONGEST_WAIT = 60.0
_SMALL_BODY = 64 << 10
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
_WAIT = re.compile(r"(?:^|,)\s*wait\s*=\s*(\d{1,4})\s*(?:,|;|$)")
_FEEDBACK = {
    "opinion": "confirmed",
    "component": "cart-db",
    "kind": "connection pool",
    "resolution": "raised the pool to 200",
    "who": "ada",
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}


@router.post(
    "/incidents",
    summary="Explain an incident",
    dependencies=[needs("analyse")],
    responses={
        200: {"model": ReportDocument, "description": "The report; `Location` is the incident."},
        202: {"model": JobView, "description": "It takes longer; `Location` is the job."},
        **problems(*BODY, 404, 409),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                JSON: {
                    "schema": WINDOW_SCHEMA,
                    "examples": {
                        "window": {"summary": "A window with its telemetry", "value": WINDOW},
                        "reference": {"summary": "Telemetry that was ingested before", "value": REFERENCE},
                    },
                },
                ARROW: _BINARY,
                PARQUET: _BINARY,
                ZIP: _BINARY,
            },
        }
    },
)
async def post_incident(
    request: Request,
    wait: Annotated[
        float | None, Query(ge=0, le=LONGEST_WAIT, description="Seconds to wait for the report.", examples=[5])
    ] = None,
    prefer: Annotated[str, Header(description="`respond-async`, or `wait=5` (RFC 7240).", max_length=200)] = "",
    idempotency_key: Annotated[
        str,
        Header(
            description="The same key and body again give the same incident.", max_length=255, pattern=r"^[\x21-\x7e]*$"
        ),
    ] = "",
    detected_at: Annotated[str | None, Query(description=PARQUET_QUERY, max_length=64)] = None,
    start: Annotated[str | None, Query(description=PARQUET_QUERY, max_length=64)] = None,
    end: Annotated[str | None, Query(description=PARQUET_QUERY, max_length=64)] = None,
    symptom: Annotated[list[str] | None, Query(description=PARQUET_QUERY, max_length=50)] = None,
    title: Annotated[str | None, Query(description=PARQUET_QUERY, max_length=300)] = None,
) -> Response:
    """Takes a window (as JSON, an Arrow stream, Parquet, or a zip archive of a case folder) or a reference.

    Answers with the report where it is ready within the wait, else with the job that makes it.
    """
    service = service_of(request)
    media = _media(request)
    query = _query(detected_at, start, end, symptom, title)
    most = service.configuration.max_json if media == JSON else service.configuration.max_body
    async with service.bodies.body(request, most << 20) as body:
        posted = Posted(
            body=body,
            media=media,
            encoding=request.headers.get("content-encoding", ""),
            query=query,
            key=idempotency_key,
            owner=principal_of(request).id,
        )
        filed = await post_window(service, posted)
    await service.record(
        principal_of(request).id, "incident.post", filed.incident, "replay" if filed.replay else "filed"
    )
    return await _report_or_job(service, filed, _seconds(service, prefer, wait))


@router.get(
    "/incidents",
    summary="List incidents",
    dependencies=[needs("read")],
    responses={200: {"model": IncidentPage}, **problems(404, 422)},
)
async def list_incidents(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str, Query(description="`next` of the page before.", max_length=500)] = "",
    state: Annotated[Literal["", "open", "closed", "merged"], Query()] = "",
    verdict: Annotated[Literal["", "cause", "inconclusive", "healthy", "failed"], Query()] = "",
    cause: Annotated[str, Query(description="The component that was named.", max_length=300)] = "",
) -> Response:
    """Incidents, newest first."""
    before = decode_cursor(cursor, tuple[int, str]) if cursor else None
    if before is not None and not -(1 << 63) <= before[0] < 1 << 63:
        raise ProblemError(404, "Not found", "there is no such page", where="cursor")
    found = await read(
        service_of(request).store.incidents, before=before, limit=limit + 1, state=state, verdict=verdict, cause=cause
    )
    page = found[:limit]
    following = encode_cursor(page[-1].created, page[-1].id) if len(found) > limit else None
    return answer({"incidents": [incident_view(incident) for incident in page], "next": following})


@router.get(
    "/incidents/{incident}",
    summary="Show an incident",
    dependencies=[needs("read")],
    responses={200: {"model": IncidentDetail}, **problems(404, 422)},
)
async def show_incident(request: Request, incident: IncidentId) -> Response:
    """An incident, its alerts, its jobs, and what was said of it."""
    store = service_of(request).store
    record = await read(store.incident, incident)
    jobs, feedback, alerts, home, mergers = await asyncio.gather(
        read(store.jobs, incident=incident),
        read(store.feedback, incident),
        read(store.alerts_of, incident),
        read(store.home_of, incident),
        read(store.mergers, incident),
    )
    shown = incident_view(record) | {"alerts": [alert_view(alert) for alert in alerts]}
    shown |= {"merged_into": home if home != incident else None, "merged": [merger_view(each) for each in mergers]}
    shown |= {"jobs": [job_view(job) for job in jobs], "feedback": [feedback_view(one) for one in feedback]}
    return answer(shown)


@router.get(
    "/incidents/{incident}/report",
    summary="The report",
    dependencies=[needs("read")],
    responses={200: {"model": ReportDocument}, **problems(404, 422)},
)
async def show_report(request: Request, incident: IncidentId) -> Response:
    """The last report of an incident; where its analysis failed, why."""
    job, document = await _part(service_of(request), incident, "document")
    return compressed(document, JSON, request.headers.get("accept-encoding", ""), {"ETag": f'"{job}"'})


@router.get(
    "/incidents/{incident}/page",
    summary="The incident page",
    dependencies=[needs("read")],
    response_class=Response,
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}, **problems(404, 422)},
)
async def show_page(request: Request, incident: IncidentId) -> Response:
    """The page as one HTML file that asks for nothing else; where an analysis failed, it says so.

    An incident that turned out to be part of another has that one's page."""
    service = service_of(request)
    failures = service.alerting.failures
    incident = await read(service.store.home_of, incident)
    if failed := await read(failures.page, incident):
        return Response(failed, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": _POLICY})
    job, page = await read(service.store.report, incident, "page")
    headers = {"ETag": f'"{job}"', "Content-Security-Policy": _POLICY}
    return compressed(page, "text/html; charset=utf-8", request.headers.get("accept-encoding", ""), headers)


@router.get(
    "/incidents/{incident}/graph",
    summary="The causality graph",
    dependencies=[needs("read")],
    response_class=Response,
    responses={
        200: {
            "content": {
                JSON: {"schema": {"type": "object"}},
                "application/graphml+xml": {"schema": {"type": "string"}},
            }
        },
        **problems(404, 422),
    },
)
async def show_graph(
    request: Request, incident: IncidentId, form: Annotated[Literal["json", "graphml"], Query(alias="format")] = "json"
) -> Response:
    """Every event and every link of the last analysis."""
    part: Part = "graph" if form == "json" else "graphml"
    job, graph = await _part(service_of(request), incident, part)
    media = JSON if form == "json" else "application/graphml+xml"
    return compressed(graph, media, request.headers.get("accept-encoding", ""), {"ETag": f'"{job}"'})


@router.get(
    "/incidents/{incident}/similar",
    summary="Similar incidents",
    dependencies=[needs("read")],
    responses={200: {"model": SimilarIncidents}, **problems(404, 422)},
)
async def show_similar(
    request: Request, incident: IncidentId, limit: Annotated[int, Query(ge=1, le=50)] = 5
) -> Response:
    """Confirmed incidents whose causality graphs resemble this one's, with their causes and what was noted of them."""
    from rca.service.similar import similar_incidents

    return answer({"similar": await similar_incidents(service_of(request), incident, limit)})


@router.post(
    "/incidents/{incident}/analyses",
    summary="Analyse a snapshot again",
    status_code=202,
    dependencies=[needs("analyse")],
    responses={202: {"model": JobView}, 200: {"model": ReportDocument}, **problems(404, 422)},
)
async def post_analysis(
    request: Request, incident: IncidentId, wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT)] = 0.0
) -> Response:
    """Replays the incident's snapshot with the engine as it is now."""
    service = service_of(request)
    filed = await replay(service, incident)
    await service.record(principal_of(request).id, "incident.replay", incident, "filed")
    return await _report_or_job(service, filed, wait)


@router.post(
    "/incidents/{incident}/feedback",
    summary="Say what the cause was",
    status_code=201,
    dependencies=[needs("feedback")],
    responses={201: {"model": FeedbackView}, **problems(*BODY, 404)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                JSON: {
                    "schema": {
                        "oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("Confirmed", "Wrong", "Note")]
                    },
                    "example": _FEEDBACK,
                }
            },
        }
    },
)
async def post_feedback(request: Request, incident: IncidentId) -> Response:
    """Confirms a cause, says that the report is wrong, or adds a note; kept with who said it and when."""
    service = service_of(request)
    async with service.bodies.body(request, _SMALL_BODY) as body:
        said = decode_body(body, request.headers, FeedbackBody, most=_SMALL_BODY)
    opinion: Opinion = said.__struct_config__.tag
    await read(service.store.incident, incident)
    principal = principal_of(request)
    feedback = Feedback(
        id=f"fb-{secrets.token_hex(10)}",
        incident=incident,
        time=time.time_ns(),
        who=f"{said.who} (token {principal.name})" if said.who else f"token {principal.name}",
        opinion=opinion,
        component=said.component.strip(),
        note=said.note,
        kind=said.kind.strip(),
        resolution=said.resolution.strip(),
        token=principal.id,
    )
    kept = asyncio.wrap_future(service.store.add_feedback(feedback))
    await asyncio.gather(kept, service.record(principal.id, "incident.feedback", incident, opinion))
    if service.graph is not None:
        await service.graph.keep_word(feedback)
    service.metrics.feedback.labels(opinion).inc()
    return answer(feedback_view(feedback), 201)


async def _part(service: Service, incident: str, part: Part) -> tuple[str, bytes]:
    """A part of the last report; where there is none because the analysis failed, the problem says that."""
    try:
        return await read(service.store.report, incident, part)
    except NotFoundError as missing:
        error = await read(service.alerting.failures.error, incident)
        if error is None:
            raise
        raise ProblemError(
            404, "Analysis failed", str(error["detail"]), where=error.get("where"), remedy=error.get("remedy")
        ) from missing


async def _report_or_job(service: Service, filed: Filed, seconds: float) -> Response:
    job = await service.runner.wait(filed.job, seconds)
    incident = f"{API}/incidents/{filed.incident}"
    if job.state == "done":
        document = await read(service.store.report_of_job, job.id)
        headers = {"Location": incident, "X-RCA-Job": job.id}
        return compressed(document, JSON, "", headers)
    if job.state in FINISHED:
        error: dict[str, Any] = error_of(job) or {"title": "Cancelled", "status": 409, "detail": "it was cancelled"}
        raise ProblemError(
            int(error["status"]),
            str(error["title"]),
            str(error["detail"]),
            where=error.get("where"),
            remedy=error.get("remedy"),
            headers={"Location": incident},
        )
    return answer(job_view(job), 202, {"Location": f"{API}/jobs/{job.id}", "Retry-After": "1"})


def _media(request: Request) -> str:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    media = {"application/x-parquet": PARQUET, "application/x-zip-compressed": ZIP}.get(media, media)
    if media not in MEDIA:
        raise ProblemError(
            415, "Unsupported media type", f"{media[:60]!r} is not read", remedy=f"Send {', '.join(MEDIA)}"
        )
    return media


def _seconds(service: Service, prefer: str, wait: float | None) -> float:
    """How long the client wants to wait."""
    if wait is not None:
        return wait
    if "respond-async" in prefer:
        return 0.0
    found = _WAIT.search(prefer)
    return min(float(found[1]), LONGEST_WAIT) if found else service.configuration.wait_seconds


def _query(
    detected_at: str | None, start: str | None, end: str | None, symptom: list[str] | None, title: str | None
) -> dict[str, Any]:
    query: dict[str, Any] = {}
    if detected_at:
        query["detected_at"] = detected_at
    if start:
        query["window"] = {"start": start} | ({"end": end} if end else {})
    if symptom:
        parts = [one.rpartition("/") for one in symptom]
        query["symptoms"] = [
            {"component": component or metric, "metric": metric if component else ""} for component, _, metric in parts
        ]
    if title:
        query["title"] = title
    return query
