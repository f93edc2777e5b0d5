"""Metrics sampled at slightly different seconds, brought onto one regular time axis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rca.telemetry import MetricFrame


def align(frame: MetricFrame) -> MetricFrame:
    """The same samples on a regular axis, where scrapes of one round differ by less than half a step.

    The step is the median distance between samples of one series. A frame whose axis is as regular
    as its series is returned as it is. Of two samples of a series in one step the later one stays;
    a column bears the latest time of its samples.
    """
    step = series_step(frame)
    if step == 0 or int(np.diff(frame.times).min()) >= step // 2:
        return frame
    # Scrapes of one round spread around a second of their own: rounds are cut in the widest gap.
    phase = np.sort(frame.times % step)
    gaps = np.diff(np.append(phase, phase[0] + step))
    widest = int(np.argmax(gaps))
    cut = int(phase[widest] + gaps[widest] // 2) % step
    bucket = (frame.times - cut) // step
    distinct, first = np.unique(bucket, return_index=True)
    last = np.append(first[1:], len(bucket)) - 1
    values = np.full((frame.values.shape[0], len(distinct)), np.nan, np.float32)
    for offset in range(int((last - first).max(initial=0)) + 1):
        column = np.minimum(first + offset, last)
        part = frame.values[:, column]
        values = np.where(np.isnan(part), values, part)
    return replace(frame, times=frame.times[last], values=values)


def series_step(frame: MetricFrame) -> int:
    """Median distance in ns between successive samples of one series; 0 where no series has two."""
    missing = np.isnan(frame.values)
    partial = np.flatnonzero(missing.any(axis=1)) if missing.any() else np.zeros(0, np.int64)
    rows, columns = np.nonzero(~missing[partial])
    between = np.diff(frame.times[columns])[np.diff(rows) == 0] if len(rows) else np.zeros(0, np.int64)
    # Series without a gap have the distances of the axis; counted once, they need not be spread out.
    regular = np.diff(frame.times)
    weight = np.repeat([1, frame.values.shape[0] - len(partial)], [len(between), len(regular)])
    return _weighted_median(np.concatenate([between, regular]), weight)


def _weighted_median(values: npt.NDArray[np.int64], weight: npt.NDArray[np.int64]) -> int:
    """The median of values that stand for ``weight`` equal ones each; 0 where there are none."""
    order = np.argsort(values, kind="stable")
    upto = np.cumsum(weight[order])
    total = int(upto[-1]) if len(upto) else 0
    if total == 0:
        return 0
    middle = np.searchsorted(upto, [(total - 1) // 2, total // 2], side="right")
    return int(np.mean(values[order][middle]))
