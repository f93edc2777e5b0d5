"""Who deviates, where nothing shows calls: each component's own metrics against their healthy noise.

Without spans, metrics of calls or amounts nobody can tell what is handed on from what is done. What is left
is how unlikely each series is in health. The noise of a series is robust (median and median absolute
deviation, as in BARO, Pham et al., FSE 2024) with floors, since many series hardly move in health, and has
heavy tails: a log likelihood ratio that grows with the logarithm of the deviation, so that one flat series does
not decide by itself. What was as high before the incident is no news. The strongest series of a component
speaks for it: the others are not independent of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.extract.abnormal import STILL, aligned, median, noise
from rca.extract.context import Context
from rca.extract.meaning import classify, kind_of
from rca.kinds import load_kinds
from rca.likelihood import saturate
from rca.quantities import number, quantity
from rca.telemetry import NO_PEER, MetricFrame
from rca.types import Direction, Event, Evidence

Array = npt.NDArray[Any]

GROUP = "own metrics"
# Degrees of freedom of Student's t distribution: the fewest with a finite variance.
TAIL = 3.0
# Evidence of this many powers of ten is believed by half; less than the least is not worth telling of a series
# that is not its component's strongest.
SURE, LEAST = 3.0, 1.0
# Resources that a component uses by itself, and what users of a component feel if it lacks them.
RESOURCES = ("cpu", "memory", "disk", "network")
FELT = ("latency", "errors", "availability")
# A busy resource counts by half where requests are measured and do not suffer; suffering is believed by half
# at one power of ten.
IDLE, SUFFERS = 0.5, 1.0
SAMPLES_BEFORE = 5
# Above it an availability is a percentage.
LARGEST_RATIO = 1.5


def sees_calls(context: Context, events: Sequence[Event]) -> bool:
    """Whether spans, metrics of calls or amounts that pass along calls tell who calls whom and what is handed on."""
    telemetry = context.case.telemetry
    if len(telemetry.spans) or bool((telemetry.metrics.peer != NO_PEER).any()):
        return True
    amounts = any(event.evidence is not None and event.evidence.amount is not None for event in events)
    return amounts and len(context.topology.caller) > 0


def extract_own_metrics(context: Context) -> list[Event]:
    """Events of every series that gets worse beyond its healthy noise; the strongest of each component counts.

    The evidence of a candidate onset lasts to the end of the window: where nothing else speaks, a leak needs the time.
    """
    whole, health = context.case.telemetry.metrics, context.health.metrics
    if health is None or not whole.values.size or not health.sample.values.size:
        return []
    frame = whole.select(_own_series(context, whole))
    healthy = aligned(frame, health.sample)
    z = _deviations(frame, healthy)
    inside = [
        (frame.times > onset + frame.step // 3) & (frame.times <= context.case.incident.window.end + frame.step // 2)
        for onset in context.onsets
    ]
    lasting = np.minimum(z[:, 1:], z[:, :-1])  # two samples in a row
    before = median(z[:, np.flatnonzero(frame.times <= int(context.onsets.min()) + frame.step // 3)[-SAMPLES_BEFORE:]])
    news = lasting - np.maximum(np.nan_to_num(before), 0.0)[:, None]
    peaks = np.stack([np.fmax.reduce(news[:, mask[1:]], axis=1, initial=0.0) for mask in inside], axis=1)
    powers = _less_idle(frame, heavy_tailed_powers(peaks)).mean(axis=1)
    rows = np.flatnonzero((powers >= LEAST) | ((powers > 0.0) & _is_strongest(frame, powers)))
    usual = median(healthy[rows])
    return [
        _event(frame, row, float(powers[row]), float(usual[i]), z[row], inside[int(peaks[row].argmax())])
        for i, row in enumerate(rows.tolist())
    ]


def heavy_tailed_powers(z: Array) -> Array:
    """log10 likelihood ratio of deviations: Student's t around the deviation against the same around health.

    Args:
        z: deviations in standard deviations of health, >= 0.

    Returns:
        >= 0, of the same shape.
    """
    powers: Array = (TAIL + 1.0) / 2.0 * np.log10(1.0 + np.square(np.asarray(z, np.float64)) / TAIL)
    return powers


def _own_series(context: Context, frame: MetricFrame) -> npt.NDArray[np.int64]:
    """Rows that describe components themselves: no calls that they make, no machine below them but a host's own."""
    meanings = [classify(metric) for metric in frame.metrics]
    outgoing = np.array([m.side == "client" for m in meanings] or [False], bool)[frame.metric]
    of_host = np.array([m.scope == "host" for m in meanings] or [False], bool)[frame.metric]
    hosts = {name for name, kind in context.topology.kinds.items() if kind == "host"}
    is_host = np.array([name in hosts for name in frame.components] or [False], bool)[frame.component]
    return np.flatnonzero((frame.peer == NO_PEER) & ~outgoing & (~of_host | is_host))


def _deviations(frame: MetricFrame, healthy: npt.NDArray[np.float32]) -> Array:
    """Deviations for the worse in healthy noise, 0 where unknown: shape (series, time).

    Availabilities are turned into shares of failures: two in a hundred are many where there were none.
    """
    values, health = frame.values.astype(np.float64), healthy.astype(np.float64)
    for code, metric in enumerate(frame.metrics):
        rows = np.flatnonzero(frame.metric == code)
        if not len(rows) or classify(metric).bad_direction != "down":
            continue
        highest = np.fmax(np.fmax.reduce(values[rows], axis=None), np.fmax.reduce(health[rows], axis=None))
        whole = (1.0 if highest <= LARGEST_RATIO else 100.0) if classify(metric).family == "availability" else 0.0
        values[rows], health[rows] = whole - values[rows], whole - health[rows]
    centre = median(health)
    return np.nan_to_num((values - centre[:, None]) / noise(health, centre, values)[:, None])


def _less_idle(frame: MetricFrame, powers: Array) -> Array:
    """The evidence, shape (series, candidates), that of busy resources by half where requests do not suffer."""
    family = [classify(metric).family for metric in frame.metrics]
    felt = np.array([name in FELT for name in family] or [False], bool)[frame.metric]
    resource = np.array([name in RESOURCES for name in family] or [False], bool)[frame.metric]
    suffering = np.full((len(frame.components), powers.shape[1]), -1.0)
    np.maximum.at(suffering, frame.component[felt], powers[felt])
    measured, believed = suffering >= 0.0, saturate(suffering, SUFFERS)
    share = np.where(measured, IDLE + (1.0 - IDLE) * believed, 1.0)
    return np.where(resource[:, None], share[frame.component] * powers, powers)


def _is_strongest(frame: MetricFrame, powers: Array) -> npt.NDArray[np.bool_]:
    """Whether no other series of its component says more: shape (series,), one of each component."""
    order = np.lexsort((np.arange(len(powers)), -powers, frame.component))
    first = np.diff(frame.component[order], prepend=-1) != 0
    strongest = np.zeros(len(powers), bool)
    strongest[order[first]] = True
    return strongest


def _event(frame: MetricFrame, row: int, powers: float, usual: float, z: Array, inside: npt.NDArray[np.bool_]) -> Event:
    name, metric = frame.components[frame.component[row]], frame.metrics[frame.metric[row]]
    at = int(np.where(inside, z, -np.inf).argmax())
    quiet = np.flatnonzero(z[: at + 1] <= STILL)
    begin = at if not len(quiet) else min(int(quiet[-1]) + 1, at)
    falls = classify(metric).bad_direction == "down"
    direction: Direction = "down" if falls else "up"
    kind = load_kinds()[kind_of(metric, direction)]
    blame = float(saturate(np.array(powers), SURE))
    return Event(
        id=f"{kind.name}:{name}:{metric}:own",
        component=name,
        kind=kind.name,
        name=metric,
        start=int(frame.times[begin]),
        end=int(frame.times[at]),
        severity=blame,
        direction=direction,
        evidence=Evidence(
            sentence=f"{metric} of {name} {'fell' if falls else 'rose'} to "
            f"{quantity(metric, float(frame.values[row, at]))} (usually {quantity(metric, usual)}), "
            f"{number(round(float(z[at]), 1))} times its healthy noise",
            group=GROUP,
            blame=blame,
            explainable=kind.explainable,
            likelihood=min(powers, 300.0),
        ),
    )
