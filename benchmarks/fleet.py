"""A fleet of components whose metrics follow a few hidden causes, and the usual way to train on it.

Nothing but chance: four causes (three waves and a load with memory) mixed by each component in its
own way, half of its metrics bent (latencies rise faster than load, a queue is never negative), with
a fifth of noise on top.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from rca.detectors.mlp import layer_sizes
from rca.telemetry import MetricFrame
from rca.types import MINUTE

CAUSES, NOISE, MEMORY = 4, 0.2, 10.0
BLOCK = 100  # components made at once


def make_fleet(components: int, metrics: int, samples: int, seed: int = 0) -> MetricFrame:
    """One sample a minute; float32, shape (components x metrics, samples)."""
    rng = np.random.default_rng(seed)
    values = np.empty((components, metrics, samples), np.float32)
    for start in range(0, components, BLOCK):
        values[start : start + BLOCK] = _block(rng, min(BLOCK, components - start), metrics, samples)
    return MetricFrame(
        components=tuple(f"service-{i:05d}" for i in range(components)),
        metrics=tuple(f"metric-{i:02d}" for i in range(metrics)),
        component=np.repeat(np.arange(components, dtype=np.int32), metrics),
        metric=np.tile(np.arange(metrics, dtype=np.int32), components),
        peer=np.full(components * metrics, -1, np.int32),
        times=MINUTE * np.arange(samples, dtype=np.int64),
        values=values.reshape(components * metrics, samples),
    )


def _block(rng: np.random.Generator, components: int, metrics: int, samples: int) -> np.ndarray:
    period = rng.uniform(60, 1440, (components, CAUSES - 1, 1))
    phase = rng.uniform(0, 2 * np.pi, (components, CAUSES - 1, 1))
    waves = np.sin(2 * np.pi * np.arange(samples) / period + phase)
    kernel = np.exp(-np.arange(6 * MEMORY) / MEMORY)
    shocks = np.fft.rfft(rng.normal(size=(components, samples)), axis=1)
    load = np.fft.irfft(shocks * np.fft.rfft(kernel, samples), samples, axis=1)
    causes = np.concatenate([waves, (load / load.std(axis=1, keepdims=True))[:, None]], axis=1)
    mixed = rng.normal(size=(components, metrics, CAUSES)) @ causes
    half = metrics // 2
    mixed[:, :half] = np.exp(0.5 * mixed[:, :half])
    mixed[:, -1] = np.maximum(mixed[:, -1], 0)
    mixed += NOISE * mixed.std(axis=2, keepdims=True) * rng.normal(size=mixed.shape)
    return mixed * rng.uniform(1, 100, (components, metrics, 1)) + rng.uniform(0, 50, (components, metrics, 1))


def train_alone(
    learn: np.ndarray, held: np.ndarray, width: int, *, goal: float, epochs: int, step: int, rate: float
) -> tuple[float, int, float]:
    """One model as one would write it: modules, Adam, shuffled batches, until it is as good as ``goal``.

    Args:
        learn, held: windows, shape (N, inputs).
        width: series of the component.
        goal: mean square error of the held-out windows at which training ends.
        epochs: passes at most.
        step: windows in a batch.
        rate: of learning.

    Returns:
        CPU seconds, passes, and the error reached.
    """
    inputs, hidden, code = layer_sizes(width)
    torch.manual_seed(0)
    begin = time.process_time()
    model = torch.nn.Sequential(
        torch.nn.Linear(inputs, hidden),
        torch.nn.ReLU(),
        torch.nn.Linear(hidden, code),
        torch.nn.Linear(code, hidden),
        torch.nn.ReLU(),
        torch.nn.Linear(hidden, inputs),
    )
    optimiser = torch.optim.Adam(model.parameters(), rate)
    windows, others = torch.from_numpy(learn), torch.from_numpy(held)
    error, done = float("inf"), 0
    while done < epochs and error > goal:
        for batch in torch.randperm(len(windows)).split(step):
            optimiser.zero_grad()
            torch.nn.functional.mse_loss(model(windows[batch]), windows[batch]).backward()
            optimiser.step()
        done += 1
        with torch.no_grad():
            error = float(torch.nn.functional.mse_loss(model(others), others))
    return time.process_time() - begin, done, error
