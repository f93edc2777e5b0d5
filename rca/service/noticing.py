"""What is pushed and pulled teaches of the topology, and tells of changes: gathered, and written in batches.

Every push says the same again. What the graph holds already is passed over for an hour, so that what is
written are news, and once an hour that all of it is still seen.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from rca.errors import StoreError
from rca.knowledge.claims import CONFIDENCE, merge_claims
from rca.knowledge.rows import LONGEST_KEY
from rca.topology import Topology
from rca.types import Change

if TYPE_CHECKING:
    from rca.knowledge import Knowledge
    from rca.stores.records import Entry

AGAIN_SECONDS = 3_600.0  # how exact "last seen" is in the graph, and how long a fact is kept against another one
MOST_CHANGES = 10_000  # that wait to be written
MOST_REMEMBERED = 200_000  # things of one source; beyond, all is written once more
# Who says so, and how far that is believed: what was seen happening, or what somebody counts of his own calls.
SOURCES: Mapping[str, tuple[str, float]] = {
    "otlp_traces": ("spans", CONFIDENCE["spans"]),
    "kafka": ("spans", CONFIDENCE["spans"]),
    "otlp_metrics": ("metrics", 0.9),
    "remote_write": ("metrics", 0.9),
    "pull": ("metrics", 0.9),
}
OTHER = ("telemetry", 0.8)
_FACTS = ("kinds", "hosts", "replica_of")


@dataclass(slots=True)
class _Word:
    """All that one source has said: when each thing was written last, and facts with when they were seen last."""

    written: dict[tuple[str, ...], float] = field(default_factory=dict)
    facts: dict[tuple[str, str], tuple[str, float]] = field(default_factory=dict)
    edges: set[tuple[str, str]] = field(default_factory=set)  # what is to be written next
    components: set[str] = field(default_factory=set)
    seeded: bool = False

    def is_due(self, *what: str, now: float) -> bool:
        """Whether something was not written within the hour."""
        return self.written.get(what, -AGAIN_SECONDS) + AGAIN_SECONDS <= now


class Noticing:
    """Gathers topology and changes until they are written.

    Args:
        keep: ns after which a dependency that is not seen any more is over.
        now: seconds of a clock that does not jump.
    """

    def __init__(self, *, keep: int, now: Callable[[], float] = time.monotonic) -> None:
        self._keep, self._now = keep, now
        self._lock = threading.Lock()
        self._words: dict[str, _Word] = {}
        self._changes: dict[str, Change] = {}

    def topology(self, topology: Topology, sender: str) -> None:
        """Takes note of what a sender's push says; from any thread."""
        source, _ = SOURCES.get(sender, OTHER)
        names = topology.components
        pairs = zip(topology.caller.tolist(), topology.callee.tolist(), strict=True)
        with self._lock:
            word, now = self._words.setdefault(source, _Word()), self._now()
            if max(len(word.written), len(word.facts)) > MOST_REMEMBERED:
                word.written.clear()
                word.facts.clear()
            for edge in [(names[caller], names[callee]) for caller, callee in pairs]:
                if word.is_due(*edge, now=now) and all(map(_is_name, edge)):
                    word.edges.add(edge)
            word.components |= {name for name in names if word.is_due(name, now=now) and _is_name(name)}
            for component, fact, value in _facts_of(topology):
                before, seen = word.facts.get((component, fact), ("", -AGAIN_SECONDS))
                # A component on several hosts shows another one each time: the first is kept while it is seen.
                if before not in ("", value) and seen + AGAIN_SECONDS > now:
                    continue
                word.facts[component, fact] = (value, now)
                if before != value and _is_name(component):
                    word.components.add(component)

    def changes(self, entries: Iterable[Entry]) -> None:
        """Takes note of changes; from any thread."""
        read = [msgspec.json.decode(entry.body.encode(), type=Change) for entry in entries]
        with self._lock:
            for change in read:
                named = _is_name(change.id) and _is_name(change.component)
                if named and len(self._changes) < MOST_CHANGES:
                    self._changes[change.id] = change

    def write(self, knowledge: Knowledge, at: int) -> None:
        """Writes what is new to the graph, as of a time (ns).

        Raises:
            StoreError: the store cannot be used; what was to be written is written the next time.
        """
        with self._lock:
            sources = sorted(self._words)
        for source in sources:
            self._write_topology(knowledge, source, at)
        with self._lock:
            changes, self._changes = self._changes, {}
        if not changes:
            return
        try:
            named = {change.component for change in changes.values()}
            owners = knowledge.topology_near(named, at, hops=0, callers=0).topology
            knowledge.record_changes(changes.values(), topology=owners)
        except StoreError:
            with self._lock:
                self._changes = {**changes, **self._changes}
            raise

    def _write_topology(self, knowledge: Knowledge, source: str, at: int) -> None:
        word = self._words[source]
        if not word.seeded:
            self._seed(word, merge_claims(knowledge.store.claims(at, source=source), at).topology)
        with self._lock:
            edges, components, now = word.edges, word.components, self._now()
            if not edges and not components:
                return
            word.edges, word.components = set(), set()
            topology = _gathered(edges, components, word.facts)
        try:
            confidence = dict((OTHER, *SOURCES.values()))[source]
            knowledge.record_topology(
                topology, source=source, at=at, confidence=confidence, complete=False, expires=self._keep
            )
        except StoreError:
            with self._lock:
                word.edges |= edges
                word.components |= components
            raise
        with self._lock:
            word.written.update(dict.fromkeys([*edges, *((name,) for name in topology.components)], now))

    def _seed(self, word: _Word, standing: Topology) -> None:
        """Takes up where the process before ended, so that facts which are not told at once are not taken for gone."""
        with self._lock:
            for component, fact, value in _facts_of(standing):
                word.facts.setdefault((component, fact), (value, self._now()))
            word.seeded = True


def _is_name(text: str) -> bool:
    """Whether the graph takes it for a name: what a sender makes up must not keep the rest from being written."""
    return 0 < len(text) <= LONGEST_KEY


def _facts_of(topology: Topology) -> list[tuple[str, str, str]]:
    facts = [(name, fact, value) for fact in _FACTS for name, value in getattr(topology, fact).items()]
    facts += [(name, fact, value) for name, own in topology.attributes.items() for fact, value in own.items()]
    return [fact for fact in facts if fact[2]]


def _gathered(
    edges: set[tuple[str, str]], components: set[str], facts: Mapping[tuple[str, str], tuple[str, float]]
) -> Topology:
    """One topology of edges and components, with all facts that are known of them."""
    named = components | {name for edge in edges for name in edge}
    columns: dict[str, dict[str, str]] = {fact: {} for fact in _FACTS}
    attributes: dict[str, dict[str, str]] = {}
    for (component, fact), (value, _) in facts.items():
        if component in named and fact in columns:
            columns[fact][component] = value
        elif component in named:
            attributes.setdefault(component, {})[fact] = value
    return Topology.from_edges(
        sorted(edges),
        components=named,
        kinds=columns["kinds"],
        hosts=columns["hosts"],
        replica_of=columns["replica_of"],
        attributes=attributes,
    )
