"""What is said of a change under suspicion: who, where, when, what its diff does, which words it shares."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rca.quantities import clock, duration
from rca.suspects.places import Place
from rca.suspects.vocabulary import COMPOUND, tokens
from rca.types import Change

# Kinds of behaviour with less strength than this are not worth a word, and no more words than these are quoted.
WORTH_SAYING, MOST_KINDS, MOST_WORDS = 0.3, 3, 4

_WORD = re.compile(r"[A-Za-z_][\w\-]*")
_KINDS = {
    "call_in_loop": "a call in a loop",
    "growth": "a collection that only grows",
    "release_removed": "something is no longer released",
    "bound_removed": "a limit, cache or index removed",
    "guard_removed": "a check or default removed",
    "call_removed": "a call removed",
    "text_changed": "a changed text",
    "number_changed": "a changed number",
    "condition_changed": "a changed condition",
    "name_changed": "a changed name",
    "dependency": "another version of a dependency",
    "schema_changed": "a changed schema",
    "new_reference": "a new table or variable",
    "concurrency_added": "added concurrency",
    "wait_added": "an added wait",
    "code_removed": "removed code",
    "await_removed": "something no longer waited for",
}


def describe(
    change: Change, place: Place, *, kinds: Mapping[str, float], words: Sequence[str], first: str, onset: int
) -> str:
    """One sentence without the change's name, which stands beside it.

    Args:
        kinds: what its diff does, with the strength of each in [0, 1].
        words: tokens that were observed too, most telling first.
        first: the component that began to fail at ``onset``, ns.
    """
    ahead = onset - place.since
    author = change.attributes.get("author", "")
    where = f"on {place.component}" if place.component else "of no known component"
    when = f"{duration(ahead)} {'before' if ahead >= 0 else 'after'} {first} began to fail"
    parts = [f"{f'by {author}, ' if author else ''}{where} since {clock(place.since)}, {when}"]
    strongest = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    named = [
        _KINDS.get(kind, kind.replace("_", " "))
        for kind, strength in strongest
        if strength >= WORTH_SAYING and kind != "other"
    ]
    if named:
        parts.append(f"its diff: {', '.join(named[:MOST_KINDS])}")
    written = as_written(words, change)
    if written:
        parts.append(f"shares {_quoted(written)} with what was observed")
    return "; ".join(parts)


def as_written(words: Sequence[str], change: Change) -> tuple[str, ...]:
    """Tokens as the change writes them; a part of a longer identifier that is shown is not repeated."""
    text = " ".join((change.diff, change.name, *change.files))
    spelled: dict[str, str] = {}
    for word in dict.fromkeys(_WORD.findall(text)):
        for token in tokens(word):
            # The shortest word that holds it: max_workers rather than max_workers_of_cart.
            if token not in spelled or len(word) < len(spelled[token]):
                spelled[token] = word
    shown: list[str] = []
    for token in sorted(words, key=lambda token: token[0] != COMPOUND):
        word = spelled.get(token, token.removeprefix(COMPOUND))
        if not any(word in other for other in shown):
            shown.append(word)
    return tuple(shown[:MOST_WORDS])


def _quoted(words: Sequence[str]) -> str:
    quoted = [f"“{word}”" for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
