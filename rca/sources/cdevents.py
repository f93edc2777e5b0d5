"""CDEvents: what continuous delivery did to services and environments (https://cdevents.dev)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from rca.errors import SourceError
from rca.sources.bodies import plain_text
from rca.sources.instants import parse_instant
from rca.types import Change

_TYPE = re.compile(r"dev\.cdevents\.([a-z]+)\.([a-z]+)(\.\d.*)?")
# subject and predicate -> kind of the catalogue and the words for it; what is not here changes nothing that runs.
_CHANGES = {
    ("service", "deployed"): ("change.deployment", "deployed"),
    ("service", "upgraded"): ("change.deployment", "upgraded"),
    ("service", "rolledback"): ("change.rollback", "rolled back"),
    ("service", "removed"): ("change.infrastructure", "removed"),
    ("service", "published"): ("change.config", "published"),
    ("environment", "created"): ("change.infrastructure", "created"),
    ("environment", "modified"): ("change.infrastructure", "modified"),
    ("environment", "deleted"): ("change.infrastructure", "deleted"),
}
_VERSION = re.compile(r"@([^?#]+)")
_WHERE = "CDEvent"


class _Subject(msgspec.Struct):
    id: str
    content: dict[str, Any] = {}


class _Context(msgspec.Struct):
    timestamp: str | None = None


class _Body(msgspec.Struct):
    subject: _Subject
    context: _Context = msgspec.field(default_factory=_Context)


def is_cdevent(kind: str) -> bool:
    """Whether a CloudEvent's type is one of CDEvents."""
    return _TYPE.fullmatch(kind) is not None


def cdevent_change(
    kind: str, data: Any, *, id: str, subject: str, time: int | None, source: str, now: Callable[[], int]
) -> Change | None:
    """The change that a CDEvent tells; None where it tells of none.

    Args:
        kind: the type, such as ``dev.cdevents.service.deployed.0.3.0``.
        data: the CDEvent: context and subject.
        id: of the change. subject, time, source: of the CloudEvent around it, where the data have none.

    Raises:
        SourceError: a change without a subject.
    """
    found = _TYPE.fullmatch(kind)
    told = _CHANGES.get((found[1], found[2])) if found else None
    if told is None:
        return None
    try:
        body = msgspec.convert(data, _Body) if isinstance(data, dict) else None
    except msgspec.ValidationError as bad:
        raise SourceError(str(bad), where=_WHERE, remedy="Send context and subject of the CDEvent as data") from bad
    named = (body.subject.id if body else "") or subject
    if not named:
        raise SourceError("no subject", where=_WHERE, remedy="Send the service's id as subject.id")
    content: Mapping[str, Any] = body.subject.content if body else {}
    component = named.rstrip("/").rsplit("/", 1)[-1]
    artifact = plain_text(content.get("artifactId", ""), 300)
    environment = content.get("environment")
    place = plain_text(environment.get("id", ""), 300) if isinstance(environment, dict) else ""
    version = _VERSION.search(artifact)
    stamp = parse_instant(body.context.timestamp, where=f"{_WHERE}.context.timestamp") if body else None
    facts = {
        "artifact": artifact,
        "environment": place,
        "source": source[:300],
        "version": version[1] if version else "",
    }
    when = stamp if stamp is not None else time
    return Change(
        id=id,
        component=component,
        kind=told[0],
        name=" ".join(part for part in (component, told[1], facts["version"][:40]) if part),
        time=now() if when is None else when,
        attributes={name: fact for name, fact in facts.items() if fact},
    )
