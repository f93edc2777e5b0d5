"""Confirmed incidents out of cases with answers: each is analysed without learning, and described."""

from __future__ import annotations

from rca.detectors.protocol import Detector
from rca.learning.description import Description, describe
from rca.settings import Settings
from rca.stages import Stages
from rca.types import Case


def observe(case: Case, settings: Settings | None = None, *, detector: Detector | None = None) -> Description:
    """What the untrained analysis sees of a case.

    Raises:
        InputError: the case contradicts itself.
    """
    from rca.pipeline import trace_causes

    context, graph, ranking = trace_causes(case, settings or Settings(), Stages(), detector=detector)
    return describe(graph, ranking, context.topology, context.members, incident=case.incident.id)
