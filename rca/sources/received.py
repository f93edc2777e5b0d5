"""What one request, message or query gave: the common result of every source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

import numpy as np

from rca.sources.assembly import frame_from_samples
from rca.sources.samples import SampleBatch
from rca.telemetry import LogBatch, SpanBatch, Telemetry, encode, texts
from rca.topology import Topology
from rca.types import Alert, Change, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertNotice:
    """An alert as a sender told it: once when it fired, once when it was resolved, and often again between.

    Attributes:
        id: the same for every repetition of this notice: what an effect is remembered by.
        key: the same for firing and resolution: what the alert is known by at its sender.
        group: the sender's group or page that it belongs to ("" where there is none); two alerts of one
            group belong to one incident.
        status: "firing" or "resolved".
        links: name -> URL (the alert's source, its runbook, the page).
    """

    id: str
    key: str
    alert: Alert
    status: Literal["firing", "resolved"] = "firing"
    group: str = ""
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """Telemetry, changes and alerts of one request, message or query.

    Attributes:
        samples: metrics as they came in; ``telemetry`` makes a frame of them.
        topology: dependencies, replicas and hosts that the sender told of (spans tell theirs themselves).
        rejected: records that were well-formed but could not be taken, and ``problem`` why.
        ignored: records that say nothing about any incident (heartbeats, kinds that are not read).
        warnings: what a query could not get, a sentence each.
    """

    samples: SampleBatch = field(default_factory=SampleBatch.empty)
    logs: LogBatch = field(default_factory=LogBatch.empty)
    spans: SpanBatch = field(default_factory=SpanBatch.empty)
    changes: tuple[Change, ...] = ()
    alerts: tuple[AlertNotice, ...] = ()
    topology: Topology = field(default_factory=lambda: Topology.from_edges([]))
    rejected: int = 0
    problem: str = ""
    ignored: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def accepted(self) -> int:
        """Records that were taken."""
        return len(self.samples) + len(self.logs) + len(self.spans) + len(self.changes) + len(self.alerts)

    def telemetry(self, *, step: int | None = None, window: Window | None = None) -> Telemetry:
        """What the engine reads: counters as rates, histograms as means and quantiles, firing alerts.

        Args:
            step: ns between samples (default: as they were sampled).
            window: what is outside is left out; counters still use the samples before it.
        """
        alerts = _alerts(self.alerts)
        frame = frame_from_samples(self.samples, step=step)
        told = Telemetry(metrics=frame, logs=self.logs, spans=self.spans, changes=self.changes, alerts=alerts)
        return told if window is None else told.slice(window)

    @classmethod
    def merge(cls, parts: Sequence[Self]) -> Self:
        """Everything of several; what came twice (by its id) counts once, the last delivery."""
        if len(parts) == 1:
            return parts[0]
        changes = {change.id: change for part in parts for change in part.changes}
        alerts = {notice.id: notice for part in parts for notice in part.alerts}
        return cls(
            samples=SampleBatch.concat([part.samples for part in parts]),
            logs=_concat_logs([part.logs for part in parts if len(part.logs)]),
            spans=_concat_spans([part.spans for part in parts if len(part.spans)]),
            changes=tuple(sorted(changes.values(), key=lambda change: (change.time, change.id))),
            alerts=tuple(alerts.values()),
            topology=_merge_topologies([part.topology for part in parts]),
            rejected=sum(part.rejected for part in parts),
            problem=next((part.problem for part in parts if part.problem), ""),
            ignored=sum(part.ignored for part in parts),
            warnings=tuple(dict.fromkeys(warning for part in parts for warning in part.warnings)),
        )


def _alerts(notices: Sequence[AlertNotice]) -> tuple[Alert, ...]:
    """One alert per key and begin; the notice of its end wins over those of its firing."""
    told: dict[tuple[str, int | None], AlertNotice] = {}
    for notice in notices:
        key = notice.key, notice.alert.time
        if key not in told or notice.status == "resolved" or told[key].status == "firing":
            told[key] = notice
    return tuple(notice.alert for notice in told.values())


def _merge_topologies(parts: Sequence[Topology]) -> Topology:
    """All at once; calls of shared edges add up, the last says where a component runs."""
    edges = [
        (part.components[caller], part.components[callee], calls)
        for part in parts
        for caller, callee, calls in zip(part.caller.tolist(), part.callee.tolist(), part.weight.tolist(), strict=True)
    ]
    attributes: dict[str, dict[str, str]] = {}
    for part in parts:
        for name, facts in part.attributes.items():
            attributes.setdefault(name, {}).update(facts)
    return Topology.from_edges(
        edges,
        components={name for part in parts for name in part.components},
        kinds={name: kind for part in parts for name, kind in part.kinds.items()},
        hosts={name: host for part in parts for name, host in part.hosts.items()},
        replica_of={name: service for part in parts for name, service in part.replica_of.items()},
        attributes=attributes,
    )


def _concat_logs(batches: Sequence[LogBatch]) -> LogBatch:
    if len(batches) < 2:
        return batches[0] if batches else LogBatch.empty()
    named = [np.array(batch.components, object)[batch.component] for batch in batches]
    components, component = encode(np.concatenate(named))
    names = ("times", "level", "message", "trace", "span")
    columns = {name: np.concatenate([getattr(batch, name) for batch in batches]) for name in names}
    return LogBatch(components=components, component=component, **columns)


def _concat_spans(batches: Sequence[SpanBatch]) -> SpanBatch:
    if len(batches) < 2:
        return batches[0] if batches else SpanBatch.empty()
    names = ("start", "duration", "kind", "status", "trace", "span", "parent", "link_trace", "link_span", "text")
    columns = {name: np.concatenate([getattr(batch, name) for batch in batches]) for name in names}
    component = [np.array(batch.components, object)[batch.component] for batch in batches]
    operation = [np.array(batch.operations, object)[batch.operation] for batch in batches]
    peer = [texts([*batch.components, ""])[batch.peer] for batch in batches]  # -1 is the last: ""
    return SpanBatch.build(
        component=np.concatenate(component), operation=np.concatenate(operation), peer=np.concatenate(peer), **columns
    )
