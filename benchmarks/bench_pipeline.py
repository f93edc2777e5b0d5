"""CPU time of an analysis by metrics alone: load, events, causality graph, ranking; 5,000 components by default.

Run: ``python benchmarks/bench_pipeline.py [components]``

Ten metrics of each component, 60 samples a minute apart, no history: 40 samples are the baseline. One
component deep in a tree of calls with cross links runs out of CPU; it and all above it grow slow.
The limit holds for 5,000 components; the floor is one ``np.sort`` of the same samples, in the same run.
"""

from __future__ import annotations

import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from limits import Limits

from rca.causality import link_events
from rca.extract.all import extract_events
from rca.extract.context import prepare
from rca.formats.files import read_metrics, write_metrics
from rca.ranking import rank_causes
from rca.rules import load_rules
from rca.settings import Settings
from rca.stages import Stages
from rca.telemetry import MetricFrame, Telemetry
from rca.topology import Topology
from rca.types import SECOND, Case, Incident, Symptom, Window

SAMPLES, HEALTHY, STEP = 60, 40, 60 * SECOND
LIMIT = 250.0  # milliseconds
ROUNDS = 15
METRICS = (
    "http_requests_per_second",
    "http_request_duration_seconds",
    "http_errors_ratio",
    "container_cpu_utilization_ratio",
    "container_memory_working_set_bytes",
    "container_disk_io_bytes_per_second",
    "container_network_bytes_per_second",
    "process_threads",
    "db_connections",
    "queue_depth",
)


def make_shop(count: int, seed: int = 0) -> tuple[MetricFrame, Topology, str]:
    """Metrics, calls, and the component that runs out of CPU."""
    rng = np.random.default_rng(seed)
    names = tuple(f"service-{i:05d}" for i in range(count))
    parent = np.array([0] + [int(rng.integers(max(i // 4 - 1, 0), max(i // 3, 1))) for i in range(1, count)])
    edges = {(names[parent[i]], names[i]) for i in range(1, count)}
    extra = np.sort(rng.integers(0, count, (2 * count, 2)), axis=1)
    edges |= {(names[a], names[b]) for a, b in extra.tolist() if a != b}
    requests = 20 + 2_000 / np.sqrt(1 + np.arange(count))
    level = np.array([0.0, 0.05, 0.002, 0.3, 2e8, 4e6, 8e6, 60.0, 12.0, 3.0])
    values = level[:, None, None] * np.exp(rng.normal(0, 0.06, (len(METRICS), count, SAMPLES)))
    values[0] = rng.poisson(requests[:, None], (count, SAMPLES))
    culprit = at = count // 3
    slow = slice(HEALTHY + 2, None)
    values[3, culprit, slow] = rng.uniform(0.95, 1.0, SAMPLES - HEALTHY - 2)
    lost = 200.0 * rng.uniform(0.7, 1.3, SAMPLES - HEALTHY - 2)
    while True:
        values[1, at, slow] += lost / values[0, at, slow]
        if at == 0:
            break
        at = int(parent[at])
    frame = MetricFrame(
        components=names,
        metrics=METRICS,
        component=np.tile(np.arange(count, dtype=np.int32), len(METRICS)),
        metric=np.repeat(np.arange(len(METRICS), dtype=np.int32), count),
        peer=np.full(count * len(METRICS), -1, np.int32),
        times=STEP * np.arange(SAMPLES, dtype=np.int64),
        values=values.reshape(-1, SAMPLES).astype(np.float32),
    )
    return frame, Topology.from_edges(sorted(edges), components=names), names[culprit]


def run(path: Path, topology: Topology, stages: Stages) -> tuple[str, ...]:
    """One analysis from the file on, as ``analyze`` does it; the components in order of blame."""
    with stages("load"):
        frame = read_metrics(path)
        topology = replace(topology)  # nothing remembered from the last round
    window = Window(start=HEALTHY * STEP, end=SAMPLES * STEP)
    symptom = Symptom(component=topology.components[0], metric=METRICS[1])
    incident = Incident(id="bench", window=window, symptoms=(symptom,))
    with stages("prepare"):
        context = prepare(Case(incident=incident, telemetry=Telemetry(metrics=frame), topology=topology), Settings())
    with stages("events"):
        events = extract_events(context, stages)
    with stages("graph"):
        graph = link_events(events, context.topology, load_rules())
    with stages("ranking"):
        ranking = rank_causes(graph, context)
    return ranking.names


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    frame, topology, culprit = make_shop(count)
    totals, floors, split = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "metrics.arrow"
        write_metrics(frame, path)
        run(path, topology, Stages())  # reads rules and kinds, imports
        for _ in range(ROUNDS):
            start = time.process_time()
            np.sort(frame.values, axis=1)
            floors.append(1e3 * (time.process_time() - start))
            stages = Stages()
            start = time.process_time()
            names = run(path, topology, stages)
            totals.append(1e3 * (time.process_time() - start))
            split.append(stages.timings)
        tracemalloc.start()
        run(path, topology, Stages())
        peak = tracemalloc.get_traced_memory()[1]
    best = int(np.argmin(totals))
    whole = Counter({name: 1e3 * seconds for name, seconds in split[best].items()})
    print(f"{count:,} components x {len(METRICS)} metrics x {SAMPLES} samples")
    for name, milliseconds in whole.items():
        if milliseconds >= 1 or not name.startswith("events:"):
            print(f"  {'  ' * name.startswith('events:')}{name:<24}{milliseconds:8.1f} ms")
    limits = Limits()
    limits.at_most("rank of the culprit", 1 + names.index(culprit), 1, "")
    limits.at_most("load to ranking, CPU", min(totals), LIMIT if count == 5_000 else None, "ms")
    limits.show("the same, median", float(np.median(totals)), "ms")
    limits.show("the same in sorts of the samples", min(totals) / min(floors), "x")
    limits.show("peak memory of Python and numpy", peak / 1e6, "MB")
    return limits.close()


if __name__ == "__main__":
    sys.exit(main())
