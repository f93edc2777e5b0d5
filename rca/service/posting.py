"""Windows in: read, kept as a snapshot, filed with a job, and answered with the report where that is quick."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from rca.errors import NotFoundError, OverloadedError
from rca.service.logs import trace_id
from rca.service.surrounding import Scene, Surroundings
from rca.stores.records import Filed, IdempotencyKey, IncidentRecord, Job
from rca.topology_files import topology_to_json
from rca.types import MINUTE, SECOND, Window

if TYPE_CHECKING:
    from rca.service.frames import Answer
    from rca.service.pulling import Pulled
    from rca.service.state import Service

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_READ_SECONDS = 60.0
# Evidence after the alert that the engine looks at: Settings.after_alert, and a sample more.
_AFTER = 2 * MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A request for an analysis.

    Attributes:
        query: fields of the description that the query gives (Arrow and Parquet).
        key: the Idempotency-Key; "" where there is none.
        owner: whose key it is.
    """

    body: bytes
    media: str
    encoding: str = ""
    query: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""
    owner: str = ""
    source: str = "api"


async def post_window(service: Service, posted: Posted) -> Filed:
    """Files an incident for a posted window, or for a reference to ingested telemetry.

    Raises:
        RCAError: malformed, too large, or there is too much to do.
    """
    await _check_queue(service)
    number = make_id()
    configuration = service.configuration
    parameters = {
        "media": posted.media,
        "encoding": posted.encoding,
        "query": dict(posted.query),
        "id": number,
        "max_json": configuration.max_json << 20,
        "max_bytes": configuration.max_body << 20,
    }
    answer = await service.decoders.call("read", parameters, [posted.body], seconds=_READ_SECONDS)
    if answer.values.get("reference"):
        answer = await assemble_window(service, answer.values, number)
    digest = await asyncio.to_thread(_digest, posted)
    return await _file(service, posted, answer, number, digest)


async def replay(service: Service, incident: str) -> Filed:
    """Files a further job for an incident's snapshot.

    Raises:
        RCAError: there is no such incident, or too much to do.
    """
    record = await asyncio.to_thread(service.store.incident, incident)
    job = _job(record.id, record.snapshot, service)
    most = service.configuration.max_queued
    await asyncio.wrap_future(service.store.add_job(job, most_queued=most))
    service.runner.wake()
    return Filed(incident=record.id, job=job.id)


def make_id() -> str:
    """An id that sorts by time: milliseconds and 48 random bits."""
    return f"inc-{time.time_ns() // 1_000_000:012x}-{secrets.token_hex(6)}"


async def _check_queue(service: Service) -> None:
    waiting = (await asyncio.to_thread(service.store.count_jobs)).get("queued", 0)
    if waiting >= service.configuration.max_queued:
        raise OverloadedError(f"{waiting} analyses wait already", remedy="Send again later")


async def assemble_window(
    service: Service, told: Mapping[str, Any], number: str, pulled: Pulled | None = None
) -> Answer:
    """The window that a reference means, out of what was ingested and what was ``pulled`` from elsewhere.

    Its topology is that as of the incident: what the graph knows around the components, too.

    Raises:
        NotFoundError: nothing is known about this time.
    """
    components = list(told["components"])
    if told["labels"]:
        components.append(service.naming.origin(told["labels"]).component)
    start, end = int(told["start"]), int(told["end"])
    now = time.time_ns()
    if not told["given_end"]:
        end = max(end, min(end + _AFTER, now))
    before = told["baseline_start"]
    begin = start - service.configuration.baseline_minutes * MINUTE if before is None else int(before)
    span = Window(start=min(begin, start), end=end)
    reference = msgspec.json.decode(told["description"].encode())
    reference["components"] = components
    files, changes, alerts, topology = await asyncio.gather(
        asyncio.to_thread(service.windows.files_of, span),
        asyncio.to_thread(service.store.entries, "changes", span.start, span.end),
        asyncio.to_thread(service.store.entries, "events", span.start, span.end),
        asyncio.to_thread(service.topology),
    )
    near = Surroundings()
    if service.graph is not None:
        at = end if told["detected"] is None else int(told["detected"])
        near = await service.graph.around(Scene(symptoms=tuple(components), at=at, own=topology), far=True)
    # A page repeats what alerts said, of a service that is no component.
    alerts = [entry for entry in alerts if entry.source != "pagerduty"] or alerts
    if pulled is not None:
        files = [*files, *pulled.files]
        topology = await asyncio.to_thread(topology.merge, pulled.received.topology)
    if not files and not changes and not alerts:
        raise NotFoundError(
            "nothing was ingested about this time",
            where="window",
            remedy="Check the times, or send the telemetry with the request",
        )
    parameters = {
        "id": number,
        "description": msgspec.json.encode(reference).decode(),
        "start": start,
        "end": end,
        "from": span.start,
        "signals": [signal for signal, _ in files],
        "changes": f"[{','.join(entry.body for entry in changes)}]",
        "alerts": f"[{','.join(entry.body for entry in alerts)}]",
        "topology": topology_to_json(topology).decode(),
        **near.parameters(),
    }
    contents = [content for _, content in files]
    seconds = service.configuration.analysis_seconds
    answer = await service.decoders.call("assemble", parameters, contents, seconds=seconds)
    answer.values["degraded"] = near.degraded
    return answer


async def _file(service: Service, posted: Posted, answer: Answer, number: str, digest: str) -> Filed:
    values = answer.values
    given = str(values["given_id"])
    named = _ID.fullmatch(given) is not None and given != "incident"
    incident = given if named else number
    name = f"snapshots/{secrets.token_hex(16)}.zip"
    await asyncio.to_thread(service.files.write, name, answer.blobs[0])
    now = time.time_ns()
    record = IncidentRecord(
        id=incident,
        created=now,
        updated=now,
        title=str(values["title"])[:300],
        start=int(values["start"]),
        end=int(values["end"]),
        detected=values["detected"],
        snapshot=name,
        source=posted.source,
    )
    # A window under a name of its own is the same request when it comes again.
    key = posted.key or (f"{incident} {digest}" if named else "")
    idempotency = IdempotencyKey(owner=posted.owner if posted.key else "", key=key, digest=digest) if key else None
    job = _job(incident, name, service, values.get("notes", ()))
    most = service.configuration.max_queued
    filed = Filed(incident="", job="", replay=True)
    try:
        filed = await asyncio.wrap_future(service.store.file_incident(record, job, key=idempotency, most_queued=most))
    finally:
        if filed.replay:
            await asyncio.to_thread(service.files.delete, [name])
    service.runner.wake()
    return filed


def _job(incident: str, snapshot: str, service: Service, notes: Sequence[str] = ()) -> Job:
    now = time.time_ns()
    return Job(
        id=f"job-{secrets.token_hex(12)}",
        kind="analyse",
        incident=incident,
        state="queued",
        attempt=0,
        created=now,
        deadline=now + int(service.configuration.queue_seconds * SECOND),
        progress="queued",
        request=msgspec.json.encode({"snapshot": snapshot, "trace": trace_id.get(), "notes": notes}).decode(),
    )


def _digest(posted: Posted) -> str:
    mixed = hashlib.sha256(posted.body)
    mixed.update(msgspec.json.encode([posted.media, posted.encoding, sorted(map(str, posted.query.items()))]))
    return mixed.hexdigest()
