"""The catalogue of event kinds: what may happen to a component, and whether it may be a root cause."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal, cast, get_args

from rca.errors import RuleError, TelemetryError
from rca.resources import bundled
from rca.yaml_files import Mapped, Node, load_yaml, read_yaml

Group = Literal["performance", "status", "activity", "reliability", "model", "data", "external"]
Role = Literal["activity", "failure", "impact", "observation"]

NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_KEYS = ("role", "prior", "explainable", "text", "action")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of event.

    ``role``: "activity" may be a root cause by itself, "failure" where nothing explains it,
    "impact" is a mere degradation, "observation" is never a root cause. ``prior`` in [0, 1] is how
    readily such an event is one. ``explainable``: whether it loses blame to what explains it.
    ``text`` says what it means and ``action`` what to do first, a sentence each.
    """

    name: str
    group: Group
    role: Role
    prior: float
    explainable: bool
    text: str
    action: str


def load_kinds(path: str | Path | None = None) -> Mapping[str, Kind]:
    """Every kind by name, in the file's order; the shipped catalogue is read once.

    Raises:
        RuleError: the file is malformed; the error names the line.
    """
    return _bundled_kinds() if path is None else _parse(read_yaml(path, error=RuleError), str(path))


def find_kind(name: str, *, where: str, activity: bool = False) -> str:
    """The kind of the shipped catalogue that a sender means; changes may leave ``change.`` out.

    Args:
        name: what the sender wrote.
        where: what errors name.
        activity: whether a change is meant.

    Raises:
        TelemetryError: there is no such kind.
    """
    kinds = load_kinds()
    for known in (name, f"change.{name}") if activity else (name,):
        if known in kinds and not (activity and kinds[known].role != "activity"):
            return known
    meant = [one.name for one in kinds.values() if not activity or one.role == "activity"]
    near = tuple(get_close_matches(name[:80], meant, n=3) or meant[:3])
    raise TelemetryError(
        f"the kind {name[:40]!r} is unknown",
        where=where,
        remedy=f"Use a kind of the catalogue (graphs/kinds.yaml), such as {_list(near)}",
    )


def parse_kinds(text: str, *, where: str = "kinds") -> Mapping[str, Kind]:
    """The kinds of a YAML text; ``where`` is what errors name."""
    return _parse(load_yaml(text, where=where, error=RuleError), where)


@cache
def _bundled_kinds() -> Mapping[str, Kind]:
    return load_kinds(bundled("graphs", "kinds.yaml"))


def _parse(document: Node, where: str) -> Mapping[str, Kind]:
    if not isinstance(document, Mapped) or not document:
        raise RuleError("no kinds in the file", where=where, remedy=f"Begin with a group: {_list(get_args(Group))}")
    kinds: dict[str, Kind] = {}
    for group, entries in document.items():
        place = f"{where}, line {document.lines[group]}"
        if group not in get_args(Group):
            raise RuleError(f"the group {group!r} is unknown", where=place, remedy=f"Use {_list(get_args(Group))}")
        if not isinstance(entries, Mapped) or not entries:
            raise RuleError(f"the group {group!r} holds no kinds", where=place, remedy="Give it kinds, or remove it")
        for name, fields in entries.items():
            place = f"{where}, line {entries.lines[name]}"
            if name in kinds:
                raise RuleError(f"the kind {name!r} stands twice", where=place, remedy="Remove one of the two")
            kinds[name] = _kind(name, cast(Group, group), fields, place)
    return MappingProxyType(kinds)


def _kind(name: str, group: Group, fields: Node, place: str) -> Kind:
    if not NAME.fullmatch(name):
        raise RuleError(
            f"{name!r} is no name of a kind", where=place, remedy="Write lower case with a dot, such as latency.up"
        )
    if not isinstance(fields, Mapped):
        raise RuleError(f"the kind {name!r} has no fields", where=place, remedy=f"Give it {_list(_KEYS)}")
    unknown = sorted(set(fields) - set(_KEYS))
    if unknown:
        raise RuleError(f"the key {unknown[0]!r} of {name!r} is unknown", where=place, remedy=f"Use {_list(_KEYS)}")
    role = fields.get("role")
    if role not in get_args(Role):
        raise RuleError(f"the role of {name!r} is {role!r}", where=place, remedy=f"Use {_list(get_args(Role))}")
    prior = fields.get("prior", 1)
    if isinstance(prior, bool) or not isinstance(prior, (int, float)) or not 0 <= prior <= 1:
        raise RuleError(f"the prior of {name!r} is {prior!r}", where=place, remedy="Give a number from 0 to 1")
    explainable = fields.get("explainable", False)
    if not isinstance(explainable, bool):
        raise RuleError(f"explainable of {name!r} is {explainable!r}", where=place, remedy="Use true or false")
    return Kind(
        name=name,
        group=group,
        role=cast(Role, role),
        prior=float(prior),
        explainable=explainable,
        text=_sentence(name, "text", fields, place),
        action=_sentence(name, "action", fields, place),
    )


def _sentence(name: str, key: str, fields: Mapped, place: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or not value.strip():
        raise RuleError(f"the {key} of {name!r} is {value!r}", where=place, remedy="Write one sentence")
    return value.strip()


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names)
