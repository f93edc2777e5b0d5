"""What of a large system matters to one incident: the components around its symptoms, as of its time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rca.knowledge.base import CALLERS, HOPS, Knowledge
from rca.knowledge.claims import KnownTopology
from rca.telemetry import LogBatch, MetricFrame, SpanBatch, Telemetry
from rca.types import Case, to_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A case with the topology that is known, and what has to be said about it on the report."""

    case: Case
    known: KnownTopology
    warnings: tuple[str, ...] = ()


def situate(knowledge: Knowledge, case: Case, *, hops: int = HOPS, callers: int = CALLERS) -> Situation:
    """The case with the topology as of its incident, narrowed to what lies near its symptoms.

    Telemetry of components that are known to lie further away is left out; of those that the graph
    does not know it stays. ``hops`` 0, or a case without symptoms: the whole topology, all telemetry.
    What the case itself says of its topology wins over what is known.

    Raises:
        InputError: ``hops`` or ``callers`` lies outside 0 to 10.
        StoreError: the store cannot be used.
    """
    at = case.incident.alert_time
    symptoms = sorted({symptom.component for symptom in case.incident.symptoms})
    whole = hops == 0 or not symptoms
    known = knowledge.topology_at(at) if whole else knowledge.topology_near(symptoms, at, hops=hops, callers=callers)
    warnings = []
    if known.degraded:
        warnings.append(f"degraded: the topology is the last one known here ({known.degraded})")
    unknown = [name for name in symptoms if name not in known.topology.index]
    if unknown or not known.topology.components:
        what = f"{', '.join(unknown[:3])}" if unknown else "any component"
        warnings.append(f"the graph knows nothing of {what} at {to_text(at)}")
    if known.topology.components:
        topology = known.topology if case.topology is None else case.topology.merge(known.topology)
        case = replace(case, topology=topology)
        if not whole and not unknown:  # who knows what is far from a stranger
            case, left_out = _narrow(case, _far(knowledge, case, known))
            if left_out:
                warnings.append(
                    f"{left_out} components with telemetry are known to lie more than {hops} dependencies from the "
                    "symptom and were not looked at; --hops 0 looks at all"
                )
    warnings += [concern] if (concern := knowledge.store.concern()) else []
    return Situation(case=case, known=known, warnings=tuple(warnings))


def _far(knowledge: Knowledge, case: Case, known: KnownTopology) -> set[str]:
    """Components with telemetry that the graph knows, and not as near."""
    near = {*known.topology.components, *known.topology.hosts.values()}
    if case.topology is not None:
        near |= {name for name, service in case.topology.replica_of.items() if service in near}
    asked = sorted(set(case.telemetry.components) - near - {""})
    return {row["name"] for row in knowledge.store.known(asked, known.at).rows} if asked else set()


def _narrow(case: Case, far: set[str]) -> tuple[Case, int]:
    return (replace(case, telemetry=leave_out(case.telemetry, far)), len(far)) if far else (case, 0)


def leave_out(telemetry: Telemetry, far: set[str]) -> Telemetry:
    """Telemetry without the metrics and log lines of some components, and without traces among these alone."""
    return replace(
        telemetry,
        metrics=_near_metrics(telemetry.metrics, far),
        logs=_near_logs(telemetry.logs, far),
        spans=_near_spans(telemetry.spans, far),
    )


def _is_near(components: tuple[str, ...], far: set[str]) -> npt.NDArray[np.bool_]:
    return np.array([name not in far for name in components] or [False], np.bool_)


def _near_metrics(metrics: MetricFrame, far: set[str]) -> MetricFrame:
    return metrics.select(np.flatnonzero(_is_near(metrics.components, far)[metrics.component]))


def _near_logs(logs: LogBatch, far: set[str]) -> LogBatch:
    return logs.take(np.flatnonzero(_is_near(logs.components, far)[logs.component]))


def _near_spans(spans: SpanBatch, far: set[str]) -> SpanBatch:
    """Whole traces, as a part of one would look like a request that broke off: those that come near."""
    near = _is_near(spans.components, far)[spans.component]
    if near.all():
        return spans
    _, trace = np.unique(spans.trace, return_inverse=True)
    comes_near = np.zeros(int(trace.max(initial=-1)) + 1, np.bool_)
    comes_near[trace[near]] = True
    return spans.take(np.flatnonzero(comes_near[trace]))
