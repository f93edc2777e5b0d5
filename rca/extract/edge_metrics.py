"""Metrics of calls between two components: what the client sees and the server does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.detectors.quantiles import sorted_quantiles
from rca.extract.context import Context
from rca.extract.meaning import classify, normalise
from rca.extract.slowness import IF_NORMAL, IF_SLOW
from rca.health.edges import SLOW_FACTOR, SLOW_QUANTILE
from rca.telemetry import MetricFrame

Array = npt.NDArray[Any]

# A sample of a metric that is taken at both ends of a call stands for five calls.
CALLS_PER_SAMPLE = 5
# Latencies of a millisecond and less are the resolution of most histograms; one failure in a
# hundred is what health shows now and then.
RESOLUTION_SECONDS, RESOLUTION_RATIO = 0.001, 0.01
SIDES = frozenset(
    ("client", "server", "source", "destination", "outgoing", "incoming", "egress", "ingress", "upstream", "downstream")
)


@dataclass(frozen=True, kw_only=True)
class EdgeSamples:
    """Samples of calls between pairs of components, one row per pair and sort.

    Attributes:
        sort: "network" (client less server latency), "whole" (client latency towards a component
            without latency of its own) or "lost" (failures that only the client sees).
        callers, callees: names, shape (rows,).
        times: ns, shape (time,); each sample describes the step before it.
        late: bool, shape (rows, time): beyond its healthy limit; known: whether that can be told.
        silent, healthy_silent: for latencies, whether the client reports nothing, and in how many
            healthy samples that was so; healthy: healthy samples.
    """

    sort: tuple[str, ...]
    callers: tuple[str, ...]
    callees: tuple[str, ...]
    times: Array
    step: int
    late: Array
    known: Array
    silent: Array
    healthy_silent: Array
    healthy: int

    def within(self, start: int, end: int) -> Array:
        """Samples that describe [start, end)."""
        inside: Array = (self.times > start + self.step // 3) & (self.times <= end + self.step // 2)
        return inside

    def rows_of(self, sort: str) -> Array:
        """Rows of one sort."""
        return np.array([i for i, own in enumerate(self.sort) if own == sort], np.int64)

    def counts(self, rows: Array, onsets: Array, ends: Array) -> tuple[Array, Array]:
        """Late and judged samples as pseudo-calls, each of shape (rows, candidates)."""
        inside = np.stack([self.within(int(a), int(b)) for a, b in zip(onsets, ends, strict=True)], axis=1)
        known = self.known[rows].astype(float)
        slow = (known * self.late[rows]) @ inside
        return CALLS_PER_SAMPLE * slow, CALLS_PER_SAMPLE * (known @ inside)

    def ratios(self, rows: Array, onsets: Array, ends: Array) -> tuple[Array, Array, Array]:
        """log10 likelihood ratio "slow against healthy", late and judged pseudo-calls, (rows, candidates)."""
        slow, judged = self.counts(rows, onsets, ends)
        return slow * IF_SLOW + (judged - slow) * IF_NORMAL, slow, judged


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sides:
    """Rows of a frame: the client's by (caller, callee, metric); the server's by pair, and by callee alone."""

    client: dict[tuple[str, str, str], int]
    server: dict[tuple[str, str, str], int]
    measured: frozenset[tuple[str, str]]


def pair_samples(context: Context) -> EdgeSamples:
    """What metrics with a peer tell of calls, against the profile's samples."""
    window, health = context.case.telemetry.metrics, context.health.metrics
    healthy = health.sample if health is not None else MetricFrame.empty()
    now, before = _sides(window), _sides(healthy)
    rows = []
    for caller, callee, name in sorted(now.client):
        family = classify(window.metrics[window.metric[now.client[caller, callee, name]]]).family
        row = _row(window, healthy, now, before, (caller, callee, name), family)
        if row is not None:
            rows.append(row)
    width = len(window.times)
    return EdgeSamples(
        sort=tuple(row[0] for row in rows),
        callers=tuple(row[1] for row in rows),
        callees=tuple(row[2] for row in rows),
        times=window.times,
        step=window.step,
        late=np.array([row[3] for row in rows], bool).reshape(len(rows), width),
        known=np.array([row[4] for row in rows], bool).reshape(len(rows), width),
        silent=np.array([row[5] for row in rows], bool).reshape(len(rows), width),
        healthy_silent=np.array([row[6] for row in rows], np.float64),
        healthy=len(healthy.times),
    )


def _row(
    window: MetricFrame, healthy: MetricFrame, now: _Sides, before: _Sides, key: tuple[str, str, str], family: str
) -> tuple[str, str, str, Array, Array, Array, float] | None:
    caller, callee, _ = key
    seen = window.values[now.client[key]]
    usual = healthy.values[before.client[key]] if key in before.client else np.full(len(healthy.times), np.nan)
    other = _server_row(now, key)
    if other is None and (callee, family) in now.measured:
        return None  # the server measures something that does not compare
    served = 0.0 if other is None else window.values[other]
    other0 = _server_row(before, key)
    served0 = 0.0 if other0 is None else healthy.values[other0]
    resolution = RESOLUTION_RATIO if family == "errors" else _resolution(window, now.client[key])
    gap, gap0 = seen - served, usual - served0
    high, middle = sorted_quantiles(np.asarray(gap0, np.float32)[None, :], (SLOW_QUANTILE, 0.5))[:, 0]
    limit = max(float(high), SLOW_FACTOR * float(middle)) + resolution
    sort = "lost" if family == "errors" else "whole" if other is None else "network"
    with np.errstate(invalid="ignore"):
        late = gap > limit
    known = np.isfinite(gap) & np.isfinite(limit)
    return sort, caller, callee, late, known, ~(seen > 0), float((~(usual > 0)).sum())


def _server_row(sides: _Sides, key: tuple[str, str, str]) -> int | None:
    caller, callee, name = key
    return sides.server.get((caller, callee, name), sides.server.get(("", callee, name)))


def _sides(frame: MetricFrame) -> _Sides:
    """Rows of latency and error series by the pair that they describe and the name without its side."""
    client: dict[tuple[str, str, str], int] = {}
    server: dict[tuple[str, str, str], int] = {}
    measured: set[tuple[str, str]] = set()
    if not (frame.peer >= 0).any():
        return _Sides(client=client, server=server, measured=frozenset())
    meanings = [classify(metric) for metric in frame.metrics]
    names = [_sideless(metric) for metric in frame.metrics]
    told = np.array([m.family in ("latency", "errors") and m.scope == "component" for m in meanings], bool)
    for row in np.flatnonzero(told[frame.metric]).tolist():
        code, peer = int(frame.metric[row]), int(frame.peer[row])
        component = frame.components[frame.component[row]]
        other = frame.components[peer] if peer >= 0 else ""
        if meanings[code].side == "client":
            if peer >= 0:
                client.setdefault((component, other, names[code]), row)
        else:
            server.setdefault((other, component, names[code]), row)
            measured.add((component, meanings[code].family))
    return _Sides(client=client, server=server, measured=frozenset(measured))


def _sideless(metric: str) -> str:
    return "_".join(word for word in normalise(metric).split("_") if word not in SIDES)


def _resolution(frame: MetricFrame, row: int) -> float:
    name = normalise(frame.metrics[frame.metric[row]])
    return RESOLUTION_SECONDS * 1_000 if name.endswith(("_ms", "milliseconds")) else RESOLUTION_SECONDS
