"""What components raise in past incidents: base rates of alerts and the calls seen in them, without labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import msgspec
import numpy as np
import numpy.typing as npt

from rca.errors import ProfileError
from rca.topology import Topology
from rca.types import Alert, Case

Arrays = Mapping[str, npt.NDArray[Any]]
Calls = frozenset[tuple[str, str, str]]

# Pseudo-incidents that pull a component's rate towards the rate of all components.
SHRINKAGE = 2.0
# An operation belongs to a callee when at least this share of the incidents with calls of it name that callee.
SAME_CALLEE = 0.9
# Rates outside are not believed: no history is long enough for them.
LOWEST, HIGHEST = 1e-4, 0.999


def alert_key(alert: Alert) -> str:
    """What makes two alerts the same one again, on whatever component: name, direction, role in the call, operation."""
    return "\x1f".join((alert.name, alert.direction, alert.labels.get("role", ""), alert.operation))


def call_of(alert: Alert) -> tuple[str, str, str] | None:
    """(caller, callee, operation) of an alert about a call between two components, else None."""
    if not alert.peer or not alert.component or alert.peer == alert.component:
        return None
    if alert.labels.get("role") == "in":
        return alert.peer, alert.component, alert.operation
    return alert.component, alert.peer, alert.operation


@dataclass(frozen=True, kw_only=True)
class EventHistory:
    """Counts of alerts per component over past incidents. No label is ever read.

    Attributes:
        incidents: ids of the incidents that are counted, sorted.
        present: component -> incidents in which it was there.
        raised: (component, alert key) -> incidents in which the component raised it.
        operations: (caller's service, operation, callee's service) -> incidents in which an alert was
            about such a call.
    """

    incidents: tuple[str, ...] = ()
    present: Mapping[str, int] = field(default_factory=dict)
    raised: Mapping[tuple[str, str], int] = field(default_factory=dict)
    operations: Mapping[tuple[str, str, str], int] = field(default_factory=dict)

    @classmethod
    def build(cls, incidents: Iterable[Case | Sequence[Alert]]) -> Self:
        """From past incidents: cases, or only their alerts (components are then those that raised any)."""
        ids: list[str] = []
        present: Counter[str] = Counter()
        raised: Counter[tuple[str, str]] = Counter()
        operations: Counter[tuple[str, str, str]] = Counter()
        for number, incident in enumerate(incidents):
            ids.append(incident.incident.id if isinstance(incident, Case) else f"alerts {number}")
            here, alerts, calls = _facts(incident)
            present.update(here)
            raised.update(alerts)
            operations.update(calls)
        return cls(
            incidents=tuple(sorted(ids)),
            present=_sorted(present),
            raised=_sorted(raised),
            operations=_sorted(operations),
        )

    def merge(self, other: EventHistory) -> EventHistory:
        """Both together; the two must not count the same incident."""
        return EventHistory(
            incidents=tuple(sorted(self.incidents + other.incidents)),
            present=_sorted(Counter(self.present) + Counter(other.present)),
            raised=_sorted(Counter(self.raised) + Counter(other.raised)),
            operations=_sorted(Counter(self.operations) + Counter(other.operations)),
        )

    def without(self, case: Case) -> EventHistory:
        """The history that this incident may be compared with: itself where it is not counted in it.

        An incident never counts in its own history: its alerts would look more usual than they are.
        """
        if case.incident.id not in self.incidents:
            return self
        here, alerts, calls = _facts(case)
        ids = list(self.incidents)
        ids.remove(case.incident.id)
        return EventHistory(
            incidents=tuple(ids),
            present=_less(self.present, here),
            raised=_less(self.raised, alerts),
            operations=_less(self.operations, calls),
        )

    @cached_property
    def anywhere(self) -> Mapping[str, int]:
        """Alert key -> how often any component raised it, over all incidents."""
        counts: Counter[str] = Counter()
        for (_, key), count in self.raised.items():
            counts[key] += count
        return counts

    @cached_property
    def appearances(self) -> int:
        """Components, summed over all incidents."""
        return sum(self.present.values())

    def rate(self, component: str, key: str) -> float:
        """The share of incidents in which a component raises an alert, in [1e-4, 0.999].

        Shrunk to the rate of the same alert on any component, which counts as two incidents.
        """
        common = (self.anywhere.get(key, 0) + 0.5) / (self.appearances + 1)
        own = self.raised.get((component, key), 0) + SHRINKAGE * common
        return min(max(own / (self.present.get(component, 0) + SHRINKAGE), LOWEST), HIGHEST)

    @cached_property
    def callee_of(self) -> Mapping[tuple[str, str], str]:
        """(caller's service, operation) -> the one service that the operation calls.

        A span that such a caller reports about itself with that operation is its view of the call.
        """
        counts: dict[tuple[str, str], Counter[str]] = {}
        for (caller, operation, callee), count in self.operations.items():
            counts.setdefault((caller, operation), Counter())[callee] += count
        found = {}
        for pair, callees in counts.items():
            callee, count = min(callees.items(), key=lambda item: (-item[1], item[0]))
            if pair[1] and count >= SAME_CALLEE * callees.total():
                found[pair] = callee
        return found

    def call_graph(self, topology: Topology) -> Topology:
        """The topology with the calls between services that history knows, among all replicas it lists."""
        replicas: dict[str, list[str]] = {}
        for name in topology.components:
            replicas.setdefault(topology.service(name), []).append(name)
        pairs = sorted({(caller, callee) for caller, _, callee in self.operations if caller != callee})
        known = set(zip(topology.caller.tolist(), topology.callee.tolist(), strict=True))
        edges = [
            (a, b)
            for caller, callee in pairs
            for a in replicas.get(caller, ())
            for b in replicas.get(callee, ())
            if (topology.index[a], topology.index[b]) not in known
        ]
        return topology.merge(Topology.from_edges(edges)) if edges else topology

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays without objects: names as UTF-8 JSON in uint8, counts as int64."""
        tables: dict[str, Sequence[Any]] = {
            "present": list(self.present),
            "raised": list(self.raised),
            "operations": list(self.operations),
        }
        arrays: dict[str, npt.NDArray[Any]] = {"incidents": _to_bytes(self.incidents)}
        for name, keys in tables.items():
            arrays[f"{name}.keys"] = _to_bytes(keys)
            arrays[f"{name}.counts"] = np.fromiter(getattr(self, name).values(), np.int64, len(keys))
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The inverse of ``to_arrays``.

        Raises:
            ProfileError: an array is missing, is no such JSON, or differs in length from its counts.
        """
        return cls(
            incidents=_from_bytes(arrays, "incidents", tuple[str, ...]),
            present=_table(arrays, "present", list[str]),
            raised=_table(arrays, "raised", list[tuple[str, str]]),
            operations=_table(arrays, "operations", list[tuple[str, str, str]]),
        )


def _facts(incident: Case | Sequence[Alert]) -> tuple[set[str], set[tuple[str, str]], Calls]:
    """Components of an incident, the alerts they raised, and the calls between services that alerts are about."""
    if isinstance(incident, Case):
        topology = incident.topology
        alerts: Sequence[Alert] = incident.telemetry.alerts
        here = set(incident.telemetry.components) | set(topology.components if topology else ())
    else:
        topology, alerts = None, incident
        here = {alert.component for alert in alerts if alert.component}
    service = (lambda name: name) if topology is None else topology.service
    calls = {(service(a), operation, service(b)) for a, b, operation in filter(None, map(call_of, alerts))}
    raised = {(alert.component, alert_key(alert)) for alert in alerts if alert.component}
    return here, raised, frozenset(call for call in calls if call[0] != call[2])


def _sorted(counts: Mapping[Any, int]) -> dict[Any, int]:
    return {key: counts[key] for key in sorted(counts)}


def _less(counts: Mapping[Any, int], one: Iterable[Any]) -> dict[Any, int]:
    rest = dict(counts)
    for key in one:
        left = rest.get(key, 0) - 1
        if left > 0:
            rest[key] = left
        else:
            rest.pop(key, None)
    return rest


def _to_bytes(values: Sequence[Any]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(msgspec.json.encode(values), np.uint8)


def _from_bytes(arrays: Arrays, name: str, form: Any) -> Any:
    if name not in arrays:
        raise ProfileError("the history of alerts lacks an array", where=name, remedy="Build the profile anew")
    try:
        return msgspec.json.decode(np.asarray(arrays[name], np.uint8).tobytes(), type=form)
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise ProfileError(
            f"the history of alerts is unreadable ({error})", where=name, remedy="Build the profile anew"
        ) from error


def _table(arrays: Arrays, name: str, form: Any) -> dict[Any, int]:
    keys = _from_bytes(arrays, f"{name}.keys", form)
    counts = arrays.get(f"{name}.counts")
    if counts is None or counts.shape != (len(keys),) or counts.dtype.kind not in "iu":
        raise ProfileError("the counts do not fit their keys", where=f"{name}.counts", remedy="Build the profile anew")
    return dict(zip(keys, counts.tolist(), strict=True))
