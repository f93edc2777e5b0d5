"""HealthProfile: what each component does when it is well; built once, mergeable, saved as one file."""

from __future__ import annotations

from dataclasses import dataclass

from rca.health.events import EventHistory
from rca.health.logs import LogHealth
from rca.health.metrics import MetricHealth
from rca.types import Window


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
    small: bool = False
