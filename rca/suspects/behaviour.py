"""What a change can do to the behaviour of a program, from its diff; its message only counts where there is none.

Each kind of behaviour is found with a strength in [0, 1], the belief that such an edit changes what
the program does; together they are one noisy-or. The strengths are general judgements of code review,
not fitted to incidents: an edit that moves, renames or extracts code scores next to nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from rca.suspects.diffs import Diff, called, is_error_path, is_import, is_inert, parse_diff
from rca.suspects.line_pairs import PairFindings, PairJudge
from rca.suspects.vocabulary import COMPOUND, Concepts, load_concepts, raise_belief, stem, tokens
from rca.types import Change

# Belief that a change without a known diff alters behaviour, and one whose message says that it does not.
UNKNOWN, SAID_HARMLESS, INERT, QUIET = 0.12, 0.03, 0.02, 0.05
# Below this nothing else about a change counts as evidence.
NEGLIGIBLE = 0.03
# What is left of a kind's strength where the code was only extracted into a helper.
EXTRACTED = 0.2

_HARMLESS_MESSAGE = re.compile(r"(docs?|test|ci|style|chore\(docs)\b")
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
_RELEASE_WORDS = """
    close release unlock cancel free dispose stop rollback flush delete remove cleanup shutdown unsubscribe expire
    evict"""
_BOUND_WORDS = """
    limit max cap batch bulk chunk page throttle backoff jitter cache index pool debounce dedupe timeout ttl
    truncate sample where lru breaker semaphore bucket quota window evict preload prefetch maxlen capacity"""
_RELEASES = frozenset(stem(word) for word in _RELEASE_WORDS.split())
_BOUNDS = frozenset(stem(word) for word in _BOUND_WORDS.split())
_GUARD = re.compile(
    r"\b(if|unless|when|assert\w*|require|ensure|validate\w*|check\w*|guard|try|catch|except|\?\?|Optional|getOrDefault"
    r"|synchronized)\b|\?\.|\.get\([^()]+,"
)
_HELPING = frozenset({"help", "must", "require", "ensure"})
_DEFINITION = re.compile(r"(?:func|def|function|class|void|static|auto)\s+(?:\([^)]*\)\s*)?(\w+)")
_LOOP = re.compile(r"\b(for|while|forEach|foreach|\.map\(|each)\b")
_REMOTE = re.compile(
    r"(ctx|client|db|repo|store|await|http|query|fetch|get|put|send|save|load|insert|publish|call|find)", re.IGNORECASE
)
_COLLECTION = re.compile(
    r"=\s*(\{\}|\[\]|make\(map|new (Map|HashMap|ConcurrentHashMap|Set|ArrayList)|dict\(\)|map\[|defaultdict|sync\.Map)"
    r"|\bvar \w+ = map|static .*(Map|List)<|sync\.Map"
)
_PUT = re.compile(r"\w+\[[^\]]+\]\s*=|\.(put|set|add|append|Store|push)\(|append\(")
_SHRINK = re.compile(r"delete|evict|pop\(|ttl|expire|lru|clear\(|maxsize", re.IGNORECASE)
_CONCURRENT = re.compile(
    r"\b(go func|go \w+\(|new Thread|Thread\(|spawn\(|create_task|Promise\.all|executor|synchronized|Lock\(|mutex)"
)
_WAS_CONCURRENT = re.compile(r"\b(go func|go \w+\(|Thread|spawn|create_task|Promise\.all)")
_WAIT = re.compile(r"\b(sleep|delay|usleep|block)\w*\s*\(", re.IGNORECASE)
_WAITED = re.compile(r"sleep|delay", re.IGNORECASE)
_SCHEMA = re.compile(r"\b(drop|rename|alter)\s+(table|column|index|constraint)|add column|not null", re.IGNORECASE)
_TABLE = re.compile(r"\b(?:from|into|update|join)\s+([a-z_][\w.]+)", re.IGNORECASE)
_STATEMENT = re.compile(r"select|insert|update|delete", re.IGNORECASE)
_ENVIRONMENT = re.compile(r"getenv|environ|process\.env")


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What one change can do.

    ``degree`` in [0.02, 1] is the belief that behaviour changes at all; ``kinds`` why. ``added`` and
    ``removed`` are tokens on one side only; ``numbers`` new numbers, ``names`` texts and names that
    changed; ``headings`` and ``code`` tokens of hunk headings and of the changed lines; ``beliefs``
    the concepts it touches, with what they show as.
    """

    degree: float
    kinds: Mapping[str, float] = field(default_factory=dict)
    added: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    headings: frozenset[str] = frozenset()
    code: frozenset[str] = frozenset()
    beliefs: Mapping[str, float] = field(default_factory=dict)


def judge_change(change: Change) -> Behaviour:
    """What a change can do, from its diff and paths."""
    concepts = load_concepts()
    beliefs: dict[str, float] = {}
    concepts.add_words(beliefs, tokens(change.name), 0.15)
    concepts.add_words(beliefs, tokens(" ".join(change.files)), 0.2)
    if change.files and all(is_inert(path) for path in change.files):
        return Behaviour(degree=INERT)
    if not change.diff.strip():
        harmless = bool(_HARMLESS_MESSAGE.match(change.name))
        return Behaviour(degree=SAID_HARMLESS if harmless else UNKNOWN, beliefs=concepts.spread(beliefs))
    return _judge_diff(parse_diff(change.diff, change.files), concepts, beliefs)


def _judge_diff(diff: Diff, concepts: Concepts, beliefs: dict[str, float]) -> Behaviour:
    headings = tokens(" ".join((diff.headings, *diff.paths)))
    if not diff.removed and not diff.added:
        degree = QUIET if diff.net_removed or diff.net_added else INERT
        return Behaviour(degree=degree, kinds={"quiet": 0.04}, headings=headings)
    shape = _Shape(diff)
    pairs = PairJudge(
        diff=diff, concepts=concepts, damping=shape.damping, helpers=shape.helpers | shape.defined
    ).judge()
    kinds = dict(pairs.kinds)
    if diff.bumps:
        kinds["dependency"] = _bump(diff)
    else:
        kinds.update(_asymmetric(diff, shape, kinds))
        kinds["other"] = _other(diff, shape, pairs)
    kinds = {kind: strength for kind, strength in kinds.items() if strength > 0}
    degree = 1.0
    for strength in kinds.values():
        degree *= 1 - strength
    degree = 1 - degree
    added, removed = diff.added_words - diff.removed_words, diff.removed_words - diff.added_words
    for concept, by in pairs.beliefs.items():
        raise_belief(beliefs, concept, by)
    concepts.add_words(beliefs, added | removed, 0.8 * (degree + 0.1))
    concepts.add_words(beliefs, tokens(" ".join((diff.headings, *diff.context[-8:]))), 0.1)
    for kind, strength in sorted(kinds.items()):
        for concept, share in concepts.of_behaviour.get(kind, {}).items():
            raise_belief(beliefs, concept, 0.8 * strength * share)
    return Behaviour(
        degree=max(INERT, degree),
        kinds=kinds,
        added=added,
        removed=removed,
        numbers=frozenset(pairs.numbers),
        names=frozenset(pairs.names),
        headings=headings,
        code=tokens(" ".join((*diff.removed, *diff.added))),
        beliefs=concepts.spread(beliefs),
    )


def _parts(name: str) -> frozenset[str]:
    return frozenset(token for token in tokens(name) if token[0] != COMPOUND)


class _Shape:
    """How a diff is put together: calls that came and went, and whether it only extracts a helper."""

    def __init__(self, diff: Diff) -> None:
        self.calls_removed, self.calls_added = called(diff.removed), called(diff.added)
        self.defined = frozenset(_DEFINITION.findall("\n".join(diff.all_added)))
        context = set(re.findall(r"\w+", " ".join(diff.context)))
        self.new = frozenset(self.calls_added - self.calls_removed - self.defined)
        self.gone = frozenset(self.calls_removed - self.calls_added - context)
        # A helper says in its name what stood there before.
        self.helpers = frozenset(name for name in self.new if _parts(name) & (diff.removed_words | _HELPING))
        loops = [sum(bool(_LOOP.search(line)) for line in side) for side in (diff.all_removed, diff.all_added)]
        # What was asked once and is now asked in a loop shares its words with what it replaces, too.
        self.more_loops = loops[1] > loops[0]
        self.looped = self.more_loops and bool(self.new & _called_in_loops(diff))
        self.extracted = self._is_extraction(diff) and not self.looped
        self.damping = EXTRACTED if self.extracted else 1.0

    def _is_extraction(self, diff: Diff) -> bool:
        moved = diff.moved.total() >= 0.5 * max(1, len(diff.all_removed))
        kept = bool(self.calls_removed) and (
            len(self.calls_removed & self.calls_added) >= 0.5 * len(self.calls_removed)
        )
        into_function = bool(self.defined) and (moved or kept) and self.new <= self.helpers
        into_helper = bool(self.new) and self.new == self.helpers and len(diff.added) <= len(diff.removed) + 6
        return into_function or into_helper


def _bump(diff: Diff) -> float:
    """A new major version breaks often, a minor one sometimes, a patch hardly ever."""
    strength = 0.06
    before, after = (_VERSION.findall(" ".join(lines)) for lines in (diff.net_removed, diff.net_added))
    for old, new in zip(before, after, strict=False):
        strength = max(strength, 0.75 if old[0] != new[0] else 0.3 if old[1] != new[1] else 0.06)
    return strength


def _asymmetric(diff: Diff, shape: _Shape, pairs: Mapping[str, float]) -> dict[str, float]:
    """What is no longer there, or newly is: protection, calls, loops, growth, concurrency, references."""
    found: dict[str, float] = {}
    lost = diff.removed_words - diff.present_words
    kept = max(shape.damping, 0.3)
    if lost & _RELEASES:
        found["release_removed"] = 0.85 * kept
    if lost & _BOUNDS and "number_changed" not in pairs:
        found["bound_removed"] = 0.85 * kept
    guards = sum(bool(_GUARD.search(line)) and not is_error_path(line) for line in diff.all_removed)
    if guards > sum(bool(_GUARD.search(line)) for line in diff.all_added):
        found["guard_removed"] = 0.85 * shape.damping
    gone = [name for name in shape.gone if not any(_parts(name) & _parts(other) for other in shape.calls_added)]
    if gone and not shape.new and len(diff.added) <= len(diff.removed):
        replaced = 1.0 if len(diff.added) <= 0.5 * len(diff.removed) else 0.4
        found["call_removed"] = 0.85 * replaced * shape.damping
    if diff.net_removed and not diff.net_added and not pairs and not found:
        found["code_removed"] = 0.6
    found.update(_additions(diff, shape))
    return found


def _additions(diff: Diff, shape: _Shape) -> dict[str, float]:
    found: dict[str, float] = {}
    loop = _call_in_loop(diff, shape)
    if loop:
        found["call_in_loop"] = loop
    added, removed = " ".join(diff.added), " ".join(diff.removed)
    if _COLLECTION.search(added) and _PUT.search(added) and not _SHRINK.search(added):
        found["growth"] = 0.2 if shape.extracted else 0.65
    if _CONCURRENT.search(added) and not _WAS_CONCURRENT.search(removed):
        found["concurrency_added"] = 0.6
    if _WAIT.search(added) and not _WAITED.search(removed):
        found["wait_added"] = 0.65
    if _SCHEMA.search(added):
        found["schema_changed"] = 0.8
    before = " ".join((*diff.removed, *diff.context))
    tables = set(_TABLE.findall(" ".join(line for line in diff.added if not is_import(line))))
    new_table = bool(tables - set(_TABLE.findall(before))) and bool(_STATEMENT.search(added))
    if new_table or (_ENVIRONMENT.search(added) and not _ENVIRONMENT.search(removed)):
        found["new_reference"] = 0.65
    return found


def _call_in_loop(diff: Diff, shape: _Shape) -> float:
    """Strength of a new call within four lines below a loop: remote-looking calls count most, then new loops."""
    fresh = shape.calls_added - shape.calls_removed - (frozenset() if shape.looped else shape.helpers)
    bodies = [body for body in _loop_bodies(diff) if called(body) & fresh]
    if shape.extracted or not bodies:
        return 0.0
    if any(_REMOTE.search(" ".join(body)) for body in bodies):
        return 0.8
    return 0.5 if shape.more_loops else 0.35


def _loop_bodies(diff: Diff) -> list[tuple[str, ...]]:
    """Each added line with a loop and the four after it."""
    added = diff.all_added
    return [added[i : i + 5] for i, line in enumerate(added) if _LOOP.search(line)]


def _called_in_loops(diff: Diff) -> frozenset[str]:
    return frozenset(name for body in _loop_bodies(diff) for name in called(body))


def _other(diff: Diff, shape: _Shape, pairs: PairFindings) -> float:
    """Any other edit, by the share of words that stand on one side only; pure additions count less."""

    def words(lines: tuple[str, ...]) -> frozenset[str]:
        return tokens(" ".join(line for line in lines if line not in pairs.lines and not is_error_path(line)))

    one_sided = (words(diff.added) - diff.removed_words) | (words(diff.removed) - diff.present_words)
    share = len(one_sided) / max(1, len(diff.added_words | diff.removed_words))
    weight = 0.5 if diff.removed else 0.3
    return weight * share * shape.damping * (0.3 if shape.extracted else 1.0)
