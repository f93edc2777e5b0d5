"""The questions to the history, answered from rows in memory; the Cypher and SQL forms say the same."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rca.knowledge.records import Settled, settle
from rca.knowledge.rows import Row

Tables = Mapping[str, Mapping[tuple[Any, ...], Row]]
Parameters = Mapping[str, Any]


def _incidents(tables: Tables, given: Parameters) -> Iterator[tuple[Row, Settled]]:
    feedback = defaultdict(list)
    for row in tables["feedback"].values():
        feedback[row["incident"]].append(row)
    for row in tables["incidents"].values():
        if given["since"] <= row["start"] < given["until"]:
            yield row, settle(row, feedback[row["id"]])


def _reached(tables: Tables) -> Counter[str]:
    return Counter(row["incident"] for row in tables["touched"].values() if row["role"] == "blast")


def _causes(tables: Tables, given: Parameters) -> list[Row]:
    found: dict[str, list[tuple[Row, Settled]]] = defaultdict(list)
    for row, cause in _incidents(tables, given):
        if cause.state in ("confirmed", "believed") and cause.component:
            found[cause.component].append((row, cause))
    return [
        {
            "component": component,
            "incidents": len(pairs),
            "confirmed": sum(cause.state == "confirmed" for _, cause in pairs),
            "kinds": list({cause.kind for _, cause in pairs}),
            "last": max(row["start"] for row, _ in pairs),
        }
        for component, pairs in found.items()
    ]


def _deployments(tables: Tables, given: Parameters) -> list[Row]:
    settled = {row["id"]: (row, cause) for row, cause in _incidents(tables, given)}
    reached = _reached(tables)
    answer = []
    for suspect in tables["suspects"].values():
        change = tables["changes"].get((suspect["change"],))
        if change is None or suspect["incident"] not in settled:
            continue
        if given["change"] not in ("", change["id"], change["name"]):
            continue
        incident, cause = settled[suspect["incident"]]
        answer.append(
            {
                "change": change["id"],
                **{column: change[column] for column in ("name", "component", "kind", "team", "time")},
                "incident": incident["id"],
                "title": incident["title"],
                "start": incident["start"],
                "probability": suspect["probability"],
                "state": _role(cause, change["id"]),
                "reached": reached[incident["id"]],
            }
        )
    return answer


def _role(cause: Settled, change: str) -> str:
    """What a change is to an incident: confirmed, believed, cleared by another cause, or suspected."""
    if cause.change == change and cause.state in ("confirmed", "believed"):
        return cause.state
    return "cleared" if cause.state in ("confirmed", "wrong") else "suspected"


def _rules(tables: Tables, given: Parameters) -> list[Row]:
    starts = {row["id"]: row["start"] for row, _ in _incidents(tables, given)}
    fired: dict[str, list[str]] = defaultdict(list)
    for link in tables["links"].values():
        if link["incident"] in starts:
            for rule in (link["rule"], *link["also"]):
                fired[rule].append(link["incident"])
    return [
        {
            "rule": rule,
            "links": len(incidents),
            "incidents": len(set(incidents)),
            "last": max(starts[incident] for incident in incidents),
        }
        for rule, incidents in fired.items()
    ]


def _blast_radius(tables: Tables, given: Parameters) -> list[Row]:
    reached = _reached(tables)
    sizes: dict[int, list[int]] = defaultdict(list)
    for row, _ in _incidents(tables, given):
        period = (row["start"] - given["offset"]) // given["width"]
        sizes[period * given["width"] + given["offset"]].append(reached[row["id"]])
    return [
        {"period": period, "incidents": len(each), "total": sum(each), "largest": max(each)}
        for period, each in sizes.items()
    ]


def _teams(tables: Tables, given: Parameters) -> list[Row]:
    always = {"since": -(1 << 63), "until": (1 << 63) - 1}
    settled = {row["id"]: cause for row, cause in _incidents(tables, always)}
    states: dict[str, set[str]] = defaultdict(set)
    for suspect in tables["suspects"].values():
        if suspect["incident"] in settled:
            states[suspect["change"]].add(_role(settled[suspect["incident"]], suspect["change"]))
    teams: dict[str, Counter[str]] = defaultdict(Counter)
    for change in tables["changes"].values():
        if given["since"] <= change["time"] < given["until"]:
            known = states[change["id"]]
            worst = next((state for state in ("confirmed", "believed") if state in known), "harmless")
            teams[change["team"]].update(("changes", worst))
    return [
        {"team": team, "changes": n["changes"], "confirmed": n["confirmed"], "believed": n["believed"]}
        for team, n in teams.items()
    ]


ANSWERS: Mapping[str, Callable[[Tables, Parameters], list[Row]]] = {
    "causes": _causes,
    "deployments": _deployments,
    "rules": _rules,
    "blast_radius": _blast_radius,
    "teams": _teams,
}
