"""What data is made of, as lineage tools say it: events of OpenLineage, the manifest of dbt.

A dataset depends on the job that writes it, a job on the datasets that it reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from rca.errors import TopologyError
from rca.topology import Topology

# Kinds of components by dbt's types of resources; tests, macros and analyses make nothing that others depend on.
_DBT_KINDS = {"model": "table", "seed": "table", "snapshot": "table", "source": "dataset"}
_EXPOSURE_KINDS = {"ml": "model"}
Edges = list[tuple[str, str]]


class _Named(msgspec.Struct):
    """A job or a dataset: its name is unique within its namespace."""

    namespace: str
    name: str

    @property
    def component(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"


class _Event(msgspec.Struct, rename="camel"):
    event_time: str
    job: _Named | None = None
    dataset: _Named | None = None
    inputs: list[_Named] | None = None
    outputs: list[_Named] | None = None


class _Parents(msgspec.Struct):
    nodes: list[str] | None = None


class _Owner(msgspec.Struct):
    name: str | None = None
    email: str | None = None


class _Node(msgspec.Struct):
    name: str
    resource_type: str
    source_name: str = ""
    type: str | None = None
    owner: _Owner | None = None
    depends_on: _Parents | None = None


class _Manifest(msgspec.Struct):
    nodes: dict[str, _Node] = {}
    sources: dict[str, _Node] = {}
    exposures: dict[str, _Node] = {}


def is_openlineage(document: Any) -> bool:
    """Whether a JSON document is an event of OpenLineage, or a list of them."""
    first = document[0] if isinstance(document, list) and document else document
    return isinstance(first, dict) and "eventTime" in first and ("job" in first or "dataset" in first)


def read_openlineage(document: Any, *, where: str) -> Topology:
    """The topology that run, job and dataset events tell of; components are called ``namespace/name``.

    Raises:
        TopologyError: an event is malformed.
    """
    edges: Edges = []
    kinds: dict[str, str] = {}
    for i, item in enumerate(document if isinstance(document, list) else [document]):
        try:
            event = msgspec.convert(item, _Event)
        except msgspec.ValidationError as bad:
            remedy = "Send events of OpenLineage, as a list or one a line"
            raise TopologyError(str(bad), where=f"{where}, event {i + 1}", remedy=remedy) from bad
        read, written = event.inputs or [], event.outputs or []
        kinds.update({each.component: "dataset" for each in (*read, *written, *filter(None, [event.dataset]))})
        if event.job is not None:
            job = event.job.component
            kinds[job] = "job"
            edges += [(job, each.component) for each in read] + [(each.component, job) for each in written]
    return _topology(edges, kinds, {})


def is_dbt(document: Any) -> bool:
    """Whether a JSON document is dbt's ``target/manifest.json``."""
    about = document.get("metadata") if isinstance(document, dict) else None
    return isinstance(about, dict) and "dbt_schema_version" in about


def read_dbt(document: Mapping[str, Any], *, where: str) -> Topology:
    """The topology of a dbt project: models, seeds and snapshots by name, sources as ``source.table``, exposures.

    Raises:
        TopologyError: the manifest is malformed.
    """
    try:
        manifest = msgspec.convert(document, _Manifest)
    except msgspec.ValidationError as bad:
        raise TopologyError(str(bad), where=where, remedy="Send target/manifest.json of dbt 1.0 or later") from bad
    nodes = {id: each for part in (manifest.nodes, manifest.sources) for id, each in part.items()}
    kind_of = {id: _DBT_KINDS[each.resource_type] for id, each in nodes.items() if each.resource_type in _DBT_KINDS}
    kind_of |= {id: _EXPOSURE_KINDS.get(each.type or "", "service") for id, each in manifest.exposures.items()}
    nodes |= manifest.exposures
    name_of = {id: _dbt_name(nodes[id]) for id in kind_of}
    edges = [
        (name_of[id], name_of[parent])
        for id in sorted(kind_of)
        for parent in (nodes[id].depends_on or _Parents()).nodes or ()
        if parent in name_of
    ]
    owners = {name_of[id]: nodes[id].owner for id in sorted(kind_of)}
    told = {name: owner.name or owner.email for name, owner in owners.items() if owner is not None}
    facts = {name: {"owner": who} for name, who in told.items() if who}
    return _topology(edges, {name_of[id]: kind for id, kind in kind_of.items()}, facts)


def _dbt_name(node: _Node) -> str:
    return f"{node.source_name}.{node.name}" if node.resource_type == "source" and node.source_name else node.name


def _topology(
    edges: Sequence[tuple[str, str]], kinds: Mapping[str, str], facts: Mapping[str, Mapping[str, str]]
) -> Topology:
    """Each dependency once, however often it was told."""
    return Topology.from_edges(
        sorted(set(edges)), components=kinds, kinds=dict(sorted(kinds.items())), attributes=facts
    )
