"""Kubernetes Events: core/v1, events.k8s.io/v1, and lists of either.

Nothing in Kubernetes pushes them: an exporter (kubernetes-event-exporter, Vector, Fluent Bit) posts
them and sends again after 5xx, or ``kubectl get events -A -o json`` gives the list. An event that
happens again is the same object with a higher count, and comes under another id of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from rca.errors import SourceError
from rca.sources.bodies import DEFAULT_LIMITS, Limits, decode_json, digest, header, inflate, plain_text
from rca.sources.instants import parse_instant
from rca.sources.naming import Naming, Origin, workload_of
from rca.sources.notices import clock_now
from rca.sources.otlp_resources import topology_of
from rca.sources.received import AlertNotice, Received
from rca.types import Alert, Change

OVERLOADED = 503
ACCEPTED = 202
_WHERE = "Kubernetes event"

# Reasons of kubelet, scheduler and controllers, as they stand in Kubernetes' source, and the kinds that they are.
_FAILURES: dict[str, tuple[str, float]] = {
    **dict.fromkeys(("OOMKilling", "OOMKilled", "SystemOOM"), ("pod.oom", 0.9)),
    **dict.fromkeys(("BackOff", "CrashLoopBackOff", "FailedPostStartHook", "ContainerDied"), ("pod.restart", 0.7)),
    **dict.fromkeys(("Unhealthy", "ProbeWarning", "ProbeError"), ("health.failed", 0.6)),
    **dict.fromkeys(("Evicted", "Preempted", "Preempting", "TaintManagerEviction"), ("pod.evicted", 0.8)),
    **dict.fromkeys(("FailedScheduling", "FailedCreate", "FailedMount"), ("pod.unscheduled", 0.7)),
    **dict.fromkeys(("FailedAttachVolume", "FailedCreatePodSandBox"), ("pod.unscheduled", 0.7)),
    **dict.fromkeys(
        ("ErrImagePull", "ImagePullBackOff", "InspectFailed", "ErrImageNeverPull"), ("pod.image_error", 0.8)
    ),
    **dict.fromkeys(("NodeNotReady", "NodeNotSchedulable"), ("host.down", 0.9)),
    "Rebooted": ("host.rebooted", 0.8),
    **dict.fromkeys(
        ("NodeHasDiskPressure", "NodeHasInsufficientMemory", "EvictionThresholdMet"), ("host.pressure", 0.7)
    ),
    **dict.fromkeys(("NodeHasInsufficientPID", "FreeDiskSpaceFailed", "ImageGCFailed"), ("host.pressure", 0.7)),
}
_CHANGES = {
    "ScalingReplicaSet": "change.scaling",
    "SuccessfulRescale": "change.scaling",
    "DeploymentRollback": "change.rollback",
    "DeploymentRollbackRevisionNotFound": "change.rollback",
}
_IMAGE_WORDS = ("image", "pull")


class _Meta(msgspec.Struct, rename="camel"):
    name: str = ""
    namespace: str | None = None
    uid: str | None = None
    creation_timestamp: str | None = None
    resource_version: str | None = None


class _Object(msgspec.Struct, rename="camel"):
    kind: str = ""
    name: str = ""
    namespace: str | None = None


class _Source(msgspec.Struct):
    component: str | None = None
    host: str | None = None


class _Series(msgspec.Struct, rename="camel"):
    count: int | None = None
    last_observed_time: str | None = None


class _Event(msgspec.Struct, rename="camel"):
    metadata: _Meta = msgspec.field(default_factory=_Meta)
    involved_object: _Object | None = None
    regarding: _Object | None = None
    reason: str | None = None
    message: str | None = None
    note: str | None = None
    type: str | None = None
    count: int | None = None
    deprecated_count: int | None = None
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    deprecated_first_timestamp: str | None = None
    deprecated_last_timestamp: str | None = None
    event_time: str | None = None
    series: _Series | None = None
    source: _Source | None = None
    deprecated_source: _Source | None = None


def decode_kubernetes(
    body: bytes,
    *,
    headers: Mapping[str, str] | None = None,
    naming: Naming | None = None,
    limits: Limits = DEFAULT_LIMITS,
    now: Callable[[], int] = clock_now,
) -> Received:
    """Warnings as alerts of their kind, scalings and rollbacks as changes; what else is normal is ignored.

    Raises:
        SourceError: malformed.
    """
    content = inflate(body, header(headers or {}, "content-encoding"), where=_WHERE, limits=limits)
    document = decode_json(content, Any, where=_WHERE)
    if isinstance(document, dict) and isinstance(document.get("items"), list):
        document = document["items"]
    items = document if isinstance(document, list) else [document]
    limits.check_records(len(items), _WHERE)
    reader = _Reader(naming or Naming(), now)
    for i, item in enumerate(items):
        if isinstance(item, dict) and isinstance(item.get("object"), dict) and "type" in item:
            item = item["object"]  # an entry of a watch
        reader.read(item, f"{_WHERE}[{i}]")
    return reader.received()


class _Reader:
    """Reads events, one after the other."""

    def __init__(self, naming: Naming, now: Callable[[], int]) -> None:
        self._naming, self._now = naming, now
        self._alerts: dict[str, AlertNotice] = {}
        self._changes: dict[str, Change] = {}
        self._origins: dict[Origin, None] = {}
        self._ignored = 0

    def read(self, item: Any, where: str) -> None:
        """One event."""
        try:
            event = msgspec.convert(item, _Event)
        except msgspec.ValidationError as bad:
            raise SourceError(
                str(bad), where=where, remedy="Send Event objects of core/v1 or events.k8s.io/v1"
            ) from bad
        subject = event.involved_object or event.regarding
        if subject is None or not subject.name or not event.reason:
            raise SourceError("an event without object or reason", where=where, remedy="Send whole Event objects")
        first, last, count = self._times(event, where)
        origin = self._origin(subject, event)
        id = digest(
            "kubernetes",
            event.metadata.uid or "",
            subject.namespace or "",
            event.metadata.name,
            event.reason,
            str(last),
            str(count),
        )
        text = plain_text(event.message or event.note or "")
        if event.reason in _CHANGES:
            self._changes[id] = Change(
                id=id,
                component=origin.component,
                kind=_CHANGES[event.reason],
                name=text[:200] or event.reason,
                time=last,
                attributes=_facts(subject, event.reason),
            )
        elif (failure := _failure(event, text)) is not None:
            self._add_alert(id, failure, origin, subject, event, (first, last, count), text)
        else:
            self._ignored += 1
            return
        self._origins.setdefault(origin)

    def _add_alert(
        self,
        id: str,
        failure: tuple[str, float],
        origin: Origin,
        subject: _Object,
        event: _Event,
        times: tuple[int, int, int],
        text: str,
    ) -> None:
        first, last, count = times
        reason = event.reason or ""
        labels = {**_facts(subject, reason), "count": str(count)}
        alert = Alert(
            component=origin.component,
            name=reason,
            kind=failure[0],
            time=first,
            end=max(first, last),
            severity=failure[1],
            text=text,
            labels=labels,
        )
        key = digest("kubernetes", subject.kind, subject.namespace or "", subject.name, reason)
        self._alerts[id] = AlertNotice(id=id, key=f"kubernetes:{key}", alert=alert)

    def received(self) -> Received:
        """All that was read."""
        changes = sorted(self._changes.values(), key=lambda change: (change.time, change.id))
        return Received(
            alerts=tuple(self._alerts.values()),
            changes=tuple(changes),
            topology=topology_of(list(self._origins)),
            ignored=self._ignored,
        )

    def _times(self, event: _Event, where: str) -> tuple[int, int, int]:
        """First and last time, and how often it was seen. Each time may be null in some version or other."""
        series = event.series or _Series()
        firsts = (event.first_timestamp, event.deprecated_first_timestamp, event.event_time)
        lasts = (series.last_observed_time, event.last_timestamp, event.deprecated_last_timestamp, event.event_time)
        created = event.metadata.creation_timestamp
        last = next((t for text in (*lasts, created) if (t := parse_instant(text, where=where)) is not None), None)
        last = self._now() if last is None else last
        first = next((t for text in firsts if (t := parse_instant(text, where=where)) is not None), last)
        return min(first, last), last, series.count or event.count or event.deprecated_count or 1

    def _origin(self, subject: _Object, event: _Event) -> Origin:
        source = event.source or event.deprecated_source or _Source()
        if subject.kind == "Node":
            return Origin(component=subject.name)
        name = workload_of(subject.name) if subject.kind in ("Pod", "ReplicaSet", "Job", "") else subject.name
        if subject.kind == "ReplicaSet":
            name = subject.name.rpartition("-")[0] or subject.name
        component = f"{subject.namespace}/{name}" if self._naming.namespaces and subject.namespace else name
        is_pod = subject.kind == "Pod" and subject.name != name
        return Origin(component=component, replica=subject.name if is_pod else "", host=source.host or "")


def _failure(event: _Event, text: str) -> tuple[str, float] | None:
    reason = event.reason or ""
    low = text.lower()
    if reason in ("Failed", "BackOff") and any(word in low for word in _IMAGE_WORDS):
        return "pod.image_error", 0.8
    if reason in _FAILURES:
        return _FAILURES[reason]
    return ("alert.firing", 0.4) if event.type == "Warning" else None


def _facts(subject: _Object, reason: str) -> dict[str, str]:
    facts = {"object": subject.kind, "name": subject.name, "namespace": subject.namespace or "", "reason": reason}
    return {name: fact for name, fact in facts.items() if fact}
