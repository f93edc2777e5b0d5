"""Where a fault strikes and how hard: components that users depend on, and the strength they will feel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rca.simulator.dynamics import Effects, State, Weather, descend, run
from rca.simulator.world import Array, Codes, World


@dataclass(frozen=True, kw_only=True)
class Sites:
    """How much users depend on each component while the shop is healthy.

    Attributes:
        calls: requests at a component per request at a frontend, shape (n, frontends).
        passing: of one failed request at a component, how many requests fail at the frontend; as ``calls``.
        latency: healthy seconds per request, shape (n,).
    """

    world: World
    calls: Array
    passing: Array
    latency: Array

    @classmethod
    def survey(cls, world: World, healthy: State) -> Sites:
        """From the call graph and a healthy stretch of time."""
        fronts = world.of_kind("frontend")
        start = np.zeros((len(world.names), len(fronts)))
        start[fronts, np.arange(len(fronts))] = 1.0
        waits = np.where(world.asynchronous, 0.0, world.calls)
        return cls(
            world=world,
            calls=descend(world, start, waits[:, None]),
            passing=descend(world, start, (waits * world.passes * np.where(world.retries, 0.3, 1.0))[:, None]),
            latency=healthy.latency.mean(axis=1),
        )

    @cached_property
    def fronts(self) -> Codes:
        """The frontends, in the order of the columns."""
        return self.world.of_kind("frontend")

    def breaking(self, weather: Weather) -> float:
        """The factor on the traffic of users that makes some frontend half as slow again: from 1.8 to 5."""
        factor, columns = 1.8, min(len(weather.load), 10)
        part = Weather(
            own=weather.own[:, -columns:], load=weather.load[-columns:], failing=weather.failing[:, -columns:]
        )
        usual = run(self.world, part, Effects.none(self.world, columns)).latency[self.fronts]
        while factor < 5.0:
            more = Effects.none(self.world, columns)
            more.load[:] = factor
            if (run(self.world, part, more).latency[self.fronts] / usual).mean(axis=1).max() > 1.5:
                break
            factor *= 1.15
        return factor

    def replicas(self, component: int) -> npt.NDArray[np.intp]:
        """All components of the same service."""
        name = self.world.services[component]
        return np.flatnonzero(np.array([service == name for service in self.world.services]))

    def excess(self, roots: npt.NDArray[np.intp], gain: float) -> float:
        """Seconds more per request at the roots that make the frontend they matter most to (1 + gain) times as slow."""
        share = self.calls[roots].sum(axis=0) / self.latency[self.fronts]
        return float(gain / max(share.max(), 1e-3))

    def failing(self, roots: npt.NDArray[np.intp], wanted: float) -> float:
        """Probability of failure at the roots that makes that share of requests fail at some frontend."""
        return float(np.clip(wanted / max(self.passing[roots].sum(axis=0).max(), 1e-3), 0.08, 0.9))

    def choose(
        self, rng: np.random.Generator, kinds: tuple[str, ...], *, errors: bool = False, avoid: tuple[int, ...] = ()
    ) -> int:
        """A component of some kinds on which a frontend depends enough that its users would notice.

        Of those, every one is equally likely; where there is none, the one that matters most. What is slow
        has to have some share in the time of the frontend already, or it would have to be slow beyond belief.
        """
        world, reach = self.world, (self.passing if errors else self.calls).max(axis=1)
        if not errors:
            part = (self.calls * world.own[:, None] / self.latency[self.fronts][None, :]).max(axis=1)
            reach = np.where(part >= 0.01, reach, 0.1 * reach)
        taken = {world.services[i] for i in avoid}
        allowed = np.array([k in kinds and s not in taken for k, s in zip(world.kinds, world.services, strict=True)])
        enough = np.flatnonzero(allowed & (reach >= (0.08 if errors else 0.15)))
        if enough.size:
            return int(enough[rng.integers(enough.size)])
        return int(np.argmax(np.where(allowed, reach, -1.0)))
