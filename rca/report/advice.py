"""What to do first, and whom to call: from the catalogue of kinds and from the topology's attributes."""

from __future__ import annotations

from dataclasses import dataclass

from rca.confidence import UNCONFIRMED
from rca.kinds import load_kinds
from rca.types import Case, Change, Event, Report, RootCause

# Attributes by which teams name themselves and their runbooks, in the order in which they are believed.
_OWNERS = ("owner", "team", "service.owner", "on_call")
_RUNBOOKS = ("runbook", "runbook_url")
_MOST_STEPS = 4
# Operational causes and changes that are believed this much are worth a step of their own.
_BELIEVED, _SUSPICIOUS = 0.7, 0.3


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
    if report.verdict == "inconclusive" and any(each.startswith(UNCONFIRMED) for each in report.missing):
        return ("Look at the alert itself first: the metric that it names is at its healthy level.",)
    for cause in report.root_causes[: 1 if report.verdict == "cause" else 2]:
        steps += _steps_for(cause, report)
        contact = contact_of(cause.component, case)
        if contact.owner:
            steps.append(f"Call {contact.owner} ({cause.component}).")
    if report.verdict == "inconclusive":
        steps += [f"Get what is missing: {missing}." for missing in report.missing[:1]]
    return tuple(dict.fromkeys(steps))[:_MOST_STEPS]


def _steps_for(cause: RootCause, report: Report) -> list[str]:
    steps = []
    believed = cause.change is not None and cause.change.change.id == report.culprit
    if cause.change is not None and believed:
        steps.append(undo(cause.change.change))
    elif cause is report.root_causes[0]:
        steps += [_action(event) for event in report.operational[:1] if event.severity >= _BELIEVED]
        suspects = [suspect for suspect in report.suspects[:1] if suspect.probability >= _SUSPICIOUS]
        steps += [
            f"Look at the most suspicious change, “{each.change.name}” on {each.change.component}." for each in suspects
        ]
    # What the change did is cured by undoing it: the next step is to look whether it was.
    events = list(cause.because[:1]) if believed or cause.event is None else [cause.event, *cause.because[:1]]
    return steps + [step for event in events if (step := _action(event))]


def _action(event: Event) -> str:
    kind = load_kinds().get(event.kind)
    return f"{event.component}: {kind.action}" if kind is not None and kind.action else ""


def undo(change: Change) -> str:
    """How a change is taken back, in one sentence."""
    facts, where = change.attributes, f" of {change.component}" if change.component else ""
    if change.kind == "change.config" and facts.get("key") and facts.get("old"):
        new = f" (now {facts['new']})" if facts.get("new") else ""
        return f"Set {facts['key']}{where} back to {facts['old']}{new}."
    if change.kind == "change.flag":
        return f"Switch the flag {facts.get('flag') or change.name}{where} back."
    if change.kind == "change.deployment" and facts.get("previous"):
        version = f" (now {facts['version']})" if facts.get("version") else ""
        return f"Roll {change.component} back to {facts['previous']}{version}."
    verb = "Revert" if change.kind == "change.commit" else "Roll back"
    return f"{verb} {change.name}{f' on {change.component}' if change.component else ''}."


def _first(facts: dict[str, str], names: tuple[str, ...]) -> str:
    return next((facts[name] for name in names if facts.get(name)), "")
