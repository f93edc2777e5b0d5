"""The call graph of a shop: which services, stores and providers there are, and who calls whom.

Components stand in layers and call downwards only: gateways, frontends, services, queues, consumers,
and at the bottom databases, caches and external providers. Each edge is one kind of call.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rca.simulator import vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One service before it is split into replicas."""

    name: str
    kind: str
    layer: int
    replicas: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Calls from one service to another: ``given`` per request of the caller."""

    caller: int
    callee: int
    given: float
    asynchronous: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The services and calls of a shop, and how many hosts carry them."""

    blocks: tuple[Block, ...]
    calls: tuple[Call, ...]
    hosts: int


def plan_shop(rng: np.random.Generator, components: int) -> Plan:
    """A shop whose replicas and hosts together are exactly ``components``."""
    counts = _counts(components)
    depth = 2 if components < 20 else 3 if components < 100 else 4 if components < 1_000 else 5
    bottom = depth + 4
    blocks = [Block(name=name, kind="gateway", layer=0) for name in _take(("gateway",), counts["gateway"])]
    blocks += [Block(name=n, kind="frontend", layer=1) for n in _take(vocabulary.FRONTENDS, counts["frontend"])]
    blocks += [Block(name=n, kind="queue", layer=depth + 2) for n in _take(vocabulary.QUEUES, counts["queue"])]
    blocks += [Block(name=n, kind="consumer", layer=depth + 3) for n in _take(vocabulary.CONSUMERS, counts["queue"])]
    for kind, bank in (
        ("database", vocabulary.DATABASES),
        ("cache", vocabulary.CACHES),
        ("external", vocabulary.EXTERNALS),
    ):
        blocks += [Block(name=name, kind=kind, layer=bottom) for name in _take(bank, counts[kind])]
    blocks += _services(rng, counts["service"], depth)
    return Plan(blocks=tuple(blocks), calls=tuple(_connect(rng, blocks, depth)), hosts=counts["host"])


def _counts(components: int) -> dict[str, int]:
    def share(part: float, least: int) -> int:
        return max(least, round(part * components))

    counts = {
        "host": share(0.12, 2),
        "gateway": 1 + components // 800,
        "frontend": share(0.05, 1),
        "database": share(0.1, 1),
        "cache": share(0.05, 1 if components >= 12 else 0),
        "external": share(0.05, 1),
        "queue": share(0.03, 1 if components >= 16 else 0),
    }
    counts["service"] = components - sum(counts.values()) - counts["queue"]  # every queue has its consumer
    return counts


def _take(bank: tuple[str, ...], count: int) -> list[str]:
    names = list(bank[:count])
    more = range(count - len(names))
    return names + [f"{bank[number % len(bank)]}-{number // len(bank) + 2}" for number in more]


def _services(rng: np.random.Generator, instances: int, depth: int) -> list[Block]:
    plain = [str(name) for name in rng.permutation(np.array(vocabulary.SERVICES))]
    mixed = (
        f"{domain}-{name}{suffix}"
        for suffix in ("", *map(str, range(2, 12)))  # a hyphen and a number are a replica
        for name in vocabulary.SERVICES
        for domain in vocabulary.DOMAINS
    )
    names = iter([*plain, *(next(mixed) for _ in range(max(instances - len(plain), 0)))])
    blocks: list[Block] = []
    left = instances
    while left:
        # Every layer has a service before any has replicas.
        most = 1 if len(blocks) < depth else min(left, 3)
        replicas = min(int(rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1])), most)
        layer = 2 + len(blocks) if len(blocks) < depth else 2 + int(rng.integers(depth))
        blocks.append(Block(name=next(names), kind="service", layer=layer, replicas=replicas))
        left -= replicas
    return blocks


def _connect(rng: np.random.Generator, blocks: list[Block], depth: int) -> Iterator[Call]:
    of = {kind: [i for i, b in enumerate(blocks) if b.kind == kind] for kind in sorted({b.kind for b in blocks})}
    layers = {layer: [i for i in of["service"] if blocks[i].layer == layer] for layer in range(2, depth + 2)}
    yield from _enter(rng, of["gateway"], of["frontend"])
    children: dict[int, list[int]] = {}
    for layer in range(2, depth + 2):
        above = of["frontend"] if layer == 2 else layers[layer - 1]
        higher = [i for i in range(len(blocks)) if 1 <= blocks[i].layer < layer and blocks[i].kind != "queue"]
        for service in layers[layer]:
            for caller in _parents(rng, above, higher):
                children.setdefault(caller, []).append(service)
    for front in of["frontend"]:
        if front not in children:
            children[front] = [layers[2][int(rng.integers(len(layers[2])))]]
    for caller in sorted(children):
        called = sorted(set(children[caller]))
        budget = rng.uniform(1.2, 2.4) * rng.dirichlet(np.full(len(called), 3.0))
        for callee, given in zip(called, budget, strict=True):
            rare = rng.random() < 0.07 and blocks[callee].layer > 2
            yield Call(caller=caller, callee=callee, given=float(np.clip(given, 0.01, 1.4)) * (0.03 if rare else 1.0))
    yield from _store(rng, blocks, of)
    yield from _publish(rng, of)


def _enter(rng: np.random.Generator, gateways: list[int], fronts: list[int]) -> Iterator[Call]:
    for position, gateway in enumerate(gateways):
        behind = fronts[position :: len(gateways)]
        for front, given in zip(behind, rng.dirichlet(np.full(len(behind), 4.0)), strict=True):
            yield Call(caller=gateway, callee=front, given=float(given))


def _parents(rng: np.random.Generator, above: list[int], higher: list[int]) -> list[int]:
    found = {above[int(rng.integers(len(above)))]}
    for _ in range(int(rng.binomial(2, 0.4))):
        pool = above if rng.random() < 0.75 else higher
        found.add(pool[int(rng.integers(len(pool)))])
    return sorted(found)


def _store(rng: np.random.Generator, blocks: list[Block], of: dict[str, list[int]]) -> Iterator[Call]:
    """Databases, caches and providers below the services; every one of them is called by somebody."""
    for kind, chance, low, high in (
        ("database", 0.65, 0.6, 2.2),
        ("cache", 0.35, 0.5, 1.5),
        ("external", 0.08, 0.4, 1.0),
    ):
        stores = of.get(kind, [])
        if not stores:
            continue
        pairs = {
            (service, stores[int(rng.integers(len(stores)))])
            for service in of["service"] + of.get("consumer", [])
            if rng.random() < chance
        }
        called = {store for _, store in pairs}
        for store in stores:
            if store not in called:
                # Providers are asked where users pay and register: close to the top.
                top = [s for s in of["service"] if kind != "external" or blocks[s].layer == 2]
                pairs.add((top[int(rng.integers(len(top)))], store))
        for service, store in sorted(pairs):
            yield Call(caller=service, callee=store, given=float(rng.uniform(low, high)))


def _publish(rng: np.random.Generator, of: dict[str, list[int]]) -> Iterator[Call]:
    for queue, consumer in zip(of.get("queue", []), of.get("consumer", []), strict=True):
        producers = rng.choice(of["service"], size=min(2, len(of["service"])), replace=False)
        for producer in sorted(int(p) for p in producers):
            yield Call(caller=producer, callee=queue, given=float(rng.uniform(0.2, 0.7)))
        yield Call(caller=queue, callee=consumer, given=1.0, asynchronous=True)
