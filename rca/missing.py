"""What an analysis lacked: telemetry, topology or health that would have made the answer surer."""

from __future__ import annotations

from rca.confidence import Judgement
from rca.extract.context import Context
from rca.ranking import Ranking

# Confidence from which nobody needs to hear of changes that nobody sent.
SURE = 0.8


def find_missing(context: Context, ranking: Ranking, judgement: Judgement) -> tuple[str, ...]:
    """Sentences, most important first: why the answer is not surer, and what would make it so."""
    telemetry, health, incident = context.case.telemetry, context.health, context.case.incident
    missing = list(judgement.reasons)
    names = set(context.components)
    for symptom in incident.symptoms:
        if symptom.component not in names:
            missing.append(f"the symptom's component {symptom.component} is in no telemetry and no topology")
        elif symptom.component not in ranking.seen:
            missing.append(f"the symptom on {symptom.component} raised no event of its own")
    if not incident.symptoms and not telemetry.alerts:
        missing.append("nobody named a symptom: say which component's users feel it")
    if not len(context.topology.caller):
        missing.append("no topology: give dependencies or spans, so that callers can be excused")
    if not telemetry.metrics.values.size:
        missing.append("no metrics in the window")
    if not len(telemetry.spans):
        missing.append("no spans in the window: request patterns and the network cannot be judged")
    elif not len(telemetry.logs):
        missing.append("no log lines in the window: code faults often show in logs only")
    if telemetry.metrics.values.size and health.metrics is None and health.events is None:
        missing.append("no healthy metrics to compare with: give a baseline or a health profile")
    if len(telemetry.spans) and health.requests is None:
        missing.append("no healthy requests to compare with: give a health profile built from spans")
    sure = judgement.verdict == "cause" and max(judgement.confidence, default=0.0) >= SURE
    if not telemetry.changes and not missing and not sure:
        missing.append("no changes were sent: a deployment or configuration could not be suspected")
    return tuple(missing)
