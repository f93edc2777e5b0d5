"""What to do first, and whom to call: from the catalogue of kinds and from the topology's attributes."""

from __future__ import annotations

from dataclasses import dataclass

from rca.kinds import load_kinds
from rca.types import Case, Report, RootCause

# Attributes by which teams name themselves and their runbooks, in the order in which they are believed.
_OWNERS = ("owner", "team", "service.owner", "on_call")
_RUNBOOKS = ("runbook", "runbook_url")
_MOST_STEPS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Who answers for a component, and where its runbook is; empty where nobody said."""

    component: str
    owner: str = ""
    runbook: str = ""


def contact_of(component: str, case: Case | None) -> Contact:
    """Owner and runbook of a component, else of the service that it is a replica of, else of its alerts."""
    facts: dict[str, str] = {}
    if case is not None:
        for alert in case.telemetry.alerts:
            if alert.component == component:
                facts.update(alert.labels)
        if case.topology is not None:
            service = case.topology.service(component)
            facts.update(case.topology.attributes.get(service, {}))
            facts.update(case.topology.attributes.get(component, {}))
    return Contact(component=component, owner=_first(facts, _OWNERS), runbook=_first(facts, _RUNBOOKS))


def first_steps(report: Report, case: Case | None = None) -> tuple[str, ...]:
    """What to do now, most useful first: at most four sentences."""
    if report.verdict == "healthy":
        return ("Check that the alert's own window and component are covered by the telemetry.",)
    steps: list[str] = []
    for cause in report.root_causes[: 1 if report.verdict == "cause" else 2]:
        steps += _steps_for(cause, report)
        contact = contact_of(cause.component, case)
        if contact.owner:
            steps.append(f"Call {contact.owner}, who own {cause.component}.")
    if report.verdict == "inconclusive":
        steps += [f"Get what is missing: {missing}" for missing in report.missing[:1]]
    return tuple(dict.fromkeys(steps))[:_MOST_STEPS]


def _steps_for(cause: RootCause, report: Report) -> list[str]:
    steps = []
    if cause.change is not None and cause.change.change.id == report.culprit:
        steps.append(f"Roll back {cause.change.change.name} on {cause.change.change.component}.")
    kinds = load_kinds()
    events = ([] if cause.event is None else [cause.event]) + list(cause.because[:1])
    for event in events:
        kind = kinds.get(event.kind)
        if kind is not None and kind.action:
            steps.append(f"{event.component}: {kind.action}")
    return steps


def _first(facts: dict[str, str], names: tuple[str, ...]) -> str:
    return next((facts[name] for name in names if facts.get(name)), "")
