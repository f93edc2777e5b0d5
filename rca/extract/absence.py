"""Components that stop reporting: all their metrics are missing at once, as after a crash or a lost host."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rca.extract.context import Context
from rca.likelihood import binomial_ratio, saturate
from rca.telemetry import MetricFrame
from rca.types import SECOND, Event, Evidence

Array = npt.NDArray[Any]

# Samples are few (three in three minutes, each worth about 1.5 powers of ten where health never
# misses one): half of full blame at two missing samples.
SCALE = 3.0
FEWEST_POWERS = 1.0
# Missing samples that are closer than this tell of the same absence.
APART = 30 * SECOND


def extract_absence(context: Context) -> list[Event]:
    """Events ``signal.missing`` of components whose every metric is missing more often than in health.

    A scrape that nobody answered is no absence of one component: times at which most are missing are left out.
    """
    frame, health = context.case.telemetry.metrics, context.health.metrics
    if health is None or not frame.values.size or not health.sample.values.size:
        return []
    gone, names = _gone(frame)
    if not gone.any():
        return []
    before, healthy_names = _gone(health.sample)
    place = {name: i for i, name in enumerate(healthy_names)}
    at = np.array([place.get(name, -1) for name in names], np.int64)
    usable = gone.mean(axis=0) < 0.5 if len(names) > 1 else np.ones(len(frame.times), bool)
    k0 = np.append(before.sum(axis=1), 0)[at].astype(float)
    n0 = np.where(at >= 0, before.shape[1], 0).astype(float)
    step = frame.step
    worth = min(1.0, step / APART) if step else 1.0
    inside = np.stack(
        [
            usable & (frame.times > a + step // 3) & (frame.times <= b + step // 2)
            for a, b in zip(context.onsets, context.ends, strict=True)
        ],
        axis=1,
    )
    n1 = inside.sum(axis=0).astype(float)[None, :]
    k1 = gone.astype(float) @ inside
    seen = (worth * k1, worth * n1, worth * k0[:, None], worth * n0[:, None])
    ratio = np.where(n0[:, None] > 0, np.maximum(binomial_ratio(*seen), 0.0), 0.0)
    blame = saturate(ratio, SCALE).mean(axis=1)
    return [
        _event(context, names[i], i, float(blame[i]), ratio, k1, n1, (k0, n0))
        for i in np.flatnonzero(ratio.max(axis=1, initial=0.0) > FEWEST_POWERS).tolist()
    ]


def _gone(frame: MetricFrame) -> tuple[npt.NDArray[np.bool_], list[str]]:
    """Whether all metrics of each component are missing at each time, and the components: (components, time)."""
    own = np.flatnonzero(frame.peer < 0)
    order = own[np.argsort(frame.component[own], kind="stable")]
    codes, begins = np.unique(frame.component[order], return_index=True)
    if not len(codes):
        return np.zeros((0, len(frame.times)), bool), []
    names = [frame.components[code] for code in codes.tolist()]
    missing = np.isnan(frame.values)
    if not missing.any():
        return np.zeros((len(codes), len(frame.times)), bool), names
    return np.logical_and.reduceat(missing[order], begins, axis=0), names


def _event(
    context: Context,
    name: str,
    at: int,
    blame: float,
    ratio: Array,
    k1: Array,
    n1: Array,
    healthy: tuple[Array, Array],
) -> Event:
    candidate = int(np.argmax(ratio[at]))
    missing, samples = k1[at, candidate], n1[0, candidate]
    return Event(
        id=f"signal.missing:{name}:metrics",
        component=name,
        kind="signal.missing",
        name="all metrics",
        start=int(context.onsets[candidate]),
        end=int(context.ends[candidate]),
        severity=blame,
        direction="down",
        evidence=Evidence(
            sentence=f"{name} reported no metric at all in {missing:.0f} of {samples:.0f} samples "
            f"(healthy: {healthy[0][at]:.0f} of {healthy[1][at]:.0f})",
            group="absence",
            blame=blame,
            likelihood=float(ratio[at, candidate]),
        ),
    )
