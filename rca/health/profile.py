"""HealthProfile: what each component does when it is well; built once, mergeable, saved as one file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

from rca.health.edges import EdgeHealth
from rca.health.events import EventHistory
from rca.health.logs import LogHealth
from rca.health.metrics import MetricHealth
from rca.health.requests import RequestHealth
from rca.types import Window


class _Part(Protocol):
    def merge(self, other: Self) -> Self: ...


P = TypeVar("P", bound=_Part)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthProfile:
    """Healthy behaviour by source of evidence; a part is None where nothing was seen of it.

    ``windows`` is the clean time that it was built from; ``small`` says that it is only the
    incident's own baseline.
    """

    windows: tuple[Window, ...] = ()
    metrics: MetricHealth | None = None
    logs: LogHealth | None = None
    events: EventHistory | None = None
    requests: RequestHealth | None = None
    edges: EdgeHealth | None = None
    own_times: EdgeHealth | None = None
    small: bool = False

    def merge(self, other: HealthProfile) -> HealthProfile:
        """Both together: other days, other replicas."""
        return HealthProfile(
            windows=tuple(sorted({*self.windows, *other.windows})),
            metrics=_merge(self.metrics, other.metrics),
            logs=_merge(self.logs, other.logs),
            events=_merge(self.events, other.events),
            requests=_merge(self.requests, other.requests),
            edges=_merge(self.edges, other.edges),
            own_times=_merge(self.own_times, other.own_times),
            small=self.small and other.small,
        )


def _merge(own: P | None, other: P | None) -> P | None:
    if own is None or other is None:
        return other if own is None else own
    return own.merge(other)
