"""Similar incidents of the service: confirmed ones that looked like another, as they are known by now."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rca.errors import NotFoundError

if TYPE_CHECKING:
    from rca.service.state import Service

_SECONDS = 60.0


async def similar_incidents(service: Service, incident: str, most: int) -> list[dict[str, Any]]:
    """The nearest confirmed incidents, nearest first.

    Raises:
        NotFoundError: there is no such incident, or it was not analysed yet.
    """
    await asyncio.to_thread(service.store.incident, incident)
    seen = await asyncio.to_thread(service.store.portraits, [incident])
    if not seen:
        raise NotFoundError(
            f"incident {incident[:80]!r} was not analysed yet, or by an older version",
            remedy="Look at its job, or POST /api/v1/incidents/{id}/analyses",
        )
    parameters = {"most": most, "incident": incident, **await asyncio.to_thread(service.experience.recall)}
    answer = await service.decoders.call("compare", parameters, [seen[0].content], seconds=_SECONDS)
    found: list[dict[str, Any]] = answer.values["similar"]
    return found
