"""For programs: the summary as JSON, signed; CDEvents' ``incident.detected``; a document of an index."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any
from urllib.parse import quote

from rca.notify.message import JSON, Occasion, Outgoing, facts_of, to_json
from rca.notify.summary import Summary

SIGNATURE = "X-RCA-Signature-256"


def webhook(summary: Summary, on: Occasion) -> Outgoing:
    """The summary as JSON, signed: HMAC-SHA256 of the body with the shared secret, as ``sha256=HEX``."""
    body = to_json({"schema": "rca.summary/1", "id": on.reference, **_document(summary)})
    headers = {**JSON, "Idempotency-Key": on.reference} if on.reference else dict(JSON)
    if on.secret:
        headers[SIGNATURE] = f"sha256={hmac.new(on.secret.encode(), body, hashlib.sha256).hexdigest()}"
    return Outgoing(headers=headers, body=body)


def cdevents(summary: Summary, on: Occasion) -> Outgoing:
    """CDEvents' ``incident.detected`` as a structured CloudEvent."""
    kind = "dev.cdevents.incident.detected.0.3.0"
    id = on.reference or hashlib.sha256(to_json(_document(summary))).hexdigest()[:32]
    source = summary.url or "/rca"
    subject = {
        "id": summary.incident,
        "source": source,
        "type": "incident",
        "content": {
            "description": "\n".join(summary.lines()),
            "environment": {"id": "production", "source": source},
            **({"service": {"id": summary.component, "source": source}} if summary.component else {}),
        },
    }
    context = {"version": "0.4.1", "id": id, "source": source, "type": kind, "timestamp": on.now}
    event = {
        "specversion": "1.0",
        "id": id,
        "source": source,
        "type": kind,
        "subject": summary.incident,
        "time": on.now,
        "datacontenttype": "application/json",
        "data": {"context": context, "subject": subject},
    }
    return Outgoing(headers={"Content-Type": "application/cloudevents+json"}, body=to_json(event))


def elastic(summary: Summary, on: Occasion) -> Outgoing:
    """A document of an index of OpenSearch or Elasticsearch, in ECS's fields; a later report takes its place."""
    believed = summary.component if summary.verdict == "cause" else ""
    document = {
        "@timestamp": summary.detected or on.now,
        "message": summary.headline,
        "event": {"kind": "alert", "provider": "rca", "id": summary.incident, "url": summary.url},
        "service": {"name": believed},
        "rca": _document(summary),
    }
    headers = {**JSON, "Authorization": f"ApiKey {on.secret}"} if on.secret else dict(JSON)
    path = f"/_doc/{quote(summary.incident, safe='')}"
    return Outgoing(method="PUT", path=path, headers=headers, body=to_json(document))


def _document(summary: Summary) -> dict[str, Any]:
    return {
        "incident": summary.incident,
        "title": summary.title,
        "url": summary.url,
        "headline": summary.headline,
        "onset": summary.onset,
        "detected": summary.detected,
        "others": [{"component": name, "confidence": round(share, 3)} for name, share in summary.others],
        "degraded": list(summary.degraded),
        **facts_of(summary),
    }
