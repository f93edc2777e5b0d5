"""Tokens, and who did what."""

# ruff: noqa: S608 - only names of our own tables and columns are written into statements; values are parameters

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

from rca.errors import NotFoundError
from rca.stores.records import AuditEntry, Token
from rca.stores.relational_jobs import Tables
from rca.stores.writer import Row

_TOKEN = "id, name, digest, scopes, created, expires, revoked"  # noqa: S105 - names of columns


class AccessTables(Tables):
    """The part of the store that says who may do what, and who did."""

    def add_token(self, token: Token) -> Future[None]:
        """Keeps a token, without its secret; replaces one of the same id."""
        row = (
            token.id,
            token.name,
            token.digest,
            " ".join(token.scopes),
            token.created,
            token.expires,
            token.revoked,
        )
        statement = (
            f"INSERT INTO tokens ({_TOKEN}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
            " name = excluded.name, digest = excluded.digest, scopes = excluded.scopes, expires = excluded.expires,"
            " revoked = excluded.revoked"
        )
        return self.submit(lambda sql: _nothing(sql.run(statement, row)))

    def token(self, token: str) -> Token:
        """One token."""
        found = self.read(f"SELECT {_TOKEN} FROM tokens WHERE id = ?", (token,))
        if not found:
            raise NotFoundError(f"there is no token {token[:80]!r}", remedy="`rca token list` lists them")
        return _token(found[0])

    def tokens(self) -> list[Token]:
        """All tokens, oldest first."""
        return [_token(row) for row in self.read(f"SELECT {_TOKEN} FROM tokens ORDER BY created, id")]

    def revoke_token(self, token: str, now: int) -> Future[bool]:
        """Makes a token worthless; False where there is none that was not yet."""
        statement = "UPDATE tokens SET revoked = ? WHERE id = ? AND revoked IS NULL"
        return self.submit(lambda sql: sql.run(statement, (now, token)) == 1)

    def record(self, entries: Sequence[AuditEntry]) -> Future[int]:
        """Adds to the audit log."""
        rows = [(e.time, e.who, e.action, e.subject, e.outcome, e.trace) for e in entries]
        statement = "INSERT INTO audit (time, who, action, subject, outcome, trace) VALUES (?, ?, ?, ?, ?, ?)"
        return self.submit(lambda sql: sql.many(statement, rows), rows=len(rows))

    def audit(self, *, before: int | None = None, limit: int = 100) -> list[AuditEntry]:
        """The audit log, newest first, from just before an id."""
        statement = (
            "SELECT id, time, who, action, subject, outcome, trace FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?"
        )
        return [
            AuditEntry(id=row[0], time=row[1], who=row[2], action=row[3], subject=row[4], outcome=row[5], trace=row[6])
            for row in self.read(statement, (1 << 62 if before is None else before, limit))
        ]


def _token(row: Row) -> Token:
    return Token(
        id=row[0],
        name=row[1],
        digest=bytes(row[2]),
        scopes=tuple(str(row[3]).split()),
        created=row[4],
        expires=row[5],
        revoked=row[6],
    )


def _nothing(_: int) -> None:
    """Drops a count that nobody asks for."""
