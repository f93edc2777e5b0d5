"""Healthy metrics: a sample of clean columns per series and the quantiles of it."""

from __future__ import annotations

from dataclasses import dataclass

from rca.telemetry import MetricFrame


@dataclass(frozen=True, kw_only=True)
class MetricHealth:
    """A thinned sample of clean time (at most about 2,000 columns), NaN where unknown."""

    sample: MetricFrame
