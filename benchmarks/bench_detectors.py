"""The robust detector's time in sorts: one ``np.sort`` of the same array, in the same run.

Run: ``python benchmarks/bench_detectors.py [series] [samples]``
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from limits import Limits

from rca.detectors.robust import RobustDetector
from rca.telemetry import MetricFrame

LIMIT = 3.0  # sorts
ROUNDS, METRICS = 9, 10


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


def main() -> int:
    series, samples = (int(text) for text in (*sys.argv[1:], "50000", "60")[:2])
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
    limits = Limits()
    limits.show("np.sort of the samples", best["np.sort"], "ms")
    limits.at_most("scores of a fitted detector", best["scores"] / best["np.sort"], LIMIT, "sorts")
    limits.show("fit", best["fit"] / best["np.sort"], "sorts")
    limits.show("fit and scores", (best["fit"] + best["scores"]) / best["np.sort"], "sorts")
    return limits.close()


if __name__ == "__main__":
    sys.exit(main())
