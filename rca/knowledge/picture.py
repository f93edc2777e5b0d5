"""A graph to be looked at or handed on: topology and causality alike, as nodes and edges with facts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rca.knowledge.claims import KnownTopology
from rca.knowledge.records import PastIncident
from rca.types import SECOND, to_text

SCHEMA = "rca.graph/1"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML 1.0 cannot hold
_NETWORKX_OWN = "node_for_adding"  # its reader takes no attribute of that name
Value = str | int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One component or event; ``group`` colours it, ``marked`` puts it in front."""

    id: str
    label: str
    group: str
    marked: str = ""
    facts: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """From one node to another, by their ids."""

    source: str
    target: str
    label: str
    facts: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Nodes and edges; ``form`` is topology (a -> b: a depends on b) or causality (a -> b: a may have caused b)."""

    form: str
    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def picture_of_topology(known: KnownTopology, *, marked: tuple[str, ...] = ()) -> Picture:
    """The topology; ``marked`` components (the symptoms) stand out."""
    topology = known.topology
    nodes = []
    for name in topology.components:
        facts: dict[str, Value] = {
            "kind": topology.kinds.get(name, "service"),
            "host": topology.hosts.get(name, ""),
            "replica of": topology.replica_of.get(name, ""),
            **topology.attributes.get(name, {}),
            "known by": ", ".join(known.sources.get(name, ())),
        }
        nodes.append(
            Node(
                id=name,
                label=name,
                group=str(facts["kind"]),
                marked="symptom" if name in marked else "",
                facts={fact: value for fact, value in facts.items() if value},
            )
        )
    columns = zip(topology.caller.tolist(), topology.callee.tolist(), topology.weight.tolist(), strict=True)
    edges = []
    for caller, callee, weight in columns:
        pair = (topology.components[caller], topology.components[callee])
        facts = {"calls": round(weight, 6), "known by": ", ".join(known.sources.get(pair, ()))}
        if pair in known.confidence:
            facts["confidence"] = known.confidence[pair]
        edges.append(Edge(source=pair[0], target=pair[1], label="depends on", facts=facts))
    return Picture(
        form="topology",
        title=f"Topology as of {to_text(known.at // SECOND * SECOND)}",
        nodes=tuple(nodes),
        edges=tuple(edges),
    )


def picture_of_incident(incident: PastIncident) -> Picture:
    """The causality graph of a past incident, with the evidence of its events."""
    cause = incident.settled.component or (incident.causes[0].component if incident.causes else "")
    symptoms = set(incident.touched.get("symptom", ()))
    nodes = []
    for event in incident.events:
        facts: dict[str, Value] = {
            "component": event.component,
            "kind": event.kind,
            "name": event.name,
            "start": to_text(event.start),
            "end": to_text(event.end),
            "severity": round(event.severity, 6),
            "direction": event.direction,
        }
        if event.evidence is not None:
            facts["evidence"] = str(event.evidence.get("sentence", ""))
        facts |= {name: value for name, value in sorted(event.attributes.items()) if name not in facts}
        marked = "cause" if event.component == cause else "symptom" if event.component in symptoms else ""
        nodes.append(
            Node(
                id=f"e{event.number}",
                label=f"{event.component} {event.kind}",
                group=event.kind.partition(".")[0],
                marked=marked,
                facts=facts,
            )
        )
    edges = [
        Edge(
            source=f"e{link.cause}",
            target=f"e{link.effect}",
            label=link.rule,
            facts={
                "also": ", ".join(link.also),
                "lag_seconds": round(link.lag / SECOND, 6),
                "weight": round(link.weight, 6),
            },
        )
        for link in incident.links
    ]
    return Picture(
        form="causality",
        title=f"{incident.title or incident.id}, {to_text(incident.start)}",
        nodes=tuple(nodes),
        edges=tuple(edges),
    )


def to_json(picture: Picture) -> str:
    """The picture as JSON, the same bytes for the same picture."""
    return json.dumps(document_of(picture), indent=2, ensure_ascii=False) + "\n"


def document_of(picture: Picture) -> dict[str, Any]:
    """The picture as plain values."""
    return {
        "schema": SCHEMA,
        "form": picture.form,
        "title": picture.title,
        "nodes": [
            {"id": n.id, "label": n.label, "group": n.group, "marked": n.marked, "facts": n.facts}
            for n in picture.nodes
        ],
        "edges": [{"source": e.source, "target": e.target, "label": e.label, "facts": e.facts} for e in picture.edges],
    }


def to_graphml(picture: Picture) -> str:
    """GraphML, which graph viewers read; characters that XML cannot hold become U+FFFD."""
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph()
    number = {node.id: f"n{place}" for place, node in enumerate(picture.nodes)}  # ids need not be XML
    for node in picture.nodes:
        named: dict[str, Value] = {"id": node.id, "label": node.label, "group": node.group, "marked": node.marked}
        graph.add_node(number[node.id])
        graph.nodes[number[node.id]].update(_attributes(named, node.facts))
    for edge in picture.edges:
        ends = number[edge.source], number[edge.target]
        graph.add_edge(*ends)
        graph.edges[ends].update(_attributes({"label": edge.label}, edge.facts))
    return "\n".join(nx.generate_graphml(graph)) + "\n"


def _attributes(own: dict[str, Value], facts: dict[str, Value]) -> dict[str, Value]:
    """The picture's own and the facts, as XML can hold them."""
    names = free_names([_NOT_XML.sub("\ufffd", fact) for fact in facts], (*own, _NETWORKX_OWN))
    return {name: _xml(value) for name, value in (*own.items(), *zip(names, facts.values(), strict=True))}


def free_names(names: Sequence[str], taken: Iterable[str]) -> list[str]:
    """The same names, with underscores where one is taken, by another one or before."""
    found = dict.fromkeys(taken)
    for name in names:
        while name in found:
            name += "_"
        found[name] = None
    return list(found)[-len(names) :] if names else []


def _xml(value: Value) -> Value:
    return _NOT_XML.sub("\ufffd", value) if isinstance(value, str) else value
