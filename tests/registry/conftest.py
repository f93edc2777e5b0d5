"""A history of three components, and a model of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rca.detectors.robust import RobustDetector
from rca.registry import StoredModel, Training, save_model
from rca.telemetry import MetricFrame


@pytest.fixture
def history() -> MetricFrame:
    """Two metrics of three components, one of them between two components, and one that was never sampled."""
    rng = np.random.default_rng(5)
    values = rng.normal(10, 1, (6, 40)).astype(np.float32)
    values[5] = np.nan
    return MetricFrame(
        components=("cart", "pay", "shop"),
        metrics=("cpu", "latency"),
        component=np.array([0, 0, 1, 1, 2, 2], np.int32),
        metric=np.array([0, 1, 0, 1, 0, 1], np.int32),
        peer=np.array([-1, 2, -1, -1, -1, -1], np.int32),
        times=np.arange(40, dtype=np.int64) * 60_000_000_000 + 1_700_000_000_000_000_000,
        values=values,
    )


@pytest.fixture
def store(history: MetricFrame, tmp_path: Path) -> Callable[..., StoredModel]:
    """Stores one more version of a model under ``tmp_path``."""

    def save(name: str = "shop", **training: object) -> StoredModel:
        facts = Training.of(history, source="test", **training)
        return save_model(RobustDetector.fit(history), name, facts, models=tmp_path)

    return save
