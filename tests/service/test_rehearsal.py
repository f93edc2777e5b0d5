"""A worker that says that it is ready analyses as fast as it ever will."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rca.service.rehearsal import rehearse

FIRST = """
import json, sys
from rca.service.examples import WINDOW
from rca.service.reading import JSON
from rca.service.worker import load_operations
operations = load_operations(rehearsed=True)
asked = {"media": JSON, "encoding": "", "query": {}, "max_json": 1 << 20, "max_bytes": 1 << 20, "id": "first"}
(snapshot,) = operations["read"](asked, [json.dumps(WINDOW).encode()], lambda _: None).blobs
known = set(sys.modules)
assert operations["analyse"]({"top_k": 5}, [snapshot], lambda _: None).values["cause"]
print(*sorted(set(sys.modules) - known))
"""


def test_the_first_analysis_of_a_worker_loads_nothing_more() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_a_rehearsal_that_fails_is_said_and_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a mistake in an analysis")

    rehearse(fail)  # type: ignore[arg-type]
    assert "a mistake in an analysis" in capsys.readouterr().err
