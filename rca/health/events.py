"""What components raise in past incidents: base rates of alerts, without labels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EventHistory:
    """Counts of alerts per component over past incidents."""
