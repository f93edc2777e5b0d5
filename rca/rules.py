"""Rules: which kind of event may cause which other one, between which components, how soon, how surely.

A rule says "``cause`` on one component may bring about ``effect`` on a related one within
``max_lag``". No rule, no edge. Static, conditional and dynamic rules are those of Groot (Wang et
al., ASE 2021): ``when`` narrows a rule to events whose attributes fit, ``creates`` makes the
causing component where telemetry does not know it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal, cast, get_args

from rca.errors import RuleError
from rca.kinds import load_kinds
from rca.resources import bundled
from rca.types import SECOND
from rca.yaml_files import Mapped, Node, load_yaml, read_yaml

Relation = Literal["self", "dependency", "caller", "same_host", "same_zone", "same_model", "lineage", "any"]

_KEYS = ("name", "cause", "effect", "relation", "when", "max_lag", "weight", "creates", "why")
_CONDITIONS = ("same", "intersects", "at_least", "cause", "effect")
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_LAG = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)([smhd])")
_ATTRIBUTE = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]{0,99}")
_TEMPLATE = re.compile(r"(?:[^{}\s]*\{[a-z_]+\})+[^{}\s]*")
LONGEST_LAG = 30 * 86_400 * SECOND  # a model that was trained a month ago may still hurt; nothing older is looked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What must hold of the two events, beyond kinds and relation; empty: nothing.

    A name stands for an attribute of the event, else a fact of its component (``component``,
    ``component_kind``, ``service``, ``host`` and the topology's attributes such as ``zone``).

    Attributes:
        same: both events have the attribute, with equal values.
        intersects: the comma-separated values share one; holds where either event lacks it.
        at_least: attribute of the cause (also ``severity`` and ``seconds``) -> smallest number.
        cause, effect: attribute of that event -> the values it may have.
    """

    same: tuple[str, ...] = ()
    intersects: tuple[str, ...] = ()
    at_least: tuple[tuple[str, float], ...] = ()
    cause: tuple[tuple[str, tuple[str, ...]], ...] = ()
    effect: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def __str__(self) -> str:
        parts = [f"same {name}" for name in self.same] + [f"shared {name}" for name in self.intersects]
        parts += [f"cause's {name} >= {least:g}" for name, least in self.at_least]
        for side, values in (("cause", self.cause), ("effect", self.effect)):
            parts += [f"{side}'s {name} is {' or '.join(allowed)}" for name, allowed in values]
        return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """The component that a dynamic rule makes: its kind, and its name with ``{attribute}`` of the effect."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule.

    Attributes:
        cause, effect: kinds of the catalogue, sorted, wildcards already written out.
        relation: how the effect's component is related to the cause's: "dependency" says that it
            depends on it, "caller" that it is called by it, "lineage" that it is made from it.
        max_lag: longest time from the start of the cause to the start of the effect, ns.
        weight: in (0, 1], how surely such a cause brings about such an effect.
        area: the file that holds the rule, without its ending; where: file and line.
    """

    name: str
    cause: tuple[str, ...]
    effect: tuple[str, ...]
    relation: Relation
    max_lag: int
    weight: float
    why: str
    when: Condition = field(default_factory=Condition)
    creates: Creation | None = None
    area: str = ""
    where: str = ""

    def __post_init__(self) -> None:
        if not self.cause or not self.effect:
            raise RuleError(f"the rule {self.name!r} has no cause or no effect", where=self.where or None)
        if not 0 < self.weight <= 1:
            raise RuleError(f"the weight of {self.name!r} is {self.weight}, outside (0, 1]", where=self.where or None)
        if not 0 < self.max_lag <= LONGEST_LAG:
            raise RuleError(f"the longest lag of {self.name!r} is {self.max_lag} ns", where=self.where or None)


def load_rules(paths: Iterable[str | Path] | None = None) -> tuple[Rule, ...]:
    """Rules of files and folders (every ``*.yaml`` in them), sorted by name; default: those that ship.

    Raises:
        RuleError: a file is malformed, empty or missing, or two rules share a name.
    """
    return _bundled_rules() if paths is None else _load(tuple(Path(path) for path in paths))


def parse_rules(text: str, *, where: str = "rules") -> tuple[Rule, ...]:
    """The rules of a YAML text, sorted by name; ``where`` is what errors name."""
    return _unique(_document(load_yaml(text, where=where, error=RuleError), where))


def describe_rules(rules: Iterable[Rule]) -> list[dict[str, str | float]]:
    """One row per rule, as texts that people read: for tables and for documentation."""
    return [
        {
            "name": rule.name,
            "area": rule.area,
            "cause": ", ".join(rule.cause),
            "effect": ", ".join(rule.effect),
            "relation": rule.relation,
            "when": str(rule.when),
            "creates": "" if rule.creates is None else f"{rule.creates.kind} {rule.creates.name}",
            "max_lag": lag_text(rule.max_lag),
            "weight": rule.weight,
            "why": rule.why,
            "where": rule.where,
        }
        for rule in rules
    ]


def lag_text(lag: int) -> str:
    """A lag in ns as people write it: "90s", "5m", "2h"."""
    seconds = lag / SECOND
    unit = next((u for u in ("d", "h", "m") if seconds >= _UNITS[u] and seconds % _UNITS[u] == 0), "s")
    return f"{seconds / _UNITS[unit]:.12g}{unit}"


@cache
def _bundled_rules() -> tuple[Rule, ...]:
    return _load((bundled("graphs", "rules"),))


def _load(paths: tuple[Path, ...]) -> tuple[Rule, ...]:
    files: list[Path] = []
    for path in paths:
        found = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
        if not found:
            raise RuleError("no rule files in the folder", where=path, remedy="Add files that end in .yaml")
        files += found
    return _unique(rule for file in files for rule in _document(read_yaml(file, error=RuleError), str(file)))


def _unique(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    seen: dict[str, Rule] = {}
    for rule in rules:
        if rule.name in seen:
            raise RuleError(
                f"a second rule is called {rule.name!r}",
                where=rule.where,
                remedy=f"Rename it; the first one is in {seen[rule.name].where}",
            )
        seen[rule.name] = rule
    return tuple(seen[name] for name in sorted(seen))


def _document(document: Node, where: str) -> list[Rule]:
    if not isinstance(document, list) or not document:
        raise RuleError("the file holds no list of rules", where=where, remedy="Begin each rule with '- name: ...'")
    rules = []
    for position, fields in enumerate(document, 1):
        if not isinstance(fields, Mapped) or not fields:
            raise RuleError(f"entry {position} is no rule", where=where, remedy="Begin each rule with '- name: ...'")
        rules.append(_Fields(fields, where).rule(Path(where).stem))
    return rules


class _Fields:
    """Reads one mapping strictly, and knows the line of each key for its errors."""

    def __init__(self, fields: Mapped, where: str) -> None:
        self.fields = fields
        self.file = where

    def error(self, problem: str, key: str | None, remedy: str) -> RuleError:
        line = self.fields.line if key is None else self.fields.lines.get(key, self.fields.line)
        name = self.fields.get("name")
        subject = f" of rule {name[:80]!r}" if isinstance(name, str) else ""
        return RuleError(f"{problem}{subject}", where=f"{self.file}, line {line}", remedy=remedy)

    def rule(self, area: str) -> Rule:
        self.known(self.fields, _KEYS)
        creates = self.creation()
        relation = self.relation(creates)
        cause = self.kinds("cause")
        if creates is not None and len(cause) != 1:
            raise self.error("'creates' goes with several causes", "cause", "Name the one kind that is to be created")
        when = self.condition()
        if creates is not None and when != Condition(effect=when.effect):
            raise self.error("'creates' with a condition on the cause", "when", "Keep only 'effect' of 'when'")
        return Rule(
            name=self.text("name", 120),
            cause=cause,
            effect=self.kinds("effect"),
            relation=relation,
            max_lag=self.lag(),
            weight=self.weight(),
            why=self.text("why", 400),
            when=when,
            creates=creates,
            area=area,
            where=f"{self.file}, line {self.fields.line}",
        )

    def known(self, mapping: Mapped, keys: tuple[str, ...], inside: str = "") -> None:
        for key in mapping:
            if key not in keys:
                raise _Fields(mapping, self.file).error(
                    f"unknown key {key[:80]!r}{inside}", key, f"Use {', '.join(keys)}"
                )

    def text(self, key: str, longest: int) -> str:
        value = self.fields.get(key)
        if not isinstance(value, str) or not value.strip() or len(value) > longest or "\n" in value.strip():
            raise self.error(f"bad '{key}'", key, f"Write one line of text, at most {longest} characters")
        return value.strip()

    def kinds(self, key: str) -> tuple[str, ...]:
        value = self.fields.get(key)
        patterns = value if isinstance(value, list) else [value]
        if not patterns or not all(isinstance(pattern, str) for pattern in patterns):
            raise self.error(f"bad '{key}'", key, "Name a kind, a wildcard such as saturation.*, or a list of them")
        return tuple(sorted({kind for pattern in patterns for kind in self.matching(cast(str, pattern), key)}))

    def matching(self, pattern: str, key: str) -> list[str]:
        catalogue = load_kinds()
        if pattern.endswith(".*") and "*" not in pattern[:-2]:
            found = [kind for kind in catalogue if kind.startswith(pattern[:-1])]
        else:
            found = [pattern] if pattern in catalogue else []
        if not found:
            raise self.error(f"unknown kind {pattern[:80]!r} as {key}", key, "Use a kind of graphs/kinds.yaml")
        return found

    def relation(self, creates: Creation | None) -> Relation:
        value = self.fields.get("relation", None if creates is None else "dependency")
        if value not in get_args(Relation):
            raise self.error(f"unknown relation {value!r}", "relation", f"Use {', '.join(get_args(Relation))}")
        if creates is not None and value != "dependency":
            raise self.error("'creates' with another relation", "relation", "Leave the relation out: a dependency")
        return cast(Relation, value)

    def lag(self) -> int:
        value = self.fields.get("max_lag")
        match = _LAG.fullmatch(value) if isinstance(value, str) else None
        lag = 0 if match is None else round(float(match[1]) * _UNITS[match[2]] * SECOND)
        if not 0 < lag <= LONGEST_LAG:
            raise self.error(f"bad 'max_lag' {value!r}", "max_lag", "Write a number with s, m, h or d, such as 5m")
        return lag

    def weight(self) -> float:
        value = self.fields.get("weight")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
            raise self.error(f"bad 'weight' {value!r}", "weight", "Give a number above 0 and at most 1")
        return float(value)

    def creation(self) -> Creation | None:
        if "creates" not in self.fields:
            return None
        value = self.fields["creates"]
        if not isinstance(value, Mapped) or set(value) != {"kind", "name"}:
            raise self.error("bad 'creates'", "creates", 'Write {kind: external, name: "{peer}"}')
        kind, name = value["kind"], value["name"]
        if not isinstance(kind, str) or not re.fullmatch(r"[a-z][a-z_]{0,39}", kind):
            raise self.error(f"bad kind {kind!r} in 'creates'", "creates", "Name a kind of component, such as external")
        if not isinstance(name, str) or not _TEMPLATE.fullmatch(name):
            raise self.error(f"bad name {name!r} in 'creates'", "creates", "Name an attribute of the effect: {peer}")
        return Creation(kind=kind, name=name)

    def condition(self) -> Condition:
        value = self.fields.get("when")
        if "when" not in self.fields:
            return Condition()
        if not isinstance(value, Mapped) or not value:
            raise self.error("bad 'when'", "when", f"Give it one of {', '.join(_CONDITIONS)}")
        self.known(value, _CONDITIONS, " in 'when'")
        return Condition(
            same=self.names(value, "same"),
            intersects=self.names(value, "intersects"),
            at_least=self.numbers(value),
            cause=self.values(value, "cause"),
            effect=self.values(value, "effect"),
        )

    def names(self, when: Mapped, key: str) -> tuple[str, ...]:
        value = when.get(key, [])
        if not isinstance(value, list) or (key in when and not value):
            raise self.error(f"bad '{key}' in 'when'", "when", "Give a list of attributes, such as [zone]")
        return tuple(sorted({self.attribute(name) for name in value}))

    def mapping(self, when: Mapped, key: str) -> Mapping[str, Node]:
        value = when.get(key)
        if key not in when:
            return {}
        if not isinstance(value, Mapped) or not value:
            raise self.error(f"bad '{key}' in 'when'", "when", "Give attributes with values, such as {zone: eu-1}")
        return value

    def numbers(self, when: Mapped) -> tuple[tuple[str, float], ...]:
        found = []
        for name, number in self.mapping(when, "at_least").items():
            if isinstance(number, bool) or not isinstance(number, (int, float)):
                raise self.error(f"{name!r} in 'at_least' is {number!r}", "when", "Give a number")
            found.append((self.attribute(name), float(number)))
        return tuple(sorted(found))

    def values(self, when: Mapped, key: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
        found = []
        for name, value in self.mapping(when, key).items():
            allowed = value if isinstance(value, list) else [value]
            if not allowed or not all(isinstance(text, str) for text in allowed):
                raise self.error(f"{name!r} in '{key}' is {value!r}", "when", "Give a text or a list of texts")
            found.append((self.attribute(name), tuple(sorted(cast(list[str], allowed)))))
        return tuple(sorted(found))

    def attribute(self, name: Node) -> str:
        if not isinstance(name, str) or not _ATTRIBUTE.fullmatch(name):
            raise self.error(f"{name!r} is no name of an attribute", "when", "Write letters, digits and _ . : / -")
        return name
