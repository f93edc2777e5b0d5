"""What surrounds a candidate: callers and callees, complaints of its clients, and the edges of the causality graph.

Groups: ``around`` how bad callers, callees and replicas are and where the alerts about calls point;
``client`` what clients say of a callee and what a complaint says of the client; ``cause`` and ``effect``
the rules by which a candidate's events lead to others', or others' to its own.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict

from rca.learning.scene import Features, Scene
from rca.learning.tokens import BLAMED, FAMILY

# Signs that a component works badly for those who call it.
SUFFERING = ("latency.up", "errors.up", "availability.down")
SLOW, FAILING = "slow", "failing"

Pairs = dict[str, set[tuple[int, int]]]


def add_surroundings(scene: Scene, features: tuple[Features, ...]) -> None:
    """Adds the groups ``around``, ``client``, ``cause`` and ``effect``."""
    bad = [_badness(scene, i) for i in range(len(scene.candidates))]
    _add_neighbours(scene, features, bad)
    _add_calls(scene, features, bad)
    _add_complaints(scene, features, bad)
    _add_rules(scene, features)


def _badness(scene: Scene, i: int) -> int:
    """How many kinds of suffering a candidate shows, by kind and side."""
    families = {name for level, name in scene.tokens[i] if level == FAMILY}
    return sum(name.startswith(SUFFERING) for name in families)


def _add_neighbours(scene: Scene, features: tuple[Features, ...], bad: list[int]) -> None:
    evidence = [sum(max(float(scene.share[s.event]), 0.0) for s in signs) for signs in scene.signs]
    for i, found in enumerate(features):
        below, above = scene.callees[i], scene.callers[i]
        worst_below = max((bad[j] for j in below), default=0)
        if bad[i]:
            found["around", "suffers"] = 1.0
            state = "no callees" if not below else "callees fine" if worst_below == 0 else "callees suffer"
            found["around", f"suffers, {state}"] = 1.0
            if above:
                fine = max(bad[j] for j in above) == 0
                found["around", f"suffers, callers {'fine' if fine else 'suffer'}"] = 1.0
            found["around", "suffers more than callees"] = (bad[i] - worst_below) / 3.0
        for name, group in (("callees", below), ("callers", above), ("replicas", scene.siblings[i])):
            if group:
                found["around", f"evidence of {name}"] = math.log1p(max(evidence[j] for j in group))
                if name != "replicas":
                    found["around", f"{name} that suffer"] = sum(bad[j] > 0 for j in group) / len(group)


def _pairs(scene: Scene) -> Pairs:
    """(caller, callee) of the alerts about calls, by what is wrong: both ends' own signs, and their named peers."""
    found: Pairs = {SLOW: set(), FAILING: set()}
    heard: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, signs in enumerate(scene.signs):
        for sign in signs:
            if sign.role == "in":
                heard[_wrong(scene, sign.event), sign.operation].append(i)
    for i, signs in enumerate(scene.signs):
        below = set(scene.callees[i])
        for sign in signs:
            what = _wrong(scene, sign.event)
            if sign.role == "out":
                found[what] |= {(i, j) for j in heard[what, sign.operation] if j in below}
            if sign.role in ("in", "out") and sign.peer in scene.place:
                j = scene.place[sign.peer]
                found[what].add((i, j) if sign.role == "out" else (j, i))
    return found


def _wrong(scene: Scene, event: int) -> str:
    return SLOW if scene.graph.events[event].kind.startswith("latency.") else FAILING


def _add_calls(scene: Scene, features: tuple[Features, ...], bad: list[int]) -> None:
    counts: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    for i, signs in enumerate(scene.signs):
        for sign in signs:
            if sign.role in ("in", "out", "self"):
                counts[_wrong(scene, sign.event), sign.role][i] += 1
    for what, pairs in _pairs(scene).items():
        callers: dict[int, set[int]] = defaultdict(set)
        callees: dict[int, set[int]] = defaultdict(set)
        for a, b in pairs:
            callers[b].add(a)
            callees[a].add(b)
        into, out, own = (counts[what, role] for role in ("in", "out", "self"))
        for i in sorted({*into, *out, *own}):
            found = features[i]
            found["around", f"{what}: share of calls in"] = into[i] / (into[i] + out[i] + 1.0)
            found["around", f"{what}: callers"] = math.log1p(len(callers[i]))
            found["around", f"{what}: callees"] = math.log1p(len(callees[i]))
            found["around", f"{what}: in, not out"] = float(into[i] > 0 and out[i] == 0)
            found["around", f"{what}: out, not in"] = float(out[i] > 0 and into[i] == 0)
            for role, table in (("in", into), ("own", own)):
                if table.total():
                    found["around", f"{what}: share of all {role}"] = table[i] / table.total()
            others = scene.siblings[i]
            if others:
                mean = sum(into[j] for j in others) / len(others)
                found["around", f"{what}: in, against replicas"] = (into[i] - mean) / (into[i] + mean + 1.0)
            if callees[i]:
                found["around", f"{what}: callees that suffer"] = sum(bad[j] > 0 for j in callees[i]) / len(callees[i])
            if callers[i]:
                only = sum(len(callees[j]) == 1 for j in callers[i])
                found["around", f"{what}: callers with no other"] = only / len(callers[i])
    _add_blame_of_calls(_pairs(scene), features)


def _add_blame_of_calls(pairs: Pairs, features: tuple[Features, ...]) -> None:
    """Each bad call blames its callee by one over the caller's callees, its caller by one over the callee's callers."""
    edges = sorted(pairs[SLOW] | pairs[FAILING])
    leaving, entering = Counter(a for a, _ in edges), Counter(b for _, b in edges)
    below: defaultdict[int, float] = defaultdict(float)
    above: defaultdict[int, float] = defaultdict(float)
    for a, b in edges:
        below[b] += 1.0 / leaving[a]
        above[a] += 1.0 / entering[b]
    for i in sorted({*below, *above}):
        features[i]["client", "blamed as callee"] = math.log1p(below[i])
        features[i]["client", "blamed as caller"] = math.log1p(above[i])
        features[i]["client", "blamed as callee rather than caller"] = (below[i] - above[i]) / (below[i] + above[i])


def _add_complaints(scene: Scene, features: tuple[Features, ...], bad: list[int]) -> None:
    """Clients that complain of a callee, from events of the kind ``dependency.blamed``."""
    of: dict[int, set[int]] = defaultdict(set)
    by: dict[int, set[str]] = defaultdict(set)
    for i, signs in enumerate(scene.signs):
        for sign in signs:
            if scene.graph.events[sign.event].kind == BLAMED and sign.peer in scene.place:
                caller = scene.place[sign.peer]
                of[i].add(caller)
                by[caller].add(scene.services[i])
    for i, callers in sorted(of.items()):
        found = features[i]
        only = max(1.0 / len(by[caller]) for caller in callers)
        served = any(sign.role == "in" for sign in scene.signs[i])
        found["client", "complained of"] = 1.0
        found["client", "complained of alone"] = only
        found["client", f"complained of, {'with' if served else 'without'} signs of its own calls"] = 1.0
        if not served and not bad[i]:
            found["client", "complained of, suffers nothing"] = 1.0
            found["client", "complained of alone, suffers nothing"] = only
    for i, services in sorted(by.items()):
        found = features[i]
        below = {scene.services[j] for j in scene.callees[i]}
        found["client", "share of callees complained of"] = len(services) / max(len(below), 1)
        found["client", "callees complained of"] = math.log(len(services))
        found["client", "complains of all callees"] = float(len(below) > 1 and len(services) >= len(below))
        fine = [not any(bad[j] for j in scene.callees[i] if scene.services[j] == s) for s in sorted(services)]
        found["client", "complains of what is fine"] = sum(fine) / len(fine)


def _add_rules(scene: Scene, features: tuple[Features, ...]) -> None:
    """Which rules join a candidate's events to others': as the cause, and as the effect."""
    graph = scene.graph
    owner = [scene.place[event.component] for event in graph.events]
    joined: Counter[tuple[int, str, str]] = Counter()
    for a, b, rule in zip(graph.cause.tolist(), graph.effect.tolist(), graph.rule.tolist(), strict=True):
        name = graph.rules[rule].name
        if owner[a] != owner[b]:
            joined[owner[a], "cause", name] += 1
            joined[owner[b], "effect", name] += 1
    for (i, side, name), count in joined.items():
        features[i][side, name] = math.log1p(count) / 2.0
