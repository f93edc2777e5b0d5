"""Topology over time: what each source said was there, from when to when, and how sure it was.

Every source (spans, YAML, Kubernetes, a CMDB, data lineage) keeps its own claims. They are merged
when they are read, so that a source can be corrected or left out later without touching the others.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from rca.errors import InputError
from rca.knowledge.rows import BEGINNING, FOREVER, LONGEST_SHORT_KEY, Row, check_key, storable
from rca.topology import Topology
from rca.types import to_text

# How far a source is believed where the caller says nothing: what was seen happening before what was written down.
CONFIDENCE = MappingProxyType(
    {"spans": 0.95, "kubernetes": 0.95, "lineage": 0.9, "yaml": 0.8, "cmdb": 0.7, "incident": 0.6}
)
OTHER_CONFIDENCE = 0.5
LONGEST_FACT = 10_000  # characters; a longer attribute of a component is no fact to look at


class ComponentClaim(NamedTuple):
    """One source's word about one component; a tuple, as thousands are read for one analysis.

    Holds from ``valid_from`` until before ``valid_to`` (ns, ``FOREVER``: still); ``last_seen`` is when the source
    last confirmed it; ``confidence`` in (0, 1]; ``attributes`` is a JSON object of texts.
    """

    name: str
    source: str
    valid_from: int
    valid_to: int = FOREVER
    last_seen: int = 0
    confidence: float = OTHER_CONFIDENCE
    kind: str = ""
    host: str = ""
    replica_of: str = ""
    team: str = ""
    attributes: str = "{}"


class DependencyClaim(NamedTuple):
    """One source's word that ``caller`` depends on ``callee``; ``weight`` counts calls (1: nobody counted)."""

    caller: str
    callee: str
    source: str
    valid_from: int
    valid_to: int = FOREVER
    last_seen: int = 0
    confidence: float = OTHER_CONFIDENCE
    weight: float = 1.0


Claim = TypeVar("Claim", ComponentClaim, DependencyClaim)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a store answered; ``degraded`` says why it may be out of date, empty where it is not."""

    components: Sequence[ComponentClaim] = ()
    dependencies: Sequence[DependencyClaim] = ()
    degraded: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTopology:
    """The topology as of one time, merged over the sources.

    Attributes:
        at: the time, ns.
        confidence: (caller, callee) -> in (0, 1]: 1 - the product of the sources' doubts.
        sources: component, or (caller, callee) -> the sources that know it, sorted.
        degraded: why it may be out of date; empty where it is not.
    """

    topology: Topology
    at: int
    confidence: Mapping[tuple[str, str], float] = field(default_factory=dict)
    sources: Mapping[str | tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    degraded: str = ""


def merge_claims(claims: Claims, at: int, *, least: float = 0.0) -> KnownTopology:
    """One topology of all claims that hold at a time.

    Facts come from the source that is surest (of equals: the first by name) among those that state
    them; weights are the largest that any source counted; dependencies below the confidence
    ``least`` are left out.
    """
    doubts: dict[tuple[str, str], float] = {}
    weights: dict[tuple[str, str], float] = {}
    known_by: dict[str | tuple[str, str], list[str]] = {}
    for claim in claims.dependencies:
        if claim.valid_from <= at < claim.valid_to:
            pair = (claim.caller, claim.callee)
            doubts[pair] = doubts.get(pair, 1.0) * (1.0 - claim.confidence)
            weights[pair] = max(weights.get(pair, 0.0), claim.weight)
            known_by.setdefault(pair, []).append(claim.source)
    valid = [claim for claim in claims.components if claim.valid_from <= at < claim.valid_to]
    for each in valid:
        known_by.setdefault(each.name, []).append(each.source)
    confidence = {pair: round(1.0 - doubts[pair], 6) for pair in sorted(doubts)}
    kept = {pair for pair, sure in confidence.items() if sure >= least}
    return KnownTopology(
        topology=_topology(valid, {pair: weights[pair] for pair in confidence if pair in kept}),
        at=at,
        confidence={pair: sure for pair, sure in confidence.items() if pair in kept},
        sources={what: tuple(sorted(set(names))) for what, names in known_by.items()},
        degraded=claims.degraded,
    )


def _topology(claims: Sequence[ComponentClaim], weights: Mapping[tuple[str, str], float]) -> Topology:
    columns: dict[str, dict[str, str]] = {"kind": {}, "host": {}, "replica_of": {}}
    attributes: dict[str, dict[str, str]] = {}
    for claim in sorted(claims, key=lambda claim: (claim.name, -claim.confidence, claim.source)):
        for fact, column in columns.items():
            if value := getattr(claim, fact):
                column.setdefault(claim.name, value)
        stated = json.loads(claim.attributes) if claim.attributes != "{}" else {}
        if claim.team:
            stated["team"] = claim.team
        for fact, value in stated.items():
            attributes.setdefault(claim.name, {}).setdefault(fact, value)
    return Topology.from_edges(
        [(caller, callee, weight) for (caller, callee), weight in weights.items()],
        components=[claim.name for claim in claims],
        kinds=columns["kind"],
        hosts=columns["host"],
        replica_of=columns["replica_of"],
        attributes=attributes,
    )


def claims_of(topology: Topology, *, source: str, at: int, confidence: float | None = None) -> Claims:
    """What a topology says, as claims of one source that hold from ``at`` on.

    Raises:
        InputError: a name is empty or too long, or the confidence lies outside (0, 1].
    """
    source = check_key(source, "the source", LONGEST_SHORT_KEY)
    sure = CONFIDENCE.get(source, OTHER_CONFIDENCE) if confidence is None else float(confidence)
    if not 0.0 < sure <= 1.0:
        raise InputError(f"a confidence of {confidence}", where=source, remedy="Give one above 0, at most 1")
    names = [check_key(name, "a component") for name in topology.components]
    described = {*topology.kinds, *topology.hosts, *topology.replica_of, *topology.attributes}
    given = (*topology.components, *sorted(described.difference(topology.index)))  # facts need no edge
    return Claims(
        components=[
            ComponentClaim(check_key(name, "a component"), source, at, FOREVER, at, sure, *_facts(topology, name))
            for name in given
        ],
        dependencies=[
            DependencyClaim(names[a], names[b], source, at, FOREVER, at, sure, weight)
            for a, b, weight in zip(
                topology.caller.tolist(), topology.callee.tolist(), topology.weight.tolist(), strict=True
            )
        ],
    )


def _facts(topology: Topology, name: str) -> tuple[str, str, str, str, str]:
    told = sorted(topology.attributes.get(name, {}).items())
    attributes = {storable(k, LONGEST_FACT): storable(str(v), LONGEST_FACT) for k, v in told}
    team = attributes.pop("team", "") or attributes.get("owner", "")
    kind, host = storable(topology.kinds.get(name, "")), storable(topology.hosts.get(name, ""))
    service = topology.replica_of.get(name, "")
    replica_of = check_key(service, "a service") if service else ""
    return kind, host, replica_of, team, json.dumps(attributes, ensure_ascii=False)


def rows_of(claims: Claims) -> dict[str, list[Row]]:
    """Claims as rows."""
    return {
        "components": [claim._asdict() for claim in claims.components],
        "dependencies": [claim._asdict() for claim in claims.dependencies],
    }


def succeed(standing: Claims, fresh: Claims, at: int, *, complete: bool, expires: int | None = None) -> Claims:
    """The claims to write when a source shows ``fresh`` at a time while ``standing`` are those it has not ended.

    What is there again keeps its beginning; changed facts begin a new claim; what a complete
    inventory no longer lists ends now. Sources that only see what happens (spans) end nothing by
    silence, unless ``expires`` ns have passed: then it ended when it was last seen.
    """
    return Claims(
        components=_succeed(standing.components, fresh.components, at, complete, expires),
        dependencies=_succeed(standing.dependencies, fresh.dependencies, at, complete, expires),
    )


def _succeed(
    standing: Iterable[Claim], fresh: Iterable[Claim], at: int, complete: bool, expires: int | None
) -> list[Claim]:
    covering: dict[tuple[str, ...], Claim] = {}
    later: dict[tuple[str, ...], int] = {}
    for claim in standing:
        what = _identity(claim)
        if complete and claim.last_seen > at:
            raise InputError(
                f"{claim.source} listed {' -> '.join(what)[:120]} again later",
                where=to_text(at),
                remedy="Record the inventories of a source in order, or take one back with `rca graph retract`",
            )
        if claim.valid_from <= at:
            covering[what] = claim
        else:
            later[what] = min(claim.valid_from, later.get(what, FOREVER))
    written: list[Claim] = []
    for claim in fresh:
        what = _identity(claim)
        before = covering.pop(what, None)
        if before is None:
            written.append(claim._replace(valid_to=later.get(what, FOREVER)))
        elif _facts_of(before) == _facts_of(claim):
            seen_last = max((before, claim), key=lambda each: each.last_seen)
            written.append(seen_last._replace(valid_from=before.valid_from, valid_to=before.valid_to))
        elif before.last_seen <= at:  # what was seen later knows better
            written += [before._replace(valid_to=at)] if before.valid_from < at else []
            written.append(claim._replace(valid_to=before.valid_to))
    for before in covering.values():
        if complete:
            written.append(before._replace(valid_to=at))
        elif expires is not None and before.last_seen < at - expires:
            written.append(before._replace(valid_to=before.last_seen + 1))
    return written


def withdraw(claims: Iterable[Claim], since: int) -> list[Claim]:
    """The claims to write so that nothing of them was said at ``since`` (ns) or later."""
    written: list[Claim] = []
    for claim in claims:
        if claim.valid_from >= since:
            written.append(claim._replace(valid_to=BEGINNING))  # never held
        elif claim.last_seen >= since or since <= claim.valid_to < FOREVER:
            last_seen = min(claim.last_seen, since - 1)
            written.append(claim._replace(last_seen=last_seen, valid_to=FOREVER))
    return written


def _identity(claim: ComponentClaim | DependencyClaim) -> tuple[str, ...]:
    return (claim.name,) if isinstance(claim, ComponentClaim) else (claim.caller, claim.callee)


def _facts_of(claim: ComponentClaim | DependencyClaim) -> tuple[object, ...]:
    """What begins a new claim when it changes; the number of calls does not."""
    return claim[5:] if isinstance(claim, ComponentClaim) else (claim.confidence,)
