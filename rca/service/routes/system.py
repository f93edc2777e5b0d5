"""Whether the service lives, whether it is ready, and what it measures of itself."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from rca.errors import RCAError
from rca.service.metrics import MEDIA
from rca.service.own_metrics import set_gauges
from rca.service.routes.common import needs, problems, read, service_of
from rca.service.schemas import Health
from rca.service.state import Service
from rca.service.views import answer

router = APIRouter(tags=["system"])


@router.get("/healthz", summary="Whether it lives", responses={200: {"model": Health}})
async def health(request: Request) -> Response:
    """Answers as long as the event loop runs."""
    return answer({"status": "ok", "problems": [], "graph": _graph(service_of(request))})


@router.get(
    "/readyz",
    summary="Whether it is ready",
    responses={200: {"model": Health}, 503: {"model": Health, "description": "Something is missing."}},
)
async def readiness(request: Request) -> Response:
    """Whether requests can be served: the store answers, and the service is not stopping."""
    service = service_of(request)
    missing = [] if service.ready else ["the service is starting or stopping"]
    if service.ready:
        try:
            await read(service.store.count_jobs)
        except RCAError:
            missing.append("the store does not answer")
    told = {"status": "failing" if missing else "ok", "problems": missing, "graph": _graph(service)}
    return answer(told, 503 if missing else 200)


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    dependencies=[needs("read")],
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **problems()},
)
async def metrics(request: Request) -> Response:
    """The service's own metrics in Prometheus' text format."""
    service = service_of(request)
    await read(set_gauges, service)
    return Response(service.metrics.page(), media_type=MEDIA)


def _graph(service: Service) -> str:
    return "off" if service.graph is None else service.graph.state.state
