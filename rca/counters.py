"""Counters become rates: a counter only ever grows, until its process restarts and it begins at zero again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.telemetry import MetricFrame
from rca.types import SECOND


def rates_from_counters(frame: MetricFrame, mask: npt.NDArray[Any]) -> MetricFrame:
    """The frame with the counters of ``mask`` replaced by what they grew per second.

    A rate is the growth since the series' last sample, over the time since then: a gap gives one
    rate at its end, and missing samples stay missing. A counter that fell was restarted: what it
    shows now is what it grew since (as Prometheus' ``rate`` takes it), so no rate is negative. The
    first sample of a series has no rate and is NaN. Values are float32: growth below a sixteen-millionth
    of the counter itself is lost, so read large counters as rates where the source offers them.

    Args:
        frame: metrics.
        mask: which series are counters: bool of shape (series,), or indices.
    """
    values = frame.values[mask].astype(np.float64)  # (counters, time)
    present = ~np.isnan(values)
    column = np.where(present, np.arange(values.shape[1]), -1)
    last = np.full_like(column, -1)  # column of the sample before, -1 where there is none
    last[:, 1:] = np.maximum.accumulate(column, axis=1)[:, :-1]
    known = present & (last >= 0)
    before = np.take_along_axis(values, np.maximum(last, 0), axis=1)
    seconds = (frame.times - frame.times[np.maximum(last, 0)]) / SECOND
    growth = np.where(values >= before, values - before, np.maximum(values, 0.0))
    rates = np.full(values.shape, np.nan)
    np.divide(growth, seconds, out=rates, where=known)
    result = frame.values.copy()
    result[mask] = np.minimum(rates, np.finfo(np.float32).max)
    return replace(frame, values=result)
