"""Where confirmed causes come from: answers beside cases, and feedback of people who say who they are and when.

A feedback file holds one JSON object per line:

    {"case": "incidents/42", "component": "cart", "kind": "memory", "who": "ada", "time": "2026-01-31T12:00:00Z"}

``case`` is a case folder, relative to the file; ``kind`` may be left out. The last word of each person on
an incident counts; of several persons the later one. What the engine answered is never read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from rca.cases.folder import is_case_folder
from rca.errors import InputError
from rca.types import to_nanoseconds

LONGEST_NAME = 200


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    case: str
    who: str
    time: str
    component: str = ""
    kind: str = ""
    opinion: Literal["confirmed", "wrong", "note"] = "confirmed"
    note: str = ""
    id: str = ""
    incident: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What one person confirmed of one incident; ``time`` in ns."""

    case: Path
    component: str
    kind: str
    who: str
    time: int


def read_feedback(file: Path) -> tuple[Feedback, ...]:
    """The confirmations of a file, one per incident: the latest. Notes and mere denials teach nothing.

    Raises:
        InputError: the file cannot be read, or a line is malformed, names nobody, no time, or no case folder.
    """
    latest: dict[Path, Feedback] = {}
    for where, line in _lines(file):
        found = _confirmation(line, file.parent, where)
        if found is not None and (found.case not in latest or found.time >= latest[found.case].time):
            latest[found.case] = found
    return tuple(latest[case] for case in sorted(latest))


def _lines(file: Path) -> Iterator[tuple[str, _Line]]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read ({error})", where=file, remedy="Give a file of JSON lines") from error
    for number, raw in enumerate(text.splitlines(), 1):
        if not raw.strip():
            continue
        where = f"{file}, line {number}"
        try:
            yield where, msgspec.json.decode(raw, type=_Line)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise InputError(
                f"is no feedback ({error})", where=where, remedy="Write case, component, who and time; see docs"
            ) from error


def _confirmation(line: _Line, root: Path, where: str) -> Feedback | None:
    if line.opinion != "confirmed":
        return None
    for name, value in (("who", line.who), ("component", line.component)):
        if not value.strip() or len(value) > LONGEST_NAME:
            raise InputError(f"{name} is empty or too long", where=where, remedy=f"Say {name}")
    case = (root / line.case).resolve()
    if not is_case_folder(case):
        raise InputError(f"{line.case[:80]!r} is no case folder", where=where, remedy="Name a folder with a case.json")
    return Feedback(
        case=case,
        component=line.component.strip(),
        kind=line.kind.strip(),
        who=line.who.strip(),
        time=to_nanoseconds(line.time),
    )


def fingerprint(paths: Sequence[Path], *, salt: str) -> str:
    """What changes when a file below the paths is added, removed or written: names, sizes and times, not contents."""
    digest = hashlib.sha256(salt.encode())
    for path in paths:
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        for file in files:
            state = file.stat()
            digest.update(f"{file}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()
