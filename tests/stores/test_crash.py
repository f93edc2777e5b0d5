"""What was acknowledged survives kill -9; what is damaged is seen."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from rca.errors import StoreError
from rca.stores import open_store
from rca.stores.records import Entry

LOOPS = int(os.environ.get("RCA_KILL_LOOPS", "4"))
WRITER = """
import sys
from rca.stores import open_store
from rca.stores.records import Entry
from rca.stores.writer import Writer
store = open_store(sys.argv[1])
number = int(sys.argv[2])
while True:
    pending = []
    for _ in range(5):
        batch = [Entry(id=f"e{number + i}", time=i, component="c", kind="k", source="s", body="{}") for i in range(20)]
        pending.append((number, store.append("events", batch)))
        number += 20
    for first, future in pending:
        future.result()
        print(first, flush=True)
"""


def test_every_acknowledged_entry_is_there_once_after_kill_9(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'rca.db'}"
    rng = random.Random(3)
    acknowledged: list[int] = []
    for loop in range(LOOPS):
        command = [sys.executable, "-c", WRITER, url, str(loop * 1_000_000)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            acknowledged += [int(child.stdout.readline()) for _ in range(rng.randint(1, 40))]
            child.send_signal(signal.SIGKILL)
            # What is still in the pipe was acknowledged as well.
            acknowledged += [int(line) for line in child.stdout if line.endswith("\n") and line.strip()]
    store = open_store(url)
    stored = [entry.id for entry in store.entries("events", 0, 100, limit=1 << 30)]
    store.close()
    assert len(stored) == len(set(stored))
    assert {f"e{first + i}" for first in acknowledged for i in range(20)} <= set(stored)
    with sqlite3.connect(tmp_path / "rca.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()


def test_commits_are_synced_to_disk(tmp_path: Path) -> None:
    store = open_store(f"sqlite:{tmp_path / 'rca.db'}")
    settings = [
        store.submit(lambda sql, name=name: sql.rows(f"PRAGMA {name}")[0][0]).result()  # type: ignore[misc, attr-defined]
        for name in ("synchronous", "journal_mode")
    ]
    store.close()
    assert settings == [2, "wal"]  # 2 is FULL


@pytest.mark.parametrize(
    "content", [b"no database at all, but long enough to be one" * 100, b"SQLite format 3\x00" + b"\xff" * 4_000]
)
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rca.db"
    path.write_bytes(content)
    with pytest.raises(StoreError):
        open_store(f"sqlite:{path}")


def test_a_torn_tail_of_the_log_leaves_what_was_committed_before(tmp_path: Path) -> None:
    """The log's last bytes are cut off or flipped, as after a power failure: the store opens with a prefix."""
    whole = tmp_path / "whole"
    whole.mkdir()
    store = open_store(f"sqlite:{whole / 'rca.db'}")
    for number in range(20):
        entry = Entry(id=f"e{number:02}", time=number, component="c", kind="k", source="s", body="x" * 500)
        store.append("events", [entry]).result()
    names = ("rca.db", "rca.db-wal")
    files = {name: (whole / name).read_bytes() for name in names}
    store.close()
    rng = random.Random(5)
    for attempt in range(12):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        log = bytearray(files["rca.db-wal"])
        if attempt % 2:
            log[-rng.randint(1, 4_096)] ^= 0xFF
        else:
            del log[-rng.randint(1, 4_096) :]
        (folder / "rca.db").write_bytes(files["rca.db"])
        (folder / "rca.db-wal").write_bytes(bytes(log))
        torn = open_store(f"sqlite:{folder / 'rca.db'}")
        found = [entry.id for entry in torn.entries("events", 0, 100)]
        torn.close()
        assert found == [f"e{number:02}" for number in range(len(found))]
        assert len(found) >= 17


def test_a_disk_that_is_full_is_said_and_nothing_is_lost(tmp_path: Path) -> None:
    store = open_store(f"sqlite:{tmp_path / 'rca.db'}")

    def entry(name: str, size: int) -> Entry:
        return Entry(id=name, time=1, component="c", kind="k", source="s", body="x" * size)

    store.append("events", [entry("a", 10)]).result()
    pages = store.submit(lambda sql: sql.rows("PRAGMA page_count")[0][0]).result()  # type: ignore[attr-defined]
    store.submit(lambda sql: sql.rows(f"PRAGMA max_page_count = {pages + 2}")).result()  # type: ignore[attr-defined]
    with pytest.raises(StoreError, match="full"):
        store.append("events", [entry("b", 1_000_000)]).result()
    assert store.append("events", [entry("c", 10)]).result() == 1
    assert [found.id for found in store.entries("events", 0, 9)] == ["a", "c"]
    store.close()
