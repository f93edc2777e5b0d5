"""What the history is asked, and how the answers read; every store answers the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from rca.knowledge.rows import Row
from rca.types import SECOND

DAY = 86_400 * SECOND
WEEK = 7 * DAY
MONDAY = 4 * DAY  # 5 January 1970 was one


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Rows in the order of their importance; ``degraded`` says why they may be out of date, empty where not."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    degraded: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question: what its answer has for columns, and how its rows are completed and ordered.

    Attributes:
        says: what is asked.
        columns: of the answer.
        finish: makes the answer's rows of a store's, given the parameters.
        defaults: parameters besides ``since`` and ``until`` (ns, half-open).
    """

    says: str
    columns: tuple[str, ...]
    finish: Callable[[Sequence[Row], Mapping[str, Any]], list[Row]]
    defaults: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


def _causes(rows: Sequence[Row], given: Mapping[str, Any]) -> list[Row]:
    rows = [row | {"kinds": sorted(kind for kind in row["kinds"] if kind)} for row in rows]
    return sorted(rows, key=lambda row: (-row["incidents"], -row["confirmed"], row["component"]))


def _deployments(rows: Sequence[Row], given: Mapping[str, Any]) -> list[Row]:
    if not given["change"]:
        rows = [row for row in rows if row["state"] in ("confirmed", "believed")]
    order = ("confirmed", "believed", "suspected", "cleared")
    rows = [{**row, "probability": round(row["probability"], 4)} for row in rows]
    return sorted(rows, key=lambda row: (order.index(row["state"]), -row["start"], row["change"], row["incident"]))


def _rules(rows: Sequence[Row], given: Mapping[str, Any]) -> list[Row]:
    never = {name: {"rule": name, "links": 0, "incidents": 0, "last": None} for name in given["rules"]}
    fired = {row["rule"]: row for row in rows}
    return sorted((never | fired).values(), key=lambda row: (row["incidents"], row["links"], row["rule"]))


def _blast_radius(rows: Sequence[Row], given: Mapping[str, Any]) -> list[Row]:
    rows = [{**row, "mean": round(row["total"] / row["incidents"], 2)} for row in rows]
    return sorted(rows, key=lambda row: int(row["period"]))


def _teams(rows: Sequence[Row], given: Mapping[str, Any]) -> list[Row]:
    rows = [{**row, "share": round((row["confirmed"] + row["believed"]) / row["changes"], 4)} for row in rows]
    return sorted(rows, key=lambda row: (-row["share"], -row["changes"], row["team"]))


QUESTIONS: Mapping[str, Question] = {
    "deployments": Question(
        says="What did this change break?",
        columns=(
            *("change", "name", "component", "kind", "team", "time"),
            *("incident", "title", "start", "state", "probability", "reached"),
        ),
        finish=_deployments,
        defaults=MappingProxyType({"change": ""}),
    ),
    "causes": Question(
        says="Which component causes most incidents?",
        columns=("component", "incidents", "confirmed", "kinds", "last"),
        finish=_causes,
    ),
    "rules": Question(
        says="Which rule never fires?",
        columns=("rule", "incidents", "links", "last"),
        finish=_rules,
        defaults=MappingProxyType({"rules": ()}),
    ),
    "blast_radius": Question(
        says="How far do incidents reach, over time?",
        columns=("period", "incidents", "mean", "largest"),
        finish=_blast_radius,
        defaults=MappingProxyType({"width": WEEK, "offset": MONDAY}),
    ),
    "teams": Question(
        says="Whose changes break something?",
        columns=("team", "changes", "confirmed", "believed", "share"),
        finish=_teams,
    ),
}
