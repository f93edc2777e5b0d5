"""CPU time of the amounts of 5,000 components x 60 rows, health of 120 rows, about 15,000 calls.

Run: ``python benchmarks/bench_amounts.py [components]``
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import numpy as np
from limits import Limits

from rca.extract.amounts import extract_amounts
from rca.extract.context import Context
from rca.health import HealthProfile
from rca.health.metrics import MetricHealth
from rca.settings import Settings
from rca.telemetry import MetricFrame, Telemetry
from rca.topology import Topology
from rca.types import SECOND, Case, Incident, Symptom, Window

ROWS, HEALTHY_ROWS, STEP = 60, 120, 60 * SECOND
METRICS = ("cpu_usage", "error_ratio", "latency_seconds", "memory_bytes", "requests")


def make_context(count: int, seed: int = 0) -> tuple[Context, str]:
    """A tree with cross links in which one deep component is slow in the last 20 rows."""
    rng = np.random.default_rng(seed)
    names = tuple(f"service-{i:05d}" for i in range(count))
    parent = np.array([0] + [int(rng.integers(max(i // 4 - 1, 0), max(i // 3, 1))) for i in range(1, count)])
    edges = [(names[parent[i]], names[i]) for i in range(1, count)]
    extra = np.sort(rng.integers(0, count, (2 * count, 2)), axis=1)
    edges += [(names[a], names[b]) for a, b in extra if a != b]
    topology = Topology.from_edges(sorted(set(edges)), components=names)
    traffic = 20 + 2_000 / np.sqrt(1 + np.arange(count))
    health = _values(rng, traffic, HEALTHY_ROWS)
    window = _values(rng, traffic, ROWS)
    culprit = count // 3
    lost = np.zeros(ROWS)
    lost[40:] = 200.0 * rng.uniform(0.7, 1.3, ROWS - 40)
    at = culprit
    while True:
        window["latency_seconds"][at] += lost / window["requests"][at]
        if at == 0:
            break
        at = int(parent[at])
    end = ROWS * STEP
    incident = Incident(id="bench", window=Window(start=0, end=end), symptoms=(Symptom(component=names[0]),))
    frame = _frame(names, window, 0)
    profile = HealthProfile(metrics=MetricHealth(sample=_frame(names, health, -HEALTHY_ROWS * STEP)))
    case = Case(incident=incident, telemetry=Telemetry(metrics=frame), topology=topology, health=profile)
    context = Context(
        case=case,
        topology=topology,
        health=profile,
        onsets=np.array([30 * STEP]),
        ends=np.array([end]),
        settings=Settings(),
    )
    return context, names[culprit]


def _values(rng: np.random.Generator, traffic: np.ndarray, rows: int) -> dict[str, np.ndarray]:
    shape = (len(traffic), rows)
    requests = rng.poisson(traffic[:, None], shape).astype(np.float64)
    return {
        "requests": requests,
        "latency_seconds": 0.1 * np.exp(rng.normal(0, 0.05, shape)),
        "error_ratio": rng.binomial(requests.astype(int), 0.002) / np.maximum(requests, 1),
        "cpu_usage": rng.uniform(0.2, 0.4, shape),
        "memory_bytes": rng.uniform(1e8, 2e8, shape),
    }


def _frame(names: tuple[str, ...], values: dict[str, np.ndarray], start: int) -> MetricFrame:
    count, rows = values["requests"].shape
    return MetricFrame(
        components=names,
        metrics=METRICS,
        component=np.tile(np.arange(count, dtype=np.int32), len(METRICS)),
        metric=np.repeat(np.arange(len(METRICS), dtype=np.int32), count),
        peer=np.full(count * len(METRICS), -1, np.int32),
        times=start + STEP * np.arange(rows, dtype=np.int64),
        values=np.vstack([values[metric] for metric in METRICS]).astype(np.float32),
    )


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    context, culprit = make_context(count)
    seconds = []
    for _ in range(7):
        fresh = replace(context, topology=replace(context.topology))
        start = time.process_time()
        events = extract_amounts(fresh)
        seconds.append(time.process_time() - start)
    first = max(events, key=lambda event: event.evidence.blame if event.evidence else 0.0)
    print(f"{count:,} components x {ROWS} rows, {len(context.topology.caller):,} calls: {len(events)} events")
    print(first.evidence.sentence if first.evidence else "")
    limits = Limits()
    limits.show("amounts, CPU, best", 1e3 * min(seconds), "ms")
    limits.show("amounts, CPU, median", float(1e3 * np.median(seconds)), "ms")
    limits.at_least("the culprit is first", float(first.component == culprit), 1, "")
    return limits.close()


if __name__ == "__main__":
    sys.exit(main())
