"""Telemetry in files: durable, once, found by time, merged and deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rca.errors import InputError, NotFoundError, StoreError
from rca.sources.received import Received
from rca.sources.samples import SampleCollector, Series
from rca.stores import open_store
from rca.stores.files import DatabaseFiles, Files, FolderFiles
from rca.stores.protocol import Store
from rca.stores.windows import HOUR, WindowStore
from rca.telemetry import LogBatch, SpanBatch, texts
from rca.types import SECOND, Window

ALL = Window(start=0, end=100 * HOUR)


@pytest.fixture(params=["folder", "database"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Store, Files, WindowStore]]:
    store = open_store(f"sqlite:{tmp_path / 'rca.db'}")
    files: Files = FolderFiles(tmp_path / "data") if request.param == "folder" else DatabaseFiles(store)
    windows = WindowStore(store, files)
    yield store, files, windows
    windows.close()
    store.close()


def lines(*at: int) -> Received:
    count = len(at)
    return Received(
        logs=LogBatch(
            components=("cart",),
            times=np.array(at, np.int64),
            component=np.zeros(count, np.int32),
            level=np.zeros(count, np.int8),
            message=texts([f"line at {time}" for time in at]),
            trace=texts([""] * count),
            span=texts([""] * count),
        )
    )


def everything(at: int) -> Received:
    samples = SampleCollector()
    samples.add(samples.code(Series(component="cart", metric="cpu")), at, 0.5)
    spans = SpanBatch.build(
        start=np.array([at]),
        duration=np.array([5]),
        component=["cart"],
        operation=["GET /"],
        trace=["t"],
        span=[f"s{at}"],
        parent=[""],
    )
    return Received(samples=samples.batch(), logs=lines(at).logs, spans=spans)


def messages(received: Received) -> list[str]:
    return sorted(received.logs.message.tolist())


def test_all_three_signals_come_back(kept: tuple[Store, Files, WindowStore]) -> None:
    _, _, windows = kept
    assert windows.append(everything(7), "d1").result()
    back = windows.read(ALL)
    assert (len(back.samples), len(back.logs), len(back.spans)) == (1, 1, 1)
    assert back.samples.keys[0].metric == "cpu"
    assert back.spans.span.tolist() == ["s7"]


def test_a_digest_that_comes_twice_is_stored_once(kept: tuple[Store, Files, WindowStore]) -> None:
    _, _, windows = kept
    together = [windows.append(lines(1, 2), digest) for digest in ("a", "b", "a", "b")]
    assert sorted(future.result() for future in together) == [False, False, True, True]
    assert not windows.append(lines(1, 2), "a").result()
    assert len(windows.read(ALL).logs) == 4


def test_only_files_that_reach_into_the_window_are_read(kept: tuple[Store, Files, WindowStore]) -> None:
    store, _, windows = kept
    for at in (1, 50, 99):
        windows.append(lines(at), f"d{at}").result()
    assert messages(windows.read(Window(start=40, end=60))) == ["line at 50"]
    assert len(store.segments()) == 3


def test_small_files_of_an_hour_are_merged_and_nothing_is_lost(kept: tuple[Store, Files, WindowStore]) -> None:
    store, files, windows = kept
    for at in range(12):
        windows.append(everything(at), f"d{at}").result()
    windows.append(lines(5 * HOUR), "later").result()
    before = windows.read(ALL)
    now = max(segment.created for segment in store.segments()) + 61 * SECOND
    assert windows.merge_small_files(now) == 33
    after = windows.read(ALL)
    assert messages(after) == messages(before)
    assert (len(after.samples), len(after.spans)) == (12, 12)
    assert len(files.names()) == len(store.segments()) == 4
    assert windows.merge_small_files(now) == 0


def test_what_is_too_old_or_too_much_is_deleted(kept: tuple[Store, Files, WindowStore]) -> None:
    store, files, windows = kept
    for at in (1, 50, 99):
        windows.append(lines(at), f"d{at}").result()
    assert windows.expire(20, 1 << 40) == 1
    assert messages(windows.read(ALL)) == ["line at 50", "line at 99"]
    assert windows.expire(0, store.segments()[0].size) == 1
    assert messages(windows.read(ALL)) == ["line at 99"]
    assert len(files.names()) == 1


def test_files_of_writes_that_were_never_acknowledged_are_collected(kept: tuple[Store, Files, WindowStore]) -> None:
    _, files, windows = kept
    windows.append(lines(1), "d1").result()
    files.write("segments/lost.parquet", b"never entered")
    files.write("snapshots/mine.zip", b"of an incident")
    written = max(at for _, at in files.names())
    assert windows.collect_orphans(written) == 0
    assert windows.collect_orphans(written + 2 * HOUR) == 1
    assert {name.split("/")[0] for name, _ in files.names()} == {"segments", "snapshots"}
    assert len(windows.read(ALL).logs) == 1


def test_a_window_that_is_too_large_is_refused(kept: tuple[Store, Files, WindowStore]) -> None:
    store, files, windows = kept
    windows.append(lines(*range(100)), "d").result()
    small = WindowStore(store, files, most_bytes=10)
    with pytest.raises(InputError, match="shorter"):
        small.read(ALL)
    small.close()


def test_a_failed_write_is_told_to_its_sender(kept: tuple[Store, Files, WindowStore]) -> None:
    store, _, windows = kept
    store.close()
    with pytest.raises(StoreError):
        windows.append(lines(1), "d").result()


@pytest.mark.parametrize(
    "name", ["../x.zip", "/etc/passwd", "a/../../b.zip", "a/b\x00.zip", "a/.zip", "snapshots/", "a"]
)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    files = FolderFiles(tmp_path / "data")
    with pytest.raises(StoreError):
        files.write(name, b"x")
    with pytest.raises(StoreError):
        files.read(name)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = FolderFiles(tmp_path)
    files.write("a/1.zip", b"old")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(StoreError, match="No space"):
        files.write("a/1.zip", b"new")
    monkeypatch.undo()
    assert files.read("a/1.zip") == b"old"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["1.zip"]
    with pytest.raises(NotFoundError):
        files.read("a/2.zip")
