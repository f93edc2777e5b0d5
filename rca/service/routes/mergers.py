"""Incidents that turned out to be one, and what undoes that."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from rca.service.routes.common import needs, principal_of, problems, read, service_of
from rca.service.routes.incidents import IncidentId
from rca.service.schemas import MergerView
from rca.service.views import API, answer, merger_view

router = APIRouter(prefix=API, tags=["incidents"])


@router.post(
    "/incidents/{incident}/split",
    summary="Undo a merger",
    dependencies=[needs("analyse")],
    responses={200: {"model": MergerView}, **problems(404, 409, 422)},
)
async def split_incident(request: Request, incident: IncidentId) -> Response:
    """Gives an incident that was merged its own alerts again; both are analysed anew, and it is not merged again."""
    service = service_of(request)
    await read(service.store.incident, incident)
    merger = await service.alerting.part(incident)
    await service.record(principal_of(request).id, "incident.split", incident, f"from {merger.home}")
    return answer(merger_view(merger))
