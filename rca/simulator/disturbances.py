"""What is unusual and has nothing to do with the fault: jobs, backups, bursts on one or two components."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rca.simulator.dynamics import Effects
from rca.simulator.world import World
from rca.types import MINUTE

_KINDS = ("cpu", "memory", "disk", "network", "threads")


def disturb(
    rng: np.random.Generator,
    world: World,
    effects: Effects,
    times: npt.NDArray[np.int64],
    around: int,
    avoid: frozenset[str],
) -> tuple[int, ...]:
    """Loud anomalies without consequences near a time, on one or two components; returns their indices."""
    able = [
        i
        for i, kind in enumerate(world.kinds)
        if kind in ("service", "database", "cache", "consumer", "frontend") and world.services[i] not in avoid
    ]
    if not able:
        return ()
    chosen = rng.choice(able, size=min(int(rng.integers(1, 3)), len(able)), replace=False)
    for component in chosen:
        start = around + int(rng.uniform(-6.0, 6.0) * MINUTE)
        during = (times >= start) & (times < start + int(rng.uniform(3.0, 20.0) * MINUTE))
        for kind in rng.choice(_KINDS, size=int(rng.integers(1, 3)), replace=False):
            if kind == "cpu":
                effects.cpu[component, during] += rng.uniform(0.15, 0.4)
            else:
                low, high = {"memory": (1.3, 2.0), "threads": (1.3, 2.5)}.get(str(kind), (3.0, 12.0))
                getattr(effects, str(kind))[component, during] *= rng.uniform(low, high)
    return tuple(int(i) for i in chosen)
