"""Experience: what was learnt and confirmed so far, laid out as files that the worker processes of this machine read.

The store is what counts, for all replicas; the files are copies in a folder of their own, made when an analysis needs
them and they changed. Each file's name says which content it has, so that a worker that has read one keeps it.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from rca.errors import StoreError
from rca.service.recalling import MOST_REMEMBERED, Remembered
from rca.service.uses import in_use

if TYPE_CHECKING:
    from rca.stores.protocol import Store

# What other replicas' lessons looked at anew is taken over after so long; what people say, and versions, at once.
_SECONDS = 60.0


class Experience:
    """The files of one service, in a temporary folder that goes with it.

    Raises:
        StoreError: the folder cannot be made or written.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="rca-experience-")
        except OSError as bad:
            raise StoreError(
                f"no temporary folder can be made: {bad.strerror}", remedy="Check /tmp, or TMPDIR"
            ) from bad
        self._mark: tuple[int, int] | None = None
        self._until = 0.0
        self._index = ""

    def close(self) -> None:
        """Removes the files."""
        self._folder.cleanup()

    def recall(self) -> dict[str, str]:
        """What an analysis is told: a ``version``, the paths of its ``learned`` weights and ``kinds``, ``precedents``.

        What there is none of is "". A version that is in use and no longer there has a path all the same: the analysis
        says that it is missing. Reads the store, and writes what is new.
        """
        with self._lock:
            version = in_use(self._store)
            mark = self._store.feedback_mark()
            if mark != self._mark or time.monotonic() > self._until:
                self._index = self._lay_out()
                self._mark, self._until = mark, time.monotonic() + _SECONDS
            learned, kinds = self._version(version) if version else ("", "")
            return {"version": version, "learned": learned, "kinds": kinds, "precedents": self._index}

    def _version(self, version: str) -> tuple[str, str]:
        weights, kinds = self._path(f"weights-{version}.npz"), self._path(f"kinds-{version}.bin")
        if not weights.exists():
            try:
                found = self._store.learned_version(version)
            except StoreError:  # it is gone or cannot be read: an analysis is worth more than what was learnt
                return str(weights), ""
            self._write(kinds, found.kinds)
            self._write(weights, found.weights)
        return str(weights), str(kinds) if kinds.stat().st_size else ""

    def _lay_out(self) -> str:
        """The path of the list of confirmed incidents, written where it is new; "" where there are none."""
        rows = self._rows()
        self._fetch(rows)
        rows = [row for row in rows if self._path(row.file).exists()]
        if not rows:
            return ""
        content = msgspec.msgpack.encode(rows)
        path = self._path(f"confirmed-{hashlib.sha256(content).hexdigest()[:32]}.bin")
        if not path.exists():
            self._write(path, content)
            self._tidy(path, {row.file for row in rows})
        return str(path)

    def _rows(self) -> list[Remembered]:
        words = self._store.confirmed(limit=MOST_REMEMBERED)
        seen = self._store.sightings([word.incident for word in words])
        resolutions = self._store.resolutions()
        return [
            Remembered(
                incident=word.incident,
                file=f"seen-{seen[word.incident].job}.bin",
                component=word.component,
                kind=word.kind,
                resolutions=tuple(resolutions.get(word.incident) or filter(None, [word.note.strip()])),
                title=seen[word.incident].title,
                start=seen[word.incident].start,
                who=word.who,
            )
            for word in words
            if word.incident in seen
        ]

    def _fetch(self, rows: Sequence[Remembered]) -> None:
        """Writes what was seen of incidents that are new here."""
        missing = {row.incident: row.file for row in rows if not self._path(row.file).exists()}
        for portrait in self._store.portraits(list(missing)):
            self._write(self._path(missing[portrait.incident]), portrait.content)

    def _tidy(self, index: Path, files: Iterable[str]) -> None:
        """Removes what neither this list nor the one before needs: a worker may be about to read that."""
        lists = sorted(self._path(".").glob("confirmed-*.bin"), key=lambda path: path.stat().st_mtime_ns)
        for old in lists[:-2]:
            if old != index:
                old.unlink(missing_ok=True)
        kept = set(files)
        for before in lists[-2:]:
            kept |= {row.file for row in msgspec.msgpack.decode(before.read_bytes(), type=list[Remembered])}
        for seen in self._path(".").glob("seen-*.bin"):
            if seen.name not in kept:
                seen.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return Path(self._folder.name) / name

    def _write(self, path: Path, content: bytes) -> None:
        """Whole or not at all: workers read while this writes."""
        draft = path.with_suffix(".draft")
        try:
            path.parent.mkdir(exist_ok=True)  # who tidies up /tmp may have taken the folder
            draft.write_bytes(content)
            draft.replace(path)
        except OSError as bad:
            raise StoreError(f"cannot be written: {bad.strerror}", where=path, remedy="Check space and rights") from bad
