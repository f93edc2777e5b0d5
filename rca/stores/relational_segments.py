"""The manifest of telemetry files, which bodies are in them, and files inside the database."""

# ruff: noqa: S608 - only names of our own tables and columns are written into statements; values are parameters

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

from rca.errors import NotFoundError
from rca.stores.records import Segment
from rca.stores.relational_jobs import Tables
from rca.stores.writer import Row, Transaction

_SEGMENT = "id, signal, start_time, end_time, row_count, size, created"


class SegmentTables(Tables):
    """The part of the store that knows where telemetry lies."""

    def add_segments(self, segments: Sequence[Segment], bodies: Sequence[str], now: int) -> Future[None]:
        """Enters files that are on disk already, and the digests of the bodies that they hold."""

        def write(sql: Transaction) -> None:
            self._insert_segments(sql, segments)
            statement = "INSERT INTO bodies VALUES (?, ?) ON CONFLICT (digest) DO NOTHING"
            sql.many(statement, [(body, now) for body in sorted(bodies)])

        return self.submit(write, rows=len(segments) + len(bodies))

    def replace_segments(self, old: Sequence[str], new: Sequence[Segment]) -> Future[bool]:
        """Exchanges segments for others that hold the same; False, and nothing done, where one is gone."""

        def write(sql: Transaction) -> bool:
            marks = ", ".join("?" * len(old))
            found = sql.rows(f"SELECT id FROM segments WHERE id IN ({marks})", tuple(old))
            if len(found) != len(old):
                return False
            sql.run(f"DELETE FROM segments WHERE id IN ({marks})", tuple(old))
            self._insert_segments(sql, new)
            return True

        return self.submit(write)

    def drop_segments(self, segments: Sequence[str]) -> Future[int]:
        """Takes files out of the manifest."""
        rows = [(segment,) for segment in segments]
        return self.submit(lambda sql: sql.many("DELETE FROM segments WHERE id = ?", rows))

    def segments(self, *, signal: str = "", start: int | None = None, end: int | None = None) -> list[Segment]:
        """Segments that overlap [start, end), oldest first."""
        first, last = -(1 << 62) if start is None else start, 1 << 62 if end is None else end
        statement = (
            f"SELECT {_SEGMENT} FROM segments WHERE (signal = ? OR ? = '') AND end_time >= ? AND start_time < ?"
            " ORDER BY start_time, created, id"
        )
        return [_segment(row) for row in self.read(statement, (signal, signal, first, last))]

    def seen_bodies(self, digests: Sequence[str]) -> set[str]:
        """Which of these bodies are stored already."""
        marks = ", ".join("?" * len(digests))
        return {str(row[0]) for row in self.read(f"SELECT digest FROM bodies WHERE digest IN ({marks})", digests)}

    def put_file(self, name: str, content: bytes, now: int) -> Future[None]:
        """Keeps a file inside the database."""
        statement = "INSERT INTO files VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET content = excluded.content"
        return self.submit(lambda sql: _nothing(sql.run(statement, (name, now, content))))

    def file(self, name: str) -> bytes:
        """A file inside the database."""
        found = self.read("SELECT content FROM files WHERE name = ?", (name,))
        if not found:
            raise NotFoundError(f"there is no file {name[:80]!r}")
        return bytes(found[0][0])

    def file_names(self) -> list[tuple[str, int]]:
        """Names and creation of all files inside the database."""
        return [(str(name), int(created)) for name, created in self.read("SELECT name, created FROM files")]

    def drop_files(self, names: Sequence[str]) -> Future[int]:
        """Deletes files inside the database."""
        rows = [(name,) for name in names]
        return self.submit(lambda sql: sql.many("DELETE FROM files WHERE name = ?", rows))

    def _insert_segments(self, sql: Transaction, segments: Sequence[Segment]) -> None:
        rows = [(s.id, s.signal, s.start, s.end, s.rows, s.size, s.created) for s in segments]
        sql.many(f"INSERT INTO segments ({_SEGMENT}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING", rows)


def _segment(row: Row) -> Segment:
    return Segment(id=row[0], signal=row[1], start=row[2], end=row[3], rows=row[4], size=row[5], created=row[6])


def _nothing(_: int) -> None:
    """Drops a count that nobody asks for."""
