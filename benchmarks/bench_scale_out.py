"""What sending tasks costs, by loky and by a Ray cluster of two nodes on this machine; memory of a training.

CPU seconds of the processes are what counts: the wall clock of a shared machine is no figure.

Run: ``python benchmarks/bench_scale_out.py [components] [days]``
"""

from __future__ import annotations

import os
import resource
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}

import numpy as np
import pyarrow.parquet as pq
from limits import Limits

from rca.formats.metrics import frame_to_grid
from rca.parallel import run_tasks
from rca.telemetry import MetricFrame
from rca.training import Order, train
from rca.training.chunks import ChunkTask, fit_chunk, plan_chunks
from rca.training.history import open_history
from rca.training.staging import parquet_files

TASKS = 200
METRICS, TIMES = 10, 1_440
MOST_OVERHEAD = 0.1  # of the work, for tasks as they are
MOST_MEMORY = 1_500  # MB, whatever the length of the history
SHORTEST = 0.1  # seconds: shorter tasks are not worth sending


def nothing(number: int) -> int:
    return number


def write_history(folder: Path, components: int, days: int) -> None:
    """One file per day, one row per series, sorted by component."""
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(components, dtype=np.int32), METRICS)
    for day in range(days):
        frame = MetricFrame(
            components=tuple(f"service-{i:05d}" for i in range(components)),
            metrics=tuple(f"metric-{i}" for i in range(METRICS)),
            component=codes,
            metric=np.tile(np.arange(METRICS, dtype=np.int32), components),
            peer=np.full(len(codes), -1, np.int32),
            times=(np.arange(TIMES, dtype=np.int64) + day * TIMES) * 60_000_000_000,
            values=rng.standard_normal((len(codes), TIMES), np.float32),
        )
        pq.write_table(frame_to_grid(frame), folder / f"{day:03d}.parquet", row_group_size=METRICS * 50)


def cpu() -> float:
    """CPU seconds of this process and of the children that ended."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


@contextmanager
def cluster() -> Iterator[None]:
    """A Ray cluster of two nodes with a processor each."""
    import ray
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
    found = Cluster(initialize_head=True, head_node_args=node)
    found.add_node(**node)
    found.wait_for_nodes()
    ray.init(address=found.address, log_to_driver=False, configure_logging=False)
    yield
    ray.shutdown()
    found.shutdown()


def milliseconds_per_task(backend: str) -> float:
    """CPU that this process spends on sending a task and getting its result, once workers run."""
    list(run_tasks(nothing, range(4), jobs=2, backend=backend))
    began = time.process_time()
    list(run_tasks(nothing, range(TASKS), jobs=2, backend=backend))
    return 1e3 * (time.process_time() - began) / TASKS


def main() -> int:
    components, days = (int(text) for text in (*sys.argv[1:], "1000", "4")[:2])
    limits = Limits()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "history").mkdir()
        write_history(folder / "history", components, days)
        began = time.process_time()
        history = open_history(parquet_files(folder / "history", folder), source="")
        chunks = plan_chunks(history.components, history.cells)
        opened = time.process_time() - began
        tasks = [ChunkTask(history=history.of(chunk), detector="robust", seed=0, excluded=()) for chunk in chunks]
        began = time.process_time()
        for task in tasks[:5]:
            fit_chunk(task)
        each = (time.process_time() - began) / len(tasks[:5])
        print(f"{components:,} components x {METRICS} metrics x {days} days, {len(chunks)} chunks")
        limits.show("opening the history", 1e3 * opened, "ms")
        limits.at_least("fit of a chunk, the cheapest detector", each, SHORTEST, "s")
        weights = []
        began = time.process_time()
        weights.append(_train(folder, "here", 1, "loky"))
        limits.show("training, one process", time.process_time() - began, "s")
        for backend in ("loky", "ray"):
            with cluster() if backend == "ray" else _no_cluster():
                per_task = milliseconds_per_task(backend)
                limits.at_most(f"{backend}: sending a task", per_task / (1e3 * each), MOST_OVERHEAD, "of its work")
                limits.show(f"{backend}: sending a task", per_task, "ms")
                weights.append(_train(folder, backend, 2, backend))
        limits.at_most("kinds of weights that came out", float(len(set(weights))), 1.0, "")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        limits.at_most("peak memory of the training process", peak, MOST_MEMORY, "MB")
    return limits.close()


@contextmanager
def _no_cluster() -> Iterator[None]:
    yield


def _train(folder: Path, name: str, jobs: int, backend: str) -> bytes:
    order = Order(name=name, detector="robust", promote=False)
    result = train(folder / "history", order, models=folder / "models", jobs=jobs, backend=backend)
    return (result.stored.path / "weights.safetensors").read_bytes()


if __name__ == "__main__":
    sys.exit(main())
