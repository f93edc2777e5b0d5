"""How the amounts fare on the PetShop incidents when telemetry is worse than it was: AC@1 / AC@3.

Run: ``RCA_DATA=<folder with petshop> python benchmarks/stress_amounts.py [--quick]``

Samples go missing, latency is noisy, traffic is thin, call edges are lost, health is off, rows are
cut, something unrelated misbehaves; faults are put into healthy windows at other components
(spread along the same calls: partly circular); and windows without any fault are looked at. The
blame is that of the amounts alone; ties count at the worst rank.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rca.cases.petshop import load
from rca.extract.amounts import extract_amounts
from rca.extract.context import Context
from rca.health import HealthProfile
from rca.health.metrics import MetricHealth
from rca.settings import Settings
from rca.telemetry import MetricFrame
from rca.topology import Topology
from rca.types import Case

METRICS = ("requests", "latency", "availability")
ABNORMAL_ROWS = 5


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Requests, latency and availability by component and row, NaN where unknown."""

    names: tuple[str, ...]
    times: np.ndarray
    requests: np.ndarray
    latency: np.ndarray
    availability: np.ndarray

    @classmethod
    def of(cls, frame: MetricFrame, names: tuple[str, ...]) -> Grid:
        place = {name: i for i, name in enumerate(names)}
        row = np.array([place[name] for name in frame.components])
        parts = {metric: np.full((len(names), frame.times.size), np.nan) for metric in METRICS}
        for metric in METRICS:
            series = np.flatnonzero(frame.metric == frame.metrics.index(metric))
            parts[metric][row[frame.component[series]]] = frame.values[series]
        return cls(names=names, times=frame.times, **parts)

    def frame(self) -> MetricFrame:
        count = len(self.names)
        return MetricFrame(
            components=self.names,
            metrics=METRICS,
            component=np.tile(np.arange(count, dtype=np.int32), len(METRICS)),
            metric=np.repeat(np.arange(len(METRICS), dtype=np.int32), count),
            peer=np.full(count * len(METRICS), -1, np.int32),
            times=self.times,
            values=np.vstack([getattr(self, metric) for metric in METRICS]).astype(np.float32),
        )

    def rows(self, a: int, b: int | None) -> Grid:
        return replace(self, times=self.times[a:b], **{metric: getattr(self, metric)[:, a:b] for metric in METRICS})


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One incident as it will be seen: window, health, calls."""

    case: Case
    window: Grid
    health: Grid
    topology: Topology
    truth: str

    @property
    def target(self) -> int:
        return self.window.names.index(self.case.incident.symptoms[0].component)

    def events(self) -> dict[str, float]:
        """Blame by component."""
        health = HealthProfile(metrics=MetricHealth(sample=self.health.frame()))
        frame = self.window.frame()
        step = int(np.diff(frame.times)[0])
        incident = self.case.incident
        window = replace(incident.window, start=int(frame.times[0]), end=int(frame.times[-1]) + step)
        given = incident.onset is not None
        alert = incident.detected_at if window.start <= incident.alert_time < window.end else None
        incident = replace(incident, window=window, onset=window.start if given else None, detected_at=alert)
        case = replace(
            self.case,
            incident=incident,
            telemetry=replace(self.case.telemetry, metrics=frame),
            health=health,
            topology=self.topology,
        )
        context = Context(
            case=case,
            topology=self.topology,
            health=health,
            onsets=np.array([window.start]),
            ends=np.array([window.end]),
            settings=Settings(),
        )
        blame: dict[str, float] = {}
        for event in extract_amounts(context):
            if event.evidence is not None:
                blame[event.component] = max(blame.get(event.component, 0.0), event.evidence.blame)
        return blame

    def rank(self) -> int:
        blame = self.events()
        own = blame.get(self.truth, 0.0)
        return sum(value >= own - 1e-12 for value in blame.values()) if own > 0 else len(self.window.names)


Change = Callable[[Trial, np.random.Generator], Trial]


def read(onset: str, folder: Path) -> list[Trial]:
    trials = []
    for case, answer in load(folder, onset=onset):
        names = case.topology.components
        window = Grid.of(case.telemetry.metrics, names)
        health = Grid.of(case.health.metrics.sample, names)
        trials.append(
            Trial(case=case, window=window, health=health, topology=case.topology, truth=answer.components[0])
        )
    return trials


def missing(share: float) -> Change:
    def change(trial: Trial, rng: np.random.Generator) -> Trial:
        lost = rng.random(trial.window.requests.shape) < share
        lost[trial.target] = False
        parts = {metric: np.where(lost, np.nan, getattr(trial.window, metric)) for metric in METRICS}
        return replace(trial, window=replace(trial.window, **parts))

    return change


def noise(scale: float) -> Change:
    def change(trial: Trial, rng: np.random.Generator) -> Trial:
        latency = trial.window.latency * np.exp(rng.normal(0, scale, trial.window.latency.shape))
        return replace(trial, window=replace(trial.window, latency=latency))

    return change


def thin(share: float) -> Change:
    def thinned(grid: Grid, rng: np.random.Generator) -> Grid:
        requests = rng.binomial(np.nan_to_num(grid.requests).astype(int), share)
        failing = np.clip(np.where(np.isfinite(grid.availability), 1 - grid.availability / 100, 0), 0, 1)
        failed = rng.binomial(requests, failing)
        availability = np.where(requests > 0, 100 * (1 - failed / np.maximum(requests, 1)), np.nan)
        return replace(grid, requests=requests.astype(float), availability=availability)

    return lambda trial, rng: replace(trial, window=thinned(trial.window, rng), health=thinned(trial.health, rng))


def lose_edges(count: int) -> Change:
    def change(trial: Trial, rng: np.random.Generator) -> Trial:
        top = trial.topology
        kept = np.setdiff1d(np.arange(len(top.caller)), rng.choice(len(top.caller), count, replace=False))
        fewer = replace(top, caller=top.caller[kept], callee=top.callee[kept], weight=top.weight[kept])
        return replace(trial, topology=fewer)

    return change


def misjudge_health(scale: float) -> Change:
    def change(trial: Trial, rng: np.random.Generator) -> Trial:
        factor = np.exp(rng.normal(0, scale, (len(trial.health.names), 1)))
        return replace(trial, health=replace(trial.health, latency=trial.health.latency * factor))

    return change


def forget_kinds(trial: Trial, rng: np.random.Generator) -> Trial:
    return replace(trial, topology=replace(trial.topology, kinds={}))


def cut(first: int, last: int) -> Change:
    """Of the abnormal rows only [first, last); what stands before them stays, joined on."""

    def change(trial: Trial, rng: np.random.Generator) -> Trial:
        before = trial.window.times.size - ABNORMAL_ROWS
        rows = np.r_[0:before, before + first : before + last]
        grid = trial.window
        parts = {metric: getattr(grid, metric)[:, rows] for metric in METRICS}
        return replace(trial, window=replace(grid, times=grid.times[: len(rows)], **parts))

    return change


def disturb(trial: Trial, rng: np.random.Generator) -> Trial:
    """The latency of an unrelated component is five times as long in two of the abnormal rows."""
    grid = trial.window
    busy = np.nanmedian(grid.requests[:, -ABNORMAL_ROWS:], axis=1) > 0
    others = [i for i in np.flatnonzero(busy) if i not in (trial.target, grid.names.index(trial.truth))]
    rows = grid.times.size - ABNORMAL_ROWS + rng.choice(ABNORMAL_ROWS, 2, replace=False)
    latency = grid.latency.copy()
    latency[rng.choice(others), rows] *= 5
    return replace(trial, window=replace(grid, latency=latency))


def figures(trials: list[Trial], change: Change | None, seeds: int) -> str:
    ranks = []
    for seed in range(seeds if change else 1):
        rng = np.random.default_rng(seed)
        ranks += [(change(trial, rng) if change else trial).rank() for trial in trials]
    found = np.array(ranks)
    return f"{(found <= 1).mean():.2f}/{(found <= 3).mean():.2f}"


def spread_upwards(source: int, calls: np.ndarray, share: np.ndarray, loss: float) -> np.ndarray:
    """How much of one unit at ``source`` reaches each component over its callers."""
    unit = np.eye(len(calls))[source]
    up = unit
    for _ in range(12):
        up = np.maximum(unit, share @ up * loss)
    return up


def busy_rows(health: Grid, source: int, rng: np.random.Generator) -> Grid:
    """Rows in which the source has requests: without any it cannot fail."""
    starts = np.arange(health.times.size - ABNORMAL_ROWS)
    used = np.lib.stride_tricks.sliding_window_view(health.requests[source] > 0, ABNORMAL_ROWS).all(axis=1)
    start = int(rng.choice(starts[used[: len(starts)]]))
    return health.rows(start, start + ABNORMAL_ROWS)


def synthetic(trials: list[Trial], kind: str, rng: np.random.Generator) -> Iterator[Trial]:
    """Faults at every busy instrumented component below the target, put into healthy windows."""
    model = next(trial for trial in trials if trial.case.incident.symptoms[0].metric == kind)
    health, target, top = model.health, model.target, model.topology
    names = health.names
    calls = top.adjacency(names).toarray() > 0
    busy = np.nan_to_num(health.requests).mean(axis=1)
    sent = calls * busy[:, None]
    share = np.divide(sent, sent.sum(axis=0), out=np.zeros_like(sent), where=sent.sum(axis=0) > 0)
    below = top.distances([names[target]])
    for source in range(len(names)):
        name = names[source]
        if name not in below or source == target or top.kinds.get(name) == "external":
            continue
        if np.median(health.requests[source]) < 20:
            continue
        for _ in range(3):
            grid = busy_rows(health, source, rng)
            shape = np.array([0, rng.uniform(0, 0.6), 1, rng.uniform(0.6, 1.1), rng.uniform(0, 0.8)])
            if kind == "latency":
                up = spread_upwards(source, calls, share, 1.0)
                seconds = rng.uniform(0.3, 1.2) * np.median(health.requests[target])
                seconds *= np.nanmedian(health.latency[target]) / max(up[target], 1e-9)
                wobble = np.exp(rng.normal(0, 0.1, (len(names), ABNORMAL_ROWS)))
                extra = seconds * shape * up[:, None] * wobble / np.maximum(grid.requests, 1)
                grid = replace(grid, latency=grid.latency + extra)
            else:
                up = spread_upwards(source, calls, share, 0.9)
                chance = np.clip(rng.uniform(0.04, 0.25) * shape, 0, 1)
                failed = rng.binomial(grid.requests[source].astype(int), chance)
                share_failed = np.minimum(np.round(failed * up[:, None]), grid.requests) / np.maximum(grid.requests, 1)
                grid = replace(grid, availability=grid.availability - 100 * share_failed)
            if up[target] > 0:
                yield replace(model, window=grid, truth=name)


def no_fault(trials: list[Trial], windows: int) -> dict[str, np.ndarray]:
    """The largest blame in healthy windows and in the incidents."""
    rng = np.random.default_rng(2)
    models = {trial.case.incident.symptoms[0].metric: trial for trial in trials}
    quiet = []
    for _ in range(windows):
        model = models[sorted(models)[int(rng.integers(len(models)))]]
        rows = trials[0].window.times.size
        start = int(rng.integers(0, model.health.times.size - rows))
        quiet.append(max(replace(model, window=model.health.rows(start, start + rows)).events().values(), default=0.0))
    return {"no fault": np.array(quiet), "incident": np.array([max(t.events().values(), default=0.0) for t in trials])}


STRESS: tuple[tuple[str, Change | None], ...] = (
    ("as they are", None),
    ("20 % of component samples missing", missing(0.2)),
    ("40 % missing", missing(0.4)),
    ("latency noise 10 % per sample", noise(0.1)),
    ("latency noise 30 % per sample", noise(0.3)),
    ("a third of the traffic", thin(0.33)),
    ("a tenth of the traffic", thin(0.1)),
    ("5 of 44 edges lost", lose_edges(5)),
    ("10 of 44 edges lost", lose_edges(10)),
    ("healthy latency wrong by sd 50 %", misjudge_health(0.5)),
    ("component kinds unknown", forget_kinds),
    ("first three abnormal rows only", cut(0, 3)),
    ("last three abnormal rows only", cut(2, 5)),
    ("an unrelated component x5 in 2 rows", disturb),
)


def main() -> None:
    root = Path(os.environ.get("RCA_DATA", ".data")) / "petshop"
    seeds = 1 if "--quick" in sys.argv else 4
    sets = {onset: read(onset, root) for onset in ("given", "estimated")}
    print(f"{'':40s}" + "".join(f"{'onset ' + onset:>18s}" for onset in sets))
    for name, change in STRESS:
        print(f"{name:40s}" + "".join(f"{figures(trials, change, seeds):>18s}" for trials in sets.values()), flush=True)
    for kind in ("latency", "availability"):
        trials = list(synthetic(sets["given"], kind, np.random.default_rng(1)))
        print(f"{f'synthetic {kind} faults, n={len(trials)}':40s}{figures(trials, None, 1):>18s}", flush=True)
    for onset, trials in sets.items():
        blame = no_fault(trials, 100 * seeds)
        print(f"largest blame, onset {onset}:")
        for name, values in blame.items():
            shares = ", ".join(f">= {at}: {(values >= at).mean():.2f}" for at in (0.1, 0.2, 0.3, 0.5))
            print(f"    {name:10s} median {np.median(values):.2f}, {shares}")


if __name__ == "__main__":
    main()
