"""The causality graph in the forms of others: networkx, JSON, GraphML."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rca.types import SECOND, Event, to_text

if TYPE_CHECKING:
    import networkx as nx

    from rca.causality.graph import CausalityGraph

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML 1.0 cannot hold


def to_networkx(graph: CausalityGraph) -> nx.DiGraph[str]:
    """See ``CausalityGraph.to_networkx``."""
    import networkx as nx

    view: nx.DiGraph[str] = nx.DiGraph()
    for event in graph.events:
        view.add_node(event.id, **_event(event))
    for edge in range(graph.cause.size):
        link = graph.link(edge)
        view.add_edge(
            link.cause.id,
            link.effect.id,
            rule=link.rule.name,
            also=link.also,
            lag_seconds=link.lag / SECOND,
            weight=link.weight,
        )
    return view


def to_json(graph: CausalityGraph) -> dict[str, Any]:
    """See ``CausalityGraph.to_json``; weights and severities have six digits, times are ISO 8601."""
    links = [graph.link(edge) for edge in range(graph.cause.size)]
    return {
        "events": [{"id": event.id, **_event(event), "attributes": _sorted(event)} for event in graph.events],
        "edges": [
            {
                "cause": link.cause.id,
                "effect": link.effect.id,
                "rule": link.rule.name,
                "also": list(link.also),
                "lag_seconds": round(link.lag / SECOND, 6),
                "weight": round(link.weight, 6),
            }
            for link in links
        ],
        "created": {name: graph.created[name] for name in sorted(graph.created)},
        "trimmed": list(graph.trimmed),
    }


def to_graphml(graph: CausalityGraph, path: str | Path | None) -> str:
    """See ``CausalityGraph.to_graphml``; characters that XML cannot hold become U+FFFD."""
    import networkx as nx

    plain: nx.DiGraph[str] = nx.DiGraph()
    for code, event in enumerate(graph.events):  # nodes are numbered: ids need not be XML
        plain.add_node(f"n{code}", id=_xml(event.id), **{key: _xml(value) for key, value in _event(event).items()})
    for code, edge in enumerate(to_json(graph)["edges"]):
        plain.add_edge(
            f"n{graph.cause[code]}",
            f"n{graph.effect[code]}",
            rule=_xml(edge["rule"]),
            also=_xml(", ".join(edge["also"])),
            lag_seconds=edge["lag_seconds"],
            weight=edge["weight"],
        )
    text = "\n".join(nx.generate_graphml(plain)) + "\n"
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")
    return text


def _event(event: Event) -> dict[str, Any]:
    return {
        "component": event.component,
        "kind": event.kind,
        "name": event.name,
        "start": to_text(event.start),
        "end": to_text(event.end),
        "severity": round(float(event.severity), 6),
        "direction": event.direction,
        "sentence": "" if event.evidence is None else event.evidence.sentence,
    }


def _sorted(event: Event) -> dict[str, str]:
    return {name: event.attributes[name] for name in sorted(event.attributes)}


def _xml(value: Any) -> Any:
    return _NOT_XML.sub("\ufffd", value) if isinstance(value, str) else value
