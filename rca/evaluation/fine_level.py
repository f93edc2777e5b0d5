"""Whether a root cause names what was wrong, besides where: the metric or the type of fault."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rca.extract.meaning import classify, normalise
from rca.types import Answer

# Words of data sets for faults, and the kinds of events by which such a fault is rightly named.
FAULTS = (
    (r"cpu", ("saturation.cpu",)),
    (r"mem|oom|leak", ("saturation.memory", "pod.oom")),
    (r"disk|io_", ("saturation.disk",)),
    (r"socket|connection|pool", ("saturation.connections",)),
    (r"delay|latency|slow", ("network.slow", "latency.up", "self_time.up")),
    (r"loss|corrupt|partition", ("network.slow", "errors.up", "saturation.network", "signal.missing")),
    (r"kill|crash|failure|down", ("pod.", "health.failed", "signal.missing", "availability.down", "host.")),
    (r"exception|return|error", ("error.exception", "request.", "log.", "errors.up")),
    (r"traffic|request|load", ("traffic.", "calls.")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a method says of one candidate: the component, and the kind and name of its first event."""

    component: str
    kind: str = ""
    name: str = ""


def metric_rank(findings: Sequence[Finding], answer: Answer) -> int | None:
    """The rank from 1 of the first finding on the right component and about a metric of the labelled meaning."""
    wanted = answer.metric
    return _rank([f.component in answer.components and _same_metric(f.name, wanted) for f in findings])


def fault_kinds(fault: str) -> tuple[str, ...]:
    """The kinds of events, or their first parts, that name a labelled type of fault; empty where unknown."""
    text = normalise(fault)
    return next((kinds for pattern, kinds in FAULTS if re.search(pattern, text)), ())


def fault_rank(findings: Sequence[Finding], answer: Answer) -> int | None:
    """The rank from 1 of the first finding on the right component and of the labelled type of fault."""
    kinds = fault_kinds(answer.kind)
    return _rank([f.component in answer.components and f.kind.startswith(kinds) for f in findings])


def _same_metric(name: str, wanted: str) -> bool:
    family = classify(wanted).family
    return normalise(name) == normalise(wanted) or (family != "other" and classify(name).family == family)


def _rank(right: Sequence[bool]) -> int | None:
    return right.index(True) + 1 if True in right else None
