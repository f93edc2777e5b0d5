"""Which learned version is in use: what was promoted last, as long as nobody went back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from rca.errors import ConflictError
from rca.stores.records import LearnedUse

if TYPE_CHECKING:
    from rca.stores.protocol import Store

UNTRAINED = ""


def in_use(store: Store) -> str:
    """The version in use, "" for the untrained answer."""
    uses = store.learned_uses()
    return uses[-1].version if uses else UNTRAINED


def is_held(store: Store) -> bool:
    """Whether somebody went back: then nothing is learnt until somebody says so."""
    uses = store.learned_uses()
    return bool(uses) and uses[-1].action == "rollback"


def roll_back(store: Store, who: str, *, untrained: bool = False) -> LearnedUse:
    """Goes back to what was in use before, at last to the untrained answer; at once where that is asked for.

    Raises:
        ConflictError: the untrained answer is in use already.
    """
    former = _stack(store.learned_uses())
    if not former:
        raise ConflictError("the untrained answer is in use", remedy="There is nothing to go back from")
    there = {one.version for one in store.learned_versions()}
    earlier = [version for version in former[:-1] if version in there]
    version = UNTRAINED if untrained or not earlier else earlier[-1]
    use = LearnedUse(version=version, time=time.time_ns(), action="rollback", who=who)
    store.use_learned(use).result()
    return use


def read_card(text: str) -> dict[str, Any]:
    """What was said of a version when it was learnt; empty where that is damaged."""
    try:
        card = msgspec.json.decode(text.encode())
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return {}
    return card if isinstance(card, dict) else {}


def _stack(uses: list[LearnedUse]) -> list[str]:
    """The versions that were put into use and not taken back, the one in use last."""
    found: list[str] = []
    for use in uses:
        if use.action == "promote":
            found.append(use.version)
            continue
        while found and found[-1] != use.version:
            found.pop()
    return found
