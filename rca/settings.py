"""The one configuration that serves every system: each number with its reason or its source."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from rca.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of an analysis. Defaults hold for every data set; there is no per-system tuning."""

    top_k: int = 5
    """Root causes in the report."""

    candidates: int = 11
    """Candidate onsets that are scored and averaged where the onset is unknown: one best onset is worse."""

    onset_step: float = 30.0
    """Seconds between candidate onsets, at least half a sampling step of the metrics: ten of them reach
    back five minutes from the alert, which alert rules with a hold of 1 to 3 minutes need."""

    evidence: float = 180.0
    """Seconds of evidence after a candidate onset; six onset steps where sampling is coarser."""

    after_alert: float = 90.0
    """Seconds of evidence after the alert; three onset steps where sampling is coarser."""

    walk: float = 0.05
    """How much the walk over the causality graph (GrootRank) adds to a component's evidence, at most this share of it:
    enough to order what evidence leaves equal."""

    variant: Literal["personalisation", "dangling"] = "personalisation"
    """Where GrootRank puts its weights of 1 and 0.5: as in the paper, or as in eBay's published code."""

    damping: float = 0.85
    """Probability that the walk goes on along an edge (Groot, as PageRank)."""

    def __post_init__(self) -> None:
        for name in (f.name for f in fields(self)):
            value = getattr(self, name)
            if isinstance(value, (int, float)) and not isinstance(value, bool) and value < 0:
                raise SettingsError(f"{name} is {value}", remedy="Give a number that is not negative")
        for name in ("top_k", "candidates"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}", remedy="Give at least 1")
        if self.onset_step <= 0 or self.evidence <= 0:
            raise SettingsError("onset_step and evidence must be longer than 0 s", remedy="Give seconds, such as 30")
        if not 0 < self.damping < 1:
            raise SettingsError(f"damping is {self.damping}", remedy="Give a number between 0 and 1, such as 0.85")
        if self.variant not in ("personalisation", "dangling"):
            raise SettingsError(f"variant is {self.variant!r}", remedy="Give personalisation or dangling")
