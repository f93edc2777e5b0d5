"""Which series are abnormal around the alert, and since when: walked back to the start of their own deviation.

The scale of a series is its own healthy noise with floors, so that a flat series does not make every
wiggle a fault. Rousseeuw and Croux, "Alternatives to the Median Absolute Deviation", 1993, for the
robust scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rca.telemetry import MetricFrame

if TYPE_CHECKING:
    from rca.extract.context import Context

Values = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

# Healthy samples below which a median and its noise say little.
FEWEST_HEALTHY = 8
# Share of the time before the alert that stands in for health where nothing says what is healthy.
HEALTHY_SHARE = 1 / 3
# The normal distribution's standard deviation in units of its median absolute deviation.
MAD_TO_SD = 1.4826
# Floors of the scale: shares of the standard deviation, of the level, and of the highest value ever seen.
SD_FLOOR, LEVEL_FLOOR, PEAK_FLOOR = 0.25, 0.03, 0.002
# Robust z of the median around the alert that is abnormal, and of single samples on the way back to its start.
ABNORMAL, STILL = 6.0, 4.0
# Correlation with time above which a series grows steadily.
STEADY = 0.9
# Samples on each side of the alert, and quiet samples in a row that end the way back.
REACH, LONGEST_GAP = 3, 2


@dataclass(frozen=True, kw_only=True)
class AbnormalSeries:
    """The series that deviate around the alert; each column has shape (abnormal,).

    ``row`` is the series in ``frame``; ``onset`` when its deviation began, ns; ``deviation`` the
    median robust z around the alert (signed); ``level`` the median around the alert, ``healthy`` in
    health. ``step`` is the typical distance between samples of one series, ns.
    """

    frame: MetricFrame
    row: Rows
    onset: Rows
    deviation: Values
    level: Values
    healthy: Values
    step: int
    alert: int

    def __len__(self) -> int:
        return len(self.row)

    def component(self, i: int) -> str:
        """The component of the i-th abnormal series."""
        return self.frame.components[int(self.frame.component[self.row[i]])]

    def metric(self, i: int) -> str:
        """The metric of the i-th abnormal series."""
        return self.frame.metrics[int(self.frame.metric[self.row[i]])]

    def of(self, component: str) -> Rows:
        """Positions of a component's abnormal series."""
        codes = [i for i, name in enumerate(self.frame.components) if name == component]
        return np.flatnonzero(np.isin(self.frame.component[self.row], codes))


def find_abnormal(context: Context) -> AbnormalSeries:
    """Series whose median around the alert lies at least 6 robust z from their healthy median."""
    frame = context.case.telemetry.metrics
    alert = _alert_time(context)
    step = typical_step(frame)
    if frame.values.size == 0:
        return _none(frame, step, alert)
    healthy = _healthy_values(context, alert)
    centre = median(healthy)
    around = median(frame.values[:, _columns_around(frame, alert, step)])
    # The floor by level costs least and leaves few series for the others.
    likely = np.flatnonzero(np.abs(around - centre) >= ABNORMAL * LEVEL_FLOOR * np.abs(centre))
    scale = noise(healthy[likely].astype(np.float64), centre[likely], frame.values[likely])
    deviation = (around[likely] - centre[likely]) / scale
    kept = np.abs(deviation) >= ABNORMAL
    rows, deviation, scale = likely[kept], deviation[kept], scale[kept]
    onset = _walk_back(frame, rows, centre[rows], scale, np.sign(deviation), alert)
    return AbnormalSeries(
        frame=frame,
        row=rows,
        onset=onset,
        deviation=deviation,
        level=around[rows],
        healthy=centre[rows],
        step=step,
        alert=alert,
    )


def median(values: npt.NDArray[Any]) -> Values:
    """The median of each row without its NaN; NaN where a row has nothing else. Shape (rows,)."""
    if values.shape[1] == 0:
        return np.full(values.shape[0], np.nan)
    ordered, length = np.sort(values, axis=1), values.shape[1]
    middle = (ordered[:, (length - 1) // 2].astype(np.float64) + ordered[:, length // 2]) / 2
    partial = np.flatnonzero(np.isnan(ordered[:, -1]))  # NaN is sorted last
    count = length - np.count_nonzero(np.isnan(ordered[partial]), axis=1)
    low = ordered[partial, np.maximum(count - 1, 0) // 2].astype(np.float64)
    high = ordered[partial, np.minimum(count // 2, length - 1)].astype(np.float64)
    middle[partial] = np.where(count > 0, (low + high) / 2, np.nan)
    return np.asarray(middle, np.float64)


def typical_step(frame: MetricFrame) -> int:
    """The median distance between samples of one series, ns; at least 1."""
    if frame.times.size < 2:
        return 1
    seen = frame.times.size - np.count_nonzero(np.isnan(frame.values), axis=1)
    span = int(frame.times[-1] - frame.times[0])
    counted = seen[seen > 1]
    return max(1, int(span / (np.median(counted) - 1))) if counted.size else max(1, frame.step)


def ramp_start(abnormal: AbnormalSeries, component: str) -> int | None:
    """When a component's steady growth left its healthy level, ns; None where nothing grows steadily.

    A growing series is found abnormal long after it began to grow: its first half is extended back as
    a line to the healthy level, at most by as long as it has been abnormal.
    """
    starts = []
    for i in abnormal.of(component):
        times, values = _grown(abnormal, int(i))
        if len(times) < 6 or abs(values[0] - abnormal.healthy[i]) >= 0.35 * abs(values[-1] - abnormal.healthy[i]):
            continue
        half = max(4, len(times) // 2)
        minutes = (times[:half] - times[0]) / 6e10
        slope, intercept = np.polyfit(minutes, values[:half], 1)
        back = (intercept - abnormal.healthy[i]) / slope if slope else 0.0
        if 0 < back < (times[-1] - times[0]) / 6e10:
            starts.append(int(times[0] - back * 6e10))
    return min(starts) if starts and growth(abnormal, component) > STEADY else None


def growth(abnormal: AbnormalSeries, component: str) -> float:
    """How steadily a component's most steadily growing series changes with time: correlation in [0, 1]."""
    best = 0.0
    for i in abnormal.of(component):
        times, values = _grown(abnormal, int(i))
        if len(times) >= 6 and values.std() > 0:
            best = max(best, abs(float(np.corrcoef(np.arange(len(values)), values)[0, 1])))
    return best


def _grown(abnormal: AbnormalSeries, i: int) -> tuple[Rows, Values]:
    frame, row = abnormal.frame, abnormal.row[i]
    values = frame.values[row].astype(np.float64)
    inside = (frame.times >= abnormal.onset[i]) & (frame.times <= abnormal.alert) & ~np.isnan(values)
    return frame.times[inside], values[inside]


def _none(frame: MetricFrame, step: int, alert: int) -> AbnormalSeries:
    rows, values = np.zeros(0, np.int64), np.zeros(0)
    return AbnormalSeries(
        frame=frame, row=rows, onset=rows, deviation=values, level=values, healthy=values, step=step, alert=alert
    )


def _alert_time(context: Context) -> int:
    """When it was noticed; the middle of the evidence where nobody says when."""
    detected = context.case.incident.detected_at
    return detected if detected is not None else (context.span.start + context.span.end) // 2


def _columns_around(frame: MetricFrame, alert: int, step: int) -> slice:
    """The sample at the alert and its neighbours on both sides."""
    at = min(int(np.searchsorted(frame.times, alert)), frame.times.size - 1)
    reach = REACH * max(1, round(step / max(1, frame.step)))
    return slice(max(0, at - reach), at + reach + 1)


def _healthy_values(context: Context, alert: int) -> npt.NDArray[np.float32]:
    """Healthy samples of each series: before the window, of the profile, or the first third before the alert."""
    frame = context.case.telemetry.metrics
    before = int(np.searchsorted(frame.times, context.case.incident.window.start))
    if before >= FEWEST_HEALTHY:
        return frame.values[:, :before]
    profile = context.health.metrics
    if profile is not None and profile.sample.times.size >= FEWEST_HEALTHY:
        return aligned(frame, profile.sample)
    until_alert = int(np.searchsorted(frame.times, alert))
    return frame.values[:, : max(FEWEST_HEALTHY, int(until_alert * HEALTHY_SHARE))]


def aligned(frame: MetricFrame, sample: MetricFrame) -> npt.NDArray[np.float32]:
    """The sample's values in the order of the frame's series, NaN where it lacks one: shape (series, samples)."""

    def keys(of: MetricFrame) -> list[tuple[str, str, str]]:
        names = (*of.components, "")
        return [(names[c], of.metrics[m], names[p]) for c, m, p in zip(of.component, of.metric, of.peer, strict=True)]

    if not len(sample.values):
        return np.full((len(frame.values), 1), np.nan, np.float32)
    place = {key: row for row, key in enumerate(keys(sample))}
    rows = np.array([place.get(key, -1) for key in keys(frame)], np.int64)
    values = sample.values[rows]
    values[rows < 0] = np.nan
    return values


def noise(healthy: Values, centre: Values, values: npt.NDArray[Any]) -> Values:
    """The noise of each series: its robust standard deviation in health, but at least its floors; above 0."""
    known = ~np.isnan(healthy)
    count = np.maximum(known.sum(axis=1), 1)
    mean = np.where(known, healthy, 0.0).sum(axis=1) / count
    spread = np.sqrt((np.where(known, healthy - mean[:, None], 0.0) ** 2).sum(axis=1) / count)
    high = np.maximum(np.fmax.reduce(values, axis=1), -np.fmin.reduce(values, axis=1)).astype(np.float64)
    floors = [SD_FLOOR * spread, LEVEL_FLOOR * np.abs(centre), PEAK_FLOOR * high]
    robust = MAD_TO_SD * median(np.abs(healthy - centre[:, None]))
    scale = np.full(len(centre), float(np.finfo(np.float32).tiny))
    for floor in (robust, *floors):
        np.maximum(scale, floor, out=scale)
    return scale


def _walk_back(frame: MetricFrame, rows: Rows, centre: Values, scale: Values, sign: Values, alert: int) -> Rows:
    """The first sample of the run of deviating samples that holds the alert; short gaps are bridged."""
    at = min(int(np.searchsorted(frame.times, alert)), frame.times.size - 1)
    first = np.full(len(rows), at, np.int64)
    gap = np.zeros(len(rows), np.int64)
    for column in range(at, -1, -1):
        value = frame.values[rows, column]
        known = ~np.isnan(value)
        with np.errstate(invalid="ignore"):
            hot = known & ((value - centre) / scale * sign > STILL)
        alive = gap <= LONGEST_GAP
        if not alive.any():
            break
        first = np.where(alive & hot, column, first)
        gap = np.where(alive & known, np.where(hot, 0, gap + 1), gap)
    return frame.times[first]
