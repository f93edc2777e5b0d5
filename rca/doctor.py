"""What a case lacks before anybody trusts an answer about it: one check per concern, a remedy with each finding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from rca.extract.meaning import classify
from rca.rules import load_rules
from rca.sampling import align
from rca.spans import LinkedSpans, link_spans
from rca.telemetry import SPAN_CONSUMER, MetricFrame, SpanBatch, Telemetry
from rca.topology import Topology
from rca.topology_spans import topology_from_spans
from rca.types import MINUTE, SECOND, Case, Window, to_text

Severity = Literal["error", "warning", "note"]
_ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}

_FEWEST_SAMPLES = 10  # below this a median and its spread are guesses
_FEWEST_CALLS = 5  # calls over an edge before its clocks are judged
_FEWEST_SPANS = 20  # of a component in the window, before request patterns mean anything
_SKEWED_SHARE = 0.2  # of an edge's calls that are out of order; retries and async calls stay below
_SKEW_FLOOR = MINUTE // 60_000  # 1 ms: clocks kept by NTP differ by about as much
_ORPHAN_SHARE = 0.1  # spans at the cut ends of a window lose their parents; a tenth is more than that
_MOSTLY_MISSING = 0.5
_LONGEST_WINDOW = 6 * 60 * MINUTE  # over this a slow drift and the incident look alike


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a case lacks.

    ``severity``: "error" prevents an analysis, "warning" makes its answer less sure, "note" is
    worth knowing. ``what`` says it in numbers, ``remedy`` what to do about it.
    """

    severity: Severity
    what: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class _Sight:
    """What several checks look at, worked out once."""

    case: Case

    @cached_property
    def metrics(self) -> MetricFrame:
        return align(self.case.telemetry.metrics)

    @cached_property
    def inside(self) -> Telemetry:
        return self.case.telemetry.slice(self.case.incident.window)

    @cached_property
    def healthy(self) -> Window:
        incident = self.case.incident
        if incident.baseline is not None:
            return incident.baseline
        return Window(start=min(0, incident.window.start), end=incident.window.start)

    @cached_property
    def topology(self) -> Topology:
        given = self.case.topology or Topology.from_edges([])
        return given.merge(topology_from_spans(self.linked)) if len(self.linked.spans) else given

    @cached_property
    def components(self) -> tuple[str, ...]:
        return self.case.telemetry.components

    @cached_property
    def linked(self) -> LinkedSpans:
        return link_spans(self.case.telemetry.spans)


Check = Callable[[_Sight], Iterator[Finding]]


def examine_case(case: Case) -> list[Finding]:
    """Everything that a case lacks, the worst first, always in the same order."""
    sight = _Sight(case=case)
    findings = [finding for check in _CHECKS for finding in check(sight)]
    return sorted(findings, key=lambda finding: _ORDER[finding.severity])


def _error(what: str, remedy: str) -> Finding:
    return Finding(severity="error", what=what, remedy=remedy)


def _warning(what: str, remedy: str) -> Finding:
    return Finding(severity="warning", what=what, remedy=remedy)


def _note(what: str, remedy: str) -> Finding:
    return Finding(severity="note", what=what, remedy=remedy)


def _nothing_to_see(sight: _Sight) -> Iterator[Finding]:
    telemetry, inside = sight.case.telemetry, sight.inside
    if not _filled(telemetry):
        yield _error("there is no telemetry at all", "Add metrics, logs, spans or alerts to the case folder")
    elif not _filled(inside):
        window = sight.case.incident.window
        yield _error(
            f"no telemetry falls into the window {to_text(window.start)} to {to_text(window.end)}",
            "Compare the window of case.json with the times in the tables; a wrong time zone is the usual reason",
        )


def _filled(telemetry: Telemetry) -> bool:
    metrics = telemetry.metrics.values
    return bool(metrics.size or len(telemetry.logs) or len(telemetry.spans) or telemetry.alerts)


def _no_topology(sight: _Sight) -> Iterator[Finding]:
    if len(sight.topology.caller):
        return
    yield _warning(
        "nothing says which component depends on which: callers cannot be told from causes",
        "Add topology.csv with the columns caller,callee, or spans with parents",
    )


def _no_baseline(sight: _Sight) -> Iterator[Finding]:
    case = sight.case
    if case.health is not None and not case.health.small:
        return
    before = case.telemetry.slice(sight.healthy)
    if not _filled(replace(before, alerts=())):
        if case.telemetry.metrics.values.size or len(case.telemetry.spans) or len(case.telemetry.logs):
            yield _warning(
                "no healthy time is known: there is no telemetry before the window and no profile",
                "Add an hour of telemetry from before the incident, or give a profile with --history",
            )
        return
    count = len(before.metrics.times)
    if 0 < count < _FEWEST_SAMPLES:
        yield _warning(
            f"the baseline has {count} metric samples: what is normal is a guess",
            f"Give at least {_FEWEST_SAMPLES} samples of healthy time, or a profile with --history",
        )


def _window(sight: _Sight) -> Iterator[Finding]:
    incident, inside = sight.case.incident, sight.inside
    count = len(inside.metrics.times)
    if 0 < count < _FEWEST_SAMPLES // 2:
        yield _warning(
            f"the window has {count} metric samples: a change cannot be told from noise",
            "Give a longer window, or sample more often",
        )
    if incident.window.end - incident.window.start > _LONGEST_WINDOW:
        yield _note(
            f"the window is {incident.window.seconds / 3600:.0f} hours long",
            "Narrow it to the time around the alert: slow drift is not the incident",
        )
    for name, time in (("detected_at", incident.detected_at), ("onset", incident.onset)):
        if time is not None and not incident.window.start <= time <= incident.window.end:
            yield _warning(
                f"{name} {to_text(time)} lies outside the window",
                "Correct it in case.json, or move the window so that it holds both",
            )


def _symptoms(sight: _Sight) -> Iterator[Finding]:
    incident = sight.case.incident
    known = {*sight.components, *sight.topology.components}
    unknown = sorted({s.component for s in incident.symptoms if s.component not in known})
    if unknown:
        yield _warning(
            f"nothing is known about the symptom's component {_some(unknown)}",
            "Use the name that telemetry and topology use",
        )
    metrics = set(sight.metrics.metrics)
    absent = sorted({s.metric for s in incident.symptoms if s.metric and metrics and s.metric not in metrics})
    if absent:
        yield _note(f"the symptom's metric {_some(absent)} is in no table", "Use the name that the metrics table uses")
    if not incident.symptoms and not sight.case.telemetry.alerts:
        yield _note(
            "nobody says what the users felt: the symptom is guessed",
            'Name it in case.json: "symptoms": [{"component": "checkout"}]',
        )


def _series(sight: _Sight) -> Iterator[Finding]:
    values = sight.metrics.values
    if not values.size:
        return
    known = ~np.isnan(values)
    share = known.mean(axis=1)
    lowest = np.where(known, values, np.inf).min(axis=1)
    highest = np.where(known, values, -np.inf).max(axis=1)
    empty = share == 0
    for mask, text, remedy in (
        (empty, "have no sample at all", "Leave them out, or see why the exporter sends nothing"),
        (
            ~empty & (share < _MOSTLY_MISSING),
            "miss more than half of their samples",
            "Check the scrape interval; sparse series are judged less surely",
        ),
        (~empty & (lowest == highest), "never change", "Nothing to do, unless they should"),
    ):
        rows = np.flatnonzero(mask)
        if len(rows):
            yield _note(f"{len(rows)} of {len(values)} series {text}: {_some(_names(sight.metrics, rows))}", remedy)


def _names(frame: MetricFrame, rows: npt.NDArray[np.intp]) -> list[str]:
    return [f"{frame.components[frame.component[row]]} {frame.metrics[frame.metric[row]]}" for row in rows]


def _meanings(sight: _Sight) -> Iterator[Finding]:
    unknown = sorted(name for name in sight.metrics.metrics if classify(name).family == "other")
    if unknown:
        yield _note(
            f"names of metrics that do not say what they measure: {_some(unknown)}",
            "Name them as OpenTelemetry does, with quantity and unit: http_server_duration_ms",
        )


def _sampling(sight: _Sight) -> Iterator[Finding]:
    step = sight.metrics.step
    window = sight.case.incident.window
    if step > 2 * MINUTE and (window.end - window.start) // step < _FEWEST_SAMPLES:
        yield _note(
            f"metrics come every {step / MINUTE:.0f} minutes: what came first cannot be told",
            "Sample every minute or more often",
        )
    spans = sight.inside.spans
    if len(spans):
        counts = np.bincount(spans.component, minlength=len(spans.components))
        few = [spans.components[i] for i in np.flatnonzero((counts > 0) & (counts < _FEWEST_SPANS))]
        if few:
            yield _note(
                f"components with fewer than {_FEWEST_SPANS} spans in the window: {_some(few)}",
                "Sample more traces, at least while something is wrong",
            )


def _traces_and_logs(sight: _Sight) -> Iterator[Finding]:
    spans, logs = sight.inside.spans, sight.inside.logs
    if len(spans) and not len(logs):
        yield _note("there are spans but no logs: code faults often show in logs only", "Add logs.csv")
    elif len(spans) and not bool((logs.trace != "").any()):
        yield _note(
            "no log line names its trace: lines cannot be joined to requests",
            "Write trace_id and span_id into the logs",
        )
    if len(logs) and not bool((logs.level > 0).any()):
        yield _note("no log line has a level", "Give the column level: info, warn, error ...")


def _orphans(sight: _Sight) -> Iterator[Finding]:
    spans = sight.linked.spans
    if not len(spans):
        return
    lost = (spans.parent != "") & (sight.linked.parent < 0)
    share = float(lost.mean())
    if share > _ORPHAN_SHARE:
        yield _warning(
            f"{share:.0%} of the spans name a parent that is not there",
            "Sample whole traces (at their head or tail), and collect the spans of every component",
        )


def _clocks(sight: _Sight) -> Iterator[Finding]:
    spans = sight.linked.spans
    child = np.flatnonzero(sight.linked.parent >= 0)
    parent = sight.linked.parent[child]
    across = (spans.component[child] != spans.component[parent]) & (spans.kind[child] != SPAN_CONSUMER)
    child, parent = child[across], parent[across]
    offsets = _offsets(spans, child, parent)
    pair = spans.component[parent].astype(np.int64) * max(len(spans.components), 1) + spans.component[child]
    for key in np.unique(pair):
        own = offsets[pair == key]
        skewed = own[np.abs(own) > _SKEW_FLOOR]
        if len(own) >= _FEWEST_CALLS and len(skewed) > _SKEWED_SHARE * len(own):
            caller, callee = (spans.components[i] for i in divmod(int(key), len(spans.components)))
            off = float(np.median(skewed))
            behind, before = ("behind", "before") if off < 0 else ("ahead of", "after")
            yield _warning(
                f"the clock of {callee} is about {abs(off) / SECOND:.3g} s {behind} that of {caller}: "
                f"{len(skewed)} of {len(own)} calls are served {before} they are made",
                "Synchronise the clocks (NTP); until then order in time is not trusted between the two",
            )


def _offsets(spans: SpanBatch, child: npt.NDArray[np.int64], parent: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How far each call is served before it is made (negative) or after it was over, ns; 0 where in order."""
    early = np.minimum(spans.start[child] - spans.start[parent], 0)
    late = np.maximum(spans.start[child] - (spans.start[parent] + spans.duration[parent]), 0)
    return np.asarray(np.where(early < 0, early, late), np.int64)


def _unlinked(sight: _Sight) -> Iterator[Finding]:
    """Components that no rule can link to another one."""
    topology = sight.topology
    if not len(topology.caller):
        return
    linked = {topology.components[i] for i in np.unique(np.concatenate([topology.caller, topology.callee]))}
    linked |= {topology.service(name) for name in linked} | set(topology.hosts) | set(topology.hosts.values())
    alone = [name for name in sight.components if name not in linked and topology.service(name) not in linked]
    if alone:
        yield _warning(
            f"components in no rule's reach, for they have neither a dependency nor a host: {_some(alone)}",
            "Add their edges to the topology, or correct their names",
        )
    silent = [name for name in topology.components if name in linked and name not in set(sight.components)]
    if silent:
        yield _note(
            f"components of the topology that send nothing: {_some(silent)}",
            "Add their metrics, logs or spans; a silent component can only be blamed by its callers",
        )


def _unruled(sight: _Sight) -> Iterator[Finding]:
    ruled = {kind for rule in load_rules() for kind in (*rule.cause, *rule.effect)}
    kinds = sorted({alert.kind for alert in sight.case.telemetry.alerts} - ruled)
    kinds += sorted({change.kind for change in sight.case.telemetry.changes} - ruled)
    if kinds:
        yield _note(f"no rule knows the kind {_some(kinds)}", "Use a kind of graphs/kinds.yaml, or write a rule for it")


def _changes(sight: _Sight) -> Iterator[Finding]:
    if not sight.case.telemetry.changes:
        yield _note(
            "no changes are given: a deployment or configuration cannot be suspected",
            "Add changes.csv with deployments, flags and configuration of the hours before",
        )


def _some(names: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


_CHECKS: tuple[Check, ...] = (
    _nothing_to_see,
    _no_topology,
    _no_baseline,
    _window,
    _symptoms,
    _clocks,
    _orphans,
    _unlinked,
    _sampling,
    _series,
    _meanings,
    _traces_and_logs,
    _unruled,
    _changes,
)
