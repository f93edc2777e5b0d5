"""CPU time of whole analyses of simulated incidents with spans, logs and metrics, 30 components each.

Run: ``python benchmarks/bench_analysis.py [incidents]``

Most of the time goes into joining spans and reading log lines; the floor is what one ``pandas.factorize``
of all span ids takes, in the same run.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd
from limits import Limits

from rca.pipeline import analyze
from rca.simulator import simulate

LIMIT = 0.5  # seconds
FIRST_SEED = 500


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    seconds, floors, stages = [], [], []
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        case, _ = simulate(seed=seed, components=30)
        if not seconds:
            analyze(case)  # imports, rules and kinds are read once
        rounds = []
        for _ in range(2):
            start = time.process_time()
            report = analyze(case)
            rounds.append(time.process_time() - start)
        start = time.process_time()
        pd.factorize(case.telemetry.spans.span)
        floors.append(time.process_time() - start)
        seconds.append(min(rounds))
        stages.append(report.timings)
        spans, lines = len(case.telemetry.spans), len(case.telemetry.logs)
        print(f"  seed {seed}: {spans:>6,} spans, {lines:>6,} lines, {seconds[-1]:.2f} s")
    for name in sorted({name for timings in stages for name in timings}):
        spent = 1e3 * float(np.mean([timings.get(name, 0.0) for timings in stages]))
        if spent >= 5:
            print(f"  {name:<24}{spent:8.0f} ms on average")
    limits = Limits()
    limits.at_most("an analysis, CPU, median", float(np.median(seconds)), LIMIT, "s")
    limits.show("an analysis, CPU, longest", max(seconds), "s")
    limits.show("the median in passes over the span ids", float(np.median(np.array(seconds) / floors)), "x")
    return limits.close()


if __name__ == "__main__":
    sys.exit(main())
