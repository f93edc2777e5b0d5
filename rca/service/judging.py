"""An analysis with all that was learnt, and what it saw before that had its say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rca.errors import ModelError
from rca.learning.learned import LearnedModel
from rca.pipeline import conclude, trace_causes
from rca.service.logs import LOGGER
from rca.service.recalling import learned_weights, precedents_for
from rca.settings import Settings
from rca.similar.observation import look, pack
from rca.similar.precedents import Precedents
from rca.stages import Stages
from rca.types import Case, Report


def report_with_experience(case: Case, settings: Settings, known: Mapping[str, Any]) -> tuple[Report, bytes]:
    """The report on a case, and the packed observation that others learn from.

    Args:
        known: what ``Experience.recall`` gave, and the id of the ``incident``; nothing where nothing is known.
    """
    incident = str(known.get("incident") or case.incident.id)
    if incident != case.incident.id:  # its sender's name for it is none that the service can use
        case = replace(case, incident=replace(case.incident, id=incident))
    stages = Stages()
    context, graph, ranking = trace_causes(case, settings, stages)
    precedents = _precedents(incident, known, stages)
    learned = _learned(known, stages)
    report = conclude(context, graph, ranking, stages, learned=learned, precedents=precedents)
    named = report.root_causes[0].component if report.root_causes else ""
    return report, pack(look(context, graph, ranking, named=named, culprit=report.culprit))


def _learned(known: Mapping[str, Any], stages: Stages) -> LearnedModel | None:
    try:
        return learned_weights(known)
    except ModelError as bad:
        version = known.get("version", "")
        stages.degrade(
            f"learned version {version} is missing or damaged, the untrained answer stands; "
            "go back (rca learn rollback) or learn anew (rca learn)"
        )
        LOGGER.error("learned weights cannot be used", extra={"version": version, "problem": str(bad)})
        return None


def _precedents(incident: str, known: Mapping[str, Any], stages: Stages) -> Precedents | None:
    try:
        precedents, lost = precedents_for(incident, known)
    except ModelError as bad:
        stages.degrade("similar incidents were not compared: what is known of them is damaged")
        LOGGER.error("similar incidents cannot be compared", extra={"problem": str(bad)})
        return None
    if lost:
        stages.degrade(f"{lost} of {lost + len(precedents or ())} confirmed incidents were not compared: damaged")
    return precedents
