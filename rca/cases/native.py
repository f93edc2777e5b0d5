"""The project's own layout: one folder per incident, as ``rca.cases.folder`` reads and writes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rca.cases.folder import read_answer, read_case
from rca.cases.labelled import LabelledCase, Onset
from rca.errors import CaseError


def load(path: Path, *, onset: Onset = "estimated") -> Iterator[LabelledCase]:
    """The incidents of ``path`` in order of name: one case folder, or a folder of them.

    With ``onset="estimated"`` an onset that a case gives is taken away.

    Raises:
        CaseError: there is no case with an answer, or one is malformed.
    """
    root = Path(path)
    folders = [root] if (root / "case.json").is_file() else sorted(file.parent for file in root.glob("*/case.json"))
    if not folders:
        raise CaseError("there is no case.json", where=root, remedy="Give a case folder, or a folder of case folders")
    for folder in folders:
        case, answer = read_case(folder), read_answer(folder)
        if onset == "estimated" and case.incident.onset is not None:
            case = replace(case, incident=replace(case.incident, onset=None))
        yield LabelledCase(case, answer)
