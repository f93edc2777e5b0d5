"""Files that outlive a crash: in a folder, or inside the database where replicas share no disk."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rca.errors import NotFoundError, StoreError

if TYPE_CHECKING:
    from rca.stores.protocol import Store

_NAME = re.compile(r"[a-z]{1,20}/[A-Za-z0-9_-]{1,100}\.[a-z]{1,10}")


class Files(Protocol):
    """Named contents; a name is ``kind/id.ending``."""

    def write(self, name: str, content: bytes) -> None:
        """Keeps a content under a name, whole or not at all; durable when this returns."""

    def read(self, name: str) -> bytes:
        """A content."""

    def delete(self, names: Sequence[str]) -> None:
        """Deletes what is there."""

    def names(self) -> list[tuple[str, int]]:
        """Every name and when it was written, in ns."""


def check_name(name: str) -> str:
    """The name itself.

    Raises:
        StoreError: it is none that we give.
    """
    if not _NAME.fullmatch(name):
        raise StoreError(f"{name[:80]!r} is no name of a file of the store")
    return name


class FolderFiles:
    """Files below a folder: written beside their place, synced, then moved there.

    Raises:
        StoreError: the folder cannot be made, read or written.
    """

    def __init__(self, root: str | Path) -> None:
        self._root = Path(root)
        self._made: set[Path] = set()
        try:
            self._root.mkdir(parents=True, exist_ok=True)
        except OSError as bad:
            raise StoreError(f"cannot be made: {bad.strerror}", where=self._root, remedy="Check its parent") from bad

    def write(self, name: str, content: bytes) -> None:
        """Keeps a content under a name."""
        path = self._root / check_name(name)
        draft = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
        try:
            if path.parent not in self._made:
                path.parent.mkdir(exist_ok=True)
                _sync_folder(self._root)
                self._made.add(path.parent)
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
            _sync_folder(path.parent)
        except OSError as bad:
            draft.unlink(missing_ok=True)
            raise StoreError(f"cannot be written: {bad.strerror}", where=path, remedy="Check space and rights") from bad

    def read(self, name: str) -> bytes:
        """A content."""
        path = self._root / check_name(name)
        try:
            return path.read_bytes()
        except FileNotFoundError as bad:
            raise NotFoundError("is gone", where=path, remedy="It was deleted when it was too old") from bad
        except OSError as bad:
            raise StoreError(f"cannot be read: {bad.strerror}", where=path, remedy="Check its rights") from bad

    def delete(self, names: Sequence[str]) -> None:
        """Deletes what is there."""
        for name in names:
            (self._root / check_name(name)).unlink(missing_ok=True)

    def names(self) -> list[tuple[str, int]]:
        """Every name and when it was written, in ns."""
        found = []
        for path in sorted(self._root.glob("*/*")):
            name = f"{path.parent.name}/{path.name}"
            if _NAME.fullmatch(name) and path.is_file():
                found.append((name, path.stat().st_mtime_ns))
        return found


class DatabaseFiles:
    """Files inside the store's database."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def write(self, name: str, content: bytes) -> None:
        """Keeps a content under a name."""
        self._store.put_file(check_name(name), content, time.time_ns()).result()

    def read(self, name: str) -> bytes:
        """A content."""
        return self._store.file(check_name(name))

    def delete(self, names: Sequence[str]) -> None:
        """Deletes what is there."""
        self._store.drop_files([check_name(name) for name in names]).result()

    def names(self) -> list[tuple[str, int]]:
        """Every name and when it was written, in ns."""
        return self._store.file_names()


def _sync_folder(folder: Path) -> None:
    """A new name is durable only when its folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
