"""The engine in one function: telemetry, events, causality graph, ranking, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rca.causality import CausalityGraph, link_events
from rca.detectors.protocol import Detector
from rca.errors import ModelError
from rca.explain import write_report
from rca.extract.all import extract_events
from rca.extract.context import Context, prepare
from rca.ranking import Ranking, rank_causes
from rca.rules import Rule, load_rules
from rca.settings import Settings
from rca.stages import Stages
from rca.suspects import rank_suspects
from rca.types import Case, Report

if TYPE_CHECKING:
    from rca.learning.learned import LearnedModel
    from rca.similar import Precedents


def analyze(
    case: Case,
    settings: Settings | None = None,
    *,
    rules: tuple[Rule, ...] | None = None,
    detector: Detector | None = None,
    learned: LearnedModel | str | Path | None = None,
    precedents: Precedents | None = None,
) -> Report:
    """Explain one incident: ranked root causes, each with its evidence and the chain to the symptom.

    Args:
        case: all that may be seen of the incident; without a health profile the incident's own
            baseline makes a small one, and the report says so.
        settings: the default serves every system.
        rules: causality rules (default: the bundled ones).
        detector: trained on the system's history (default: the one that ``case.model`` refers to). Without one, for
            what it does not know, and where it is damaged, the robust one answers.
        learned: weights from confirmed causes, or where ``rca learn`` put them; they rank in the place
            of the untrained answer. Where they cannot be used, it stands, and the report says so.
        precedents: confirmed incidents. The report names the nearest, and without learned weights they decide
            between candidates that the evidence does not separate.

    Raises:
        InputError: the case contradicts itself.
    """
    stages = Stages()
    context, graph, ranking = trace_causes(case, settings or Settings(), stages, rules=rules, detector=detector)
    return conclude(context, graph, ranking, stages, learned=learned, precedents=precedents)


def conclude(
    context: Context,
    graph: CausalityGraph,
    ranking: Ranking,
    stages: Stages,
    *,
    learned: LearnedModel | str | Path | None = None,
    precedents: Precedents | None = None,
) -> Report:
    """The report on an incident whose causes were traced, with what was learnt; see ``analyze``."""
    untrained = ranking
    if learned is not None:
        from rca.learning.reranking import rerank

        with stages("learned"):
            ranking = rerank(ranking, graph, context, learned, stages)
    advice = None
    if precedents is not None:
        from rca.similar.advice import ask_precedents

        with stages("similar"):
            advice = ask_precedents(untrained, graph, context, precedents)
            ranking = advice.weigh(ranking, stages)
    with stages("suspects"):
        suspicion = rank_suspects(context, ranking.first, ranking.onset)
    with stages("report"):
        report = write_report(context, graph, ranking, suspicion, stages)
        return report if advice is None else advice.tell(report)


def trace_causes(
    case: Case,
    settings: Settings,
    stages: Stages,
    *,
    rules: tuple[Rule, ...] | None = None,
    detector: Detector | None = None,
) -> tuple[Context, CausalityGraph, Ranking]:
    """The analysis up to the untrained ranking: its context, the causality graph and the ranking.

    Raises:
        InputError: the case contradicts itself.
    """
    if detector is None and case.model:
        with stages("model"):
            detector = _trained_detector(case.model, stages)
    with stages("prepare"):
        context: Context = prepare(case, settings, detector)
    with stages("events"):
        events = extract_events(context, stages)
    with stages("graph"):
        graph = link_events(events, context.topology, load_rules() if rules is None else rules)
    with stages("ranking"):
        return context, graph, rank_causes(graph, context)


def _trained_detector(reference: str, stages: Stages) -> Detector | None:
    """The stored detector; None where it cannot be used, which the report says."""
    from rca.registry import load_model

    try:
        return load_model(reference).detector
    except ModelError as error:
        stages.degrade(f"the trained detector {reference!r} was not used, the robust one answered: {error}")
        return None
