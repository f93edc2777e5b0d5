"""What answers of the knowledge graph look like, for the OpenAPI description, with examples."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field


class HistoryAnswer(BaseModel):
    """Rows, the most important first; ``more``: there are others. ``degraded`` says why they may be out of date."""

    rows: list[dict[str, Any]]
    more: bool
    degraded: str


class PictureNode(BaseModel):
    """A component, with who knows it and its facts; ``marked`` where it was asked for."""

    id: str
    label: str
    group: str
    marked: str
    facts: dict[str, str | float]


class PictureEdge(BaseModel):
    """A dependency: ``source`` depends on ``target``; its facts are calls, who says so, and the confidence."""

    source: str
    target: str
    label: str
    facts: dict[str, str | float]


class GraphPicture(BaseModel):
    """The topology, in the form of `rca graph export`."""

    schema_: str = Field(alias="schema")
    form: Literal["topology"]
    title: str
    nodes: list[PictureNode]
    edges: list[PictureEdge]


def _answer(row: dict[str, Any]) -> dict[str, Any]:
    return {"rows": [row], "more": False, "degraded": ""}


EXAMPLES: dict[str, dict[str, Any]] = {
    "deployments": _answer(
        {
            "change": "deployment-17",
            "name": "cart 2.3",
            "component": "cart",
            "kind": "change.deployment",
            "team": "basket",
            "time": "2026-01-31T12:00:00Z",
            "incident": "inc-20260131-0001",
            "title": "Checkout is slow",
            "start": "2026-01-31T11:55:00Z",
            "state": "confirmed",
            "probability": 0.81,
            "reached": 3,
        }
    ),
    "causes": _answer(
        {
            "component": "cart-db",
            "incidents": 4,
            "confirmed": 3,
            "kinds": ["connection pool"],
            "last": "2026-01-31T11:55:00Z",
        }
    ),
    "rules": _answer({"rule": "slow-callee", "incidents": 0, "links": 0, "last": None}),
    "blast_radius": _answer({"period": "2026-01-26T00:00:00Z", "incidents": 5, "mean": 2.4, "largest": 7}),
    "teams": _answer({"team": "basket", "changes": 40, "confirmed": 2, "believed": 1, "share": 0.075}),
    "near": {
        "schema": "rca.graph/1",
        "form": "topology",
        "title": "Topology as of 2026-01-31T12:00:00Z",
        "nodes": [
            {"id": "cart", "label": "cart", "group": "service", "marked": "symptom", "facts": {"known by": "spans"}},
            {"id": "cart-db", "label": "cart-db", "group": "database", "marked": "", "facts": {"kind": "database"}},
        ],
        "edges": [
            {
                "source": "cart",
                "target": "cart-db",
                "label": "depends on",
                "facts": {"calls": 1.0, "known by": "spans", "confidence": 0.95},
            }
        ],
    },
}
