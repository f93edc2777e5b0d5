"""What every extractor is given: the case, what is healthy, and the onsets to be considered."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rca.health import HealthProfile
from rca.settings import Settings
from rca.topology import Topology
from rca.types import Case, Window


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
    """

    case: Case
    topology: Topology
    health: HealthProfile
    onsets: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    settings: Settings

    @cached_property
    def components(self) -> tuple[str, ...]:
        """Every component that telemetry, topology or health knows, sorted."""
        return tuple(sorted({*self.case.telemetry.components, *self.topology.components}))

    @cached_property
    def span(self) -> Window:
        """From the earliest candidate onset to the latest end."""
        return Window(start=int(self.onsets.min()), end=int(self.ends.max()))
