"""Trains again and again, kills each training with SIGKILL at a random moment, and lets it go on to its end.

Run with a folder and a number of kills; prints what was found as JSON. The trainings are forked, so
that a killed one costs no start of an interpreter.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

from rca.formats import write_metrics
from rca.registry import load_model
from rca.registry.inventory import entries, verify_all
from rca.telemetry import MetricFrame
from rca.training import Order, chunks, train

COMPONENTS, TIMES = 32, 300


def write_history(path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = MetricFrame(
        components=tuple(f"service-{i:02d}" for i in range(COMPONENTS)),
        metrics=("cpu",),
        component=np.arange(COMPONENTS, dtype=np.int32),
        metric=np.zeros(COMPONENTS, np.int32),
        peer=np.full(COMPONENTS, -1, np.int32),
        times=np.arange(TIMES, dtype=np.int64) * 60_000_000_000,
        values=rng.normal(10, 1, (COMPONENTS, TIMES)).astype(np.float32),
    )
    write_metrics(frame, path)


def killed_after(seconds: float, data: Path, models: Path, order: Order) -> bool:
    """Whether the kill came before the training's end."""
    child = os.fork()
    if child == 0:
        train(data, order, models=models)
        os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def main() -> None:
    folder, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    chunks.CHUNK_CELLS, chunks.FEWEST_COMPONENTS = 1, 4
    draw = random.Random(seed)
    data, models = folder / "history.csv", folder / "models"
    write_history(data)
    train(data, Order(name="reference", detector="robust"), models=models)  # imports and caches are warm from here on
    began = time.perf_counter()
    train(data, Order(name="reference", detector="robust"), models=models)
    longest = time.perf_counter() - began
    weights = (models / "reference" / "0002" / "weights.safetensors").read_bytes()
    rounds = []
    for _ in range(kills):
        order = Order(name="shop", detector="robust", resume=draw.random() < 0.5)
        killed = killed_after(draw.uniform(0, longest), data, models, order)
        work = models / "shop" / ".training" / "chunks"
        kept = len(list(work.glob("*.chunk"))) if work.is_dir() else 0
        damaged = [entry.problem for entry in (*entries(models), *verify_all([], models)) if entry.problem]
        if entries(models) and any(entry.current for entry in entries(models) if entry.name == "shop"):
            load_model("shop", models=models)
        result = train(data, Order(name="shop", detector="robust", resume=True), models=models)
        same = (result.stored.path / "weights.safetensors").read_bytes() == weights
        rounds.append({"killed": killed, "kept": kept, "damaged": damaged, "same": same})
    print(json.dumps(rounds))


if __name__ == "__main__":
    main()
