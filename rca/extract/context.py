"""What every extractor is given: the case, what is healthy, and the onsets to be considered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rca.detectors.protocol import Detector
from rca.extract.abnormal import AbnormalSeries, find_abnormal
from rca.extract.meaning import classify
from rca.health import HealthProfile
from rca.logs.messages import unwrap_batch
from rca.logs.templates import TemplateMiner, template_keys
from rca.sampling import align
from rca.settings import Settings
from rca.spans import LinkedSpans, link_spans
from rca.telemetry import NO_PEER, MetricFrame, Telemetry, Texts, texts
from rca.topology import Topology
from rca.tracing import RequestTable, cut_requests
from rca.types import Case, Incident, Window


@dataclass(frozen=True, kw_only=True)
class Context:
    """One analysis in progress.

    Attributes:
        case: what may be seen.
        topology: given and observed dependencies together.
        health: the given profile, or the small one made of the incident's own baseline.
        onsets: candidate onsets in ns, increasing, shape (candidates,): one where the onset is
            known. An extractor scores each of them and averages; the true onset is never needed.
        ends: where the evidence of each candidate ends, ns, shape (candidates,).
        joined: what ``linked`` is, where that is known already.
        told: the template codes of lines that made the health profile, -1 for others; shape (lines,).
        detector: trained on the system's history, for the components that it knows; the robust one of ``health``
            answers for the others.
    """

    case: Case
    topology: Topology
    health: HealthProfile
    onsets: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    settings: Settings
    joined: LinkedSpans | None = None
    told: npt.NDArray[np.int32] | None = None
    detector: Detector | None = None

    @cached_property
    def linked(self) -> LinkedSpans:
        """The case's spans in order, joined to each other and to the log lines."""
        telemetry = self.case.telemetry
        return link_spans(telemetry.spans, telemetry.logs) if self.joined is None else self.joined

    @cached_property
    def abnormal(self) -> AbnormalSeries:
        """The series that deviate around the alert."""
        return find_abnormal(self)

    @cached_property
    def components(self) -> tuple[str, ...]:
        """Every component that telemetry or topology knows, and the services of replicas, sorted."""
        return tuple(sorted({*self.members, *self.topology.replica_of.values()}))

    @cached_property
    def members(self) -> tuple[str, ...]:
        """Components that may show something themselves: without services that are only known by replicas, sorted."""
        return tuple(sorted({*self.case.telemetry.components, *self.topology.components}))

    @cached_property
    def templates(self) -> tuple[str, ...]:
        """The text of every log template by code: the profile's first, then what is new in the case."""
        return self._mined[1]

    @cached_property
    def template_of(self) -> npt.NDArray[np.int32]:
        """The template code of each of the case's log lines, shape (lines,)."""
        return self._mined[0]

    @cached_property
    def _mined(self) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
        known = None if self.health.logs is None else self.health.logs.miner
        miner = TemplateMiner() if known is None else known.copy()
        logs = self.case.telemetry.logs
        codes = np.full(len(logs), -1, np.int32) if self.told is None else self.told.copy()
        unknown = codes < 0
        codes[unknown], names = template_keys(logs.take(unknown), miner)
        # A template may have grown more general here: the profile knows it by its old text.
        return codes, names if known is None else (*known.templates, *names[len(known) :])

    @cached_property
    def requests(self) -> RequestTable:
        """The case's requests, with the log lines joined to them."""
        names: Texts = texts(self.templates)
        of_line = names[self.template_of] if len(self.template_of) else texts([])
        known = () if self.health.edges is None else self.health.edges.edges
        return cut_requests(self.linked, of_line, known, self.topology.replica_of)

    @cached_property
    def span(self) -> Window:
        """From the earliest candidate onset to the latest end."""
        return Window(start=int(self.onsets.min()), end=int(self.ends.max()))


def prepare(case: Case, settings: Settings, detector: Detector | None = None) -> Context:
    """The context of an analysis: metrics on one axis, clean log lines, observed topology, a health profile.

    Without a given profile the part of the telemetry before the window (or the incident's stated
    baseline) makes a small one.
    """
    from rca.extract.onsets import candidate_onsets
    from rca.topology_files import topology_from_spans

    linked = link_spans(case.telemetry.spans, case.telemetry.logs)
    telemetry = replace(
        case.telemetry,
        metrics=align(case.telemetry.metrics),
        logs=unwrap_batch(case.telemetry.logs),
        spans=linked.spans,
    )
    case = replace(case, telemetry=telemetry)
    onsets, ends = candidate_onsets(case, settings)
    topology = Topology.from_edges([]) if case.topology is None else case.topology
    if len(telemetry.spans):
        topology = topology.merge(topology_from_spans(linked))
    topology = topology.merge(_topology_from_metrics(telemetry.metrics))
    if case.health is not None and case.health.events is not None:
        topology = case.health.events.call_graph(topology)
    health, told = case.health, None
    if health is None:
        health, told = _own_health(telemetry, linked, healthy_window(case.incident, int(onsets.min())))
    return Context(
        case=case,
        topology=topology,
        health=health,
        onsets=onsets,
        ends=ends,
        settings=settings,
        joined=linked,
        told=told,
        detector=detector,
    )


def _own_health(
    telemetry: Telemetry, linked: LinkedSpans, window: Window
) -> tuple[HealthProfile, npt.NDArray[np.int32]]:
    """The small profile of the incident's own baseline, and what its lines were taken for."""
    from rca.health.build import HealthRecorder

    times = telemetry.logs.times
    inside = (times >= window.start) & (times < window.end)
    recorder = HealthRecorder(telemetry.slice(window), joined=linked.slice(window, inside))
    told = np.full(len(times), -1, np.int32)
    told[inside] = recorder.template_of
    return recorder.profile(small=True), told


def _topology_from_metrics(metrics: MetricFrame) -> Topology:
    """Who calls whom by the metrics that clients take of calls: a series with a peer on the client's side."""
    clients = np.array([classify(metric).side == "client" for metric in metrics.metrics] or [False], bool)
    rows = np.flatnonzero((metrics.peer != NO_PEER) & clients[metrics.metric])
    pairs = np.unique(np.stack([metrics.component[rows], metrics.peer[rows]], axis=1), axis=0)
    return Topology.from_edges(sorted({(metrics.components[c], metrics.components[p]) for c, p in pairs.tolist()}))


def healthy_window(incident: Incident, earliest: int) -> Window:
    """The incident's baseline, else everything before the window and before the earliest onset."""
    if incident.baseline is not None:
        return incident.baseline
    end = min(incident.window.start, earliest)
    return Window(start=min(0, end), end=end)
