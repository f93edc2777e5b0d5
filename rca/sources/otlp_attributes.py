"""Attributes and resources of OTLP, as texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

_LONGEST = 2_048
_DEEPEST = 8


def value_text(value: Any, limit: int = _LONGEST) -> str:
    """An AnyValue as a text of at most ``limit`` characters: lists and maps as JSON."""
    which = value.WhichOneof("value")
    if which == "string_value":
        text = value.string_value
    elif which is None:
        return ""
    elif which == "bool_value":
        return "true" if value.bool_value else "false"
    elif which in ("int_value", "double_value"):
        return str(getattr(value, which))
    else:
        text = msgspec.json.encode(_plain(value, 0)).decode()
    return str(text) if len(text) <= limit else f"{text[: limit - 1]}…"


def attributes_of(pairs: Iterable[Any]) -> dict[str, str]:
    """Name -> text of a list of KeyValue; the first of several of one name counts."""
    found: dict[str, str] = {}
    for pair in pairs:
        value = pair.value
        # Nearly all values are texts: read without asking which they are.
        text = value.string_value
        if not text:
            text = value_text(value)
        elif len(text) > _LONGEST:
            text = f"{text[: _LONGEST - 1]}…"
        found.setdefault(pair.key, text)
    return found


def _plain(value: Any, depth: int) -> Any:
    which = value.WhichOneof("value")
    if which is None or depth > _DEEPEST:
        return None
    if which == "array_value":
        return [_plain(item, depth + 1) for item in value.array_value.values]
    if which == "kvlist_value":
        return {pair.key: _plain(pair.value, depth + 1) for pair in value.kvlist_value.values}
    found = getattr(value, which)
    if which == "bytes_value":
        return found.hex()
    return found
