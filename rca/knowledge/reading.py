"""Past incidents from their rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from rca.knowledge.records import (
    Feedback,
    PastCause,
    PastEvent,
    PastIncident,
    PastLink,
    PastSuspect,
    Resolution,
    settle,
)
from rca.knowledge.rows import Row

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

ROLES = ("symptom", "impact", "blast")


def past_incident(incident: Row, tables: Mapping[str, Sequence[Row]]) -> PastIncident:
    """An incident from its own row and those of the other tables that belong to it; missing tables are empty."""

    def rows(table: str, *order: str) -> list[Row]:
        return sorted(tables.get(table, ()), key=lambda row: [row[column] for column in order])

    feedback = rows("feedback", "at", "by")
    touched = rows("touched", "component")
    return PastIncident(
        id=incident["id"],
        title=incident["title"],
        start=incident["start"],
        end=incident["end"],
        detected_at=incident["detected_at"],
        onset=incident["onset"],
        verdict=incident["verdict"],
        settled=settle(incident, feedback),
        events=tuple(_event(row) for row in rows("events", "number")),
        links=tuple(_link(row) for row in rows("links", "cause", "effect")),
        causes=tuple(PastCause(**_own(row, PastCause)) for row in rows("causes", "rank")),
        suspects=tuple(
            PastSuspect(**_own(row, PastSuspect))
            for row in sorted(rows("suspects", "change"), key=lambda row: -row["probability"])
        ),
        touched={role: tuple(row["component"] for row in touched if row["role"] == role) for role in ROLES},
        missing=tuple(incident["missing"]),
        feedback=tuple(Feedback(**row) for row in feedback),
        resolutions=tuple(Resolution(**row) for row in rows("resolutions", "at", "by")),
        report=incident["report"],
    )


def _event(row: Row) -> PastEvent:
    evidence = json.loads(row["evidence"]) if row["evidence"] else None
    own = _own(row, PastEvent) | {"evidence": evidence, "attributes": json.loads(row["attributes"])}
    return PastEvent(**own)


def _link(row: Row) -> PastLink:
    return PastLink(**_own(row, PastLink) | {"also": tuple(row["also"])})


def _own(row: Row, record: type[DataclassInstance]) -> Row:
    return {each.name: row[each.name] for each in fields(record) if each.name in row}
