"""Cypher that ships: named files, read once. Nothing from outside becomes part of a statement.

Values travel as parameters. What Cypher takes no parameter for (how many hops) is a whole number that was checked
before; foreign labels and properties (a CMDB's) have to be plain names and are quoted.
"""

from __future__ import annotations

import re
from functools import cache

from rca.errors import InputError
from rca.knowledge.protocol import check_reach
from rca.resources import bundled

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


@cache
def query(name: str) -> str:
    """The text of ``graphs/queries/NAME.cypher``."""
    return bundled("graphs", f"queries/{name}.cypher").read_text(encoding="utf-8")


def near_query(hops: int, callers: int, name: str = "read/near_dependencies") -> str:
    """The neighbourhood with its two numbers filled in.

    Raises:
        InputError: a number is out of range.
    """
    check_reach(hops, callers)
    return query(name).replace("0..HOPS", f"0..{hops}").replace("0..CALLERS", f"0..{callers}")


def foreign_name(name: str) -> str:
    """A label, relationship type or property of somebody else's graph, quoted.

    Raises:
        InputError: it is more than letters, digits and underscores.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r:.60} is no name of a label, relationship or property",
            where="graph mapping",
            remedy="Use letters, digits and underscores",
        )
    return f"`{name}`"


def schema_versions() -> list[list[str]]:
    """The statements of ``graphs/schema.cypher``: those at i lead from version i to i + 1."""
    text = bundled("graphs", "schema.cypher").read_text(encoding="utf-8")
    versions: list[list[str]] = []
    for number, part in enumerate(re.split(r"(?m)^// version (?=\d+$)", text)[1:], 1):
        head, _, body = part.partition("\n")
        if int(head) != number:
            raise InputError(f"version {head} stands where {number} belongs", where="graphs/schema.cypher")
        body = "\n".join(line for line in body.splitlines() if not line.startswith("//"))
        versions.append([statement.strip() for statement in body.split(";") if statement.strip()])
    return versions


def literal(value: str | float | bool | list[str] | None) -> str:
    """A value as Cypher writes it, for scripts that are written to a file.

    Everything but letters, digits, blanks and plain punctuation becomes a \\u escape. Cypher resolves these
    before it reads a statement, so an escaped quote would end the text: quotes and backslashes are escaped
    with a backslash instead.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, list):
        return "[" + ", ".join(literal(each) for each in value) + "]"
    return "'" + "".join(_escaped(character) for character in value) + "'"


def _escaped(character: str) -> str:
    if character in "\\'\"":
        return "\\" + character
    if " " <= character <= "~":
        return character
    short = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character)
    if short is not None:
        return short
    return "".join(f"\\u{unit:04x}" for unit in _units(character))


def _units(character: str) -> tuple[int, ...]:
    """UTF-16 units: what Cypher's escapes name."""
    code = ord(character)
    if code < 0x10000:
        return (code,)
    code -= 0x10000
    return (0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF))
