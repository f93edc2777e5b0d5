"""Times that are not healthy: from the command line, or from a file of incidents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from rca.errors import InputError
from rca.types import Window, to_nanoseconds

REMEDY = 'Give FROM..TO, or a JSON file with a list of {"start": ..., "end": ...}'
MOST_BYTES = 64 << 20


def read_excluded(texts: Sequence[str]) -> tuple[Window, ...]:
    """Windows in order of time, those that touch joined.

    Args:
        texts: ``FROM..TO`` (or ``FROM/TO``) each, or the path of a JSON file: a list of incidents with
            ``start`` and ``end``, with a ``window`` of them, or one such incident, as in ``case.json``.

    Raises:
        InputError: a text is neither, or a file is malformed.
    """
    windows: list[Window] = []
    for text in texts:
        windows += _from_file(Path(text)) if text.endswith(".json") else [parse_window(text)]
    joined: list[Window] = []
    for window in sorted(windows):
        if joined and window.start <= joined[-1].end:
            joined[-1] = Window(start=joined[-1].start, end=max(window.end, joined[-1].end))
        else:
            joined.append(window)
    return tuple(joined)


def parse_window(text: str) -> Window:
    """``FROM..TO`` or ``FROM/TO``, both ISO 8601 with a zone.

    Raises:
        InputError: it is no such text.
    """
    for mark in ("..", "/"):
        start, found, end = text.partition(mark)
        if found:
            return Window(start=to_nanoseconds(start.strip()), end=to_nanoseconds(end.strip()))
    raise InputError(f"{text[:80]!r} is no stretch of time", where="--exclude", remedy=REMEDY)


def _from_file(path: Path) -> list[Window]:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        told = msgspec.json.decode(content)
    except OSError as bad:
        raise InputError(f"cannot be read: {bad.strerror}", where=path, remedy=REMEDY) from bad
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as bad:
        raise InputError(f"is no JSON ({bad})", where=path, remedy=REMEDY) from bad
    if isinstance(told, dict) and isinstance(told.get("incidents"), list):
        told = told["incidents"]
    incidents = told if isinstance(told, list) else [told]
    return [_window(incident, f"{path}, incident {i + 1}") for i, incident in enumerate(incidents)]


def _window(incident: Any, where: str) -> Window:
    told = incident.get("window", incident) if isinstance(incident, dict) else incident
    if not isinstance(told, dict) or not {"start", "end"} <= told.keys():
        raise InputError("has no start and end", where=where, remedy=REMEDY)
    start, end = told["start"], told["end"]
    if not all(isinstance(time, (str, int)) for time in (start, end)):
        raise InputError("start and end are no times", where=where, remedy=REMEDY)
    try:
        return Window(start=to_nanoseconds(start), end=to_nanoseconds(end))
    except InputError as bad:
        raise InputError(bad.problem, where=where, remedy=bad.remedy) from bad
