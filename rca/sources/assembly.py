"""Samples of many requests become one frame: counters as rates, histograms as means and quantiles.

What is made of each sort of series of a component (``X`` is the metric, ``{state=idle}`` labels that are kept):

    gauge                       X{state=idle}                        mean over replicas
    counter, delta              X_per_second{state=idle}             sum over replicas and request labels
    histogram, summary          X_mean, X_p95 and calls_per_second   sums over replicas and request labels
    counter or histogram of     …_error_ratio                        failed of all, in [0, 1]
      which some series failed
    quantile of a summary       X_p99                                mean over replicas

A counter's rate is its growth since the sample before, over the time since then. A counter that fell,
or that says it began anew, was reset: what it shows now is what it grew since (as Prometheus' ``rate``
takes it). The first sample of a series has no rate, unless it says that it began within these samples.
A quantile is read from cumulative bucket counts by linear interpolation, as Prometheus'
``histogram_quantile`` does.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.errors import TelemetryError
from rca.formats.metrics import MAX_CELLS
from rca.sources.samples import DELTA, GAUGE, SampleBatch, Series
from rca.telemetry import NO_PEER, MetricFrame, Times, encode
from rca.types import SECOND

Grid = npt.NDArray[np.float64]  # (series, cells), NaN where nothing was sampled

# Nothing tells the sampling interval where no series has two samples: Prometheus' usual one.
_DEFAULT_STEP = 15 * SECOND
# Label sets of one metric of one component that stay apart; beyond, they are requests' and are added up.
_MOST_LABELS = 12
_QUANTILE = 0.95
_MEASURE = re.compile(r"[._](duration|latency|time|size)?[._]?(seconds|milliseconds|microseconds|ms|bytes)?$", re.ASCII)
_TOTAL = re.compile(r"[._]total$", re.ASCII)


def frame_from_samples(samples: SampleBatch, *, step: int | None = None) -> MetricFrame:
    """The metrics of samples in any order, on one time axis.

    Args:
        samples: several samples of one series at one time are one, the last.
        step: ns between the times of the frame (default: the median sampling interval). Samples go to
            the nearest time; of several at one time the mean counts.

    Raises:
        TelemetryError: more series and times than fit into memory.
    """
    samples = _ordered(samples)
    if not len(samples):
        return MetricFrame.empty()
    keys = _settled(samples.keys)
    axis, cell = _axis(samples, step)
    if len(keys) * len(axis) > MAX_CELLS // 2:  # float64
        raise TelemetryError(
            f"{len(keys)} series at {len(axis)} times are too many",
            where="metrics",
            remedy="Read a shorter window, or one with a longer step",
        )
    sorts = np.array([key.sort for key in keys])[samples.series]
    values = np.where(sorts == GAUGE, samples.values, _rates(samples, sorts))
    grid = _grid(samples.series, cell, values, (len(keys), len(axis)))
    return _frame(axis, _rows(keys, grid))


def _ordered(samples: SampleBatch) -> SampleBatch:
    """By series and time; the last of equal ones; without those that say that nothing was measured."""
    order = np.lexsort((samples.times, samples.series))
    series, times = samples.series[order], samples.times[order]
    last = np.ones(len(order), bool)
    last[:-1] = (series[1:] != series[:-1]) | (times[1:] != times[:-1])
    rows = order[last]
    return samples.take(rows[~np.isnan(samples.values[rows])])


def _settled(keys: Sequence[Series]) -> list[Series]:
    """The series with what only all of them together tell.

    ``X_count`` without ``X_sum`` is no part of a histogram but a gauge of that name; labels of which a
    metric has too many sets are dropped.
    """
    parts = defaultdict(set)
    labels = defaultdict(set)
    for key in keys:
        parts[key.component, key.metric].add(key.part)
        labels[key.component, key.metric, key.part].add(key.labels)
    settled = []
    for key in keys:
        if key.part in ("count", "sum") and not {"count", "sum"} <= parts[key.component, key.metric]:
            key = key._replace(metric=f"{key.metric}_{key.part}", sort=GAUGE, part="")
        elif len(labels[key.component, key.metric, key.part]) > _MOST_LABELS:
            key = key._replace(labels="")
        settled.append(key)
    return settled


def _axis(samples: SampleBatch, step: int | None) -> tuple[Times, npt.NDArray[np.int64]]:
    """The times of the frame, and the place of each sample among them."""
    same = samples.series[1:] == samples.series[:-1]
    between = np.diff(samples.times)[same]
    width = step or (int(np.median(between)) if len(between) else _DEFAULT_STEP)
    origin = int(samples.times.min())
    place = (samples.times - origin + width // 2) // width
    used, cell = np.unique(place, return_inverse=True)
    return origin + used * width, cell.astype(np.int64)


def _rates(samples: SampleBatch, sorts: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Growth per second of each sample of a counter or delta, shape (samples,); NaN where nobody can tell."""
    times, starts, values = samples.times, samples.starts, samples.values
    follows = np.zeros(len(samples), bool)
    follows[1:] = samples.series[1:] == samples.series[:-1]
    before = np.maximum(np.arange(len(samples)) - 1, 0)
    since = np.where(follows, times[before], 0)
    growth = values - np.where(follows, values[before], np.nan)
    began_anew = follows & (starts > 0) & (starts[before] > 0) & (starts > starts[before])
    growth = np.where(follows & ((growth < 0) | began_anew), values, growth)
    new = ~follows & (starts >= times.min()) & (starts < times)
    delta = sorts == DELTA
    growth = np.where(new | delta, values, growth)
    since = np.where(new | (delta & (starts > 0)), starts, since)
    seconds = (times - since) / SECOND
    known = (seconds > 0) & (since > 0) & (sorts != GAUGE)
    rates = np.full(len(samples), np.nan)
    with np.errstate(over="ignore"):
        np.divide(np.maximum(growth, 0.0), seconds, out=rates, where=known)
    return rates


def _grid(
    series: npt.NDArray[Any], cell: npt.NDArray[np.int64], values: npt.NDArray[np.float64], shape: tuple[int, int]
) -> Grid:
    known = ~np.isnan(values)
    flat = series[known].astype(np.int64) * shape[1] + cell[known]
    total = np.bincount(flat, values[known], shape[0] * shape[1])
    count = np.bincount(flat, minlength=shape[0] * shape[1])
    grid = np.full(shape[0] * shape[1], np.nan)
    np.divide(total, count, out=grid, where=count > 0)
    return grid.reshape(shape)


class _Table:
    """Rows of a grid added up, or averaged, by name."""

    def __init__(self, grid: Grid, names: Sequence[Hashable | None], *, mean: bool = False) -> None:
        chosen = [row for row, name in enumerate(names) if name is not None]
        self.place: dict[Any, int] = {}
        codes = np.array([self.place.setdefault(names[row], len(self.place)) for row in chosen], np.int64)
        order = np.argsort(codes, kind="stable")
        part = grid[np.array(chosen, np.int64)[order]] if chosen else np.zeros((0, grid.shape[1]))
        if not mean:
            part = _bridged(part)
        first = np.searchsorted(codes[order], np.arange(len(self.place)))
        present = ~np.isnan(part)
        if chosen:
            total = np.add.reduceat(np.where(present, part, 0.0), first, axis=0)
            count = np.add.reduceat(present, first, axis=0, dtype=np.int64)
            self.values = np.where(count > 0, total / np.maximum(count, 1) if mean else total, np.nan)
        else:
            self.values = part

    def get(self, name: Hashable) -> npt.NDArray[np.float64] | None:
        row = self.place.get(name)
        return None if row is None else self.values[row]


def _bridged(grid: Grid) -> Grid:
    """The grid with single gaps filled: where one of several clocks jitters, a sum must not fall for it."""
    if grid.shape[1] < 3:
        return grid
    left, right = grid[:, :-2], grid[:, 2:]
    filled = grid.copy()
    middle = filled[:, 1:-1]
    gap = np.isnan(middle) & ~np.isnan(left) & ~np.isnan(right)
    middle[gap] = (left[gap] + right[gap]) / 2
    return filled


def _rows(keys: Sequence[Series], grid: Grid) -> dict[tuple[str, str, str], npt.NDArray[np.float64]]:
    """(component, metric, peer) -> its row."""

    def named(*parts: str, failed: bool = False) -> list[Hashable | None]:
        return [
            (key.component, key.metric, key.peer, key.labels, key.part)
            if key.sort != GAUGE and key.part in parts and (key.failed or not failed)
            else None
            for key in keys
        ]

    rows: dict[tuple[str, str, str], npt.NDArray[np.float64]] = {}
    gauges = _Table(grid, [(k.component, _gauge_name(k), k.peer) if k.sort == GAUGE else None for k in keys], mean=True)
    for name, row in gauges.place.items():
        rows[name] = gauges.values[row]
    totals, failed = _Table(grid, named("", "count")), _Table(grid, named("", "count", failed=True))
    sums = _Table(grid, named("sum"))
    for name, row in totals.place.items():
        component, metric, peer, labels, part = name
        stem = _stem(metric, part)
        total = totals.values[row]
        rows[component, _labelled(f"{stem}_per_second", labels), peer] = total
        if (lost := failed.get(name)) is not None:
            ratio = np.full(total.shape, np.nan)
            np.divide(np.nan_to_num(lost), total, out=ratio, where=total > 0)
            rows[component, _labelled(f"{stem}_error_ratio", labels), peer] = np.minimum(ratio, 1.0)
        if part == "count" and (amount := sums.get((component, metric, peer, labels, "sum"))) is not None:
            mean = np.full(total.shape, np.nan)
            np.divide(amount, total, out=mean, where=total > 0)
            rows[component, _labelled(f"{metric}_mean", labels), peer] = mean
    rows.update(_quantiles(keys, grid))
    return rows


def _quantiles(keys: Sequence[Series], grid: Grid) -> dict[tuple[str, str, str], npt.NDArray[np.float64]]:
    table = _Table(
        grid, [(k.component, k.metric, k.peer, k.labels, k.bound) if k.part == "bucket" else None for k in keys]
    )
    groups: dict[tuple[str, str, str, str], list[tuple[float, int]]] = defaultdict(list)
    for (component, metric, peer, labels, bound), row in table.place.items():
        groups[component, metric, peer, labels].append((bound, row))
    rows = {}
    for (component, metric, peer, labels), bounds in groups.items():
        bounds.sort()
        counts = np.nan_to_num(table.values[[row for _, row in bounds]])  # (bounds, cells)
        name = _labelled(f"{metric}_p{round(100 * _QUANTILE)}", labels)
        rows[component, name, peer] = read_quantile(np.array([bound for bound, _ in bounds]), counts, _QUANTILE)
    return rows


def read_quantile(
    bounds: npt.NDArray[np.float64], counts: npt.NDArray[np.float64], quantile: float
) -> npt.NDArray[np.float64]:
    """A quantile from counts of values up to each bound.

    Args:
        bounds: upper edges, increasing, shape (bounds,); the last may be infinite.
        counts: how many values lie at or below each edge, shape (bounds, cells).
        quantile: in [0, 1].

    Returns:
        Shape (cells,): interpolated within the bucket, whose lower edge is 0 for the first one of
        positive edges; the last finite edge where the quantile lies beyond it; NaN where nothing was counted.
    """
    counts = np.maximum.accumulate(counts, axis=0)
    total = counts[-1]
    rank = quantile * total
    cell = np.arange(counts.shape[1])
    at = np.minimum((counts < rank).sum(axis=0), len(bounds) - 1)
    upper = bounds[at]
    below = np.maximum(at - 1, 0)
    lower = np.where(at > 0, bounds[below], np.where(upper > 0, 0.0, upper))
    under = np.where(at > 0, counts[below, cell], 0.0)
    inside = counts[at, cell] - under
    share = np.zeros(len(cell))
    np.divide(rank - under, inside, out=share, where=inside > 0)
    with np.errstate(invalid="ignore"):
        value = lower + (upper - lower) * np.clip(share, 0.0, 1.0)
    value = np.where(np.isfinite(upper), value, np.where(at > 0, lower, np.nan))
    return np.where((total > 0) & np.isfinite(value), value, np.nan)


def _gauge_name(key: Series) -> str:
    name = f"{key.metric}_p{100 * key.bound:g}" if key.part == "quantile" else key.metric
    return _labelled(name, key.labels)


def _stem(metric: str, part: str) -> str:
    """What is counted: requests, not their duration; ``X_total`` counts X."""
    return f"{_MEASURE.sub('', metric)}_calls" if part == "count" else _TOTAL.sub("", metric)


def _labelled(metric: str, labels: str) -> str:
    return f"{metric}{{{labels}}}" if labels else metric


def _frame(axis: Times, rows: dict[tuple[str, str, str], npt.NDArray[np.float64]]) -> MetricFrame:
    names = sorted(name for name, row in rows.items() if not np.isnan(row).all())
    if not names:
        return MetricFrame.empty()
    component, metric, peer = zip(*names, strict=True)
    components, codes = encode([*component, *peer])
    metrics, metric_codes = encode(metric)
    peers = codes[len(names) :].copy()
    if "" in components:
        peers[peers == components.index("")] = NO_PEER
    largest = np.finfo(np.float32).max
    return MetricFrame(
        components=components,
        metrics=metrics,
        component=codes[: len(names)],
        metric=metric_codes,
        peer=peers,
        times=axis,
        values=np.clip(np.array([rows[name] for name in names]), -largest, largest).astype(np.float32),
    )
