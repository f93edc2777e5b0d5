"""The engine in one function: telemetry, events, causality graph, ranking, report."""

from __future__ import annotations

from rca.causality import link_events
from rca.explain import write_report
from rca.extract.all import extract_events
from rca.extract.context import Context, prepare
from rca.ranking import rank_causes
from rca.rules import Rule, load_rules
from rca.settings import Settings
from rca.stages import Stages
from rca.suspects import rank_suspects
from rca.types import Case, Report


def analyze(case: Case, settings: Settings | None = None, *, rules: tuple[Rule, ...] | None = None) -> Report:
    """Explain one incident: ranked root causes, each with its evidence and the chain to the symptom.

    Args:
        case: all that may be seen of the incident; without a health profile the incident's own
            baseline makes a small one, and the report says so.
        settings: the default serves every system.
        rules: causality rules (default: the bundled ones).

    Raises:
        InputError: the case contradicts itself.
    """
    settings = settings or Settings()
    stages = Stages()
    with stages("prepare"):
        context: Context = prepare(case, settings)
    with stages("events"):
        events = extract_events(context, stages)
    with stages("graph"):
        graph = link_events(events, context.topology, load_rules() if rules is None else rules)
    with stages("ranking"):
        ranking = rank_causes(graph, context)
    with stages("suspects"):
        suspicion = rank_suspects(context, ranking.first, ranking.onset)
    with stages("report"):
        return write_report(context, graph, ranking, suspicion, stages)
