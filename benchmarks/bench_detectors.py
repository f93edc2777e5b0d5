"""The robust detector's time in sorts of the same array; a fleet of autoencoders against one after the other.

Run: ``python benchmarks/bench_detectors.py [series] [samples] [components]``
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from fleet import make_fleet, train_alone
from limits import Limits

from rca.detectors.batch import Training
from rca.detectors.mlp import MLPDetector, reconstruct
from rca.detectors.network import STRIDE
from rca.detectors.robust import RobustDetector
from rca.detectors.windows import WINDOW, split_ends, window_ends, window_view
from rca.telemetry import MetricFrame

LIMIT = 3.0  # sorts
ROUNDS, METRICS = 9, 10
# A day of a fleet; single models that stand for all; how they are trained.
FLEET, MINUTES, SAMPLED = 5_000, 1_440, 20
PASSES, STEP, RATE = 100, 128, 4e-3


def make_frame(series: int, samples: int, seed: int = 0) -> MetricFrame:
    """Ten metrics of many components; one sample in a thousand is missing."""
    rng = np.random.default_rng(seed)
    values = np.exp(rng.normal(0, 0.2, (series, samples))).astype(np.float32)
    values[rng.random(values.shape) < 1e-3] = np.nan
    components = -(-series // METRICS)
    return MetricFrame(
        components=tuple(f"service-{i:05d}" for i in range(components)),
        metrics=tuple(f"metric-{i}" for i in range(METRICS)),
        component=np.tile(np.arange(components, dtype=np.int32), METRICS)[:series],
        metric=np.repeat(np.arange(METRICS, dtype=np.int32), components)[:series],
        peer=np.full(series, -1, np.int32),
        times=60_000_000_000 * np.arange(samples, dtype=np.int64),
        values=values,
    )


def milliseconds(work: Callable[[], object]) -> float:
    """CPU time of one call."""
    start = time.process_time()
    work()
    return 1e3 * (time.process_time() - start)


def bench_robust(limits: Limits, series: int, samples: int) -> None:
    frame = make_frame(series, samples)
    detector = RobustDetector.fit(frame)
    works = {
        "np.sort": lambda: np.sort(frame.values, axis=1),
        "fit": lambda: RobustDetector.fit(frame),
        "scores": lambda: detector.score(frame),
    }
    # Taken in turns, so that a noisy neighbour disturbs all alike.
    rounds = [{name: milliseconds(work) for name, work in works.items()} for _ in range(ROUNDS)]
    best = {name: min(times[name] for times in rounds) for name in works}
    print(f"{series:,} series x {samples} samples")
    limits.show("np.sort of the samples", best["np.sort"], "ms")
    limits.at_most("scores of a fitted detector", best["scores"] / best["np.sort"], LIMIT, "sorts")
    limits.show("fit", best["fit"] / best["np.sort"], "sorts")
    limits.show("fit and scores", (best["fit"] + best["scores"]) / best["np.sort"], "sorts")


def bench_autoencoders(limits: Limits, components: int) -> None:
    """Training and scoring of a fleet of window autoencoders, against one model after the other."""
    share = components / FLEET  # limits are for a whole fleet
    frame = make_fleet(components, METRICS, MINUTES)
    MLPDetector.fit(make_fleet(16, METRICS, MINUTES))  # what the first call costs is no training
    seconds, fitted = {}, {}
    for name, fine_tune in (("warm start", False), ("fine-tuning", True)):
        training = Training(fine_tune=fine_tune)
        begin = time.process_time()
        fitted[name] = MLPDetector.fit(frame, training=training)
        seconds[name] = time.process_time() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{components:,} components x {METRICS} metrics x {MINUTES:,} minutes; CPU seconds of this process")
    limits.at_most("training with the warm start alone", seconds["warm start"], 10 * share, "s")
    limits.at_most("training with fine-tuning", seconds["fine-tuning"], 60 * share, "s")
    limits.at_most("peak of the whole program, samples included", peak, 3 * 1024, "MiB")
    learn, held = fleet_windows(frame, fitted["fine-tuning"])
    goals = {name: errors_of(detector, held) for name, detector in fitted.items()}
    gain = float(np.mean(goals["fine-tuning"] / goals["warm start"]))
    limits.show("held-out error after fine-tuning, of the warm start's", gain, "")
    torch.set_num_threads(1)
    alone = [
        train_alone(learn[i], held[i], METRICS, goal=float(goal), epochs=PASSES, step=STEP, rate=RATE)
        for i, goal in enumerate(goals["fine-tuning"])
    ]
    loop = components * float(np.mean([each[0] for each in alone]))
    reached = float(np.mean([each[2] / goal for each, goal in zip(alone, goals["fine-tuning"], strict=True)]))
    name = f"one model after the other, from {SAMPLED} of them, {PASSES} passes or until as good"
    limits.show(name, loop, "s")
    limits.show("passes of it", float(np.mean([each[1] for each in alone])), "")
    limits.show("held-out error that it reaches, of the batched program's", reached, "")
    limits.at_least("the same, of the batched program's time", loop / seconds["fine-tuning"], 50, "x")
    limits.show("the same, of the time of warm starts", loop / seconds["warm start"], "x")
    newest = replace(frame, times=frame.times[-WINDOW:], values=frame.values[:, -WINDOW:])
    detector = fitted["fine-tuning"]
    tick = min(milliseconds(lambda: detector.score_newest(newest)) for _ in range(ROUNDS))
    limits.at_most("scores of one tick", tick, 20 * share, "ms")


def fleet_windows(frame: MetricFrame, detector: MLPDetector) -> tuple[np.ndarray, np.ndarray]:
    """Windows of the first components as the batched program sees them, to learn from and held out: (C, N, D)."""
    group = detector.groups[0].take(slice(SAMPLED))
    scaled = group.scaling.apply(group.group.gather(frame.values), frame.times).transpose(0, 2, 1)
    learn, held = split_ends(window_ends(frame.times, np.ones(len(frame.times), bool)), len(frame.times))
    windows = window_view(np.ascontiguousarray(scaled))
    return np.ascontiguousarray(windows[:, learn[::STRIDE]]), np.ascontiguousarray(windows[:, held])


def errors_of(detector: MLPDetector, held: np.ndarray) -> np.ndarray:
    """Mean square error of the first components' held-out windows."""
    weights = detector.groups[0].take(slice(SAMPLED)).weights
    return np.square(reconstruct(weights, held) - held).mean(axis=(1, 2))


def main() -> int:
    series, samples, components = (int(text) for text in (*sys.argv[1:], "50000", "60", str(FLEET))[:3])
    limits = Limits()
    bench_robust(limits, series, samples)
    bench_autoencoders(limits, components)
    return limits.close()


if __name__ == "__main__":
    sys.exit(main())
