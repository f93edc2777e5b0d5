"""Messages to others: what was sent, what waits, what is dead, and sending that once more."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from rca.errors import ConflictError
from rca.service.routes.common import needs, principal_of, problems, read, service_of
from rca.service.schemas import Deliveries, DeliveryView
from rca.service.views import API, answer, delivery_view

router = APIRouter(prefix=API, tags=["deliveries"])
DeliveryId = Annotated[str, Path(max_length=60, pattern=r"^[A-Za-z0-9-]+$", description="The delivery.")]


@router.get(
    "/deliveries",
    summary="List messages",
    dependencies=[needs("read")],
    responses={200: {"model": Deliveries}, **problems(422)},
)
async def list_deliveries(
    request: Request,
    incident: Annotated[str, Query(description="Only of this incident.", max_length=100)] = "",
    state: Annotated[Literal["", "waiting", "sent", "dead"], Query()] = "",
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> Response:
    """Messages to the configured targets, newest first."""
    found = await read(service_of(request).store.deliveries, incident=incident, state=state, limit=limit)
    return answer({"deliveries": [delivery_view(each) for each in found]})


@router.post(
    "/deliveries/{delivery}/retry",
    summary="Send a dead message again",
    dependencies=[needs("admin")],
    responses={200: {"model": DeliveryView}, **problems(404, 409, 422)},
)
async def retry_delivery(request: Request, delivery: DeliveryId) -> Response:
    """Tries a message again that was given up or refused."""
    service = service_of(request)
    found = await read(service.store.delivery, delivery)
    if not await asyncio.wrap_future(service.store.revive_delivery(delivery, time.time_ns())):
        raise ConflictError(f"the message is {found.state}, not dead", remedy="Only dead messages are sent again")
    service.alerting.courier.wake()
    await service.record(principal_of(request).id, "delivery.retry", delivery, "done")
    shown: dict[str, Any] = delivery_view(await read(service.store.delivery, delivery))
    return answer(shown)
