"""Words of code and telemetry: how they are split, how unusual they are, which resources they speak of."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from rca.errors import RuleError
from rca.resources import bundled
from rca.yaml_files import read_yaml

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*|\d+(?:\.\d+)?")
_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+(?:\.\d+)?")
_NOT_PLAIN = re.compile(r"[^a-z0-9]")
# Marks an identifier of several words, kept whole beside its words.
COMPOUND = "="
# Keywords of common languages, articles, levels of logs, and status codes: every service answers with the latter.
_STOP_WORDS = """
    a an the of to in on for and or is be as at by with from not no it this that if else return func function def
    class import const let var new err error errors nil null none true false string int bool void self ctx context
    public private static async await export type struct interface case switch break continue go package main
    info warn warning
    200 201 204 301 302 304 400 401 403 404 408 409 429 500 502 503 504"""
_STOP = frozenset(_STOP_WORDS.split())
_SUFFIXES = ("ations", "ation", "ings", "ing", "ers", "er", "ies", "es", "ed", "s")
# Belief that one word of a concept adds.
_ONE_WORD = 0.55
# Steps along "shows as" that still mean something.
_HOPS = 2


def stem(word: str) -> str:
    """A word without its most common English endings; at least three letters stay."""
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word[: -len(suffix)]
    return word


@lru_cache(maxsize=16_384)
def tokens(text: str) -> frozenset[str]:
    """The stemmed words of a text; identifiers of several words also whole, marked with ``=``."""
    found: set[str] = set()
    for word in _WORD.findall(text):
        parts = _PART.findall(word)
        if len(parts) > 1:
            found.add(COMPOUND + _NOT_PLAIN.sub("", word.lower()))
        for part in parts:
            low = part.lower()
            if low not in _STOP and (len(low) > 1 or low.isdigit()):
                found.add(stem(low))
    return frozenset(found)


def rarity(token: str) -> float:
    """How unusual a word is in code at large: 1 where it is hardly ever seen, 0.05 in every third file."""
    files, counts = _common_words()
    seen = counts.get(token, 0)
    if not seen:
        return 1.0
    # 1 up to seven files, falling with the logarithm to 0 in every third.
    return max(0.05, min(1.0, math.log(files / 3 / seen) / math.log(files / 3 / 7)))


@cache
def _common_words() -> tuple[int, Mapping[str, int]]:
    path = bundled("graphs", "common_words.txt")
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    try:
        counts = {word: int(count) for word, count in lines}
        return counts.pop("*files*"), counts
    except (KeyError, ValueError) as error:
        raise RuleError(
            "is no table of words", where=path, remedy="Write `word count` lines and `*files* n`"
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Concepts:
    """Resources and the words for them.

    ``of_token`` leads from a token to its concepts; ``weight`` says how much each tells causes apart;
    ``shows_as`` under which others its trouble appears; ``of_behaviour`` what kinds of change touch.
    """

    of_token: Mapping[str, tuple[str, ...]]
    weight: Mapping[str, float]
    shows_as: Mapping[str, Mapping[str, float]]
    of_behaviour: Mapping[str, Mapping[str, float]]

    def add_words(self, belief: dict[str, float], words: Iterable[str], weight: float) -> None:
        """Raise the belief in the concepts of tokens; ``weight`` in [0, 1], several words add up as noisy-or."""
        for word in sorted(words):
            for concept in self.of_token.get(word, ()):
                raise_belief(belief, concept, _ONE_WORD * weight)

    def spread(self, belief: Mapping[str, float]) -> dict[str, float]:
        """The beliefs together with what trouble of these concepts shows as, over two steps."""
        reached = dict(belief)
        for _ in range(_HOPS):
            for concept, value in list(reached.items()):
                for other, degree in self.shows_as.get(concept, {}).items():
                    reached[other] = max(reached.get(other, 0.0), value * degree)
        return reached


def raise_belief(belief: dict[str, float], concept: str, by: float) -> None:
    """Noisy-or: independent reasons for the same concept."""
    belief[concept] = 1 - (1 - belief.get(concept, 0.0)) * (1 - by)


@cache
def load_concepts() -> Concepts:
    """The shipped concepts.

    Raises:
        RuleError: the file is malformed.
    """
    path = bundled("graphs", "concepts.yaml")
    document: Any = read_yaml(path, error=RuleError)
    if not isinstance(document, dict) or set(document) != {"concepts", "behaviours"}:
        raise RuleError("holds other keys than concepts and behaviours", where=path)
    rows, behaviours = document["concepts"], document["behaviours"]
    if not isinstance(rows, dict) or not isinstance(behaviours, dict):
        raise RuleError("concepts and behaviours are mappings", where=path)
    of_token: dict[str, set[str]] = {}
    weight: dict[str, float] = {}
    shows_as: dict[str, Mapping[str, float]] = {}
    for name, row in rows.items():
        if not isinstance(row, dict) or not isinstance(row.get("words"), list):
            raise RuleError(f"the concept {name!r} has no list of words", where=path)
        weight[name] = float(row.get("weight", 1.0))
        shows_as[name] = _degrees(row.get("shows_as", {}), rows, f"{path}: {name}")
        for word in row["words"]:
            for token in tokens(str(word)):
                of_token.setdefault(token.removeprefix(COMPOUND), set()).add(name)
    return Concepts(
        of_token={token: tuple(sorted(names)) for token, names in of_token.items()},
        weight=weight,
        shows_as=shows_as,
        of_behaviour={name: _degrees(row, rows, f"{path}: {name}") for name, row in behaviours.items()},
    )


def _degrees(row: Any, known: Mapping[str, Any], where: str) -> Mapping[str, float]:
    if not isinstance(row, dict) or not set(row) <= set(known):
        raise RuleError("names a concept that is not listed", where=where, remedy="Write {concept: degree}")
    return {name: float(degree) for name, degree in row.items()}
