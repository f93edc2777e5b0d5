"""Edges that fall silent: a component that is still called but no longer calls others."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rca.extract.context import Context
from rca.extract.edge_metrics import EdgeSamples
from rca.likelihood import binomial_ratio, saturate
from rca.types import Event, Evidence

Array = npt.NDArray[Any]

SCALE = 10.0
# Less than a factor of three in likelihood is left out of the sum.
FEWEST_POWERS = 0.5


def extract_silence(context: Context, samples: EdgeSamples) -> list[Event]:
    """Events ``signal.missing`` from metrics of calls whose reports stop."""
    rows = np.concatenate([samples.rows_of("network"), samples.rows_of("whole")])
    if not len(rows) or not samples.healthy:
        return []
    inside = np.stack(
        [samples.within(int(a), int(b)) for a, b in zip(context.onsets, context.ends, strict=True)], axis=1
    )
    n1 = inside.sum(axis=0)
    k1 = samples.silent[rows].astype(float) @ inside
    k0 = samples.healthy_silent[rows][:, None]
    ratio = np.maximum(binomial_ratio(k1, n1[None, :], k0, np.full((len(rows), 1), samples.healthy)), 0.0)
    callers = [samples.callers[i] for i in rows]
    callees = [samples.callees[i] for i in rows]
    alive = {name: np.zeros(len(context.onsets), bool) for name in callees}
    for row, name in enumerate(callees):
        alive[name] |= (n1 > 0) & (k1[row] < n1)
    events = []
    for name in sorted(set(callers)):
        mine = np.array([i for i, caller in enumerate(callers) if caller == name])
        quiet = np.where(ratio[mine] > FEWEST_POWERS, ratio[mine], 0.0).sum(axis=0)
        total = np.where(alive.get(name, np.ones(len(context.onsets), bool)), quiet, 0.0)
        if total.max(initial=0.0) > FEWEST_POWERS:
            candidate = int(np.argmax(total))
            worst = int(mine[np.argmax(ratio[mine, candidate])])
            sentence = (
                f"{name} is still called but reports no calls to {callees[worst]} in {k1[worst, candidate]:.0f} of "
                f"{n1[candidate]} samples (healthy: {k0[worst, 0]:.0f} of {samples.healthy})"
            )
            events.append(_event(context, name, candidate, total, sentence))
    return events


def _event(context: Context, name: str, candidate: int, total: Array, sentence: str) -> Event:
    blame = float(saturate(total, SCALE).mean())
    return Event(
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
