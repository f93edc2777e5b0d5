"""What the knowledge graph knows: answers about past incidents, and the topology around components at any time."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from rca.errors import NotFoundError
from rca.knowledge.base import CALLERS, HOPS
from rca.knowledge.claims import KnownTopology
from rca.knowledge.picture import picture_of_topology, to_graphml, to_json
from rca.knowledge.protocol import MOST_HOPS
from rca.knowledge.questions import DAY, QUESTIONS
from rca.knowledge.rows import BEGINNING, FOREVER
from rca.rules import load_rules
from rca.service.graph import Graph
from rca.service.history_schemas import EXAMPLES, GraphPicture, HistoryAnswer
from rca.service.routes.common import needs, problems, read, service_of
from rca.service.views import API, answer
from rca.types import to_nanoseconds, to_text

router = APIRouter(prefix=API, tags=["history"])
DEGRADED = "X-RCA-Degraded"
_TIMES = ("start", "time", "last", "period")  # columns
Time = Annotated[str, Query(max_length=64, examples=["2026-01-31T12:00:00Z"])]
Since = Annotated[str, Query(description="From this time on.", max_length=64, examples=["2026-01-01T00:00:00Z"])]
Until = Annotated[str, Query(description="Before this time.", max_length=64, examples=["2026-02-01T00:00:00Z"])]
Limit = Annotated[int, Query(ge=1, le=1_000, description="Rows at most; the most important come first.")]


def _described(question: str) -> dict[str, Any]:
    return {
        "summary": QUESTIONS[question].says.rstrip("?"),
        "dependencies": [needs("read")],
        "responses": {
            200: {"model": HistoryAnswer, "content": {"application/json": {"example": EXAMPLES[question]}}},
            **problems(404, 422),
        },
    }


@router.get("/history/deployments", **_described("deployments"))
async def ask_deployments(
    request: Request,
    change: Annotated[
        str, Query(description="Its id or name; empty: all that broke something.", max_length=1_000)
    ] = "",
    since: Since = "",
    until: Until = "",
    limit: Limit = 100,
) -> Response:
    """What a change broke: confirmed by people, believed by the engine, suspected, or cleared."""
    return await _ask(request, "deployments", since, until, limit, change=change)


@router.get("/history/causes", **_described("causes"))
async def ask_causes(request: Request, since: Since = "", until: Until = "", limit: Limit = 100) -> Response:
    """Which components caused most incidents: confirmed by people, else believed by the engine."""
    return await _ask(request, "causes", since, until, limit)


@router.get("/history/rules", **_described("rules"))
async def ask_rules(request: Request, since: Since = "", until: Until = "", limit: Limit = 100) -> Response:
    """How often each causality rule joined two events, those that never did first."""
    names = tuple(rule.name for rule in await read(load_rules))
    return await _ask(request, "rules", since, until, limit, rules=names)


@router.get("/history/blast-radius", **_described("blast_radius"))
async def ask_blast_radius(
    request: Request,
    days: Annotated[int, Query(ge=1, le=3_650, description="Days of a period; weeks begin on Monday.")] = 7,
    since: Since = "",
    until: Until = "",
    limit: Limit = 100,
) -> Response:
    """How many components incidents reached, by period."""
    return await _ask(request, "blast_radius", since, until, limit, width=days * DAY)


@router.get("/history/teams", **_described("teams"))
async def ask_teams(request: Request, since: Since = "", until: Until = "", limit: Limit = 100) -> Response:
    """Whose changes break something, as a share of all their changes."""
    return await _ask(request, "teams", since, until, limit)


@router.get(
    "/graph/near",
    summary="The topology around components",
    dependencies=[needs("read")],
    response_class=Response,
    responses={
        200: {
            "model": GraphPicture,
            "content": {
                "application/json": {"example": EXAMPLES["near"]},
                "application/graphml+xml": {"schema": {"type": "string"}},
            },
            "headers": {
                DEGRADED: {
                    "description": "Why this is the last that is known here, where it is.",
                    "schema": {"type": "string"},
                }
            },
        },
        **problems(404, 422),
    },
)
async def show_near(
    request: Request,
    component: Annotated[
        list[Annotated[str, Query(max_length=1_000)]],
        Query(description="Where it begins; may be repeated.", min_length=1, max_length=50, examples=[["cart"]]),
    ],
    hops: Annotated[int, Query(ge=0, le=MOST_HOPS, description="Dependencies from there.")] = HOPS,
    callers: Annotated[int, Query(ge=0, le=MOST_HOPS, description="Dependencies against their direction.")] = CALLERS,
    at: Annotated[str, Query(description="As of this time; empty: now.", max_length=64)] = "",
    form: Annotated[Literal["json", "graphml"], Query(alias="format")] = "json",
) -> Response:
    """What depends on what around components as of any time, with who says so and how sure that is."""
    when = to_nanoseconds(at) if at else time.time_ns()
    graph = _graph_of(request)
    known = await graph.ask(graph.knowledge.topology_near, component, when, hops=hops, callers=callers)
    if not set(component) & set(known.topology.components):
        raise NotFoundError(
            f"the graph knows nothing of {component[0][:80]!r} at that time",
            remedy="GET /api/v1/components lists names",
        )
    text = await graph.ask(_drawn, known, tuple(component), form)
    media = "application/json" if form == "json" else "application/graphml+xml"
    return Response(text, media_type=media, headers=_told(known.degraded))


def _drawn(known: KnownTopology, marked: tuple[str, ...], form: str) -> str:
    picture = picture_of_topology(known, marked=marked)
    return to_json(picture) if form == "json" else to_graphml(picture)


async def _ask(request: Request, question: str, since: str, until: str, limit: int, **parameters: Any) -> Response:
    begin = to_nanoseconds(since) if since else BEGINNING
    end = to_nanoseconds(until) if until else FOREVER
    graph = _graph_of(request)
    found = await graph.ask(graph.knowledge.ask, question, since=begin, until=end, **parameters)
    rows = [{column: _plain(column, row[column]) for column in found.columns} for row in found.rows[:limit]]
    told = {"rows": rows, "more": len(found.rows) > limit, "degraded": found.degraded}
    return answer(told, headers=_told(found.degraded))


def _graph_of(request: Request) -> Graph:
    graph = service_of(request).graph
    if graph is None:
        raise NotFoundError(
            "the service keeps no knowledge graph", remedy="Start it with graph: a file, or bolt://HOST"
        )
    return graph


def _plain(column: str, value: Any) -> Any:
    return to_text(value) if column in _TIMES and value is not None else value


def _told(degraded: str) -> dict[str, str]:
    """A header takes one line of ASCII."""
    line = " ".join(degraded.split()).encode("ascii", "replace").decode()
    return {DEGRADED: line[:500]} if line else {}
