"""What can be proved of a regular expression by reading it; where unsure the answer is no."""

from __future__ import annotations

import re

# A class in brackets, an escape, a count such as {1,3}, or any other character.
_PART = re.compile(r"(?s)(?P<inside>\[\^?\]?(?:\\.|[^\]\\])*\])|\\(?P<escaped>.)|\{[0-9]*,?[0-9]*\}|(?P<plain>.)")
_HAS_DIGIT = re.compile("[0-9]")
_RANGE = re.compile(r"[0-9]-[0-9]|[A-Z]-[A-Z]|[a-z]-[a-z]")
_INSIDE_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
# \w \d \S match no white space, and \b is the same before a space as at the end of the text.
_LOCAL_ESCAPES = frozenset("wdSbB")


def is_digit_blind(pattern: str) -> bool:
    """Whether a pattern treats all of 0-9 alike, so that it matches at the same places whatever the digits."""
    if "(?P=" in pattern:
        return False
    for part in _PART.finditer(pattern):
        asked = (part["inside"] or "").replace("0-9", "") + (part["plain"] or "")
        if _HAS_DIGIT.search(asked) is not None or (part["escaped"] or "-") in "0123456789xuUN":
            return False
    return True


def is_word_local(pattern: str) -> bool:
    """Whether a pattern neither matches nor looks beyond white space, so that words can be masked one by one."""
    for part in _PART.finditer(pattern):
        inside, escaped, plain = part["inside"], part["escaped"], part["plain"]
        if inside is not None and not _is_local_class(inside[1:-1]):
            return False
        if escaped is not None and not _is_local_escape(escaped):
            return False
        if plain is not None and (plain in ".^$[" or plain.isspace()):
            return False
    return True


def _is_local_class(content: str) -> bool:
    if content.startswith("^") or not all(_is_local_escape(found[1]) for found in _INSIDE_ESCAPE.finditer(content)):
        return False
    rest = _RANGE.sub("", _INSIDE_ESCAPE.sub("", content))
    return "-" not in rest[1:-1] and not any(character.isspace() for character in rest)


def _is_local_escape(character: str) -> bool:
    return character in _LOCAL_ESCAPES or not (character.isalnum() or character.isspace())
