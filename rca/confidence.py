"""Confidence: how far the evidence separates the first candidate, and whether there is any."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rca.extract.context import Context
from rca.extract.own_metrics import sees_calls
from rca.ranking import Ranking
from rca.symptoms import check_symptoms
from rca.types import Verdict

# Belief goes with a power of the evidence: two candidates at 2 : 1 are believed 8 : 1.
SHARPNESS = 3.0
# One half of full confidence at three tenths of one full piece of evidence.
HALF = 0.3
# Below this strength nothing abnormal was found; below the second the first candidate is not named.
NOTHING, NAMED = 0.05, 0.25
# How the doubt begins that concerns the alert itself.
UNCONFIRMED = "the alert is not confirmed"
# Two candidates closer than this are not separated.
SEPARATED = 0.9
# Below it components' own metrics alone name no cause: none of 30 windows without a fault reached it.
ALONE = 0.5


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Confidence of each ranked component, in order, and the verdict on the first."""

    confidence: tuple[float, ...]
    verdict: Verdict
    reasons: tuple[str, ...]


def judge(ranking: Ranking, context: Context) -> Judgement:
    """Share of belief among the candidates, and "inconclusive" where the evidence does not separate."""
    strength = ranking.strength
    if not len(strength) or strength[0] < NOTHING:
        blind = not _has_telemetry(context)
        reasons = ("there is no telemetry: what nobody measured is not healthy",) if blind else ()
        nothing = tuple(0.0 for _ in strength)
        return Judgement(confidence=nothing, verdict="inconclusive" if blind else "healthy", reasons=reasons)
    # Replicas that fail alike do not compete: their service is meant.
    service = context.topology.service(ranking.first)
    sibling = np.array([context.topology.service(name) == service for name in ranking.names], bool)
    belief = strength**SHARPNESS
    share = belief / belief.sum()
    share[0] = share[sibling].sum()
    certainty = strength[0] / (strength[0] + HALF)
    learned = None if ranking.belief is None else ranking.belief.probability
    confidence = tuple(float(x) for x in np.clip(share * certainty if learned is None else learned, 0.0, 1.0))
    rival = 0 if sibling.all() else int(np.argmin(sibling))
    doubts = []
    checks = check_symptoms(context)
    if checks and not any(check.confirmed for check in checks):
        clearest = max(checks, key=lambda check: check.deviation or 0.0)
        doubts.append(
            f"{UNCONFIRMED}: {clearest.symptom.metric} of {clearest.symptom.component} is "
            f"{clearest.deviation:.1f} standard deviations from its healthy level"
        )
    if ranking.belief is not None and not len(ranking.blame.because(int(ranking.order[0]))):
        doubts.append(f"nothing was seen on {ranking.first} itself: it is believed for what surrounds it")
    elif _only_noticed(ranking):
        doubts.append(f"nothing speaks against {ranking.first} but that it is where the symptom was noticed")
    elif confidence[0] < ALONE and _only_metrics(context, ranking):
        doubts.append(
            "nobody named a symptom and nothing shows who calls whom: in healthy hours as well something deviates"
        )
    if strength[0] < NAMED:
        doubts.append(f"the evidence against {ranking.first} is faint")
    if rival and strength[rival] > SEPARATED * strength[0]:
        doubts.append(f"the evidence does not separate {ranking.first} from {ranking.names[rival]}")
    return Judgement(confidence=confidence, verdict="inconclusive" if doubts else "cause", reasons=tuple(doubts))


def _only_metrics(context: Context, ranking: Ranking) -> bool:
    """Whether there are but components' own metrics: no symptom, no alert, no log, and no call."""
    incident, telemetry = context.case.incident, context.case.telemetry
    if incident.symptoms or telemetry.alerts or len(telemetry.logs):
        return False
    return not sees_calls(context, ranking.events)


def _only_noticed(ranking: Ranking) -> bool:
    """Whether the first candidate is only where somebody noticed: that is no evidence of what began it."""
    because = [ranking.events[i] for i in ranking.blame.because(int(ranking.order[0]))]
    return all(event.evidence is None or event.evidence.group == "symptom" for event in because)


def _has_telemetry(context: Context) -> bool:
    telemetry = context.case.telemetry
    return bool(np.isfinite(telemetry.metrics.values).any() or len(telemetry.logs) or len(telemetry.spans))
