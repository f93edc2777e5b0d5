"""Dynamic rules: components that callers complain about and that send no telemetry of their own.

Groot (Wang et al., ASE 2021) adds such an entity, a database or a provider, and an event on it,
when an alert names a target that the dependency graph does not hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rca.causality.conditions import Facts
from rca.rules import Creation, Rule
from rca.topology import Topology
from rca.types import Event, Evidence

Longs = npt.NDArray[np.int64]
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
LONGEST_NAME = 253  # of a DNS name; longer values are no names of components


@dataclass(slots=True)
class Created:
    """What dynamic rules found.

    ``events`` are new; ``kinds`` of the components they are on; ``edges`` are dependencies
    (caller, callee); ``links`` holds per name of a rule the ids of causes and of effects.
    """

    events: list[Event] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    links: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


def create_causes(
    facts: Facts, by_kind: dict[str, Longs], topology: Topology, rules: Iterable[Rule], slack: int
) -> Created:
    """Apply the dynamic rules: join each complaint to the events on what it names, or to a new one."""
    created = Created()
    for rule in rules:
        if rule.creates is None:
            continue
        for target, complaints in _complaints(rule, rule.creates, facts, by_kind, topology).items():
            kind = rule.cause[0]
            causes = [facts.events[i] for i in by_kind.get(kind, ()) if facts.events[i].component == target]
            causes += [event for event in created.events if (event.component, event.kind) == (target, kind)]
            if not causes:
                causes = [_event(kind, target, complaints, rule)]
                created.events += causes
                created.kinds.setdefault(target, rule.creates.kind)
            pairs = [
                (cause.id, complaint.id)
                for cause in causes
                for complaint in complaints
                if -slack <= complaint.start - cause.start <= rule.max_lag and cause.id != complaint.id
            ]
            created.links.setdefault(rule.name, []).extend(pairs)
            created.edges += [(complaint.component, target) for complaint in complaints]
    return created


def _complaints(
    rule: Rule, creates: Creation, facts: Facts, by_kind: dict[str, Longs], topology: Topology
) -> dict[str, list[Event]]:
    """Effects of the rule by the component they name, where that is unknown or of the kind to be created."""
    named = _PLACEHOLDER.findall(creates.name)
    columns = [facts.column(name) for name in named]
    found: dict[str, list[Event]] = {}
    for kind in rule.effect:
        chosen = by_kind.get(kind, np.zeros(0, np.int64))
        for codes, _ in columns:
            chosen = chosen[codes[chosen] >= 0]
        for position in facts.effects(rule.when, chosen).tolist():
            event = facts.events[position]
            values = {name: known[codes[position]] for name, (codes, known) in zip(named, columns, strict=True)}
            # No str.format: templates and values come from strangers.
            target = "".join(
                values[part] if place % 2 else part for place, part in enumerate(_PLACEHOLDER.split(creates.name))
            )
            unknown = target not in topology.index or topology.kinds.get(target) == creates.kind
            named_well = target != event.component and len(target) <= LONGEST_NAME
            if unknown and named_well and event.severity > 0:
                found.setdefault(target, []).append(event)
    return {target: _ordered(found[target]) for target in sorted(found)}


def _ordered(events: Sequence[Event]) -> list[Event]:
    return sorted(events, key=lambda event: (event.start, event.id))


def _event(kind: str, target: str, complaints: list[Event], rule: Rule) -> Event:
    """The inferred event: weak evidence, stronger the more components complain, and the harder."""
    strongest: dict[str, float] = {}
    for complaint in complaints:
        strongest[complaint.component] = max(strongest.get(complaint.component, 0.0), complaint.severity)
    belief = 1.0 - float(np.prod([1.0 - severity for severity in strongest.values()]))
    callers = sorted(strongest)
    who = ", ".join(callers[:3]) + (f" and {len(callers) - 3} more" if len(callers) > 3 else "")
    count = len(complaints)
    told = f"{count} event{'' if count == 1 else 's'} of {who} point at {target}"
    return Event(
        id=f"{kind}:{target}:inferred",
        component=target,
        kind=kind,
        name="inferred",
        start=min(complaint.start for complaint in complaints),
        end=max(complaint.end for complaint in complaints),
        severity=belief,
        evidence=Evidence(
            sentence=f"{told}, which sends no telemetry of its own",
            group="external",
            blame=rule.weight * belief,
            weak=True,
        ),
        attributes={"rule": rule.name},
    )
