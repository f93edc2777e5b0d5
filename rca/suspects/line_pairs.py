"""Pairs of a removed and an added line that differ in little: a number, a text, an operator, a name."""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from rca.suspects.diffs import NO_CALLS, Diff, is_error_path, is_import, is_logging
from rca.suspects.vocabulary import Concepts, tokens

_TOKEN = re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`|[A-Za-z_][\w]*|\d+(?:\.\d+)*|[^\s\w]")
_NUMBER = re.compile(r"(?<![\w.$])(\d[\d_]*(?:\.\d+)?)(?:\s*\*\s*time\.)?\s?([A-Za-z]*)")
_VERSION = re.compile(r"[\"'`]v?\d+[\d.]*")
_SETTING = re.compile(r"([\w.\-\"]+)\s*[:=]\s*(.+)$")
# Names that a line declares: left of an assignment, or the variables of a loop.
_ASSIGNED = re.compile(
    r"((?:\w+,\s*)*\w+)\s*:?=[^=]|\bfor\b[\s(]*(?:const|let|var|auto)?\s*((?:\w+,\s*)*\w+)\s+(?:in|of)\b"
)
_TYPE = re.compile(r":\s*\w+|->\s*\w+")
_SIGNATURE = re.compile(r"(func|def|function)\b")
_DATA_PATH = re.compile(r"\.(proto|sql|avsc|graphql|json|ya?ml)$")
_OPERATORS = frozenset(
    ["<", ">", "=", "!", "|", "+", "-", "/", "not", "and", "or", "true", "false", "True", "False", "is"]
)
_UNITS = {
    **dict.fromkeys(("millisecond", "milliseconds", "ms"), 1e-3),
    **dict.fromkeys(("second", "seconds", "sec", "s"), 1.0),
    **dict.fromkeys(("minute", "minutes", "min", "m"), 60.0),
    **dict.fromkeys(("hour", "hours", "h"), 3600.0),
    **{"ki": 2.0**10, "mi": 2.0**20, "gi": 2.0**30, "mib": 2.0**20, "gib": 2.0**30},
    **{"kb": 1e3, "k": 1e3, "mb": 1e6, "gb": 1e9},
}
# Lines are one line changed if their tokens agree this much (difflib's ratio).
SIMILAR = 0.5
# Lines of one group that are compared: beyond, it is a rewrite.
MOST_LINES = 60


@dataclass(slots=True)
class PairFindings:
    """What pairs of lines show: kinds of behaviour with strengths, the lines used, new numbers and texts, concepts."""

    kinds: dict[str, float] = field(default_factory=dict)
    lines: set[str] = field(default_factory=set)
    numbers: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    beliefs: dict[str, float] = field(default_factory=dict)

    def put(self, kind: str, strength: float) -> None:
        """Keep the strongest of a kind."""
        self.kinds[kind] = max(strength, self.kinds.get(kind, 0.0))


@dataclass(frozen=True, kw_only=True)
class PairJudge:
    """Judges pairs of lines of one diff.

    ``damping`` weakens what looks like an extraction into a helper; ``helpers`` are the names of such
    helpers and of functions that the diff defines.
    """

    diff: Diff
    concepts: Concepts
    damping: float
    helpers: frozenset[str]

    def judge(self) -> PairFindings:
        """Every pair of similar lines, judged."""
        found = PairFindings()
        for old, new in self._pairs():
            if is_error_path(old) and is_error_path(new) and not re.search(r"\d", old + new):
                continue
            if not self.diff.bumps:
                self._numbers(old, new, found)
                self._texts(old, new, found)
            self._settings(old, new, found)
            self._operators(old, new, found)
            self._names(old, new, found)
            if "await" in _TOKEN.findall(old) and "await" not in _TOKEN.findall(new):
                found.put("await_removed", 0.85)
        return found

    def _pairs(self) -> Iterator[tuple[str, str]]:
        kept_old, kept_new = set(self.diff.removed), set(self.diff.added)
        for removed, added in self.diff.groups:
            new_lines = [line for line in added if line in kept_new][:MOST_LINES]
            new_tokens = [_TOKEN.findall(line) for line in new_lines]
            used: set[int] = set()
            for old in [line for line in removed if line in kept_old][:MOST_LINES]:
                old_tokens = _TOKEN.findall(old)
                ratios = [
                    (difflib.SequenceMatcher(None, old_tokens, other, autojunk=False).ratio(), j)
                    for j, other in enumerate(new_tokens)
                    if j not in used
                ]
                ratio, j = max(ratios, default=(0.0, -1))
                if ratio >= SIMILAR:
                    used.add(j)
                    yield old, new_lines[j]

    def _numbers(self, old: str, new: str, found: PairFindings) -> None:
        before, after = _NUMBER.findall(old), _NUMBER.findall(new)
        if not before or len(before) != len(after) or not _same_frame(old, new):
            return
        for p, q in zip(before, after, strict=True):
            u, v = _value(p), _value(q)
            swapped = p[0] in _all_numbers(self.diff.added) and q[0] in _all_numbers(self.diff.removed)
            if u == v or swapped:
                continue
            strength = 0.9 if min(u, v) == 0 else 1 - math.exp(-abs(math.log2(v / u)))
            found.put("number_changed", 0.9 * strength)
            self._use(old, new, strength, found)
            if self.diff.configures:
                # In configuration the meaning of a number stands in the lines above it.
                self._believe(" ".join(self.diff.context[-6:]), 0.4 * strength, found)
            found.numbers.add(q[0])

    def _texts(self, old: str, new: str, found: PairFindings) -> None:
        common = _all_texts(self.diff.removed) & _all_texts(self.diff.added)
        before = {token for token in _TOKEN.findall(old) if token[0] in "\"'`"} - common
        after = {token for token in _TOKEN.findall(new) if token[0] in "\"'`"} - common
        differing = before ^ after
        if not differing or is_logging(new) or is_error_path(new) or all(_VERSION.match(text) for text in differing):
            return
        found.put("text_changed", 0.75)
        self._use(old, new, 0.7, found)
        found.names.update(text.strip("\"'`") for text in differing)

    def _settings(self, old: str, new: str, found: PairFindings) -> None:
        before, after = _SETTING.match(old), _SETTING.match(new)
        if not self.diff.configures or self.diff.touches_dependencies or before is None or after is None:
            return
        if before[1] == after[1] and _NUMBER.sub("#", before[2]) != _NUMBER.sub("#", after[2]):
            found.put("text_changed", 0.7)
            self._use(old, new, 0.7, found)
            found.names.update(re.findall(r"[\w./\-]+", f"{before[2]} {after[2]}"))

    def _operators(self, old: str, new: str, found: PairFindings) -> None:
        before, after = _TOKEN.findall(old), _TOKEN.findall(new)
        operators = [[token for token in side if token in _OPERATORS] for side in (before, after)]
        rest = [[token for token in side if token not in _OPERATORS] for side in (before, after)]
        if operators[0] != operators[1] and rest[0] == rest[1]:
            found.put("condition_changed", 0.15 if self._only_this(old, new) else 0.75)
            found.lines.update((old, new))
            self._believe(old, 0.6, found)

    def _only_this(self, old: str, new: str) -> bool:
        """Whether everything else moved: the line was then adapted to its new place."""
        others = Counter(line for line in self.diff.net_removed if line != old)
        return len(self.diff.all_removed) > 1 and others == Counter(line for line in self.diff.net_added if line != new)

    def _names(self, old: str, new: str, found: PairFindings) -> None:
        """One name exchanged or dropped in a line that is otherwise equal, unless it is a local rename."""
        before, after = _words(old), _words(new)
        gone, come = [t for t in before if t not in after], [t for t in after if t not in before]
        if not gone or len(gone) > 2 or len(come) > 2 or self.diff.touches_dependencies:
            return
        if _TYPE.sub("", old) == _TYPE.sub("", new) or is_import(new) or _SIGNATURE.match(new):
            return
        if set(come) & self.helpers or self._is_local(gone):
            return
        contained = bool(come) and _parts(come) >= _parts(gone)
        if contained and self.damping < 1:
            return
        found.put("name_changed", (0.4 if contained else 0.65) * self.damping)
        self._use(old, new, 0.5, found)
        found.names.update(gone + come)

    def _is_local(self, names: list[str]) -> bool:
        if any(_DATA_PATH.search(path) for path in self.diff.paths):
            return False
        found = (match for line in self.diff.all_removed + self.diff.all_added for match in _ASSIGNED.findall(line))
        declared = {name for sides in found for side in sides for name in re.findall(r"\w+", side)}
        return set(names) <= NO_CALLS | declared

    def _use(self, old: str, new: str, weight: float, found: PairFindings) -> None:
        found.lines.update((old, new))
        self._believe(f"{old} {new}", weight, found)

    def _believe(self, text: str, weight: float, found: PairFindings) -> None:
        self.concepts.add_words(found.beliefs, tokens(text), weight)


def _words(line: str) -> list[str]:
    """Identifiers and keywords of a line, without units of numbers."""
    found = (token for token in _TOKEN.findall(line) if token[0].isalpha() or token[0] == "_")
    return [token for token in found if token.lower() not in _UNITS]


def _same_frame(old: str, new: str) -> bool:
    """Whether two lines say the same but for their numbers."""
    before, after = _NUMBER.sub("#", old), _NUMBER.sub("#", new)
    words = set(re.findall(r"\w+", before))
    return before == after or len(words & set(re.findall(r"\w+", after))) >= 0.5 * len(words)


def _value(number: tuple[str, str]) -> float:
    return float(number[0].replace("_", "")) * _UNITS.get(number[1].lower(), 1.0)


def _all_numbers(lines: tuple[str, ...]) -> set[str]:
    return {number for line in lines for number, _ in _NUMBER.findall(line)}


def _all_texts(lines: tuple[str, ...]) -> set[str]:
    return {token for line in lines for token in _TOKEN.findall(line) if token[0] in "\"'`"}


def _parts(names: list[str]) -> set[str]:
    return {token for name in names for token in tokens(name) if token[0] != "="}
