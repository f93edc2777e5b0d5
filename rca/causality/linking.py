"""link_events: rules and topology join events; no loop over events or edges."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from rca.causality.conditions import Facts
from rca.causality.creation import Created, create_causes
from rca.causality.graph import NO_INTS, NO_LONGS, CausalityGraph, Floats, Longs
from rca.causality.relations import Keys, Places, ranges
from rca.errors import InputError
from rca.rules import Rule
from rca.topology import Topology
from rca.types import MINUTE, Event

# An effect may be seen before its cause: metrics are sampled once a minute, averaged over a window
# and their onsets estimated, and clocks differ. Three sampling steps of a minute cover all of it.
SLACK = 3 * MINUTE
# What is left of a rule's weight at its longest lag; it falls exponentially from 1 at no lag.
FAINTEST = 0.3
# Pairs of events that one rule may join, so that a rule between anything and anything cannot take the memory.
MOST_PAIRS = 2_000_000
LEAST_SEVERITY = 1e-9  # below it an event says nothing, and causes nothing


def link_events(
    events: Iterable[Event],
    topology: Topology,
    rules: Iterable[Rule],
    *,
    slack: int = SLACK,
    most_pairs: int = MOST_PAIRS,
) -> CausalityGraph:
    """The causality graph of events: an edge wherever a rule, the topology and the times allow it.

    The weight of an edge is the rule's weight, times 1 at no lag falling to 0.3 at the rule's
    longest, times the severity of the cause. Events that dynamic rules create come last.

    Args:
        slack: how long before its cause an effect may be seen, ns.
        most_pairs: how many pairs of events one rule may join; beyond, its most severe causes are
            kept and the rule is named in ``trimmed``.

    Raises:
        InputError: two events share an id.
    """
    given = tuple(events)
    ordered = tuple(sorted(rules, key=attrgetter("name")))
    linker = _Linker(given, topology, ())
    created = create_causes(linker.facts, linker.by_kind, topology, ordered, slack)
    if created.events or created.edges:
        linker = _Linker((*given, *created.events), topology, created.edges)
    batches: list[tuple[Longs, Longs, Longs | int]] = [linker.named(created, ordered)]
    trimmed: list[str] = []
    for position, rule in enumerate(ordered):
        if rule.creates is None:
            pairs, cut = linker.join(rule, slack, most_pairs)
            batches.append((*pairs, position))
            trimmed += [rule.name] if cut else []
    graph = linker.merge(batches, ordered, created, tuple(trimmed))
    _ = graph.index  # refuses ids that stand twice; later stages need it anyway
    return graph


@dataclass(frozen=True, slots=True)
class _ByKey:
    """Events in the order of their keys: those with key k are ``events[start[k] : start[k + 1]]``."""

    events: Longs
    start: Longs


class _Linker:
    """Columns of the events, and the joins over them."""

    def __init__(self, events: Sequence[Event], topology: Topology, edges: Iterable[tuple[str, str]]) -> None:
        self.events = tuple(events)
        components = list(map(attrgetter("component"), self.events))
        self.places = Places(topology, components, edges)
        index = self.places.index
        count = len(self.events)
        self.component = np.fromiter(map(index.__getitem__, components), np.int64, count)
        self.start = np.fromiter(map(attrgetter("start"), self.events), np.int64, count)
        self.severity = np.fromiter(map(attrgetter("severity"), self.events), np.float64, count)
        self.by_kind = self._kinds()
        self.facts = Facts(self.events, self.component, self.severity, self.places)
        self._effects: dict[object, _ByKey] = {}

    def _kinds(self) -> dict[str, Longs]:
        kinds = list(map(attrgetter("kind"), self.events))
        names = sorted(set(kinds))
        code = {name: position for position, name in enumerate(names)}
        codes = np.fromiter(map(code.__getitem__, kinds), np.int64, len(kinds))
        order = np.argsort(codes * self.places.count + self.component, kind="stable")  # joins meet sorted components
        bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(codes, minlength=len(names)))])
        return {name: order[bounds[i] : bounds[i + 1]] for i, name in enumerate(names)}

    def _of_kinds(self, kinds: tuple[str, ...]) -> Longs:
        found = [self.by_kind[kind] for kind in kinds if kind in self.by_kind]
        return np.concatenate(found) if found else NO_LONGS

    def _effects_by_key(self, rule: Rule, keys: Keys) -> _ByKey:
        known = (rule.relation, rule.effect, rule.when.effect)
        if known not in self._effects:
            chosen = self.facts.effects(rule.when, self._of_kinds(rule.effect))
            rows, values = keys.expand(self.component[chosen])
            order = np.argsort(values, kind="stable")
            start = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(values, minlength=keys.size))])
            self._effects[known] = _ByKey(events=chosen[rows[order]], start=start)
        return self._effects[known]

    def join(self, rule: Rule, slack: int, most_pairs: int) -> tuple[tuple[Longs, Longs], bool]:
        """Causes and effects that the rule joins, shape (pairs,) each; whether causes were left out."""
        chosen = self._of_kinds(rule.cause)
        chosen = self.facts.causes(rule.when, chosen[self.severity[chosen] > LEAST_SEVERITY])
        if not chosen.size or not any(kind in self.by_kind for kind in rule.effect):
            return (NO_LONGS, NO_LONGS), False
        sides = self.places.sides(rule.relation)
        effects = self._effects_by_key(rule, sides.effect)
        rows, keys = sides.cause.expand(self.component[chosen])
        cause, first = chosen[rows], effects.start[keys]
        counts = effects.start[keys + 1] - first
        cut = int(counts.sum()) > most_pairs
        if cut:
            kept = self._affordable(cause, counts, most_pairs)
            cause, first, counts = cause[kept], first[kept], counts[kept]
        repeats, places = ranges(first, counts)
        cause, effect = cause[repeats], effects.events[places]
        lag = self.start[effect] - self.start[cause]
        fits = (lag >= -slack) & (lag <= rule.max_lag)
        if sides.own == "no":
            fits &= self.component[cause] != self.component[effect]
        elif sides.own == "yes" and not set(rule.cause).isdisjoint(rule.effect):
            fits &= cause != effect
        cause, effect = cause[fits], effect[fits]
        if rule.when.same or rule.when.intersects:
            fits = self.facts.pairs(rule.when, cause, effect)
            cause, effect = cause[fits], effect[fits]
        return (cause, effect), cut

    def _affordable(self, cause: Longs, counts: Longs, most_pairs: int) -> Longs:
        """Rows of the most severe causes, of equal ones the earliest, as far as the limit goes."""
        order = np.lexsort((cause, self.start[cause], -self.severity[cause]))
        return np.sort(order[np.cumsum(counts[order]) <= most_pairs])

    def named(self, created: Created, rules: tuple[Rule, ...]) -> tuple[Longs, Longs, Longs]:
        """The pairs of dynamic rules, as (cause, effect, rule)."""
        if not created.links:
            return NO_LONGS, NO_LONGS, NO_LONGS
        code = {event.id: position for position, event in enumerate(self.events)}
        place = {rule.name: position for position, rule in enumerate(rules)}
        rows = [
            (code[cause], code[effect], place[name])
            for name in sorted(created.links)
            for cause, effect in created.links[name]
            if self.severity[code[cause]] > LEAST_SEVERITY
        ]
        table = np.array(rows, np.int64).reshape(-1, 3)
        return table[:, 0], table[:, 1], table[:, 2]

    def merge(
        self,
        batches: Sequence[tuple[Longs, Longs, Longs | int]],
        rules: tuple[Rule, ...],
        created: Created,
        trimmed: tuple[str, ...],
    ) -> CausalityGraph:
        """One edge per pair of events: one sort of packed (cause, effect, rule) codes."""
        rule_bits, event_bits = max(len(rules), 1).bit_length(), max(len(self.events), 1).bit_length()
        if rule_bits + 2 * event_bits > 63:
            raise InputError(f"{len(self.events)} events are too many for one graph", where="causality graph")
        packed = np.concatenate(
            [NO_LONGS, *(((c << event_bits | e) << rule_bits) | rule for c, e, rule in batches if c.size)]
        )
        packed.sort()
        packed = packed[_first_of_run(packed)]  # two components may share several keys
        pair, rule = packed >> rule_bits, packed & ((1 << rule_bits) - 1)
        cause, effect = pair >> event_bits, pair & ((1 << event_bits) - 1)
        lag = np.maximum(self.start[effect] - self.start[cause], 0)
        weight = self._weights(rules, rule, lag, cause)
        best, also_rule, also_start = _strongest(pair, weight, rule)
        return CausalityGraph(
            events=self.events,
            rules=rules,
            cause=cause[best].astype(np.int32),
            effect=effect[best].astype(np.int32),
            rule=rule[best].astype(np.int32),
            lag=lag[best],
            weight=weight[best],
            also_rule=also_rule,
            also_start=also_start,
            created=dict(created.kinds),
            trimmed=trimmed,
        )

    def _weights(self, rules: tuple[Rule, ...], rule: Longs, lag: Longs, cause: Longs) -> Floats:
        if not rule.size:
            return np.zeros(0, np.float64)
        base = np.array([item.weight for item in rules], np.float64)
        decay = np.array([math.log(FAINTEST) / item.max_lag for item in rules], np.float64)
        weight: Floats = base[rule] * np.exp(decay[rule] * lag) * self.severity[cause]
        return np.maximum(weight, np.finfo(np.float64).tiny)


def _first_of_run(values: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    first = np.ones(values.size, np.bool_)
    first[1:] = values[1:] != values[:-1]
    return first


def _strongest(pair: Longs, weight: Floats, rule: Longs) -> tuple[Longs, npt.NDArray[np.int32], Longs]:
    """Per run of equal pairs the row of largest weight, the first of equal ones; the further rules and their starts."""
    best = np.flatnonzero(_first_of_run(pair))
    if best.size == pair.size:
        return best, NO_INTS, NO_LONGS
    counts = np.diff(np.append(best, pair.size))
    several = counts > 1  # few pairs are joined by more than one rule
    rows = np.flatnonzero(np.repeat(several, counts))
    size = counts[several]
    run = np.repeat(np.arange(size.size), size)
    largest = np.maximum.reduceat(weight[rows], np.cumsum(size) - size)
    top = rows[weight[rows] == largest[run]]
    best[several] = top[_first_of_run(pair[top])]
    further = rows[~np.isin(rows, best[several], assume_unique=True)]
    return best, rule[further].astype(np.int32), np.append(np.int64(0), np.cumsum(counts - 1))
