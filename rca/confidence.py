"""Confidence: how far the evidence separates the first candidate, and whether there is any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rca.extract.context import Context
from rca.extract.own_metrics import sees_calls
from rca.ranking import Ranking
from rca.symptoms import check_symptoms
from rca.types import Event, Verdict

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
# Where nobody named a symptom, quantities that deviate must be half of one full piece of evidence: of 40 windows
# without a fault 24 were answered with a cause at NAMED, 10 at this; of 40 with a fault 39 at both.
UNASKED = 0.5
# Groups of evidence that say that a quantity deviates; the others, that something happens that never does in health.
QUANTITIES = ("saturation", "demand", "amount", "error spans", "order")
# First words of kinds of event that hurt nobody by themselves.
USES = ("saturation", "usage", "traffic", "gc", "metric", "metrics")


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Confidence of each ranked component, in order, and the verdict on the first."""

    confidence: tuple[float, ...]
    verdict: Verdict
    reasons: tuple[str, ...]


def judge(ranking: Ranking, context: Context, *, hurts: bool = True) -> Judgement:
    """Share of belief among the candidates, and "inconclusive" where the evidence does not separate.

    ``hurts``: whether what happened to the first candidate reached another component on the way to the users.
    """
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
    doubts = [*_doubt_symptoms(context), *_doubt_reasons(ranking, context, confidence[0], hurts=hurts)]
    if strength[0] < NAMED:
        doubts.append(f"the evidence against {ranking.first} is faint")
    if rival and strength[rival] > SEPARATED * strength[0]:
        doubts.append(f"the evidence does not separate {ranking.first} from {ranking.names[rival]}")
    return Judgement(confidence=confidence, verdict="inconclusive" if doubts else "cause", reasons=tuple(doubts))


def _doubt_symptoms(context: Context) -> list[str]:
    """What is to be said where none of the symptoms deviates from health."""
    checks = check_symptoms(context)
    if not checks or any(check.confirmed for check in checks):
        return []
    clearest = max(checks, key=lambda check: check.deviation or 0.0)
    return [
        f"{UNCONFIRMED}: {clearest.symptom.metric} of {clearest.symptom.component} is "
        f"{clearest.deviation:.1f} standard deviations from its healthy level"
    ]


def _doubt_reasons(ranking: Ranking, context: Context, confidence: float, *, hurts: bool) -> list[str]:
    """What is to be said where the reasons against the first candidate are of too poor a kind."""
    because = [ranking.events[i] for i in ranking.blame.because(int(ranking.order[0]))]
    if ranking.belief is not None and not because:
        return [f"nothing was seen on {ranking.first} itself: it is believed for what surrounds it"]
    if all(event.evidence is None or event.evidence.group == "symptom" for event in because):
        return [f"nothing speaks against {ranking.first} but that it is where the symptom was noticed"]
    if context.case.incident.symptoms or context.case.telemetry.alerts:
        return []
    doubt = _doubt_unasked(ranking, context, because, confidence, hurts=hurts)
    return [f"nobody named a symptom and {doubt}: in healthy hours as well something deviates"] if doubt else []


def _doubt_unasked(
    ranking: Ranking, context: Context, because: Sequence[Event], confidence: float, *, hurts: bool
) -> str:
    """Why what deviates may be no incident; empty where nothing speaks for that."""
    if not sees_calls(context, ranking.events):
        known = confidence >= ALONE or len(context.case.telemetry.logs)
        return "" if known else "nothing shows who calls whom"
    if not hurts and all(event.kind.partition(".")[0] in USES for event in because):
        return f"no request suffers from what {ranking.first} uses"
    quantities = all(event.evidence is None or event.evidence.group in QUANTITIES for event in because)
    if quantities and ranking.strength[0] < UNASKED:
        return f"what deviates on {ranking.first} is slight evidence"
    return ""


def _has_telemetry(context: Context) -> bool:
    telemetry = context.case.telemetry
    return bool(np.isfinite(telemetry.metrics.values).any() or len(telemetry.logs) or len(telemetry.spans))
