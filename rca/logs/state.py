"""The learned state of a template miner as JSON: plain texts and numbers, checked when they are read."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import msgspec

from rca.errors import ProfileError, RuleError
from rca.logs.masks import Masks, load_masks, parse_masks

VERSION = 1


class MinerState(msgspec.Struct, forbid_unknown_fields=True):
    """What a miner has learned.

    ``templates``: by code, a text (found by its location) or the tokens of a cluster; clusters are
    numbered from 1 in this order. ``tree``: number of tokens -> first token -> clusters.
    """

    version: int
    masks: dict[str, Any]
    capacity: int
    templates: list[str | list[str]]
    tree: dict[str, dict[str, list[int]]]


def encode_state(state: MinerState) -> bytes:
    """ASCII JSON with sorted keys: the same bytes for the same state."""
    return json.dumps(msgspec.to_builtins(state), sort_keys=True, separators=(",", ":")).encode("ascii")


def decode_state(data: bytes | str) -> MinerState:
    """The state of its JSON.

    Raises:
        ProfileError: no JSON, another version, or a tree that does not hold its templates.
    """
    where, remedy = "learned log templates", "Build the profile again"
    try:
        state = msgspec.convert(json.loads(data), MinerState)
    except (ValueError, RecursionError, msgspec.ValidationError) as bad:
        raise ProfileError(f"unreadable: {str(bad)[:200]}", where=where, remedy=remedy) from bad
    if state.version != VERSION:
        raise ProfileError(f"version {state.version} where {VERSION} is read", where=where, remedy=remedy)
    clusters = [tokens for tokens in state.templates if isinstance(tokens, list)]
    placed = Counter(number for children in state.tree.values() for ids in children.values() for number in ids)
    if sorted(placed) != list(range(1, len(clusters) + 1)) or any(count > 1 for count in placed.values()):
        raise ProfileError("the tree does not hold each template once", where=where, remedy=remedy)
    for length, children in state.tree.items():
        if any(str(len(clusters[number - 1])) != length for ids in children.values() for number in ids):
            raise ProfileError(f"templates under {length!r} are not of that length", where=where, remedy=remedy)
        if any(not ids for ids in children.values()):
            raise ProfileError("a branch of the tree is empty", where=where, remedy=remedy)
    return state


def masks_of(state: MinerState) -> Masks:
    """The masks that a state was learned with; a profile keeps them though the file may change.

    Raises:
        ProfileError: they are malformed.
    """
    shipped = load_masks()
    if state.masks == shipped.to_data():
        return shipped
    try:
        return parse_masks(state.masks, where="masks of the profile")
    except RuleError as bad:
        raise ProfileError(bad.problem, where=bad.where, remedy="Build the profile again") from bad
