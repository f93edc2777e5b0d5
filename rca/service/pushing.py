"""Telemetry, changes and alerts in: decoded, durable, and only then acknowledged. What comes again has no effect."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from rca.service.operations import Pushed, pushed_of, read_push
from rca.sources.received import AlertNotice, Received
from rca.stores.tables import Packed
from rca.topology_files import topology_from_json

if TYPE_CHECKING:
    from concurrent.futures import Future

    from rca.service.state import Service

# Below it, decoding costs less than handing the body to another process and its result back.
SMALL = 64 << 10
_SECONDS = 60.0
_SIGNED = {"github": "github_secrets", "pagerduty": "pagerduty_secrets", "grafana": "grafana_secrets"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """One request of a sender."""

    source: str
    body: bytes
    headers: dict[str, str]


async def take_push(service: Service, push: Push) -> tuple[Pushed, bool]:
    """What a push held, once it is durable, and whether it was there already.

    Raises:
        RCAError: malformed, or too much comes in.
    """
    secrets = secrets_of(service, push.source)
    most = service.configuration.max_body << 20
    digest, (pushed, kept) = await asyncio.gather(
        asyncio.to_thread(_digest, push), _decode(service, push, secrets, most)
    )
    writes: list[Future[int]] = []
    if pushed.changes:
        writes.append(service.store.append("changes", pushed.changes))
    if pushed.alerts:
        writes.append(service.store.append("events", pushed.alerts))
    telemetry = service.windows.append(kept, digest) if kept else None
    note(service, pushed, push.source)
    new = sum([await asyncio.wrap_future(write) for write in writes])
    fresh = telemetry is not None and await asyncio.wrap_future(telemetry)
    if pushed.alerts and service.listeners:  # also what came before: it may not have got so far then
        notices = [msgspec.json.decode(entry.body.encode(), type=AlertNotice) for entry in pushed.alerts]
        for listener in service.listeners:
            await listener(notices)
    records = service.metrics.records
    duplicate = bool(pushed.accepted) and not fresh and not new
    records.labels(push.source, "duplicate" if duplicate else "accepted").inc(pushed.accepted)
    records.labels(push.source, "rejected").inc(pushed.rejected)
    return pushed, duplicate


def secrets_of(service: Service, source: str) -> list[str]:
    """The secrets that a source's senders sign with."""
    name = _SIGNED.get(source)
    return list(getattr(service.configuration, name)) if name else []


async def _decode(
    service: Service, push: Push, secrets: Sequence[str], most: int
) -> tuple[Pushed, Received | list[Packed] | None]:
    if len(push.body) < SMALL and "content-encoding" not in push.headers:
        received = await asyncio.to_thread(
            read_push,
            push.source,
            push.body,
            push.headers,
            secrets=[secret.encode() for secret in secrets],
            naming=service.naming,
            max_bytes=most,
        )
        rows = len(received.samples) + len(received.logs) + len(received.spans)
        return pushed_of(received, push.source), replace(received, changes=(), alerts=()) if rows else None
    naming = {name: getattr(service.naming, name) for name in ("labels", "namespaces", "replicas")}
    parameters = {
        "source": push.source,
        "headers": push.headers,
        "secrets": list(secrets),
        "naming": naming,
        "max_bytes": most,
    }
    answer = await service.decoders.call("push", parameters, [push.body], seconds=_SECONDS)
    pushed = msgspec.msgpack.decode(answer.values["pushed"], type=Pushed)
    packed = [
        Packed(signal=signal, content=content, rows=rows, start=start, end=end)
        for (signal, rows, start, end), content in zip(answer.values["files"], answer.blobs, strict=True)
    ]
    return pushed, packed or None


def note(service: Service, pushed: Pushed, sender: str) -> None:
    """Remembers components and dependencies; nobody waits for it, and it comes again with the next push."""
    topology = topology_from_json(pushed.topology, where="topology") if pushed.topology else None
    if service.graph is not None:
        service.graph.notice(pushed, topology, sender)
    now = time.time_ns()
    if names := [name for name in pushed.components if service.is_news("component", name)]:
        service.store.note_components(names, now)
    if topology is None:
        return
    edges = [
        (topology.components[a], topology.components[b])
        for a, b in zip(topology.caller.tolist(), topology.callee.tolist(), strict=True)
    ]
    edges = [edge for edge in edges if service.is_news("edge", *edge)]
    facts = {
        (component, fact): value
        for fact in ("kinds", "hosts", "replica_of")
        for component, value in getattr(topology, fact).items()
        if service.is_news("fact", component, fact, value)
    }
    if edges or facts:
        service.store.note_topology(edges, facts, now)


def _digest(push: Push) -> str:
    mixed = hashlib.sha256(push.source.encode() + b"\n")
    mixed.update(push.body)
    return mixed.hexdigest()
