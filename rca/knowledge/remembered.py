"""Topologies that were read from Neo4j, kept for when it cannot be asked."""

from __future__ import annotations

import time

import msgspec

from rca.knowledge.claims import Claim, Claims, ComponentClaim, DependencyClaim
from rca.knowledge.sqlite_store import Connection

MOST = 32  # topologies per tenant; one of a thousand components takes about 1 MB


def remember(connection: Connection, tenant: str, question: str, claims: Claims) -> None:
    """Keeps the answer to a question in place of the last one, and the latest questions only."""
    content = msgspec.json.encode([list(claims.components), list(claims.dependencies)])
    with connection.writing() as cursor:
        cursor.execute(
            "INSERT INTO remembered (tenant, question, read_at, claims) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (tenant, question) DO UPDATE SET read_at = excluded.read_at, claims = excluded.claims",
            (tenant, question, time.time_ns(), content),
        )
        cursor.execute(
            "DELETE FROM remembered WHERE tenant = :tenant AND question NOT IN "
            "(SELECT question FROM remembered WHERE tenant = :tenant ORDER BY read_at DESC LIMIT :most)",
            {"tenant": tenant, "most": MOST},
        )


def recall(
    connection: Connection, tenant: str, own: Claims, at: int, *, source: str | None = None, later: bool = False
) -> Claims:
    """The file's own claims and all remembered ones; of two versions of a claim the one that was confirmed later."""
    with connection.reading() as cursor:
        cursor.execute("SELECT claims FROM remembered WHERE tenant = ? ORDER BY read_at DESC", (tenant,))
        kept = cursor.fetchall()
    components, dependencies = list(own.components), list(own.dependencies)
    for (content,) in kept:  # the file's own word first: of equals the first counts
        read = msgspec.json.decode(content)
        components += [ComponentClaim(*row) for row in read[0]]
        dependencies += [DependencyClaim(*row) for row in read[1]]

    def fits(claim: ComponentClaim | DependencyClaim) -> bool:
        return (later or claim.valid_from <= at) and claim.valid_to > at and source in (None, claim.source)

    return Claims(
        components=[claim for claim in _latest(components, 3) if fits(claim)],
        dependencies=[claim for claim in _latest(dependencies, 4) if fits(claim)],
    )


def _latest(claims: list[Claim], key: int) -> list[Claim]:
    """One of each claim; ``key`` is how many of its first fields name it."""
    found: dict[tuple[object, ...], Claim] = {}
    for claim in claims:
        before = found.get(claim[:key])
        if before is None or claim.last_seen > before.last_seen:
            found[claim[:key]] = claim
    return list(found.values())
