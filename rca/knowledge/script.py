"""A Cypher script that makes a picture's graph in a Neo4j of one's own; for cypher-shell, or the browser.

Rows travel as one text per statement, which the server splits: so it plans each form of statement once and takes
tens of thousands of rows in seconds, where it plans every list of literal values anew, for hours. A text cannot be
ended by what it holds: quotes and backslashes are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from rca.knowledge.cypher import literal
from rca.knowledge.picture import Picture, Value, free_names, to_graphml, to_json

MOST_ROWS = 500  # of one statement
ROW, FIELD = "\x1e", "\x1f"  # ASCII's separators of records and units
_LABELS = {"topology": ("Component", "DEPENDS_ON"), "causality": ("Event", "MAY_HAVE_CAUSED")}
Columns = Mapping[str, Sequence[Value]]


def to_cypher(picture: Picture) -> str:
    """The script, the same for the same picture; run twice it changes nothing."""
    label, relation = _LABELS[picture.form]
    nodes = {name: [getattr(node, name) for node in picture.nodes] for name in ("id", "label", "group", "marked")}
    edges = {name: [getattr(edge, name) for edge in picture.edges] for name in ("source", "target", "label")}
    ends = f"MATCH (a:{label} {{id: f[0]}}), (b:{label} {{id: f[1]}})"
    lines = [
        f"// {picture.form}: {len(picture.nodes)} nodes, {len(picture.edges)} edges",
        f"CREATE INDEX rca_export_{label.lower()} IF NOT EXISTS FOR (n:{label}) ON (n.id);",
        *_statements(f"MERGE (n:{label} {{id: f[0]}})", _with_facts(nodes, [each.facts for each in picture.nodes]), 1),
        *_statements(
            f"{ends} MERGE (a)-[n:{relation}]->(b)", _with_facts(edges, [each.facts for each in picture.edges]), 2
        ),
    ]
    return "\n".join(lines) + "\n"


FORMS: Mapping[str, Callable[[Picture], str]] = {"json": to_json, "graphml": to_graphml, "cypher": to_cypher}


def _with_facts(own: Columns, facts: Sequence[Mapping[str, Value]]) -> Columns:
    """One column more per fact, called like it in plain letters: backquoted names have traps of their own."""
    told = sorted({fact for row in facts for fact in row})
    names = free_names([re.sub(r"[^A-Za-z0-9_]", "_", fact) or "_" for fact in told], own)
    return {**own, **{name: [row.get(fact, "") for row in facts] for name, fact in zip(names, told, strict=True)}}


def _statements(made: str, columns: Columns, keys: int) -> Iterator[str]:
    """Statements that make nodes or relationships ``n`` of rows; columns after the first ``keys`` are properties."""
    sets = ", ".join(
        f"n.`{name}` = {_read(f'f[{place}]', column)}"
        for place, (name, column) in enumerate(columns.items())
        if place >= keys
    )
    rows = [FIELD.join(map(_field, row)) for row in zip(*columns.values(), strict=True)]
    for begin in range(0, len(rows), MOST_ROWS):
        text = literal(ROW.join(rows[begin : begin + MOST_ROWS]))
        yield (
            f"UNWIND split({text}, {literal(ROW)}) AS line WITH split(line, {literal(FIELD)}) AS f {made} SET {sets};"
        )


def _read(field: str, column: Sequence[Value]) -> str:
    """How a field becomes a property: numbers as such, what is empty as none."""
    if all(isinstance(value, (int, float)) for value in column):
        return f"toFloat({field})"
    return f"CASE {field} WHEN '' THEN null ELSE {field} END"


def _field(value: Value) -> str:
    """A value between the separators, which it cannot hold itself."""
    return re.sub(f"[{ROW}{FIELD}]", "\ufffd", value) if isinstance(value, str) else repr(value)
