"""Metrics of calls between two components: gaps between both ends, and edges that fall silent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.detectors.quantiles import sorted_quantiles
from rca.detectors.robust import series_keys
from rca.extract.context import Context
from rca.extract.meaning import classify, normalise
from rca.health.edges import SLOW_FACTOR, SLOW_QUANTILE
from rca.likelihood import binomial_ratio, saturate
from rca.telemetry import MetricFrame
from rca.types import Event, Evidence

Array = npt.NDArray[Any]

SCALE = 10.0
# Latencies of a millisecond and less are the resolution of most histograms.
RESOLUTION_SECONDS = 0.001


@dataclass(frozen=True, kw_only=True)
class EdgeSamples:
    """Latency of calls taken at both ends, per pair of components.

    ``gap`` client less server latency, shape (pairs, time), NaN where either is missing; ``limit``
    the healthy limit, shape (pairs,); ``silent`` whether the client side reports nothing.
    """

    callers: tuple[str, ...]
    callees: tuple[str, ...]
    times: Array
    step: int
    gap: Array
    limit: Array
    silent: Array
    healthy_silent: Array
    healthy: int

    def within(self, start: int, end: int) -> Array:
        """Samples that describe [start, end): each describes the step before it."""
        inside: Array = (self.times > start + self.step // 3) & (self.times <= end + self.step // 2)
        return inside


def pair_samples(context: Context) -> EdgeSamples:
    """The client and server latencies of calls in the case, with their healthy limits."""
    window, health = context.case.telemetry.metrics, context.health.metrics
    client, server = _sides(window)
    callers, callees, gap, silent = [], [], [], []
    limits, healthy_silent = [], []
    healthy = health.sample if health is not None else MetricFrame.empty()
    client0, server0 = _sides(healthy)
    for pair in sorted(client):
        row = window.values[client[pair]]
        callers.append(pair[0])
        callees.append(pair[1])
        silent.append(~(row > 0))
        other = window.values[server[pair]] if pair in server else np.full_like(row, np.nan)
        gap.append(row - other)
        limit, quiet = np.nan, 0.0
        if pair in client0:
            row0 = healthy.values[client0[pair]]
            quiet = float((~(row0 > 0)).sum())
            if pair in server0:
                gap0 = (row0 - healthy.values[server0[pair]])[None, :]
                high, middle = sorted_quantiles(gap0, (SLOW_QUANTILE, 0.5))[:, 0]
                limit = max(float(high), SLOW_FACTOR * float(middle)) + _resolution(window, client[pair])
        limits.append(limit)
        healthy_silent.append(quiet)
    width = len(window.times)
    return EdgeSamples(
        callers=tuple(callers),
        callees=tuple(callees),
        times=window.times,
        step=window.step,
        gap=np.array(gap).reshape(len(gap), width),
        limit=np.array(limits),
        silent=np.array(silent, bool).reshape(len(silent), width),
        healthy_silent=np.array(healthy_silent),
        healthy=len(healthy.times),
    )


def _sides(frame: MetricFrame) -> tuple[dict[tuple[str, str], int], dict[tuple[str, str], int]]:
    """Rows of latency series by (caller, callee): measured at the client, measured at the server."""
    client: dict[tuple[str, str], int] = {}
    server: dict[tuple[str, str], int] = {}
    for row in np.flatnonzero(frame.peer >= 0):
        component, metric, peer = series_keys(frame.select(np.array([row])))[0]
        meaning = classify(metric)
        if meaning.family != "latency":
            continue
        if meaning.side == "client":
            client.setdefault((component, peer), int(row))
        else:
            server.setdefault((peer, component), int(row))
    return client, server


def _resolution(frame: MetricFrame, row: int) -> float:
    name = normalise(frame.metrics[frame.metric[row]])
    return RESOLUTION_SECONDS * 1_000 if name.endswith(("_ms", "milliseconds")) else RESOLUTION_SECONDS


def extract_silence(context: Context, samples: EdgeSamples) -> list[Event]:
    """Events ``signal.missing``: a component that is still called but no longer calls others."""
    if not len(samples.callers) or not samples.healthy:
        return []
    pairs, candidates = len(samples.callers), len(context.onsets)
    n1 = np.array([samples.within(int(a), int(b)).sum() for a, b in zip(context.onsets, context.ends, strict=True)])
    k1 = np.stack(
        [
            (samples.silent & samples.within(int(a), int(b))[None, :]).sum(axis=1)
            for a, b in zip(context.onsets, context.ends, strict=True)
        ],
        axis=1,
    )
    ratio = np.maximum(
        binomial_ratio(k1, n1[None, :], samples.healthy_silent[:, None], np.full((pairs, 1), samples.healthy)), 0.0
    )
    called = {name: np.zeros(candidates, bool) for name in samples.callees}
    for row, name in enumerate(samples.callees):
        called[name] |= (n1 > 0) & (k1[row] < n1)
    events = []
    for name in sorted(set(samples.callers)):
        rows = np.array([i for i, caller in enumerate(samples.callers) if caller == name])
        alive = called.get(name, np.ones(candidates, bool))
        total = np.where(alive, np.where(ratio[rows] > 0.5, ratio[rows], 0.0).sum(axis=0), 0.0)
        if total.max(initial=0.0) <= 0.5:
            continue
        candidate = int(np.argmax(total))
        blame = float(saturate(total, SCALE).mean())
        quiet = rows[np.argmax(ratio[rows, candidate])]
        sentence = (
            f"{name} is still called but reports no calls to {samples.callees[quiet]} in {k1[quiet, candidate]} of "
            f"{n1[candidate]} samples (healthy: {samples.healthy_silent[quiet]:.0f} of {samples.healthy})"
        )
        events.append(
            Event(
                id=f"signal.missing:{name}:calls",
                component=name,
                kind="signal.missing",
                name="calls to other components",
                start=int(context.onsets[candidate]),
                end=int(context.ends[candidate]),
                severity=blame,
                direction="down",
                evidence=Evidence(sentence=sentence, group="requests", blame=blame, likelihood=float(total[candidate])),
            )
        )
    return events
