"""A case as a newcomer would make it by hand: a description and two CSV tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from rca.cli import app

BEGIN = datetime(2026, 1, 31, 12, tzinfo=UTC)
Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    """Runs ``rca`` with the given arguments; an error that is no exit fails the test."""

    def run_rca(*arguments: str | Path) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run_rca


@pytest.fixture
def case_folder(tmp_path: Path) -> Path:
    """db runs out of connections at 13:00, so cart and web become slow; noticed at 13:05."""
    folder = tmp_path / "my-incident"
    folder.mkdir()
    minutes = 80
    rng = np.random.default_rng(7)
    late = np.arange(minutes) >= 60
    columns = {
        "db/connections": np.where(late, 100, 20) + rng.normal(0, 1, minutes),
        "db/latency_ms": np.where(late, 400, 4) * rng.lognormal(0, 0.05, minutes),
        "cart/latency_ms": np.where(late, 420, 20) * rng.lognormal(0, 0.05, minutes),
        "web/latency_ms": np.where(late, 450, 50) * rng.lognormal(0, 0.05, minutes),
        "mail/latency_ms": 30 * rng.lognormal(0, 0.05, minutes),
    }
    lines = ["time," + ",".join(columns)]
    for minute in range(minutes):
        time = (BEGIN + timedelta(minutes=minute)).isoformat()
        lines.append(f"{time}," + ",".join(f"{values[minute]:.3f}" for values in columns.values()))
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
    (folder / "topology.csv").write_text("caller,callee\nweb,cart\ncart,db\nweb,mail\n")
    symptom = {"component": "web", "metric": "latency_ms"}
    (folder / "case.json").write_text(json.dumps({"detected_at": "2026-01-31T13:05:00Z", "symptoms": [symptom]}))
    return folder
