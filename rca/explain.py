"""The report: causes with their evidence and chains, impact, blast radius, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rca.causality import CausalityGraph
from rca.chains import find_chain, find_critical, reach
from rca.confidence import judge
from rca.extract.context import Context
from rca.extract.failing import competitors
from rca.kinds import load_kinds
from rca.missing import find_missing
from rca.quantities import clock, percent
from rca.ranking import Ranking
from rca.stages import Stages
from rca.suspects import Suspicion
from rca.topology import Topology
from rca.types import Event, Report, RootCause, Suspect

MOST_REASONS = 8
# Share of the strongest reason below which another is no reason.
LEAST_SHARE = 0.03
# What says nothing where it does not count: who was first, who was paged.
SILENT_GROUPS = ("order", "symptom")
# Blame that evidence would have by itself, and its severity, from which it is worth showing though it does not count.
LEAST_NOTABLE, LEAST_SEVERE = 0.1, 0.01
# Operational causes less believed than this are not mentioned, and no more than these.
LEAST_BELIEF, MOST_OPERATIONAL = 0.3, 4
# A share of explained evidence that is worth a word.
WORTH_SAYING = 0.1
CHANGES = {
    "change.deployment": "deployment",
    "change.config": "configuration change",
    "change.flag": "feature flag",
    "change.commit": "commit",
    "change.schema": "schema change",
    "change.scaling": "scaling",
}


def write_report(
    context: Context,
    graph: CausalityGraph,
    ranking: Ranking,
    suspicion: Suspicion,
    stages: Stages,
) -> Report:
    """Everything the reader sees, from what the stages found."""
    reached = reach(graph, ranking.first, context) if len(ranking.order) else ()
    judgement = judge(ranking, context, hurts=len(reached) > 1)
    able = competitors(context)
    count = min(context.settings.top_k, len(ranking.order))
    culprit = suspicion.culprit if judgement.verdict == "cause" else "none"
    believed = next((suspect for suspect in suspicion.suspects if suspect.change.id == culprit), None)
    causes = tuple(
        _cause(graph, context.topology, ranking, place, judgement.confidence[place], believed if place == 0 else None)
        for place in range(count)
    )
    found = judgement.verdict != "healthy" and bool(causes)
    blast = reached if found else ()
    if context.health.small:
        stages.warn("no health profile was given: the incident's own baseline made a small one")
    for rule in graph.trimmed:
        stages.warn(f"rule {rule!r} joins too many events; only its most severe causes were kept")
    return Report(
        incident=context.case.incident,
        verdict=judgement.verdict,
        root_causes=causes,
        ranking=ranking.names,
        scores=tuple(float(score) for score in ranking.scores),
        critical=find_critical(graph, ranking, causes[0])[:MOST_REASONS] if found else (),
        impact=tuple(name for name in blast if name != ranking.first),
        blast_radius=blast,
        suspects=suspicion.suspects,
        culprit=culprit,
        onset=_onset(ranking, causes),
        missing=find_missing(context, ranking, judgement),
        warnings=tuple(stages.warnings),
        graph=graph,
        operational=_operational(suspicion, causes) if found else (),
        timings=dict(stages.timings),
        first_failing=next((name for name in ranking.names if name in able), ""),
        degraded=tuple(stages.degraded),
        untrained={} if ranking.belief is None else ranking.belief.untrained,
    )


def _onset(ranking: Ranking, causes: tuple[RootCause, ...]) -> int | None:
    """When it began: with the first reason that counts, and not before the change that is believed to have done it."""
    if not causes:
        return None
    began = min((event.start for event in causes[0].because), default=ranking.onset)
    change = causes[0].change
    return began if change is None else max(began, change.change.time)


def _operational(suspicion: Suspicion, causes: tuple[RootCause, ...]) -> tuple[Event, ...]:
    """Operational causes worth a word, most believed first; not what the first cause's own evidence says already."""
    said = {(event.component, event.kind) for event in (*causes[0].because, *causes[0].beside)}
    worth = [event for event in suspicion.operational if event.severity >= LEAST_BELIEF]
    return tuple(event for event in worth if (event.component, event.kind) not in said)[:MOST_OPERATIONAL]


def _cause(
    graph: CausalityGraph,
    topology: Topology,
    ranking: Ranking,
    place: int,
    confidence: float,
    change: Suspect | None,
) -> RootCause:
    code = int(ranking.order[place])
    name = ranking.blame.components[code]
    because, beside = _reasons(graph, ranking, code)
    # A change elsewhere that is not known to reach this component did not begin what happened here.
    came = change if change is not None and _reaches(graph, change, name, topology) else None
    began = _beginning(graph.events, because, came)
    return RootCause(
        component=name,
        event=began,
        score=float(ranking.scores[place]),
        confidence=confidence,
        sentence=_sentence(name, because, came),
        because=because,
        chain=find_chain(graph, ranking, code, began, because),
        beside=beside,
        change=change,
        against="" if place == 0 else _against(ranking, place),
        learned=() if ranking.belief is None else ranking.belief.parts.get(name, ()),
    )


def _reasons(graph: CausalityGraph, ranking: Ranking, code: int) -> tuple[tuple[Event, ...], tuple[Event, ...]]:
    """What counts against a component, strongest first, and what was seen beside: silenced, explained, excusing.

    Order in time that does not count says nothing by itself.
    """
    rows, shares = ranking.blame.because(code), ranking.blame.shares(code)
    least = LEAST_SHARE * max(float(shares.max(initial=0.0)), 1e-12)
    because = tuple(graph.events[i] for i, share in zip(rows, shares, strict=True) if share > least)
    rest = [graph.events[i] for i, share in zip(rows, shares, strict=True) if share <= least]
    beside = sorted((event for event in rest if _is_notable(event)), key=lambda event: (-_weight(event), event.id))
    return because[:MOST_REASONS], tuple(beside[:MOST_REASONS])


def _is_notable(event: Event) -> bool:
    evidence = event.evidence
    if evidence is None or evidence.group in SILENT_GROUPS:
        return False
    return _weight(event) >= LEAST_NOTABLE and event.severity >= LEAST_SEVERE


def _weight(event: Event) -> float:
    return 0.0 if event.evidence is None else abs(event.evidence.blame)


def _reaches(graph: CausalityGraph, change: Suspect, component: str, topology: Topology) -> bool:
    """Whether a change is one of the component or its service, or a rule leads from it to an event there."""
    where = change.change.component
    if not where or topology.service(where) == topology.service(component):
        return True
    events = [e for e in graph.events if e.attributes.get("change") == change.change.id]
    return any(link.effect.component == component for event in events for link in graph.effects_of(event))


def _beginning(events: Sequence[Event], because: tuple[Event, ...], change: Suspect | None) -> Event | None:
    """The event that began it: the culprit change, else the strongest that may be a root by itself."""
    if change is not None:
        of_change = next((e for e in events if e.attributes.get("change") == change.change.id), None)
        if of_change is not None:
            return of_change
    kinds = load_kinds()
    able = [e for e in because if kinds[e.kind].role in ("activity", "failure")]
    return able[0] if able else because[0] if because else None


def _sentence(name: str, because: tuple[Event, ...], change: Suspect | None) -> str:
    if not because:
        return f"nothing speaks against {name}"
    what = load_kinds()[because[0].kind].text.rstrip(".")
    what = f"{what[0].lower()}{what[1:]}"
    if change is None:
        return f"{name}: {what}"
    kind = CHANGES.get(change.change.kind, "change")
    on = "" if change.change.component in ("", name) else f" of {change.change.component}"
    return f"{name}: {what}, since the {kind} “{change.change.name}”{on} at {clock(change.change.time)}"


def _against(ranking: Ranking, place: int) -> str:
    """Why a candidate is not the first."""
    if ranking.belief is not None:
        believed = percent(float(ranking.belief.probability[place]))
        return f"learned weights believe it by {believed}, {ranking.first} by {percent(float(ranking.scores[0]))}"
    blame, code, first = ranking.blame, int(ranking.order[place]), ranking.first
    share = ranking.strength[place] / ranking.strength[0]
    reason = f"{percent(float(share))} as much evidence as against {first}"
    mine = np.flatnonzero((blame.owner == code) & (blame.explainer >= 0))
    lost = 1.0 - blame.total[code] / max(float(blame.raw[code]), 1e-12)
    if len(mine) and lost >= WORTH_SAYING:
        by = blame.components[int(blame.explainer[mine[0]])]
        reason += f"; {by} explains {percent(float(lost))} of what it shows"
    weak = not blame.strong[code] > 0
    return reason + ("; only ordinary degradations" if weak else "")
