"""What an evaluation found: per incident and method, and summed up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from rca.evaluation.bootstrap import interval
from rca.evaluation.measures import ScoreCard, measures, per_incident, score_card, stack
from rca.types import Answer

OURS = "rca"
UNLABELLED = "unlabelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodResult:
    """What one method gave for one incident.

    Attributes:
        ranking: components in order, first to blame first; empty for the expected random order.
        card: see ``rca.evaluation.measures``; zeros where the method failed or missed.
        seconds: wall time of the analysis, reading apart.
        failure: why the method gave no answer, "" where it gave one.
        first_failing: chance in [0, 1] that the labelled first failing service comes first.
        culprit: id of the change that is named, "none", or None where the method names no change.
        believed: whether the method says that there is a cause at all.
        degraded: whether it had to do without something that it was given.
        metric_rank, fault_rank: rank at which component and metric, or component and type of fault,
            are right; None where never.
    """

    ranking: tuple[str, ...]
    card: ScoreCard
    seconds: float = 0.0
    failure: str = ""
    first_failing: float = 0.0
    culprit: str | None = None
    believed: bool = False
    degraded: bool = False
    metric_rank: int | None = None
    fault_rank: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """One incident: its label, and what each method gave."""

    id: str
    answer: Answer
    components: tuple[str, ...]
    methods: Mapping[str, MethodResult]

    @property
    def fault(self) -> str:
        """The labelled type of fault."""
        return self.answer.kind or UNLABELLED

    @property
    def system(self) -> str:
        """The first part of an id with parts, "" where it has none."""
        return self.id.split("/", 1)[0] if "/" in self.id else ""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The results of some methods on the incidents of one data set, in the set's order.

    ``healthy`` are windows without a fault: no measure counts them, they only show who sees causes
    where there are none. ``learning`` says what learned weights learnt from, and how far their confidence holds.
    """

    dataset: str
    onset: str
    methods: tuple[str, ...]
    cases: tuple[CaseResult, ...]
    healthy: tuple[CaseResult, ...] = ()
    learning: Mapping[str, Any] = field(default_factory=dict)

    def measures(self, method: str, cases: Sequence[CaseResult] | None = None) -> dict[str, float]:
        """AC@1, AC@3, AC@5, Avg@5 and MRR of a method; of all incidents where ``cases`` is not given."""
        chosen = self.cases if cases is None else cases
        return measures(stack([case.methods[method].card for case in chosen]))

    def intervals(self, method: str) -> dict[str, tuple[float, float]]:
        """95 % bootstrap intervals of the same measures."""
        cards = stack([case.methods[method].card for case in self.cases])
        return {name: interval(values) for name, values in per_incident(cards).items()}

    def by(self, what: str) -> dict[str, list[CaseResult]]:
        """The incidents by "fault" or "system", names sorted."""
        groups: dict[str, list[CaseResult]] = {}
        for case in self.cases:
            groups.setdefault(getattr(case, what), []).append(case)
        return {name: groups[name] for name in sorted(groups)}

    def false_causes(self, method: str) -> int | None:
        """Windows without a fault in which the method names a cause; None where there are none, or it does not run."""
        found = [case.methods[method].believed for case in self.healthy if method in case.methods]
        return sum(found) if found else None

    def failures(self, method: str) -> dict[str, str]:
        """Case id -> why the method gave no answer."""
        return {case.id: case.methods[method].failure for case in self.cases if case.methods[method].failure}

    def summary(self, method: str) -> dict[str, Any]:
        """All figures of one method, as the JSON has them."""
        results = [case.methods[method] for case in self.cases]
        figures: dict[str, Any] = dict(self.measures(method))
        figures["seconds_per_incident"] = float(np.mean([r.seconds for r in results])) if results else 0.0
        figures["failed"] = sum(bool(result.failure) for result in results)
        degraded = sum(result.degraded for result in results)
        if degraded:
            figures["degraded"] = degraded
        figures["intervals"] = {name: list(pair) for name, pair in self.intervals(method).items()}
        if method == OURS:
            figures.update(self._fine_levels(method))
        if any(case.answer.change is not None for case in self.cases):
            figures.update(self._change_counts(method))
        false = self.false_causes(method)
        if false is not None:
            figures["false_causes"] = false
        figures["failures"] = self.failures(method)
        return figures

    def _fine_levels(self, method: str) -> dict[str, Any]:
        from rca.evaluation.fine_level import fault_kinds

        levels = {
            "metric_level": [(c, c.methods[method].metric_rank) for c in self.cases if c.answer.metric],
            "fault_level": [(c, c.methods[method].fault_rank) for c in self.cases if fault_kinds(c.answer.kind)],
        }
        return {
            name: {"n": len(pairs), **measures(stack([score_card(rank) for _, rank in pairs]))}
            for name, pairs in levels.items()
            if pairs
        }

    def _change_counts(self, method: str) -> dict[str, float]:
        pairs = [(case.methods[method], case.answer) for case in self.cases]
        return {
            "first_failing": _count(sum(result.first_failing for result, _ in pairs)),
            "culprit": sum(result.culprit is not None and result.culprit == answer.change for result, answer in pairs),
            "decoys": sum(result.culprit in answer.decoys for result, answer in pairs),
        }

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values; ``ranks`` are ours, or the first method's where ours did not run."""
        main = OURS if OURS in self.methods else self.methods[0]
        figures: dict[str, Any] = {
            "dataset": self.dataset,
            "onset": self.onset,
            "n": len(self.cases),
            "without_fault": len(self.healthy),
            "methods": {method: self.summary(method) for method in self.methods},
            "by_fault": self._groups("fault"),
        }
        if len(self.by("system")) > 1:
            figures["by_system"] = self._groups("system")
        if self.learning:
            figures["learning"] = dict(self.learning)
        figures["ranks"] = {case.id: list(case.methods[main].ranking) for case in self.cases}
        figures["answers"] = {case.id: list(case.answer.components) for case in self.cases}
        return figures

    def _groups(self, what: str) -> dict[str, Any]:
        return {
            name: {"n": len(cases), **{method: self.measures(method, cases) for method in self.methods}}
            for name, cases in self.by(what).items()
        }

    def to_json(self) -> str:
        """``to_dict`` as indented JSON text."""
        return msgspec.json.format(msgspec.json.encode(self.to_dict()), indent=2).decode()


def _count(value: float) -> float:
    return int(value) if float(value).is_integer() else float(value)
