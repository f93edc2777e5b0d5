"""A small history in all forms, and chunks small enough that it makes several of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rca.telemetry import MetricFrame
from rca.training import chunks

MINUTE = 60_000_000_000
START = 1_772_323_200_000_000_000  # 2026-03-01T00:00:00Z


@pytest.fixture
def day() -> Callable[..., MetricFrame]:
    """One day of ``components`` with two metrics each, sampled every ten minutes; the same for the same number."""

    def make(number: int = 0, components: int = 10, shift: float = 0.0, length: int = 144) -> MetricFrame:
        rng = np.random.default_rng(number)
        values = rng.normal(10, 1, (2 * components, length)) + np.repeat([0.0, 100.0], components)[:, None] + shift
        return MetricFrame(
            components=tuple(f"service-{i:02d}" for i in range(components)),
            metrics=("cpu", "latency"),
            component=np.tile(np.arange(components, dtype=np.int32), 2),
            metric=np.repeat(np.arange(2, dtype=np.int32), components),
            peer=np.full(2 * components, -1, np.int32),
            times=START + (np.arange(length, dtype=np.int64) + number * length) * 10 * MINUTE,
            values=values.astype(np.float32),
        )

    return make


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three components per chunk."""
    monkeypatch.setattr(chunks, "CHUNK_CELLS", 1)
    monkeypatch.setattr(chunks, "FEWEST_COMPONENTS", 3)
