"""Requests, mean latency and share of failures per component and row: what amounts are made of.

A row is one step of the metrics' time axis. Zero requests are a fact (nothing was late, nothing
failed); an unknown sample is NaN and stays unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rca.extract.context import Context
from rca.extract.meaning import classify, normalise
from rca.telemetry import NO_PEER, MetricFrame
from rca.types import SECOND, Window

Array = npt.NDArray[np.floating[Any]]
Kind = Literal["latency", "failures"]
Picks = dict[str, npt.NDArray[np.int64]]

MOST_ROWS = 240
"""Longer windows are merged to rows of several samples: a regression needs no more."""

ROWS_BEFORE = 24
"""Rows before the window that are read with it: a step is seen by what stands before it."""

MOST_HEALTHY_CELLS = 1_000_000
"""Components x rows of health that are read; of more, every n-th row (the noise of a row stays what it was)."""

LARGEST = np.float32(1e12)
"""Larger values (a counter that overflowed, a missing sample told as 1e38) are cut: their squares must stay finite."""

FEWEST_HEALTHY_ROWS = 6
"""Fewer rows give neither a median nor a spread worth the name: the next source of health is asked."""

_NO_DURATION = re.compile(r"(^|_)(sum|total|count|bucket|std\w*|variance)(_|$)")
_NO_MEAN = re.compile(r"p\d\d+|percentile|quantile|(^|_)(max|min)(_|$)")
_PER_SECOND = re.compile(r"(^|_)(rps|qps|tps|rate|per_s|per_sec|per_second|reqs?_s)(_|$)")
_PERCENT = re.compile(r"percent|pct")
_RATIO = re.compile(r"ratio|share|fraction")
_UNITS = (
    (re.compile(r"(^|_)(ms|milli\w*)(_|$)"), 1e-3),
    (re.compile(r"(^|_)(us|micro(s|sec\w*))(_|$)"), 1e-6),
    (re.compile(r"(^|_)(ns|nano\w*)(_|$)"), 1e-9),
)


@dataclass(frozen=True, kw_only=True)
class AmountBlock:
    """Rows of one stretch of time; each array has shape (components, rows), NaN where unknown.

    ``traffic`` requests per row, ``latency`` mean seconds of a request, ``failures`` share of
    requests that failed, in [0, 1]. ``times`` in ns, shape (rows,), may repeat in health.
    """

    times: npt.NDArray[np.int64]
    traffic: Array
    latency: Array
    failures: Array

    def columns(self, rows: slice | npt.NDArray[np.intp]) -> AmountBlock:
        """The given rows of time."""
        return replace(
            self,
            times=self.times[rows],
            traffic=self.traffic[:, rows],
            latency=self.latency[:, rows],
            failures=self.failures[:, rows],
        )

    def members(self, components: slice | npt.NDArray[np.intp]) -> AmountBlock:
        """The given components."""
        return replace(
            self,
            traffic=self.traffic[components],
            latency=self.latency[components],
            failures=self.failures[components],
        )


@dataclass(frozen=True, kw_only=True)
class AmountSeries:
    """The incident's rows and healthy rows of every component that has traffic and a signal.

    Attributes:
        components: names, sorted, shape (n,).
        window, health: the two stretches; a component whose health is unknown has NaN in ``health``.
        latency_names, failure_names: the metric behind each component's signal, "" where none.
        row: length of a row in ns.
        merged: samples that were merged into one row.
    """

    components: tuple[str, ...]
    window: AmountBlock
    health: AmountBlock
    latency_names: tuple[str, ...]
    failure_names: tuple[str, ...]
    row: int
    merged: int = 1


@dataclass(frozen=True, kw_only=True)
class _Role:
    """How a metric enters: the rank among rivals (lower is better) and the form of its values."""

    rank: int
    form: str
    scale: float = 1.0


def latency_scale(metric: str) -> float:
    """Seconds per unit of a latency metric by its name; 1 where the name says nothing."""
    name = normalise(metric)
    return next((scale for pattern, scale in _UNITS if pattern.search(name)), 1.0)


def _traffic_role(metric: str) -> _Role | None:
    meaning, name = classify(metric), normalise(metric)
    if meaning.family != "traffic" or re.search(r"bytes|size|message", name):
        return None
    plain = 0 if re.search(r"request|call|invocation|rps|qps", name) else 1
    rank = 2 * (meaning.side == "client") + plain
    return _Role(rank=rank, form="rate" if _PER_SECOND.search(name) else "count")


def _latency_role(metric: str) -> _Role | None:
    meaning, name = classify(metric), normalise(metric)
    if meaning.family != "latency" or _NO_DURATION.search(name):
        return None
    # A percentile does not add up, but moves with the mean: better than nothing.
    rank = 2 * (meaning.side == "client") + 4 * bool(_NO_MEAN.search(name))
    return _Role(rank=rank, form="mean", scale=latency_scale(metric))


def _failure_role(metric: str) -> _Role | None:
    meaning, name = classify(metric), normalise(metric)
    if meaning.family not in ("errors", "availability"):
        return None
    if re.search(r"retr|restart|oom|throttl|crash", name):  # no outcome of a request
        return None
    form = "percent" if _PERCENT.search(name) else "ratio" if _RATIO.search(name) else "unknown"
    client_fault = bool(re.search(r"4xx|not_?found", name))
    rank = 4 * (meaning.side == "client") + 2 * client_fault + (meaning.family == "errors")
    return _Role(rank=rank, form=("good " if meaning.family == "availability" else "bad ") + form)


_ROLES = {"traffic": _traffic_role, "latency": _latency_role, "failures": _failure_role}


def read_series(context: Context) -> AmountSeries | None:
    """Rows of all components whose metrics tell traffic and latency or failures; None where there are none."""
    telemetry = context.case.telemetry.metrics
    frame = telemetry.slice(stretch(context, telemetry))
    if frame.times.size < 3 or not frame.metrics:
        return None
    chosen = {role: _choose(frame, role) for role in _ROLES}
    useful = (chosen["traffic"] >= 0) & ((chosen["latency"] >= 0) | (chosen["failures"] >= 0))
    # Where replicas have series, their service's would count the same requests twice.
    found = {frame.components[code]: code for code in np.flatnonzero(useful).tolist()}
    replica_of = context.topology.replica_of
    replicated = {replica_of[name] for name in found if name in replica_of}
    names = tuple(sorted(found.keys() - replicated))
    if not names:
        return None
    codes = np.array([found[name] for name in names])
    picks = {role: series[codes] for role, series in chosen.items()}
    step = frame.step / SECOND or 1.0
    window, merged = merge_rows(_read_block(frame, picks, step))
    sources = _healthy_frames(context, telemetry, frame)
    metrics = np.array([*frame.metrics, ""], dtype=object)
    metric_of = np.append(frame.metric, len(frame.metrics))  # no series (-1): no name
    metric_names = {role: tuple(metrics[metric_of[series]]) for role, series in picks.items()}
    most = max(MOST_HEALTHY_CELLS // len(names), 60)
    blocks = (
        _read_block(source, _find(source, frame, picks), step) for source in (_thin(source, most) for source in sources)
    )
    return AmountSeries(
        components=names,
        window=window,
        health=_first_known(blocks),
        latency_names=metric_names["latency"],
        failure_names=metric_names["failures"],
        row=int(np.median(np.diff(window.times))) if window.times.size > 1 else SECOND,
        merged=merged,
    )


def stretch(context: Context, telemetry: MetricFrame) -> Window:
    """The window and up to ``ROWS_BEFORE`` rows right before it, as far as they follow one another."""
    incident, step = context.case.incident, telemetry.step
    end = int(np.searchsorted(telemetry.times, incident.window.start))
    rows = telemetry.times[max(end - ROWS_BEFORE, 0) : end + 1]
    if end == telemetry.times.size or rows.size < 2:
        return incident.window
    broken = np.flatnonzero(np.diff(rows) > 2 * step)
    first = rows[broken[-1] + 1] if broken.size else rows[0]
    return Window(start=min(int(first), incident.window.start), end=incident.window.end)


def _choose(frame: MetricFrame, role: str) -> npt.NDArray[np.int64]:
    """The best series of each component for a role, -1 where it has none; shape (components,)."""
    read = _ROLES[role]
    roles = [read(metric) for metric in frame.metrics]
    order = sorted(range(len(roles)), key=lambda i: (r.rank if (r := roles[i]) else 99, frame.metrics[i]))
    place = np.empty(len(roles), np.int64)
    place[order] = np.arange(len(roles))
    fits = np.array([r is not None for r in roles])[frame.metric] & (frame.peer == NO_PEER)
    series = np.flatnonzero(fits)
    series = series[np.lexsort((place[frame.metric[series]], frame.component[series]))]
    first = np.diff(frame.component[series], prepend=-1) != 0
    chosen = np.full(len(frame.components), -1, np.int64)
    chosen[frame.component[series[first]]] = series[first]
    return chosen


def _find(frame: MetricFrame, origin: MetricFrame, picks: Picks) -> Picks:
    """The series in ``frame`` of the components and metrics that were picked in ``origin``; -1: not there."""
    if frame is origin or (frame.components is origin.components and frame.component is origin.component):
        return picks
    metric_of = {name: i for i, name in enumerate(frame.metrics)}
    width = len(frame.metrics) + 1
    plain = np.flatnonzero(frame.peer == NO_PEER)
    keys = frame.component[plain].astype(np.int64) * width + frame.metric[plain]
    order = np.argsort(keys, kind="stable")
    if frame.components == origin.components:
        component = np.arange(len(origin.components))
    else:
        component_of = {name: i for i, name in enumerate(frame.components)}
        component = np.array([component_of.get(name, -1) for name in origin.components], np.int64)
    metric = np.array([metric_of.get(name, -1) for name in origin.metrics], np.int64)
    found: Picks = {}
    for role, series in picks.items():
        c, m = component[origin.component[series]], metric[origin.metric[series]]
        wanted = np.where((series >= 0) & (c >= 0) & (m >= 0), c * width + m, -1)
        at = np.minimum(np.searchsorted(keys[order], wanted), max(len(keys) - 1, 0))
        hit = (wanted >= 0) & (keys[order][at] == wanted) if len(keys) else np.zeros(len(series), bool)
        found[role] = np.where(hit, plain[order][at], -1) if len(keys) else np.full(len(series), -1)
    return found


def _read_block(frame: MetricFrame, picks: Picks, step: float) -> AmountBlock:
    """Values of the picked series in requests per ``step`` seconds, seconds and shares; shape (components, times)."""
    traffic = _values(frame, picks["traffic"])
    traffic *= _by_metric(frame, picks["traffic"], lambda name: step if _form(_traffic_role(name)) == "rate" else 1.0)
    traffic = np.maximum(traffic, 0.0)
    latency = _values(frame, picks["latency"])
    latency *= _by_metric(frame, picks["latency"], latency_scale)
    failures = _read_failures(frame, picks["failures"], traffic)
    return AmountBlock(times=frame.times, traffic=traffic, latency=latency, failures=failures)


def _form(role: _Role | None) -> str:
    return "" if role is None else role.form


def _values(frame: MetricFrame, series: npt.NDArray[np.int64]) -> Array:
    values = np.clip(frame.values[np.maximum(series, 0)], -LARGEST, LARGEST)
    values[series < 0] = np.nan
    return values


def _by_metric(frame: MetricFrame, series: npt.NDArray[np.int64], factor: Callable[[str], float]) -> Array:
    """The factor of each picked series' metric, 1 where no series was picked; shape (components, 1)."""
    factors = np.array([factor(metric) for metric in frame.metrics], np.float32)
    return np.asarray(np.where(series >= 0, factors[frame.metric[np.maximum(series, 0)]], np.float32(1.0))[:, None])


def _read_failures(frame: MetricFrame, series: npt.NDArray[np.int64], traffic: Array) -> Array:
    """Shares of failed requests of ratios, percentages, availabilities and counts alike."""
    raw = _values(frame, series)
    metric = np.where(series >= 0, frame.metric[np.maximum(series, 0)], -1)
    out = np.full(raw.shape, np.nan, np.float32)
    for code in np.unique(metric[metric >= 0]):
        name, rows = frame.metrics[code], np.flatnonzero(metric == code)
        good, form = _form(_failure_role(name)).split(" ")
        values = raw[rows]
        if form == "unknown":
            form = _guess_form(good == "good", values)
        if form == "count":
            requests = traffic[rows]
            share = np.divide(values, requests, out=np.full(values.shape, np.nan, np.float32), where=requests > 0)
        else:
            share = values / 100.0 if form == "percent" else values
        out[rows] = np.clip(1.0 - share if good == "good" else share, 0.0, 1.0)
    return out


def _guess_form(good: bool, values: Array) -> str:
    """Shares stay below 1 and are no whole numbers; an availability above 1 is a percentage, errors above 1 a count."""
    known = values[~np.isnan(values)]
    largest = float(known.max(initial=0.0))
    if good:
        return "percent" if largest > 1.5 else "ratio"
    whole = bool((known == np.round(known)).all())
    return "ratio" if largest <= 1.0 and not whole else "count"


def _thin(frame: MetricFrame, most: int) -> MetricFrame:
    if frame.times.size <= most:
        return frame
    rows = np.linspace(0, frame.times.size - 1, most).round().astype(np.int64)
    return replace(frame, times=frame.times[rows], values=frame.values[:, rows])


def _healthy_frames(context: Context, telemetry: MetricFrame, frame: MetricFrame) -> list[MetricFrame]:
    """Sources of health, best first: the profile, the baseline, the rows before every candidate onset."""
    incident = context.case.incident
    sources: list[MetricFrame] = []
    if context.health.metrics is not None:
        sources.append(context.health.metrics.sample)
    if incident.baseline is not None:
        sources.append(telemetry.slice(incident.baseline))
    earliest = int(context.onsets.min()) if context.onsets.size else incident.window.start
    rows = int(np.searchsorted(frame.times, earliest))
    if rows < FEWEST_HEALTHY_ROWS:
        # No row is known to be healthy: the fault is looked for behind the first third.
        rows = max(frame.times.size // 3, min(FEWEST_HEALTHY_ROWS, frame.times.size))
    before = replace(frame, times=frame.times[:rows], values=frame.values[:, :rows])
    sources.append(before)
    enough = [source for source in sources[:-1] if source.times.size >= FEWEST_HEALTHY_ROWS]
    return [*enough, sources[-1]]


def _first_known(blocks: Iterator[AmountBlock]) -> AmountBlock:
    """Each component's rows from the first block that knows its traffic, repeated to one length."""
    best = next(blocks)
    while (unknown := np.isnan(best.traffic).all(axis=1)).any() and (block := next(blocks, None)) is not None:
        repeat = np.resize(np.arange(block.times.size), best.times.size)
        parts = {}
        for name in ("traffic", "latency", "failures"):
            values = getattr(best, name).copy()
            values[unknown] = getattr(block, name)[unknown][:, repeat]
            parts[name] = values
        best = replace(best, **parts)
    return best


def merge_rows(block: AmountBlock) -> tuple[AmountBlock, int]:
    """Rows of several samples each where series are sampled in turns, or the window is long."""
    known = np.isfinite(block.traffic)
    series, column = np.nonzero(known)
    gaps = np.diff(column)[np.diff(series) == 0]
    factor = max(int(np.median(gaps)) if gaps.size else 1, -(-block.times.size // MOST_ROWS))
    if factor <= 1:
        return block, 1
    starts = np.arange(0, block.times.size, factor)
    requests = np.add.reduceat(np.where(known, block.traffic, 0.0), starts, axis=1)
    samples = np.add.reduceat(known, starts, axis=1, dtype=np.int64)
    traffic = np.divide(requests, samples, out=np.full(requests.shape, np.nan), where=samples > 0)

    def mean(values: Array) -> Array:
        weight = np.where(np.isfinite(values) & known, block.traffic, 0.0)
        total = np.add.reduceat(np.where(weight > 0, values, 0.0) * weight, starts, axis=1)
        count = np.add.reduceat(weight, starts, axis=1)
        return np.asarray(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))

    merged = AmountBlock(
        times=block.times[starts], traffic=traffic, latency=mean(block.latency), failures=mean(block.failures)
    )
    return merged, factor
