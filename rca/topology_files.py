"""Topology from files: CSV (matrix or edges), JSON (edges, Jaeger's or Zipkin's dependencies) and YAML.

JSON and YAML say the same things under the same names::

    components:                     # a list of names, or name -> facts
      cart: {kind: service, host: node-1, zone: eu-1, owner: shop, depends_on: [cart-db]}
      cart-7f9c: {replica_of: cart}
    edges:                          # caller depends on callee; the number of calls may follow
      - [frontend, cart, 1200]
      - {caller: cart, callee: cart-db}

Cycles are allowed: services that call each other are common. ``find_cycles`` names them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from scipy.sparse import csgraph

from rca.errors import RCAError, TopologyError
from rca.topology import Topology
from rca.topology_spans import topology_from_spans
from rca.yaml_files import Mapped, read_yaml

__all__ = ["find_cycles", "read_topology", "topology_from_json", "topology_from_spans", "topology_to_json"]

MAX_BYTES = 64 << 20
MAX_NUMBER = 1 << 60  # more calls than anybody counts; sums of them stay finite
FACTS = ("kind", "host", "replica_of", "zone", "team", "owner", "runbook")
_PAIRS = (("caller", "callee", "calls"), ("parent", "child", "callCount"), ("source", "target", "calls"))
_KEYS = ("components", "edges", "kinds", "hosts", "replica_of", "attributes")
_EDGE_REMEDY = "Write [caller, callee], [caller, callee, calls] or {caller: …, callee: …, calls: …}"


def read_topology(path: str | Path) -> Topology:
    """The topology in a ``.csv``, ``.json``, ``.yaml`` or ``.yml`` file.

    A CSV file is a list of edges (header ``caller,callee`` and perhaps ``calls``), or a matrix: names in
    the first row and column, a cell above zero where the row's component calls the column's.

    Raises:
        TopologyError: the file is unreadable or malformed, or its ending names no form.
    """
    path = Path(path)
    form = path.suffix.lower()
    if form == ".csv":
        return _from_csv(path)
    if form == ".json":
        try:
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as bad:
            raise TopologyError(f"cannot be read: {bad.strerror}", where=path, remedy="Check the path") from bad
        return topology_from_json(content, where=str(path))
    if form in (".yaml", ".yml"):
        return _from_plain(read_yaml(path, error=TopologyError), str(path))
    raise TopologyError("no topology of a known form", where=path, remedy="End the name in .csv, .json, .yaml or .yml")


def topology_from_json(content: bytes, *, where: str = "topology") -> Topology:
    """The topology in a JSON document: components and edges, a list of edges, or what Jaeger and Zipkin answer.

    Raises:
        TopologyError: no JSON, too large, or none of these.
    """
    if len(content) > MAX_BYTES:
        raise TopologyError(f"more than {MAX_BYTES} bytes of JSON", where=where, remedy="List each edge once")
    try:
        return _from_plain(msgspec.json.decode(content), where)
    except (msgspec.DecodeError, UnicodeDecodeError) as bad:
        raise TopologyError(f"no JSON: {bad}", where=where, remedy="Send one JSON document in UTF-8") from bad
    except RecursionError as bad:
        raise TopologyError("JSON nested too deep", where=where, remedy="Send components and edges") from bad


def topology_to_json(topology: Topology) -> bytes:
    """A document that ``topology_from_json`` reads back."""
    names = topology.components
    rows = zip(topology.caller.tolist(), topology.callee.tolist(), topology.weight.tolist(), strict=True)
    facts = {
        "kinds": topology.kinds,
        "hosts": topology.hosts,
        "replica_of": topology.replica_of,
        "attributes": topology.attributes,
    }
    document: dict[str, Any] = {"components": list(names), "edges": [[names[a], names[b], w] for a, b, w in rows]}
    return msgspec.json.encode(document | {key: dict(sorted(value.items())) for key, value in facts.items() if value})


def find_cycles(topology: Topology) -> list[tuple[str, ...]]:
    """Groups of components that depend on each other in a circle, each sorted, in order of their first name."""
    if not topology.components:
        return []
    count, label = csgraph.connected_components(topology.adjacency(), directed=True, connection="strong")
    sizes = np.bincount(label, minlength=count)
    circles = [
        tuple(topology.components[i] for i in np.flatnonzero(label == group)) for group in np.flatnonzero(sizes > 1)
    ]
    return sorted(tuple(sorted(circle)) for circle in circles)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a document said, collected before it becomes a topology."""

    where: str
    edges: list[tuple[str, str, float]] = field(default_factory=list)
    components: list[str] = field(default_factory=list)
    facts: dict[str, dict[str, str]] = field(default_factory=dict)

    def add_fact(self, component: str, fact: str, value: Any, place: str) -> None:
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < MAX_NUMBER
        if not isinstance(value, str) and not number:
            raise TopologyError(f"the {fact[:60]} of {component[:60]} is no text", where=place, remedy="Write a text")
        self.facts.setdefault(component, {})[fact] = str(value)

    def topology(self) -> Topology:
        def column(fact: str) -> dict[str, str]:
            return {name: facts[fact] for name, facts in self.facts.items() if facts.get(fact)}

        plain = ("kind", "host", "replica_of")
        ends = [name for caller, callee, _ in self.edges for name in (caller, callee)]
        attributes = {n: {k: v for k, v in facts.items() if k not in plain} for n, facts in self.facts.items()}
        return Topology.from_edges(
            [edge for edge in self.edges if edge[2] > 0],  # counted and never called: no dependency
            components=[*self.components, *ends],
            kinds=column("kind"),
            hosts=column("host"),
            replica_of=column("replica_of"),
            attributes={name: facts for name, facts in attributes.items() if facts},
        )


def _place(node: Any, where: str, key: str | None = None) -> str:
    """The file, and the line where YAML knows it."""
    if not isinstance(node, Mapped):
        return where if key is None else f"{where}, {key[:80]}"
    file = re.sub(r", line \d+$", "", where)
    return f"{file}, line {node.line if key is None else node.lines.get(key, node.line)}"


def _from_plain(node: Any, where: str) -> Topology:
    parts = _Parts(where)
    if isinstance(node, list):
        _add_edges(parts, node, where)
        return parts.topology()
    if not isinstance(node, dict):
        raise TopologyError("holds no components or edges", where=where, remedy="Write components: and edges:")
    if "data" in node and "components" not in node and "edges" not in node:
        if not isinstance(node["data"], list):
            raise TopologyError("data is no list", where=where, remedy="Send Jaeger's answer of /api/dependencies")
        _add_edges(parts, node["data"], f"{where}, data")
        return parts.topology()
    for key, value in node.items():
        if key not in _ADD:
            raise TopologyError(
                f"unknown key {str(key)[:80]!r}", where=_place(node, where, str(key)), remedy=f"Use {', '.join(_KEYS)}"
            )
        if value is not None:
            _ADD[key](parts, value, _place(node, where, key))
    return parts.topology()


def _add_components(parts: _Parts, value: Any, where: str) -> None:
    if isinstance(value, list):
        value = dict.fromkeys([name for name in value if isinstance(name, str)]) if _all_texts(value) else None
    if not isinstance(value, dict):
        raise TopologyError(
            "components are no list of names and no mapping", where=where, remedy="Write name: {kind: …}"
        )
    for name, facts in value.items():
        place = _place(value, where, name)
        parts.components.append(_name(name, place))
        if facts is None:
            continue
        if not isinstance(facts, dict):
            raise TopologyError(f"the facts of {name[:80]} are no mapping", where=place, remedy="Write name: {kind: …}")
        for fact, said in facts.items():
            here = _place(facts, place, fact)
            if fact == "depends_on":
                callees = said if isinstance(said, list) else [said]
                parts.edges.extend((name, _name(callee, here), 1.0) for callee in callees)
            elif fact in FACTS:
                parts.add_fact(name, fact, said, here)
            else:
                raise TopologyError(
                    f"unknown fact {fact[:80]!r} of {name[:80]}",
                    where=here,
                    remedy=f"Use {', '.join(FACTS)}, depends_on; others go under attributes",
                )


def _add_edges(parts: _Parts, value: Any, where: str) -> None:
    if not isinstance(value, list):
        raise TopologyError("edges are no list", where=where, remedy=_EDGE_REMEDY)
    for i, edge in enumerate(value):
        place = _place(edge, where) if isinstance(edge, Mapped) else f"{where}, edge {i + 1}"
        if isinstance(edge, dict):
            names = next((names for names in _PAIRS if names[0] in edge and names[1] in edge), None)
            ends = [edge[names[0]], edge[names[1]], edge.get(names[2], 1)] if names else []
        else:
            ends = edge if isinstance(edge, list) else []
        if len(ends) not in (2, 3):
            raise TopologyError("is no edge", where=place, remedy=_EDGE_REMEDY)
        calls = _calls(ends[2], place) if len(ends) == 3 else 1.0
        parts.edges.append((_name(ends[0], place), _name(ends[1], place), calls))


def _add_column(fact: str) -> Callable[[_Parts, Any, str], None]:
    def add(parts: _Parts, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise TopologyError("is no mapping of components", where=where, remedy="Write component: value")
        for name, said in value.items():
            parts.add_fact(name, fact, said, _place(value, where, name))

    return add


def _add_attributes(parts: _Parts, value: Any, where: str) -> None:
    if not isinstance(value, dict) or not all(isinstance(facts, dict) for facts in value.values()):
        raise TopologyError("attributes are no mapping of mappings", where=where, remedy="Write component: {zone: …}")
    for name, facts in value.items():
        for fact, said in facts.items():
            parts.add_fact(name, fact, said, _place(facts, where, fact))


_ADD: dict[str, Callable[[_Parts, Any, str], None]] = {
    "components": _add_components,
    "edges": _add_edges,
    "kinds": _add_column("kind"),
    "hosts": _add_column("host"),
    "replica_of": _add_column("replica_of"),
    "attributes": _add_attributes,
}


def _all_texts(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _name(value: Any, place: str) -> str:
    if not isinstance(value, str) or not value:
        raise TopologyError("a component's name is empty or no text", where=place, remedy="Write its name, in quotes")
    return value


def _calls(value: Any, place: str) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < MAX_NUMBER:
        raise TopologyError("the number of calls is no number, or negative", where=place, remedy="Count calls from 0")
    return float(value)


def _from_csv(path: Path) -> Topology:
    from rca.formats.csv import load_csv

    try:
        table = load_csv(path, where=str(path))
    except RCAError as bad:
        raise TopologyError(bad.problem, where=path, remedy=bad.remedy) from bad
    columns = {name.strip(): table.column(name).to_pylist() for name in table.column_names}
    names = next((names for names in _PAIRS if names[0] in columns and names[1] in columns), None)
    if names is None:
        return _from_matrix(columns, str(path))
    unknown = sorted(set(columns) - set(names))
    if unknown:
        raise TopologyError(f"unknown column {unknown[0]!r}", where=path, remedy=f"Use {', '.join(names)}")
    parts = _Parts(str(path))
    calls = columns.get(names[2], ["1"] * table.num_rows)
    for i, (caller, callee, count) in enumerate(zip(columns[names[0]], columns[names[1]], calls, strict=True)):
        place = f"{path}, row {i + 1}"
        parts.edges.append((_name(caller, place), _name(callee, place), _calls(_number(count), place)))
    return parts.topology()


def _from_matrix(columns: dict[str, list[str]], where: str) -> Topology:
    corner, *callees = columns
    callers = columns[corner]
    for name in (*callers, *callees):
        _name(name, where)
    if not callees or not set(callers) <= set(callees):
        stranger = next((name for name in callers if name not in callees), "")
        raise TopologyError(
            f"the row {stranger[:80]!r} has no column" if callees else "has one column alone",
            where=where,
            remedy="Write edges under a header caller,callee, or a matrix with the same names in rows and columns",
        )
    parts = _Parts(where, components=callees)
    for callee in callees:
        for caller, cell in zip(callers, columns[callee], strict=True):
            calls = _calls(_number(cell), f"{where}, row {caller[:80]}, column {callee[:80]}")
            if calls > 0:
                parts.edges.append((caller, callee, calls))
    return parts.topology()


def _number(cell: str) -> float:
    text = cell.strip().lower()
    try:
        return float({"": "0", "true": "1", "false": "0"}.get(text, text))
    except ValueError:
        return math.nan
