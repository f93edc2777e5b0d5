"""Ingested telemetry in files: written in groups, entered in a manifest, read by time.

A group of requests becomes one file per signal: written, synced, moved to its name, and only then
entered in the store together with the digests of the bodies that are in it. So a body that was
acknowledged is in exactly one file, and one that comes again is known. Small files of one hour are
merged later on.
"""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rca.errors import InputError, NotFoundError, OverloadedError, RCAError, StoreError
from rca.stores.gathering import gather
from rca.stores.records import Segment
from rca.types import SECOND, Window

if TYPE_CHECKING:
    from rca.sources.received import Received
    from rca.stores.files import Files
    from rca.stores.protocol import Store
    from rca.stores.tables import Packed

MAX_ROWS = 200_000  # of one file: about 20 MB
LINGER = 0.01  # seconds that a group waits for company
CAPACITY = 1_000_000  # rows that may wait in memory: about 300 MB of log lines
SMALL = 8 << 20  # bytes of a file below which it is merged with others
FEW = 8  # small files of an hour that are left alone
HOUR = 3_600 * SECOND
_ORPHAN = HOUR  # a file that is in no manifest for so long belongs to a write that was never acknowledged


@dataclass(slots=True)
class _Parcel:
    content: Received | list[Packed]
    digest: str
    also: Sequence[str]
    rows: int
    done: Future[bool]


class WindowStore:
    """Appends what was received, and gives back windows of it.

    Args:
        store: the manifest.
        files: where the files lie.
        most_bytes: the largest sum of file sizes that one window is read from.
    """

    def __init__(self, store: Store, files: Files, *, most_bytes: int = 512 << 20) -> None:
        self._store = store
        self._files = files
        self._most_bytes = most_bytes
        self._waiting: queue.SimpleQueue[_Parcel | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._rows = 0
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="rca-windows", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Rows that wait to be written."""
        return self._rows

    def append(self, content: Received | list[Packed], digest: str, also: Sequence[str] = ()) -> Future[bool]:
        """Hands in samples, lines and spans, or files of them; done when they are durable.

        The result is False where the same digest was stored before, and nothing was done. ``also`` are
        further names that count as stored from then on.

        Raises:
            OverloadedError: too many rows wait already.
        """
        rows = (
            sum(packed.rows for packed in content)
            if isinstance(content, list)
            else len(content.samples) + len(content.logs) + len(content.spans)
        )
        done: Future[bool] = Future()
        done.set_running_or_notify_cancel()
        with self._lock:
            if self._closed:
                raise StoreError("the store is closed")
            if self._rows and self._rows + rows > CAPACITY:
                raise OverloadedError("telemetry comes in faster than it is written", remedy="Send again in a second")
            self._rows += rows
            self._waiting.put(_Parcel(content, digest, also, rows, done))
        return done

    def files_of(self, window: Window) -> list[tuple[str, bytes]]:
        """Signal and content of each file that reaches into a window.

        Raises:
            InputError: they are larger than what is read at once.
        """
        for attempt in range(3):
            segments = self._store.segments(start=window.start, end=window.end)
            size = sum(segment.size for segment in segments)
            if size > self._most_bytes:
                raise InputError(
                    f"the window holds {size >> 20} MiB of telemetry, more than {self._most_bytes >> 20}",
                    where="window",
                    remedy="Ask for a shorter window",
                )
            try:
                return [(segment.signal, self._files.read(_name(segment))) for segment in segments]
            except NotFoundError:  # merged into another file since the manifest was read
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def read(self, window: Window) -> Received:
        """Everything of a window, and what shares its files."""
        from rca.stores.tables import unpack_all

        return unpack_all(self.files_of(window))

    def merge_small_files(self, now: int, *, settled: int = 60 * SECOND) -> int:
        """Merges the small files of each hour that are older than ``settled`` ns; how many went."""
        groups: dict[tuple[str, int], list[Segment]] = {}
        for segment in self._store.segments():
            if segment.size < SMALL and segment.created < now - settled:
                groups.setdefault((segment.signal, segment.start // HOUR), []).append(segment)
        return sum(self._merge(group) for group in groups.values() if len(group) > FEW)

    def expire(self, before: int, most_bytes: int) -> int:
        """Deletes files whose last sample is older than a time, and the oldest beyond a size; how many went."""
        segments = sorted(self._store.segments(), key=lambda segment: (segment.end, segment.id), reverse=True)
        kept, gone = 0, []
        for segment in segments:
            kept += segment.size
            if segment.end < before or kept > most_bytes:
                gone.append(segment)
        self._remove(gone)
        return len(gone)

    def collect_orphans(self, now: int) -> int:
        """Deletes files that are in no manifest: of writes that were never acknowledged; how many went."""
        known = {_name(segment) for segment in self._store.segments()}
        names = [name for name, written in self._files.names() if written < now - _ORPHAN]
        orphans = [name for name in names if name.startswith("segments/") and name not in known]
        self._files.delete(orphans)
        return len(orphans)

    def size(self) -> int:
        """Bytes of all files in the manifest."""
        return sum(segment.size for segment in self._store.segments())

    def close(self) -> None:
        """Writes what waits, then stops."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._waiting.put(None)
        self._thread.join()

    def _serve(self) -> None:
        last = False
        while not last:
            group, last = gather(self._waiting, most_rows=MAX_ROWS, linger=LINGER)
            if group:
                self._write(group)

    def _write(self, group: list[_Parcel]) -> None:
        try:
            fresh = self._fresh(group)
            self._keep(list(fresh.values()))
        except Exception as error:
            failure = error if isinstance(error, RCAError) else StoreError(f"telemetry cannot be written: {error}")
            for parcel in group:
                parcel.done.set_exception(failure)
        else:
            for parcel in group:
                parcel.done.set_result(fresh.get(parcel.digest) is parcel)
        finally:
            with self._lock:
                self._rows -= sum(parcel.rows for parcel in group)

    def _fresh(self, group: list[_Parcel]) -> dict[str, _Parcel]:
        """The parcels that are not stored yet, the first of each digest."""
        seen = self._store.seen_bodies(sorted({parcel.digest for parcel in group}))
        fresh: dict[str, _Parcel] = {}
        for parcel in group:
            if parcel.digest not in seen:
                fresh.setdefault(parcel.digest, parcel)
        return fresh

    def _keep(self, parcels: list[_Parcel]) -> None:
        from rca.sources.received import Received
        from rca.stores.tables import pack

        if not parcels:
            return
        loose = [parcel.content for parcel in parcels if not isinstance(parcel.content, list)]
        files = [packed for parcel in parcels if isinstance(parcel.content, list) for packed in parcel.content]
        if loose:
            files += pack(Received.merge(loose))
        segments = [self._store_file(packed) for packed in files]
        names = {name for parcel in parcels for name in (parcel.digest, *parcel.also)}
        self._store.add_segments(segments, sorted(names), time.time_ns()).result()

    def _store_file(self, packed: Packed) -> Segment:
        segment = Segment(
            id=uuid.uuid4().hex,
            signal=packed.signal,
            start=packed.start,
            end=packed.end,
            rows=packed.rows,
            size=len(packed.content),
            created=time.time_ns(),
        )
        self._files.write(_name(segment), packed.content)
        return segment

    def _merge(self, group: Sequence[Segment]) -> int:
        from rca.stores.tables import pack, unpack_all

        rows, chosen = 0, []
        for segment in sorted(group, key=lambda segment: (segment.start, segment.id)):
            if rows + segment.rows <= MAX_ROWS:
                chosen.append(segment)
                rows += segment.rows
        if len(chosen) < 2:
            return 0
        files = [(segment.signal, self._files.read(_name(segment))) for segment in chosen]
        merged = [self._store_file(packed) for packed in pack(unpack_all(files))]
        if not self._store.replace_segments([segment.id for segment in chosen], merged).result():
            self._files.delete([_name(segment) for segment in merged])  # another replica was faster
            return 0
        self._files.delete([_name(segment) for segment in chosen])
        return len(chosen) - len(merged)

    def _remove(self, segments: Sequence[Segment]) -> None:
        if segments:
            self._store.drop_segments([segment.id for segment in segments]).result()
            self._files.delete([_name(segment) for segment in segments])


def _name(segment: Segment) -> str:
    return f"segments/{segment.id}.parquet"
