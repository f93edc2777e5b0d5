"""Files that tell of a topology, whoever wrote them; what they are shows in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from rca.errors import TopologyError
from rca.knowledge import kubernetes, lineage
from rca.knowledge.picture import SCHEMA
from rca.topology import Topology
from rca.topology_files import read_topology

MAX_BYTES = 256 << 20  # kubectl prints some 10 kB per pod
_LINES = (".jsonl", ".ndjson")
_NO_ATTRIBUTES = ("kind", "host", "replica of", "known by")  # facts of a picture


def read_inventory(path: Path) -> tuple[Topology, str]:
    """The topology in a file, and what its source is usually called.

    Raises:
        TopologyError: the file is unreadable, malformed or of no known form.
    """
    suffix = path.suffix.lower()
    if suffix not in (".json", *_LINES):
        return read_topology(path), "yaml"
    document = _decode(path, lines=suffix in _LINES)
    if kubernetes.is_kubernetes(document):
        return kubernetes.read_kubernetes(document, where=str(path)), "kubernetes"
    if lineage.is_openlineage(document):
        return lineage.read_openlineage(document, where=str(path)), "lineage"
    if lineage.is_dbt(document):
        return lineage.read_dbt(document, where=str(path)), "lineage"
    if isinstance(document, dict) and document.get("schema") == SCHEMA:
        return _read_picture(document, str(path)), "export"
    if suffix in _LINES:
        raise TopologyError("holds no events of OpenLineage", where=path, remedy="Write one event a line")
    return read_topology(path), "yaml"


def _decode(path: Path, *, lines: bool) -> Any:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as bad:
        raise TopologyError(f"cannot be read: {bad.strerror}", where=path, remedy="Check the path") from bad
    if len(content) > MAX_BYTES:
        raise TopologyError(f"more than {MAX_BYTES} bytes", where=path, remedy="Split it, and record with --partial")
    try:
        return msgspec.json.Decoder().decode_lines(content) if lines else msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as bad:
        raise TopologyError(f"no JSON: {bad}", where=path, remedy="Write JSON in UTF-8") from bad


class _Node(msgspec.Struct):
    id: str
    facts: dict[str, str] = {}


class _Edge(msgspec.Struct):
    source: str
    target: str
    facts: dict[str, str | float] = {}


class _Picture(msgspec.Struct):
    form: str
    nodes: list[_Node]
    edges: list[_Edge]


def _read_picture(document: Mapping[str, Any], where: str) -> Topology:
    """What ``rca graph export`` wrote; who said so and how sure it was is not taken over."""
    try:
        picture = msgspec.convert(document, _Picture)
    except msgspec.ValidationError as bad:
        raise TopologyError(str(bad), where=where, remedy="Send what rca graph export wrote") from bad
    if picture.form != "topology":
        raise TopologyError(f"a graph of {picture.form[:40]}", where=where, remedy="Export without --incident")

    def column(fact: str) -> dict[str, str]:
        return {node.id: node.facts[fact] for node in picture.nodes if node.facts.get(fact)}

    stated = {n.id: {k: v for k, v in n.facts.items() if k not in _NO_ATTRIBUTES} for n in picture.nodes}
    return Topology.from_edges(
        [(edge.source, edge.target, float(edge.facts.get("calls", 1.0))) for edge in picture.edges],
        components=[node.id for node in picture.nodes],
        kinds=column("kind"),
        hosts=column("host"),
        replica_of=column("replica of"),
        attributes={name: facts for name, facts in stated.items() if facts},
    )
