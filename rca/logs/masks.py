"""Masks as data: what varies in log lines, where they say their place, severity and exceptions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, cast

from rca.errors import RuleError
from rca.logs.patterns import is_digit_blind, is_word_local
from rca.resources import bundled
from rca.telemetry import DEBUG, ERROR, FATAL, INFO, TRACE, UNKNOWN, WARN
from rca.yaml_files import Mapped, load_yaml, read_yaml

LEVELS = {"trace": TRACE, "debug": DEBUG, "info": INFO, "warn": WARN, "error": ERROR, "fatal": FATAL}
LEVEL_NAMES = {UNKNOWN: "", **{code: name.upper() for name, code in LEVELS.items()}}

DIGIT = "digit"
_HAS_DIGIT = re.compile("[0-9]")
_REPLACEMENT = re.compile(r"<[A-Z][A-Z_]*>")
_WORD = re.compile(r"[A-Za-z]+")
# A severity stands at the start of a line; further in, such words belong to the sentence.
LEVEL_REACH = 80
EXCEPTION_REACH, MOST_EXCEPTIONS = 2_000, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """One thing that varies: where ``pattern`` matches, ``replacement`` stands in the template.

    ``needs``: texts without which the pattern cannot match ("digit": any of 0-9).
    """

    name: str
    pattern: str
    replacement: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Words that are a place in the source: those with ``anchor`` in them that ``pattern`` matches wholly."""

    name: str
    pattern: str
    anchor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionName:
    """A pattern whose group 1 is the name of an exception class."""

    name: str
    pattern: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Masks:
    """All that is known of the form of log lines. ``levels``: severity name -> words, in capitals."""

    payloads: tuple[Mask, ...] = ()
    masks: tuple[Mask, ...] = ()
    locations: tuple[Location, ...] = ()
    levels: Mapping[str, tuple[str, ...]]
    exceptions: tuple[ExceptionName, ...] = ()

    @cached_property
    def mask(self) -> Callable[[str], str]:
        """A function: a line with every mask applied in order; the same text as one substitution after another."""
        return _substitution(self.masks)

    @cached_property
    def shorten(self) -> Callable[[str], str]:
        """A function: a line without what varies in length (payloads), to be masked and split into words."""
        return _substitution(self.payloads)

    @cached_property
    def digit_blind(self) -> bool:
        """Whether no mask tells one digit from another, so that lines equal but for digits are masked alike."""
        return all(is_digit_blind(m.pattern) for m in self.masks)

    @cached_property
    def word_local(self) -> bool:
        """Whether no mask looks beyond white space, so that words can be masked one by one."""
        return all(is_word_local(m.pattern) for m in self.masks)

    @cached_property
    def anchors(self) -> tuple[str, ...]:
        """Texts of which one occurs in every line with a location."""
        return tuple(dict.fromkeys(location.anchor for location in self.locations))

    @cached_property
    def _location_patterns(self) -> tuple[tuple[str, re.Pattern[str]], ...]:
        return tuple((location.anchor, re.compile(location.pattern)) for location in self.locations)

    def is_location(self, word: str) -> bool:
        """Whether a word is a place in the source."""
        return any(
            anchor in word and pattern.fullmatch(word) is not None for anchor, pattern in self._location_patterns
        )

    @cached_property
    def level_words(self) -> dict[str, int]:
        """Word in capitals -> level code."""
        return {word: LEVELS[name] for name, words in self.levels.items() for word in words}

    @cached_property
    def _level_pattern(self) -> re.Pattern[str]:
        words = "|".join(sorted(self.level_words, key=lambda word: (-len(word), word))) or "(?!)"
        return re.compile(
            rf"(?<![\w.$/-])(?P<plain>{words})(?![\w.$/-])"
            rf"|(?i:(?<![\w])(?:level|lvl|severity)[\"']?\s*[=:]\s*[\"']?|[\[<(])(?P<tagged>(?i:{words}))(?![\w.$/-])"
            rf"|^\s*(?P<first>(?i:{words}))\s*[:|]"
        )

    def find_level(self, text: str) -> int:
        """The severity that a line states in its first 80 characters, 0 where it states none."""
        found = self._level_pattern.search(text, 0, LEVEL_REACH)
        return UNKNOWN if found is None else self.level_words[str(found[found.lastgroup or 0]).upper()]

    @cached_property
    def _exception_patterns(self) -> tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]:
        return tuple((exception.needs, re.compile(exception.pattern)) for exception in self.exceptions)

    def find_exceptions(self, text: str) -> tuple[str, ...]:
        """Distinct names of exception classes in a text's first 2,000 characters, four at most."""
        found: dict[str, None] = {}
        for needs, pattern in self._exception_patterns:
            for need in needs:
                if need not in text:
                    break
            else:
                found.update(dict.fromkeys(match[1] for match in pattern.finditer(text, 0, EXCEPTION_REACH)))
        return tuple(found)[:MOST_EXCEPTIONS]

    def to_data(self) -> dict[str, Any]:
        """The same as plain data, as in the file."""
        masks = {"payloads": self.payloads, "masks": self.masks}
        return {
            **{
                key: [
                    {"name": m.name, "pattern": m.pattern, "replacement": m.replacement, "needs": list(m.needs)}
                    for m in group
                ]
                for key, group in masks.items()
            },
            "locations": [{"name": x.name, "pattern": x.pattern, "anchor": x.anchor} for x in self.locations],
            "levels": {name: list(words) for name, words in self.levels.items()},
            "exceptions": [{"name": x.name, "pattern": x.pattern, "needs": list(x.needs)} for x in self.exceptions],
        }


def _substitution(masks: tuple[Mask, ...]) -> Callable[[str], str]:
    steps = [
        (tuple(n for n in m.needs if n != DIGIT), DIGIT in m.needs, re.compile(m.pattern).sub, m.replacement)
        for m in masks
    ]
    has_digit = _HAS_DIGIT.search
    ask = any(digit for _, digit, _, _ in steps)

    def apply(text: str) -> str:
        digits = ask and has_digit(text) is not None
        for literals, digit, substitute, replacement in steps:
            if digit and not digits:
                continue
            for literal in literals:
                if literal not in text:
                    break
            else:
                text = substitute(replacement, text)
        return text

    return apply


def load_masks(path: str | Path | None = None) -> Masks:
    """The masks of a YAML file; the ones that ship where none is named.

    Raises:
        RuleError: the file is unreadable or something in it is unknown, missing or no pattern.
    """
    if path is None:
        return _bundled_masks()
    return parse_masks(read_yaml(path, error=RuleError), where=str(path))


@lru_cache(maxsize=1)
def _bundled_masks() -> Masks:
    path = bundled("graphs", "masks/default.yaml")
    return parse_masks(load_yaml(path.read_text("utf-8"), where=path.name, error=RuleError), where=path.name)


def parse_masks(data: object, *, where: str) -> Masks:
    """Masks of plain data, strictly: unknown keys, bad patterns and repeated names are errors.

    Raises:
        RuleError: naming the place and what to do.
    """
    top = _mapping(data, where, required={"levels"}, optional={"payloads", "masks", "locations", "exceptions"})
    locations = tuple(
        Location(name=row["name"], pattern=_pattern(row["pattern"], at), anchor=_text(row["anchor"], f"{at}, anchor"))
        for row, at in _rows(top, "locations", where, {"name", "pattern", "anchor"}, set())
    )
    exceptions = tuple(
        ExceptionName(
            name=row["name"],
            pattern=_pattern(row["pattern"], at, groups=1),
            needs=_texts(row.get("needs", []), f"{at}, needs"),
        )
        for row, at in _rows(top, "exceptions", where, {"name", "pattern"}, {"needs"})
    )
    return Masks(
        payloads=_masks(top, "payloads", where, empty=True),
        masks=_masks(top, "masks", where, empty=False),
        locations=locations,
        levels=_levels(top["levels"], where),
        exceptions=exceptions,
    )


def _masks(top: dict[str, Any], key: str, where: str, *, empty: bool) -> tuple[Mask, ...]:
    return tuple(
        Mask(
            name=row["name"],
            pattern=_pattern(row["pattern"], at),
            replacement="" if empty and row["replacement"] == "" else _replacement(row["replacement"], at),
            needs=_texts(row.get("needs", []), f"{at}, needs"),
        )
        for row, at in _rows(top, key, where, {"name", "pattern", "replacement"}, {"needs"})
    )


def _levels(data: object, where: str) -> dict[str, tuple[str, ...]]:
    at = f"{where}, levels"
    named = _mapping(data, at, required=set(), optional=set(LEVELS))
    levels = {name: tuple(word.upper() for word in _texts(named[name], f"{at}, {name}")) for name in named}
    seen: set[str] = set()
    for name, words in levels.items():
        for word in words:
            if word in seen or not _WORD.fullmatch(word):
                raise RuleError(
                    f"the word {word!r} of {name} stands twice or is no word", where=at, remedy="Use letters, once"
                )
            seen.add(word)
    return levels


def _rows(
    top: dict[str, Any], key: str, where: str, required: set[str], optional: set[str]
) -> list[tuple[dict[str, Any], str]]:
    rows = top.get(key, [])
    if not isinstance(rows, list):
        raise RuleError(f"{key} is no list", where=where, remedy="Begin each entry with a dash")
    result: list[tuple[dict[str, Any], str]] = []
    names: set[str] = set()
    for number, row in enumerate(rows, 1):
        place = f"{where}, line {row.line}" if isinstance(row, Mapped) and row.line else f"{where}, {key} {number}"
        entry = _mapping(row, place, required=required, optional=optional)
        name = _text(entry["name"], f"{place}, name")
        if name in names:
            raise RuleError(f"the name {name!r} stands twice in {key}", where=place, remedy="Rename one of the two")
        names.add(name)
        result.append((entry, f"{place}, {name}"))
    return result


def _mapping(data: object, where: str, *, required: set[str], optional: set[str]) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise RuleError("a mapping is expected", where=where, remedy=f"Write {', '.join(sorted(required | optional))}")
    unknown, missing = sorted(set(map(str, data)) - required - optional), sorted(required - set(data))
    if unknown:
        known = ", ".join(sorted(required | optional))
        raise RuleError(f"the key {unknown[0]!r} is unknown", where=where, remedy=f"Known keys: {known}")
    if missing:
        raise RuleError(f"the key {missing[0]!r} is missing", where=where, remedy="Add it")
    return cast("dict[str, Any]", data)


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise RuleError(f"{value!r} is no text", where=where, remedy="Put a text in quotes")
    return value


def _texts(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise RuleError(f"{value!r} is no list of texts", where=where, remedy="Write [a, b]")
    return tuple(_text(item, where) for item in value)


def _replacement(value: object, where: str) -> str:
    if not isinstance(value, str) or not _REPLACEMENT.fullmatch(value):
        raise RuleError(f"the replacement {value!r} is not of the form <NAME>", where=where, remedy="Write <NUM>")
    return value


def _pattern(value: object, where: str, groups: int = 0) -> str:
    text = _text(value, f"{where}, pattern")
    try:
        compiled = re.compile(text)
    except (re.error, OverflowError, RecursionError) as bad:
        raise RuleError(f"the pattern is none: {bad}", where=where, remedy="Mend the regular expression") from bad
    if compiled.search("") is not None:
        raise RuleError("the pattern matches the empty text", where=where, remedy="Replace a * by a +")
    if compiled.groups < groups:
        raise RuleError("the pattern has no group", where=where, remedy="Put the name in parentheses")
    return text
