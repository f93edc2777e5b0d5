"""The report: causes with their evidence and chains, impact, blast radius, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rca.causality import CausalityGraph
from rca.chains import find_chain, reach
from rca.confidence import judge
from rca.extract.context import Context
from rca.extract.failing import competitors
from rca.kinds import load_kinds
from rca.missing import find_missing
from rca.ranking import Ranking
from rca.stages import Stages
from rca.types import Event, Report, RootCause, Suspect

MOST_REASONS = 8


def write_report(
    context: Context,
    graph: CausalityGraph,
    ranking: Ranking,
    suspects: tuple[Suspect, ...],
    culprit: str,
    stages: Stages,
) -> Report:
    """Everything the reader sees, from what the stages found."""
    judgement = judge(ranking, context)
    able = competitors(context)
    count = min(context.settings.top_k, len(ranking.order))
    causes = tuple(
        _cause(context, graph, ranking, place, judgement.confidence[place], suspects, culprit) for place in range(count)
    )
    blast = reach(graph, ranking.first, context) if ranking.first else ()
    impact = tuple(name for name in blast if name != ranking.first)
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
        critical=tuple(event for event, on in zip(graph.events, ranking.symptoms, strict=True) if on)[:MOST_REASONS],
        impact=impact,
        blast_radius=blast,
        suspects=suspects,
        culprit=culprit if judgement.verdict == "cause" else "none",
        onset=ranking.onset if len(ranking.order) else None,
        missing=find_missing(context, ranking, judgement),
        warnings=tuple(stages.warnings),
        graph=graph,
        timings=dict(stages.timings),
        first_failing=next((name for name in ranking.names if name in able), ""),
    )


def _cause(
    context: Context,
    graph: CausalityGraph,
    ranking: Ranking,
    place: int,
    confidence: float,
    suspects: tuple[Suspect, ...],
    culprit: str,
) -> RootCause:
    code = int(ranking.order[place])
    name = ranking.blame.components[code]
    rows = ranking.blame.because(code)
    because = tuple(graph.events[i] for i in rows[:MOST_REASONS])
    change = next((s for s in suspects if s.change.id == culprit), None) if place == 0 else None
    began = _beginning(graph.events, because, change)
    return RootCause(
        component=name,
        event=began,
        score=float(ranking.scores[place]),
        confidence=confidence,
        sentence=_sentence(name, because, change),
        because=because,
        chain=find_chain(graph, ranking, code, began, context),
        change=change,
        against="" if place == 0 else _against(ranking, place),
    )


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
    cause = f"{name}: {what[0].lower()}{what[1:]}"
    return f"{cause}, after {change.change.name}" if change is not None else cause


def _against(ranking: Ranking, place: int) -> str:
    """Why a candidate is not the first."""
    blame, code, first = ranking.blame, int(ranking.order[place]), ranking.first
    mine = blame.owner == code
    explained = mine & (blame.explainer >= 0)
    share = ranking.strength[place] / ranking.strength[0]
    reason = f"its evidence is {share:.0%} of that on {first}"
    if explained.any():
        largest = np.flatnonzero(explained)[0]
        by = blame.components[int(blame.explainer[largest])]
        lost = 1.0 - blame.total[code] / max(float(blame.raw[code]), 1e-12)
        reason += f"; {by} explains {max(lost, 0.0):.0%} of what it shows"
    weak = not blame.strong[code] > 0
    return reason + ("; it only shows ordinary degradations" if weak else "")
