"""What the service knows: components, topology, rules, models, and who did what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from rca.resources import bundled
from rca.rules import describe_rules, load_rules
from rca.service.routes.common import needs, problems, read, service_of
from rca.service.schemas import AuditPage, ComponentPage, Models, Rules, Topology
from rca.service.views import API, answer, decode_cursor, encode_cursor
from rca.topology_files import topology_to_json
from rca.types import to_text

router = APIRouter(prefix=API, tags=["catalogue"])


@router.get(
    "/components",
    summary="List components",
    dependencies=[needs("read")],
    responses={200: {"model": ComponentPage}, **problems(404, 422)},
)
async def list_components(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 200,
    cursor: Annotated[str, Query(description="`next` of the page before.", max_length=2_000)] = "",
) -> Response:
    """Every component that ingested telemetry named, in order of name; times are right to the minute."""
    after = decode_cursor(cursor, tuple[str])[0] if cursor else ""
    found = await read(service_of(request).store.components, after=after, limit=limit + 1)
    rows = [
        {"name": name, "first_seen": to_text(first), "last_seen": to_text(last)} for name, first, last in found[:limit]
    ]
    following = encode_cursor(rows[-1]["name"]) if len(found) > limit else None
    return answer({"components": rows, "next": following})


@router.get(
    "/topology",
    summary="Who depends on whom",
    dependencies=[needs("read")],
    responses={200: {"model": Topology}, **problems()},
)
async def show_topology(request: Request) -> Response:
    """What telemetry showed and the configured file says, in the form of topology.json."""
    topology = await read(service_of(request).topology)
    return Response(topology_to_json(topology), media_type="application/json")


@router.get(
    "/rules",
    summary="The causality rules",
    dependencies=[needs("read")],
    responses={200: {"model": Rules}, **problems()},
)
async def list_rules() -> Response:
    """Which kind of event may cause which other."""
    return answer({"rules": await read(lambda: describe_rules(load_rules()))})


@router.get(
    "/models",
    summary="The models",
    dependencies=[needs("read")],
    responses={200: {"model": Models}, **problems()},
)
async def list_models() -> Response:
    """The trained models that ship with the engine, each as its model.json says."""
    return answer({"models": await read(_models)})


@router.get(
    "/audit",
    summary="Who did what",
    dependencies=[needs("admin")],
    responses={200: {"model": AuditPage}, **problems(422)},
)
async def list_audit(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    before: Annotated[int | None, Query(ge=0, lt=1 << 62, description="`next` of the page before.")] = None,
) -> Response:
    """The audit log, newest first."""
    found = await read(service_of(request).store.audit, before=before, limit=limit)
    rows = [
        {
            "id": e.id,
            "time": to_text(e.time),
            "who": e.who,
            "action": e.action,
            "subject": e.subject,
            "outcome": e.outcome,
        }
        for e in found
    ]
    return answer({"entries": rows, "next": found[-1].id if len(found) == limit else None})


def _models() -> list[dict[str, Any]]:
    found = []
    for path in sorted(Path(bundled("models")).glob("*/model.json")):
        try:
            described = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        except (OSError, msgspec.MsgspecError) as bad:
            described = {"problem": str(bad)}
        found.append({"name": path.parent.name, **described})
    return found
