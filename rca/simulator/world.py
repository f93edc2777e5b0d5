"""The shop as arrays: components and calls with all that is constant about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rca.simulator import vocabulary
from rca.simulator.graph import Plan, plan_shop
from rca.simulator.scenario import WORLD, Scenario
from rca.topology import Topology

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]
OPERATIONS = 3
"""At most so many operations has a component."""

UNTRACED = ("database", "cache", "external", "queue")
"""Kinds that write no spans of their own: their callers name them as peer."""

# Own time of one request in seconds, by kind: from and to, drawn evenly in the logarithm.
_OWN = {
    "gateway": (0.001, 0.003),
    "frontend": (0.004, 0.015),
    "service": (0.003, 0.03),
    "consumer": (0.01, 0.06),
    "database": (0.002, 0.015),
    "cache": (0.0004, 0.0012),
    "external": (0.04, 0.15),
    "queue": (0.001, 0.003),
    "host": (0.001, 0.002),
}


@dataclass(frozen=True, kw_only=True)
class World:
    """What does not change during an incident.

    Arrays over components have shape (n,), over kinds of calls (edges,). Times in seconds.

    Attributes:
        names, kinds, services: of each component; the service is the name without the replica.
        layer: calls lead from a lower to a higher layer.
        host: index of the component that it runs on, -1 where unknown (hosts, providers).
        own: mean time of one request without its calls; ``spread`` its sigma in the logarithm;
            ``jitter`` the standard deviation of its slow noise.
        failing: probability that a request fails by itself.
        busy: processor utilisation at the usual traffic, ``idle`` without traffic.
        rate: requests per second at the usual traffic; ``entry`` those that come from users.
        share, weight: of each operation, shape (n, OPERATIONS): of the requests, and the own time over ``own``.
        caller, callee, when, target: of each kind of call; ``when`` the operation that makes it (-1: each),
            ``target`` the operation that is called.
        given: calls per request of that operation; ``calls`` per request of the caller.
        net: time on the wire; ``passes`` probability that a failed call fails its caller.
        retries, asynchronous: whether a failed call is made again; whether nobody waits for it.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    services: tuple[str, ...]
    operations: tuple[tuple[str, ...], ...]
    layer: Codes
    host: Codes
    own: Array
    spread: Array
    jitter: Array
    failing: Array
    busy: Array
    idle: Array
    memory: Array
    rate: Array
    entry: Array
    share: Array
    weight: Array
    caller: Codes
    callee: Codes
    when: Codes
    target: Codes
    given: Array
    calls: Array
    net: Array
    passes: Array
    retries: npt.NDArray[np.bool_]
    asynchronous: npt.NDArray[np.bool_]
    topology: Topology

    def of_kind(self, *kinds: str) -> Codes:
        """Indices of the components of some kinds."""
        return np.array([i for i, kind in enumerate(self.kinds) if kind in kinds], np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edges:
    caller: Codes
    callee: Codes
    given: Array
    asynchronous: npt.NDArray[np.bool_]
    call: npt.NDArray[np.int64]


def build_world(scenario: Scenario) -> World:
    """The shop of a seed and a size; the fault has no say in it."""
    rng = scenario.world_stream(WORLD, scenario.components)
    plan = plan_shop(rng, scenario.components)
    names, kinds, services, layer = _instances(plan)
    edges = _split(plan)
    size = len(names)
    host = _place(rng, kinds)
    operations = _operations(rng, services, kinds)
    amount = np.array([len(each) for each in operations])
    # Drawn per call between services, so that the replicas of one service do the same.
    chosen, wanted = rng.random(len(plan.calls)) < 0.5, rng.integers(0, 60, (2, len(plan.calls)))
    when = np.where(chosen[edges.call] & (amount[edges.caller] > 1), wanted[0, edges.call] % amount[edges.caller], -1)
    when, target = when.astype(np.int32), (wanted[1, edges.call] % amount[edges.callee]).astype(np.int32)
    entry = np.zeros(size)
    gateways = [i for i, kind in enumerate(kinds) if kind == "gateway"]
    entry[gateways] = rng.uniform(25.0, 60.0) * np.sqrt(scenario.components / 30.0) * rng.dirichlet(
        np.full(len(gateways), 8.0)
    )  # fmt: skip
    given, when, calls, inflow = _flows(rng, edges, when, target, layer, entry, amount)
    rate = inflow.sum(axis=1)
    share = inflow / np.maximum(rate, 1e-12)[:, None]
    weight = np.exp(rng.normal(0.0, 0.35, (size, OPERATIONS)))
    weight /= np.maximum((weight * share).sum(axis=1), 1e-9)[:, None]
    weight[rate <= 0] = 1.0
    low = np.array([_OWN[kind][0] for kind in kinds])
    high = np.array([_OWN[kind][1] for kind in kinds])
    external = np.array([kind == "external" for kind in kinds])
    provided = external[edges.callee]
    # Some callers do without an answer; nobody does without a provider's, and a payment is not tried twice.
    weak = (rng.random(len(calls)) < 0.25) & ~provided
    busy = rng.uniform(0.12, 0.5, size)
    return World(
        names=names,
        kinds=kinds,
        services=services,
        operations=operations,
        layer=layer,
        host=host,
        own=low * (high / low) ** rng.random(size),
        spread=rng.uniform(0.25, 0.6, size),
        jitter=rng.uniform(0.03, 0.1, size),
        failing=np.where(rng.random(size) < 0.2, rng.uniform(2e-3, 8e-3, size), rng.uniform(1e-4, 1.5e-3, size)),
        busy=busy,
        idle=busy * rng.uniform(0.15, 0.5, size),
        memory=2.0 ** rng.uniform(27.0, 31.0, size),
        rate=rate,
        entry=entry,
        share=share,
        weight=weight,
        caller=edges.caller,
        callee=edges.callee,
        when=when,
        target=target,
        given=given,
        calls=calls,
        net=rng.uniform(3e-4, 1.5e-3, len(calls)) * np.where(provided, 8.0, 1.0),
        passes=np.where(weak, rng.uniform(0.2, 0.5, len(calls)), rng.uniform(0.8, 1.0, len(calls))),
        retries=(rng.random(len(calls)) < 0.35) & ~provided,
        asynchronous=edges.asynchronous,
        topology=_topology(rng, names, kinds, services, host, edges, calls * rate[edges.caller]),
    )


def _instances(plan: Plan) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], Codes]:
    names, kinds, services, layer = [], [], [], []
    for block in plan.blocks:
        for replica in range(block.replicas):
            names.append(block.name if block.replicas == 1 else f"{block.name}-{replica}")
            kinds.append(block.kind)
            services.append(block.name)
            layer.append(block.layer)
    for number in range(plan.hosts):
        names.append(f"node-{number:02d}")
        kinds.append("host")
        services.append(names[-1])
        layer.append(0)
    return tuple(names), tuple(kinds), tuple(services), np.array(layer, np.int32)


def _split(plan: Plan) -> _Edges:
    """Calls between services as calls between their replicas, evenly balanced."""
    first = np.concatenate([[0], np.cumsum([block.replicas for block in plan.blocks])])
    rows = [
        (
            first[call.caller] + a,
            first[call.callee] + b,
            call.given / plan.blocks[call.callee].replicas,
            call.asynchronous,
            number,
        )
        for number, call in enumerate(plan.calls)
        for a in range(plan.blocks[call.caller].replicas)
        for b in range(plan.blocks[call.callee].replicas)
    ]
    caller, callee, given, asynchronous, call = zip(*sorted(rows), strict=True)
    return _Edges(
        caller=np.array(caller, np.int32),
        callee=np.array(callee, np.int32),
        given=np.array(given, np.float64),
        asynchronous=np.array(asynchronous, np.bool_),
        call=np.array(call, np.int64),
    )


def _place(rng: np.random.Generator, kinds: tuple[str, ...]) -> Codes:
    hosts = np.array([i for i, kind in enumerate(kinds) if kind == "host"])
    drawn = hosts[rng.integers(len(hosts), size=len(kinds))]
    return np.array([-1 if kind in ("host", "external") else h for kind, h in zip(kinds, drawn, strict=True)], np.int32)


def _operations(
    rng: np.random.Generator, services: tuple[str, ...], kinds: tuple[str, ...]
) -> tuple[tuple[str, ...], ...]:
    of: dict[str, tuple[str, ...]] = {}
    for service, kind in zip(services, kinds, strict=True):
        if service in of:
            continue
        noun = service.replace("-", "/")
        if kind in ("gateway", "frontend", "service"):
            verbs = rng.permutation(len(vocabulary.VERBS))[: int(rng.integers(1, OPERATIONS + 1))]
            of[service] = tuple(vocabulary.VERBS[v].format(noun) for v in sorted(verbs))
        elif kind == "database":
            of[service] = (f"SELECT {service}", f"UPDATE {service}")
        elif kind == "cache":
            of[service] = (f"GET {service}",)
        elif kind in ("queue", "consumer"):
            of[service] = (f"publish {service}",) if kind == "queue" else (f"process {service}",)
        else:
            of[service] = (f"POST {service}",)
    return tuple(of[service] for service in services)


def _flows(
    rng: np.random.Generator,
    edges: _Edges,
    when: Codes,
    target: Codes,
    layer: Codes,
    entry: Array,
    amount: npt.NDArray[np.int64],
) -> tuple[Array, Codes, Array, Array]:
    """Requests per second by operation, and from them calls per request of the caller."""
    inflow = np.zeros((len(entry), OPERATIONS))
    mix = rng.dirichlet(np.full(OPERATIONS, 3.0), size=len(entry))
    mix[np.arange(OPERATIONS)[None, :] >= amount[:, None]] = 0.0
    inflow += entry[:, None] * mix / mix.sum(axis=1, keepdims=True)
    given, when, calls = edges.given.copy(), when.copy(), np.zeros(len(when))
    for level in range(int(layer.max()) + 1):
        e = np.flatnonzero(layer[edges.caller] == level)
        total = inflow[edges.caller[e]].sum(axis=1)
        part = inflow[edges.caller[e], np.maximum(when[e], 0)] / np.maximum(total, 1e-12)
        # An operation that is hardly asked for would make its calls vanish: they belong to each operation then.
        each = (when[e] < 0) | (part < 0.1)
        when[e] = np.where(each, -1, when[e])
        given[e] = np.where(each, given[e], np.minimum(given[e] / np.maximum(part, 0.1), np.maximum(given[e], 2.0)))
        calls[e] = given[e] * np.where(each, 1.0, part)
        np.add.at(inflow, (edges.callee[e], target[e]), calls[e] * total)
    return given, when, calls, inflow


def _topology(
    rng: np.random.Generator,
    names: tuple[str, ...],
    kinds: tuple[str, ...],
    services: tuple[str, ...],
    host: Codes,
    edges: _Edges,
    weight: Array,
) -> Topology:
    shown = {"gateway": "service", "frontend": "service", "consumer": "service"}
    replicas = {name: service for name, service in zip(names, services, strict=True) if name != service}
    pairs = [
        (names[b], names[a], float(w)) if asynchronous else (names[a], names[b], float(w))
        for a, b, w, asynchronous in zip(edges.caller, edges.callee, weight, edges.asynchronous, strict=True)
    ]
    attributes = {}
    for service in sorted(set(services)):
        team = vocabulary.TEAMS[int(rng.integers(len(vocabulary.TEAMS)))]
        attributes[service] = {
            "zone": "abc"[int(rng.integers(3))],
            "team": team,
            "owner": f"{team}@shop.example",
            "runbook": f"https://runbooks.shop.example/{service}",
        }
    return Topology.from_edges(
        pairs,
        components=[*names, *services],
        kinds={
            **dict.fromkeys(sorted(replicas.values()), "service"),
            **{n: "pod" if n in replicas else shown.get(k, k) for n, k in zip(names, kinds, strict=True)},
        },
        hosts={names[i]: names[h] for i, h in enumerate(host) if h >= 0},
        replica_of=replicas,
        attributes={
            name: attributes[service]
            for name, service in (*zip(names, services, strict=True), *((s, s) for s in services))
        },
    )
