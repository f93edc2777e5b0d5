"""Healthy history: times that are not healthy are cut out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rca.errors import DetectorError
from rca.telemetry import MetricFrame
from rca.types import Window


def cut_out(history: MetricFrame, excluded: Sequence[Window]) -> MetricFrame:
    """The history with samples inside ``excluded`` missing; the same frame where nothing is excluded.

    A sample describes the step before it, so that the first one after a window goes as well. The
    columns stay, so that samples before and after a window do not become neighbours.

    Raises:
        DetectorError: the history has no series.
    """
    if history.values.shape[0] == 0:
        raise DetectorError("the history has no series", remedy="Give at least one healthy series")
    if not excluded:
        return history
    unhealthy = np.zeros(len(history.times), bool)
    for window in excluded:
        unhealthy |= (history.times > window.start) & (history.times < window.end + max(history.step, 1))
        unhealthy |= history.times == window.start
    return replace(history, values=np.where(unhealthy, np.float32(np.nan), history.values))
