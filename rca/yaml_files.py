"""YAML that strangers wrote: read safely, within limits, every mapping knowing its line.

A small part of YAML is read: mappings with text keys, lists, and the scalars of the 1.2 core schema
(null, true/false, decimal, 0x and 0o integers, floats). Times, and ``yes``, ``on``, ``1:30``, stay
texts. Tags that would make objects, non-finite numbers, repeated keys, anchors that contain
themselves and files beyond the limits are errors that name the line.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TypeAlias

import yaml

from rca.errors import InputError

# The largest rule file that ships is under 60 KiB and 6 deep; anchors are rarely used at all.
MAX_BYTES = 1 << 20
MAX_DEPTH = 20
MAX_ALIASES = 20

Scalar: TypeAlias = str | int | float | bool | None
Node: TypeAlias = "Mapped | list[Node] | Scalar"

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml, where PyYAML was built with it, is 8 times faster
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {text: text.lower() == "true" for text in ("true", "True", "TRUE", "false", "False", "FALSE")}
_INT = re.compile(r"[-+]?[0-9]+|0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_TAG = "tag:yaml.org,2002:"


class Mapped(dict[str, Node]):
    """A mapping that knows where it stood.

    Attributes:
        line: line of its first key (1 is the first line of the text).
        lines: key -> the key's line.
    """

    line: int
    lines: dict[str, int]

    def __init__(self, line: int = 0) -> None:
        super().__init__()
        self.line = line
        self.lines = {}


class _Open:
    """A mapping or list whose end has not been read yet."""

    __slots__ = ("anchor", "key", "line", "merged", "merging", "value")

    def __init__(self, value: Mapped | list[Node], anchor: str | None, line: int) -> None:
        self.value = value
        self.anchor = anchor
        self.line = line
        self.key: str | None = None
        self.merging = False
        self.merged: list[Mapped] = []


class _Builder:
    """Builds the document out of parser events, without recursion."""

    def __init__(self, where: str, error: type[InputError], max_depth: int, max_aliases: int) -> None:
        self.where = where
        self.error = error
        self.max_depth = max_depth
        self.max_aliases = max_aliases
        self.stack: list[_Open] = []
        self.anchors: dict[str, Node] = {}
        self.aliases = 0
        self.documents = 0
        self.root: Node = None

    def fail(self, problem: str, line: int, remedy: str | None = None) -> InputError:
        return self.error(problem, where=f"{self.where}, line {line}", remedy=remedy)

    def take(self, event: yaml.Event) -> None:
        mark = event.start_mark
        line = 1 if mark is None else mark.line + 1
        if isinstance(event, yaml.ScalarEvent):
            self.add(
                self.scalar(event, line), line, event.anchor, plain_merge=event.value == "<<" and event.implicit[0]
            )
        elif isinstance(event, yaml.CollectionStartEvent):
            self.open(event, line)
        elif isinstance(event, yaml.CollectionEndEvent):
            self.close()
        elif isinstance(event, yaml.AliasEvent):
            self.add(self.alias(event, line), line, None)
        elif isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise self.fail("a second document begins", line, "Keep one document per file")

    def open(self, event: yaml.CollectionStartEvent, line: int) -> None:
        if len(self.stack) >= self.max_depth:
            raise self.fail(f"more than {self.max_depth} levels of nesting", line, "Flatten the document")
        mapping = isinstance(event, yaml.MappingStartEvent)
        if event.tag not in (None, "!", _TAG + ("map" if mapping else "seq")):
            raise self.fail(f"the tag {event.tag[:80]!r} is not allowed", line, "Remove the tag")
        if self.stack and isinstance(self.stack[-1].value, Mapped) and self.stack[-1].key is None:
            raise self.fail("a key is a mapping or a list", line, "Use a text as key")
        self.stack.append(_Open(Mapped(line) if mapping else [], event.anchor, line))

    def close(self) -> None:
        done = self.stack.pop()
        if isinstance(done.value, Mapped):
            for other in done.merged:
                for key, value in other.items():
                    if key not in done.value:
                        done.value[key] = value
                        done.value.lines[key] = other.lines[key]
        self.add(done.value, done.line, done.anchor)

    def alias(self, event: yaml.AliasEvent, line: int) -> Node:
        self.aliases += 1
        if self.aliases > self.max_aliases:
            raise self.fail(f"more than {self.max_aliases} aliases", line, "Write the values out")
        if event.anchor is None or event.anchor not in self.anchors:
            raise self.fail(
                f"the alias *{(event.anchor or '')[:80]} has no anchor before it", line, "Define &anchor before its use"
            )
        return self.anchors[event.anchor]

    def add(self, value: Node, line: int, anchor: str | None, *, plain_merge: bool = False) -> None:
        if anchor is not None:
            self.anchors[anchor] = value
        if not self.stack:
            self.root = value
            return
        parent = self.stack[-1]
        if isinstance(parent.value, list):
            parent.value.append(value)
        elif parent.key is None:
            parent.merging = plain_merge
            parent.key = "<<" if plain_merge else self.key(parent.value, value, line)
            if not plain_merge:
                parent.value.lines[parent.key] = line
        else:
            if parent.merging:
                parent.merged.extend(self.merge(value, line))
            else:
                parent.value[parent.key] = value
            parent.key = None

    def key(self, mapping: Mapped, key: Node, line: int) -> str:
        if not isinstance(key, str):
            shown = "a mapping or a list" if isinstance(key, (dict, list)) else repr(key)
            raise self.fail(f"the key {shown} is not a text", line, "Put the key in quotes")
        if key in mapping.lines:
            raise self.fail(
                f"the key {key[:80]!r} stands twice, first on line {mapping.lines[key]}", line, "Remove one of the two"
            )
        return key

    def merge(self, value: Node, line: int) -> list[Mapped]:
        candidates = value if isinstance(value, list) else [value]
        merged = [candidate for candidate in candidates if isinstance(candidate, Mapped)]
        if len(merged) != len(candidates):
            raise self.fail("<< merges something that is no mapping", line, "Merge an alias of a mapping")
        return merged

    def scalar(self, event: yaml.ScalarEvent, line: int) -> Scalar:
        text: str = event.value
        if event.tag not in (None, "!", _TAG + "str"):
            raise self.fail(f"the tag {event.tag[:80]!r} is not allowed", line, "Remove the tag")
        if event.tag is not None or not event.implicit[0]:
            return text
        if text in _NULL:
            return None
        if text in _BOOL:
            return _BOOL[text]
        if _INT.fullmatch(text):
            if len(text) > 40:
                raise self.fail("an integer has more than 40 digits", line, "Put it in quotes if it is a text")
            return int(text, {"0x": 16, "0o": 8}.get(text[:2], 10))
        if _FLOAT.fullmatch(text):
            number = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
            if not math.isfinite(number):
                raise self.fail(f"the number {text[:40]} is not finite", line, "Write a finite number")
            return number
        return text


def load_yaml(
    text: str,
    *,
    where: str,
    error: type[InputError] = InputError,
    max_bytes: int = MAX_BYTES,
    max_depth: int = MAX_DEPTH,
    max_aliases: int = MAX_ALIASES,
) -> Node:
    """One YAML document as plain values; mappings are ``Mapped`` and know their lines.

    Aliases share one object: treat what comes back as read-only. Merge keys (``<<``) are followed.

    Args:
        text: the document.
        where: what errors name, such as the file; the line is added to it.
        error: the class of the errors raised.

    Raises:
        InputError: (or ``error``) no YAML, no safe YAML, or beyond the limits on bytes, depth and aliases.
    """
    if len(text) > max_bytes or len(text.encode("utf-8", "surrogatepass")) > max_bytes:
        raise error(f"more than {max_bytes} bytes of YAML", where=where, remedy="Split the file")
    builder = _Builder(where, error, max_depth, max_aliases)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as bad:
        mark = bad.problem_mark or bad.context_mark
        place = where if mark is None else f"{where}, line {mark.line + 1}"
        problem = f"{bad.context}: {bad.problem}" if bad.context else str(bad.problem)
        raise error(f"not YAML: {problem}", where=place, remedy="Mend the syntax") from bad
    except (yaml.YAMLError, ValueError, OverflowError) as bad:  # unreadable characters and impossible escapes
        reason = " ".join(str(bad).split())[:200]
        raise error(f"not YAML: {reason}", where=where, remedy="Save the file as plain UTF-8 text") from bad
    return builder.root


def read_yaml(path: str | Path, *, error: type[InputError] = InputError, max_bytes: int = MAX_BYTES) -> Node:
    """The one document of a YAML file, as ``load_yaml`` gives it; errors name the file and the line.

    Raises:
        InputError: (or ``error``) the file cannot be read, is not UTF-8, or ``load_yaml`` refuses it.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as bad:
        raise error(f"cannot be read: {bad.strerror}", where=path, remedy="Check the path and its permissions") from bad
    try:
        text = content[:max_bytes].decode("utf-8-sig") if len(content) <= max_bytes else ""
    except UnicodeDecodeError as bad:
        raise error("not UTF-8", where=path, remedy="Save the file as UTF-8 text") from bad
    if len(content) > max_bytes:
        raise error(f"more than {max_bytes} bytes of YAML", where=path, remedy="Split the file")
    return load_yaml(text, where=str(path), error=error, max_bytes=max_bytes)
