"""What is to be simulated: a seed, the size of the shop, the fault and the stretch of time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rca.errors import InputError, SettingsError
from rca.types import MINUTE, SECOND, Window, to_nanoseconds

FAULTS: tuple[str, ...] = (
    "cpu",
    "memory_leak",
    "disk",
    "network_delay",
    "network_loss",
    "pod_kill",
    "bad_deployment",
    "bad_config",
    "flag",
    "slow_query",
    "connection_pool",
    "dependency_outage",
    "certificate_expiry",
    "traffic_surge",
    "noisy_neighbour",
    "delayed_onset",
    "two_faults",
)
"""Every kind of fault that "random" draws from; "none" beside them is no fault at all."""

SUBTLE_FAULTS: tuple[str, ...] = ("slow_onset", "multivariate")
"""Faults that no single metric of the root shows: for detectors that know how metrics belong together."""

NO_FAULT = "none"

# Independent streams of random numbers, so that the same seed gives the same shop whatever happens in it.
WORLD, WEATHER, FAULT, NOISE, TRACES, LOGS, CHANGES, HISTORY = range(8)

_EPOCH = to_nanoseconds("2026-03-02T00:00:00Z")


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One incident to be simulated; the same scenario gives the same bytes.

    Attributes:
        seed: not negative.
        components: everything that telemetry is about, hosts and replicas included: 10 to 5,000.
        fault: one of ``FAULTS`` or ``SUBTLE_FAULTS`` (hyphens may stand for underscores), "random" for one of
            ``FAULTS`` drawn from the seed, None or "none" for no fault.
        minutes: length of the window.
        baseline: minutes of healthy time before the window.
        step: seconds between two samples of a metric.
        traced_baseline: minutes at the end of the baseline that have spans and logs too.
        traces_per_minute: sampled requests of users.
        metrics_only: no spans and no logs; the calls between components are measured per pair.
        no_topology: leave the topology out (else it is given, but for one seed in seven).
        no_symptom: leave the symptom and the paging alert out.
        world: the seed of the shop, where several incidents happen in one; else ``seed`` is. Its history ends
            before any of them.
    """

    seed: int
    components: int = 30
    fault: str | None = "random"
    minutes: int = 25
    baseline: int = 60
    step: int = 60
    traced_baseline: int = 15
    traces_per_minute: float = 30.0
    metrics_only: bool = False
    no_topology: bool = False
    no_symptom: bool = False
    world: int | None = None

    def __post_init__(self) -> None:
        if self.seed < 0 or (self.world is not None and self.world < 0):
            raise SettingsError(
                f"the seed is {min(self.seed, self.world or 0)}", remedy="Give a whole number that is not negative"
            )
        if not 10 <= self.components <= 5_000:
            raise SettingsError(f"{self.components} components were asked for", remedy="Ask for 10 to 5,000")
        if _plain(self.fault) not in (None, "random", NO_FAULT, *FAULTS, *SUBTLE_FAULTS):
            raise InputError(
                f"{self.fault!r} is no fault", remedy=f"Use one of {', '.join((*FAULTS, *SUBTLE_FAULTS, NO_FAULT))}"
            )
        if self.minutes < 20 or self.baseline < 15:
            raise SettingsError(
                f"{self.minutes} minutes of window and {self.baseline} of baseline are too few for a fault to unfold",
                remedy="Give at least 20 and 15",
            )
        if not 10 <= self.step <= 60:
            raise SettingsError(f"the step is {self.step} seconds", remedy="Give 10 to 60")
        if not 0 < self.traces_per_minute <= 10_000 or self.traced_baseline < 0 or self.traced_baseline > self.baseline:
            raise SettingsError(
                f"{self.traces_per_minute} traces per minute over {self.traced_baseline} minutes of baseline",
                remedy="Give up to 10,000, over 0 to all minutes of the baseline",
            )

    def stream(self, *key: int) -> np.random.Generator:
        """The random numbers of one purpose."""
        return np.random.default_rng([self.seed, *key])

    def world_stream(self, *key: int) -> np.random.Generator:
        """The random numbers of what is the same in every incident of a shop."""
        return np.random.default_rng([self.seed if self.world is None else self.world, *key])

    @cached_property
    def kind(self) -> str:
        """The fault that happens, "random" resolved."""
        if self.fault == "random":
            return FAULTS[int(self.stream(FAULT).integers(len(FAULTS)))]
        return _plain(self.fault) or NO_FAULT

    @cached_property
    def untraced(self) -> bool:
        """Whether there are no spans and no logs; what subtle faults change is in the metrics alone."""
        return self.metrics_only or self.kind in SUBTLE_FAULTS

    @cached_property
    def past(self) -> int:
        """Where the shop's healthy history ends, ns."""
        return self.healthy.start if self.world is None else _EPOCH

    @cached_property
    def window(self) -> Window:
        """Where the incident happens: a whole minute of some day of the year 2026."""
        minute = int(self.stream(WEATHER).integers(24 * 60, 60 * 24 * 60))
        start = _EPOCH + minute * MINUTE
        return Window(start=start, end=start + self.minutes * MINUTE)

    @cached_property
    def healthy(self) -> Window:
        """The baseline: ends where the window starts."""
        return Window(start=self.window.start - self.baseline * MINUTE, end=self.window.start)

    @cached_property
    def traced(self) -> Window:
        """Where spans and logs are kept: the end of the baseline, and the window."""
        return Window(start=self.window.start - self.traced_baseline * MINUTE, end=self.window.end)

    def axis(self, window: Window) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """The times of the samples in a window, nanoseconds."""
        return np.arange(window.start, window.end, self.step * SECOND, dtype=np.int64)


def _plain(fault: str | None) -> str | None:
    return None if fault is None else fault.replace("-", "_")
