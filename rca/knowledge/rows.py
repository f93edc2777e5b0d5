"""What a store keeps: tables of plain rows, the same in every store, and batches of them.

A row is a dictionary of texts, whole numbers, numbers and lists of texts; its key says which row it
replaces, so that writing a batch twice is the same as writing it once. Names of tables and columns
are these and no others: nothing that came from outside ever becomes part of a statement.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rca.errors import InputError

Row = dict[str, Any]
FOREVER = (1 << 63) - 1  # the end of what still holds; the largest time that every store can keep
BEGINNING = -FOREVER
# Characters, of four bytes at most: one long name and two short ones stay below what Neo4j's indexes take (8 kB).
LONGEST_KEY = 1_000
LONGEST_SHORT_KEY = 250  # of tenants, sources and authors, which stand in keys beside others
LONGEST_TEXT = 4 << 20
PART = 10_000  # rows that one transaction takes: some MB of memory in the server, and a second or two


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The columns of one kind of row; ``key`` names one row within a tenant."""

    key: tuple[str, ...]
    values: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, the key first."""
        return self.key + self.values

    def key_of(self, row: Row) -> tuple[Any, ...]:
        """What names the row."""
        return tuple(row[column] for column in self.key)


_CLAIM = ("valid_to", "last_seen", "confidence")
# In the order in which they have to be written: what refers to another row comes after it.
TABLES: Mapping[str, Table] = {
    "components": Table(
        key=("name", "source", "valid_from"), values=(*_CLAIM, "kind", "host", "replica_of", "team", "attributes")
    ),
    "dependencies": Table(key=("caller", "callee", "source", "valid_from"), values=(*_CLAIM, "weight")),
    "incidents": Table(
        key=("id",),
        values=(
            *("title", "start", "end", "detected_at", "onset", "verdict"),
            *("component", "kind", "change", "missing", "report"),
        ),
    ),
    "events": Table(
        key=("incident", "number"),
        values=(
            *("id", "component", "kind", "name", "start", "end", "severity", "direction"),
            *("evidence", "attributes"),
        ),
    ),
    "links": Table(key=("incident", "cause", "effect"), values=("rule", "also", "lag", "weight")),
    "causes": Table(key=("incident", "rank"), values=("component", "kind", "score", "confidence", "sentence")),
    "touched": Table(key=("incident", "component", "role"), values=()),
    "changes": Table(key=("id",), values=("component", "kind", "name", "time", "team", "attributes")),
    "suspects": Table(key=("incident", "change"), values=("probability", "sentence")),
    "feedback": Table(key=("incident", "by", "at"), values=("verdict", "component", "kind", "change", "note")),
    "resolutions": Table(key=("incident", "by", "at"), values=("text",)),
}
# What belongs to one analysis of an incident, and goes when it is analysed again.
RENEWED = ("links", "events", "causes", "touched", "suspects")
# What belongs to an incident, and goes when it is forgotten; its changes and components stay.
FORGOTTEN = (*RENEWED, "feedback", "resolutions", "incidents")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows to be written together, by table; rows of the incidents in ``renewed`` go first.

    Of the incidents in ``forgotten`` nothing stays but what ``rows`` says of them.

    Raises:
        InputError: a table or a column is unknown, or a value is none that every store keeps.
    """

    rows: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    renewed: tuple[str, ...] = ()
    forgotten: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, rows in self.rows.items():
            if name not in TABLES:
                raise InputError(f"there is no table {name[:60]!r}", where="knowledge", remedy="See rca.knowledge.rows")
            for row in rows:
                _check(name, TABLES[name], row)

    def __len__(self) -> int:
        return sum(len(rows) for rows in self.rows.values())

    def tables(self) -> Iterator[tuple[str, Sequence[Row]]]:
        """The tables that hold rows, in the order in which they have to be written."""
        return ((name, self.rows[name]) for name in TABLES if self.rows.get(name))

    def parts(self, most: int = PART) -> Iterator[Batch]:
        """The same in batches of at most ``most`` rows, in order; itself where it is small enough."""
        if len(self) <= most:
            yield self
            return
        renewed, forgotten = self.renewed, self.forgotten
        part: dict[str, list[Row]] = {}
        size = 0
        for name, rows in self.tables():
            for row in rows:
                part.setdefault(name, []).append(row)
                size += 1
                if size == most:
                    yield Batch(rows=part, renewed=renewed, forgotten=forgotten)
                    part, renewed, forgotten, size = {}, (), (), 0
        if size:
            yield Batch(rows=part, renewed=renewed, forgotten=forgotten)

    def to_json(self) -> bytes:
        """For a queue on disk; ``from_json`` reads it back."""
        return msgspec.json.encode({"rows": self.rows, "renewed": self.renewed, "forgotten": self.forgotten})

    @classmethod
    def from_json(cls, content: bytes) -> Batch:
        """What ``to_json`` wrote."""
        document = msgspec.json.decode(content)
        names = {name: tuple(document.get(name, ())) for name in ("renewed", "forgotten")}
        return cls(rows=document["rows"], **names)


def storable(text: str, longest: int = LONGEST_TEXT) -> str:
    """The text as every store keeps it, the same for the same text.

    Half a surrogate pair, which UTF-8 cannot hold, becomes a question mark; NUL, which ends texts in
    C, becomes U+FFFD.
    """
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= longest else text[:longest]


def check_key(text: str, what: str, longest: int = LONGEST_KEY) -> str:
    """A text that names something.

    Raises:
        InputError: it is no text, empty, or longer than an index takes.
    """
    if not isinstance(text, str) or not text:
        raise InputError(f"{what} has no name", where="knowledge", remedy="Give it one")
    if len(text) > longest:
        raise InputError(
            f"the name of {what} has {len(text)} characters, {text[:40]!r} …",
            where="knowledge",
            remedy=f"Use at most {longest}",
        )
    return storable(text)


def _check(name: str, table: Table, row: Row) -> None:
    if tuple(row) != table.columns:
        unknown = ", ".join(sorted(set(row) ^ set(table.columns))) or "in another order"
        raise InputError(f"a row of {name} has other columns: {unknown[:200]}", where="knowledge")
    for column, value in row.items():
        kind = type(value)
        if value is None:
            fits = column not in table.key
        elif kind is int:
            fits = -FOREVER <= value <= FOREVER
        elif kind is float:
            fits = math.isfinite(value)
        else:
            fits = _is_text(value) or (kind is list and all(_is_text(each) for each in value))
        if not fits:
            raise InputError(f"{value!r:.60} is no value of {name}.{column}", where="knowledge")


def _is_text(value: object) -> bool:
    return type(value) is str and (value.isascii() or storable(value, len(value)) == value)
