"""Log lines taken out of their envelopes: Docker and CRI, structured JSON, klog headers."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from rca.logs.masks import LEVELS, Masks, load_masks
from rca.telemetry import FATAL, UNKNOWN, LogBatch, Texts

# In order of trust. Docker nests its line under "log"; the others are those of the usual loggers.
TEXT_FIELDS = ("message", "msg", "log", "body", "text", "event")
LEVEL_FIELDS = ("severity", "level", "severity_text", "severityText", "lvl", "levelname", "log.level", "loglevel")
ERROR_FIELDS = ("exception", "error", "err", "error.message", "exc_info")
NUMBER_FIELDS = ("severityNumber", "severity_number")
_TEXT, _LEVEL, _ERROR, _NUMBER = range(4)
_ROLES = {
    name: (role, place)
    for role, names in enumerate((TEXT_FIELDS, LEVEL_FIELDS, ERROR_FIELDS, NUMBER_FIELDS))
    for place, name in enumerate(names)
}
# A container runtime around a structured logger around a message; deeper nesting is payload.
MAX_NESTING = 4

_CRI = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T\S+ (?:stdout|stderr) [FP] ")
_KLOG = re.compile(r"([IWEF])[0-9]{4} [0-9:.]+ +[0-9]+ (?=\S+:[0-9]+\] )")
_KLOG_LEVELS = {"I": LEVELS["info"], "W": LEVELS["warn"], "E": LEVELS["error"], "F": LEVELS["fatal"]}


def unwrap(raw: str, masks: Masks | None = None) -> tuple[str, int]:
    """The message of a raw line and its level (0 unknown ... 6 fatal).

    JSON objects give their message, and with ": " the error or exception beside it; a line that
    only looks like JSON stays as it is. The level is the envelope's, else what the text begins with.
    """
    masks = load_masks() if masks is None else masks
    text, level = raw.strip(), UNKNOWN
    for _ in range(MAX_NESTING):
        inner, found = _open_json(text, masks) if text.startswith("{") else _strip_header(text)
        level = level or found
        if inner is None:
            break
        text = inner.strip()
    return text, level or masks.find_level(text)


def unwrap_batch(logs: LogBatch, masks: Masks | None = None) -> LogBatch:
    """The lines with clean messages; levels that are known stay, others are found. Clean lines stay as they are."""
    masks = load_masks() if masks is None else masks
    messages, levels = logs.message.tolist(), logs.level.tolist()
    wrapped = [row for row, message in enumerate(messages) if not levels[row] or message[:1] == "{"]
    if not wrapped:
        return logs
    for row in wrapped:
        messages[row], found = unwrap(messages[row], masks)
        levels[row] = levels[row] or found
    return replace(logs, message=_texts(messages), level=np.array(levels, np.int8))


def level_of(value: object, masks: Masks, *, ten: bool = True) -> int:
    """The level of a word or a number, 0 where it is neither.

    Numbers are in tens, as Bunyan and Pino write them, or (``ten`` False) OpenTelemetry's: 1 to 24, four per level.
    """
    if isinstance(value, str):
        return masks.level_words.get(value.strip().upper(), UNKNOWN)
    if not isinstance(value, int) or isinstance(value, bool):
        return UNKNOWN
    if ten:
        return min(value // 10, FATAL) if 10 <= value < 70 else UNKNOWN
    return (value + 3) // 4 if 1 <= value <= 24 else UNKNOWN


def _open_json(text: str, masks: Masks) -> tuple[str | None, int]:
    fields = _decode(text)
    if fields is None:
        return None, UNKNOWN
    message, rank, level, error = None, len(TEXT_FIELDS), UNKNOWN, ""
    for name, value in fields.items():
        role = _ROLES.get(name)
        if role is None:
            continue
        what, place = role
        if what == _TEXT:
            if place < rank and isinstance(value, str) and value:
                message, rank = value, place
        elif what == _ERROR:
            error = error or _first_line(value)
        else:
            level = level or level_of(value, masks, ten=what == _LEVEL)
    if message is None:
        return (error or None), level
    return (f"{message.rstrip()}: {error}" if error and error not in message else message), level


def _decode(text: str) -> dict[str, Any] | None:
    try:
        fields = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _first_line(value: object) -> str:
    if isinstance(value, dict):
        parts = [value.get(name) for name in ("type", "class", "name", "message")]
        value = ": ".join(part for part in parts if isinstance(part, str) and part)
    return value.strip().partition("\n")[0] if isinstance(value, str) else ""


def _strip_header(text: str) -> tuple[str | None, int]:
    header = _CRI.match(text)
    if header is not None:
        return text[header.end() :], UNKNOWN
    header = _KLOG.match(text)
    return (None, UNKNOWN) if header is None else (text[header.end() :], _KLOG_LEVELS[header[1]])


def _texts(values: list[str]) -> npt.NDArray[Any]:
    array: Texts = np.empty(len(values), dtype=object)
    array[:] = values
    return array
