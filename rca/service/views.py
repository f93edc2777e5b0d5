"""Records of the store as answers show them."""

from __future__ import annotations

import base64
import binascii
import gzip
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.responses import Response

from rca.service.bodies import encode
from rca.service.problems import ProblemError
from rca.stores.records import AlertRecord, Delivery, Feedback, IncidentRecord, Job, Merger
from rca.stores.relational_jobs import LATE, LOST
from rca.types import to_text

API = "/api/v1"


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A value as JSON."""
    return Response(encode(value), status, media_type="application/json", headers=dict(headers or {}))


def compressed(content: bytes, media: str, accepted: str, headers: Mapping[str, str] | None = None) -> Response:
    """Content that is compressed with gzip; inflated for clients that do not take it so."""
    extra = {"Vary": "Accept-Encoding", **(headers or {})}
    if "gzip" in accepted.lower():
        return Response(content, media_type=media, headers=extra | {"Content-Encoding": "gzip"})
    return Response(gzip.decompress(content), media_type=media, headers=extra)


def job_view(job: Job) -> dict[str, Any]:
    """A job."""
    path = f"{API}/jobs/{job.id}"
    links = {"self": path, "events": f"{path}/events"}
    if job.incident:
        links["incident"] = f"{API}/incidents/{quote(job.incident)}"
    if job.state == "done":
        links["result"] = f"{links['incident']}/report" if job.incident else f"{path}/result"
    return {
        "id": job.id,
        "kind": job.kind,
        "incident": job.incident,
        "state": job.state,
        "attempt": job.attempt,
        "progress": job.progress,
        "created": to_text(job.created),
        "started": _time(job.started),
        "finished": _time(job.finished),
        "error": error_of(job),
        "links": links,
    }


def error_of(job: Job) -> dict[str, Any] | None:
    """Why a job failed; None where it did not."""
    if not job.error:
        return None
    if job.error.startswith("{"):
        found: dict[str, Any] = msgspec.json.decode(job.error.encode())
        return found
    return {"title": "Analysis failed", "status": 503, "detail": job.error, "remedy": _REMEDIES.get(job.error)}


_REMEDIES = {
    LOST: "Give the workers more memory (worker_memory) or a shorter baseline (baseline_minutes), and analyse it again",
    LATE: "Analyse it again when there is less to do; more `analysts` do more at a time",
}


def incident_view(incident: IncidentRecord) -> dict[str, Any]:
    """An incident."""
    path = f"{API}/incidents/{quote(incident.id)}"
    return {
        "id": incident.id,
        "title": incident.title,
        "state": incident.state,
        "created": to_text(incident.created),
        "updated": to_text(incident.updated),
        "window": {"start": to_text(incident.start), "end": to_text(incident.end)},
        "detected_at": _time(incident.detected),
        "verdict": incident.verdict,
        "cause": incident.cause,
        "confidence": round(incident.confidence, 6),
        "links": {name: f"{path}{suffix}" for name, suffix in _LINKS.items()},
    }


_LINKS = {"self": "", "report": "/report", "page": "/page", "graph": "/graph", "feedback": "/feedback"}


def feedback_view(feedback: Feedback) -> dict[str, Any]:
    """What somebody said."""
    return {
        "id": feedback.id,
        "time": to_text(feedback.time),
        "who": feedback.who,
        "opinion": feedback.opinion,
        "component": feedback.component,
        "kind": feedback.kind,
        "resolution": feedback.resolution,
        "note": feedback.note,
    }


def merger_view(merger: Merger) -> dict[str, Any]:
    """An incident that turned out to be part of another."""
    return {
        "incident": merger.incident,
        "into": merger.home,
        "time": to_text(merger.time),
        "reason": merger.reason,
        "links": {
            name: f"{API}/incidents/{quote(id)}" for name, id in (("incident", merger.incident), ("into", merger.home))
        },
    }


def alert_view(alert: AlertRecord) -> dict[str, Any]:
    """An alert of an incident."""
    return {
        "name": alert.name,
        "component": alert.component,
        "state": alert.state,
        "began": to_text(alert.start),
        "page": alert.page,
        "labels": dict(alert.labels),
    }


def delivery_view(delivery: Delivery) -> dict[str, Any]:
    """A message to somebody outside, without its text."""
    return {
        "id": delivery.id,
        "incident": delivery.incident,
        "target": delivery.target,
        "state": delivery.state,
        "attempt": delivery.attempt,
        "created": to_text(delivery.created),
        "due": _time(delivery.due) if delivery.state == "waiting" else None,
        "error": delivery.error,
        "receipt": delivery.receipt,
    }


def encode_cursor(*parts: str | int) -> str:
    """Where the next page begins."""
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


def decode_cursor(cursor: str, kind: Any) -> Any:
    """What ``encode_cursor`` made.

    Raises:
        ProblemError: it is none that we gave.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return msgspec.json.decode(base64.b64decode(padded.encode("ascii"), b"-_", validate=True), type=kind)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as bad:
        raise ProblemError(
            404, "Not found", "there is no such page", where="cursor", remedy="Use `next` of the page before"
        ) from bad


def _time(time: int | None) -> str | None:
    return None if time is None else to_text(time)
