"""The methods that can be compared: the engine and the baselines, each a function of the case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rca.evaluation.baselines import BASELINES, latest_change_id
from rca.evaluation.fine_level import Finding
from rca.evaluation.results import OURS
from rca.types import Case, Report, RootCause

RANDOM, LABEL_PRIOR, LATEST_CHANGE = "random", "label-prior", "latest-change"
# The engine without learned weights, where it is measured with them.
UNTRAINED = "untrained"
METHODS = (OURS, RANDOM, LABEL_PRIOR, *BASELINES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What a method says of a case.

    Attributes:
        scores: component -> score, higher is more to blame.
        ranking: the order it gives itself; empty: by score.
        first_failing: the component that it says failed first; "" where that is the first by score.
        culprit: id of the change that it blames, "none", or None where it says nothing of changes.
        findings: what was wrong, first candidate first.
        believed: whether it says that there is a cause at all; a mere ranking always does.
        degraded: whether it had to do without something that it was given.
    """

    scores: Mapping[str, float]
    ranking: tuple[str, ...] = ()
    first_failing: str = ""
    culprit: str | None = None
    findings: tuple[Finding, ...] = ()
    believed: bool = True
    degraded: bool = False


def find_method(name: str) -> Callable[[Case], Opinion]:
    """The method of a name in ``METHODS``, its code loaded; not for those made of labels or of chance."""
    if name == OURS:
        from rca.pipeline import analyze

        return lambda case: read_report(analyze(case))
    baseline = BASELINES[name]
    if name == LATEST_CHANGE:
        return lambda case: Opinion(scores=baseline(case), culprit=latest_change_id(case))
    return lambda case: Opinion(scores=baseline(case))


def read_report(report: Report) -> Opinion:
    """The scores of all ranked components, the culprit, and what each root cause says was wrong."""
    return Opinion(
        scores=dict(zip(report.ranking, report.scores, strict=True)),
        ranking=report.ranking,
        first_failing=report.first_failing,
        culprit=report.culprit,
        findings=tuple(_finding(cause) for cause in report.root_causes),
        believed=report.verdict == "cause",
        degraded=bool(report.degraded),
    )


def _finding(cause: RootCause) -> Finding:
    event = cause.event if cause.event is not None else next(iter(cause.because), None)
    if event is None:
        return Finding(component=cause.component)
    return Finding(component=cause.component, kind=event.kind, name=event.name)
