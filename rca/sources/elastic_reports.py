"""Reports as documents of an index, flat enough for Kibana's and OpenSearch Dashboards' tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MOST = 10  # candidates and suspects that are listed


def report_document(document: Mapping[str, Any], *, url: str = "") -> tuple[str, dict[str, Any]]:
    """Id and content of the document of a report; a later report of the incident takes its place.

    Args:
        document: what ``rca.report.document.to_document`` gives.
        url: the incident's page.
    """
    incident, causes = document["incident"], document["root_causes"]
    first = causes[0] if causes else {}
    event = document["events"].get(first.get("event") or "", {})
    believed = document["verdict"] == "cause"
    sentence = first.get("sentence", "") if believed else f"Inconclusive: {'; '.join(document['missing'])}"
    if document["verdict"] == "healthy":
        sentence = "Nothing abnormal was found"
    content: dict[str, Any] = {
        "@timestamp": incident["detected_at"] or incident["window"]["end"],
        "message": sentence,
        "event": {"kind": "alert", "category": ["process"], "provider": "rca", "id": incident["id"], "url": url},
        "service": {"name": first.get("component", "") if believed else ""},
        "rca": {
            "incident": {"id": incident["id"], "title": incident["title"], "window": incident["window"]},
            "verdict": document["verdict"],
            "onset": document["onset"],
            "cause": {
                "component": first.get("component", ""),
                "kind": event.get("kind", ""),
                "confidence": first.get("confidence", 0.0),
                "score": first.get("score", 0.0),
                "change": first.get("change"),
            },
            "candidates": [
                {name: cause[name] for name in ("rank", "component", "score", "confidence", "sentence")}
                for cause in causes[:_MOST]
            ],
            "culprit": document["culprit"],
            "suspects": [
                {
                    "id": suspect["change"]["id"],
                    "name": suspect["change"]["name"],
                    "probability": suspect["probability"],
                }
                for suspect in document["suspects"][:_MOST]
            ],
            "blast_radius": document["blast_radius"],
            "missing": document["missing"],
            "warnings": document["warnings"],
        },
    }
    return incident["id"], content
