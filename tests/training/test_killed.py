"""kill -9 at random moments of a training: the registry stays whole, and going on gives the same weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

KILLS = 20
SCRIPT = Path(__file__).with_name("killed.py")


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
def test_twenty_kills_leave_every_version_readable_and_the_weights_the_same(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), str(KILLS), "7"], capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr
    rounds = json.loads(run.stdout)
    killed = [each for each in rounds if each["killed"]]
    assert len(killed) > KILLS // 2
    assert any(each["kept"] for each in killed), "no kill came between two chunks"
    assert all(not each["damaged"] for each in rounds), rounds
    assert all(each["same"] for each in rounds), rounds
