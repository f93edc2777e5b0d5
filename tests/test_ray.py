"""A Ray cluster of two nodes on this machine gives what loky gives, to the byte, also where workers die."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rca.cases.folder import write_case
from rca.errors import TelemetryError
from rca.evaluation import evaluate
from rca.formats import write_metrics
from rca.parallel import run_tasks
from rca.simulator import simulate
from rca.telemetry import MetricFrame
from rca.training import Order, train
from rca.training import chunks as chunks_module

# Read when Ray is imported: nobody else may use the cluster, and nothing is written into the user's home.
os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'rca-engine[ray]'")

# Ray's own code warns of what other libraries will change.
pytestmark = pytest.mark.filterwarnings("ignore")
STORE = 80 << 20  # bytes; tasks get places, not arrays


@pytest.fixture(scope="module")
def cluster() -> Iterator[object]:
    """Two nodes of one processor each on this machine, which nobody else may use."""
    from ray.cluster_utils import Cluster

    before = dict(os.environ)
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    node = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
    found = Cluster(initialize_head=True, head_node_args=node)
    found.add_node(**node)
    found.wait_for_nodes()
    ray.init(address=found.address, log_to_driver=False, configure_logging=False)
    yield found
    ray.shutdown()
    found.shutdown()
    os.environ.clear()
    os.environ.update(before)


def test_tasks_run_on_both_nodes(cluster) -> None:
    def where(_: int) -> str:
        import time

        import ray

        time.sleep(0.3)
        return ray.get_runtime_context().get_node_id()

    nodes = dict(run_tasks(where, range(8), backend="ray"))
    assert sorted(nodes) == list(range(8))
    assert len(set(nodes.values())) == 2


def test_a_task_whose_worker_dies_is_given_to_another(cluster, tmp_path: Path) -> None:
    def die_once(number: int) -> int:
        import os
        import signal

        if number == 1 and not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return -number

    assert sorted(run_tasks(die_once, range(4), backend="ray")) == [(i, -i) for i in range(4)]
    assert (tmp_path / "died").exists()


def test_what_a_task_raises_arrives_whole(cluster) -> None:
    def fail(number: int) -> int:
        from rca.errors import TelemetryError

        raise TelemetryError("is broken", where="file", remedy="Mend it")

    with pytest.raises(TelemetryError) as caught:
        list(run_tasks(fail, range(2), backend="ray"))
    assert (caught.value.problem, caught.value.where, caught.value.remedy) == ("is broken", "file", "Mend it")


def test_weights_are_those_of_loky_to_the_byte(cluster, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(chunks_module, "FEWEST_COMPONENTS", 2)
    monkeypatch.setattr(chunks_module, "CHUNK_CELLS", 1)
    rng = np.random.default_rng(3)
    frame = MetricFrame(
        components=tuple(f"c{i}" for i in range(9)),
        metrics=("cpu",),
        component=np.arange(9, dtype=np.int32),
        metric=np.zeros(9, np.int32),
        peer=np.full(9, -1, np.int32),
        times=np.arange(200, dtype=np.int64) * 60_000_000_000,
        values=rng.normal(10, 1, (9, 200)).astype(np.float32),
    )
    write_metrics(frame, tmp_path / "day.parquet")
    weights = []
    for name, backend in (("here", "loky"), ("there", "ray")):
        order = Order(name=name, detector="robust")
        result = train(tmp_path / "day.parquet", order, models=tmp_path / "models", jobs=2, backend=backend)
        weights.append((result.stored.path / "weights.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_evaluation_gives_what_it_gives_here(cluster, tmp_path: Path) -> None:
    for seed in range(2):
        case, answer = simulate(seed=seed, components=10, traces_per_minute=4, traced_baseline=5)
        write_case(case, tmp_path / str(seed), answer=answer)
    figures = []
    for backend, jobs in (("loky", 1), ("ray", 2)):
        found = json.loads(evaluate("native", tmp_path, methods=["rca"], jobs=jobs, backend=backend).to_json())
        for row in found["methods"].values():
            del row["seconds_per_incident"]
        figures.append(found)
    assert figures[0] == figures[1]
