"""The native case folder.

my-incident/
    case.json           when and by whom it was felt (see rca.cases.description)
    metrics.csv         each table as .parquet, .arrow, .csv or .json, one form per table;
    logs.parquet        none of them has to be there
    spans.arrow
    changes.json
    alerts.json
    topology.csv        or .json, .yaml; or inside case.json
    profile.npz         a health profile
    answer.json         the true cause, which no algorithm sees: only ``read_answer`` opens it
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from rca.cases.description import (
    LEAST,
    Description,
    case_from_description,
    decode_description,
    describe,
    encode_description,
)
from rca.errors import CaseError
from rca.formats import files
from rca.formats.native_json import decode_json
from rca.telemetry import Telemetry
from rca.topology import Topology
from rca.topology_files import read_topology, topology_to_json
from rca.types import Answer, Case

TABLES = ("metrics", "logs", "spans", "changes", "alerts")
TOPOLOGY_FORMS = ("json", "csv", "yaml", "yml")
DESCRIPTION, ANSWER, PROFILE = "case.json", "answer.json", "profile.npz"
# The kind of an answer that says that nothing was broken.
NO_FAULT = "none"
# Metrics, logs and spans are large, changes and alerts are read by people.
FORM = {"metrics": "parquet", "logs": "parquet", "spans": "parquet", "changes": "json", "alerts": "json"}


class _Answer(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    components: list[str]
    kind: str = ""
    metric: str = ""
    change: str | None = None
    decoys: list[str] = []
    first_failing: str | None = None
    blast_radius: list[str] = []


def is_case_folder(path: str | Path) -> bool:
    """Whether a folder is a native case: it holds a ``case.json``."""
    return (Path(path) / DESCRIPTION).is_file()


def read_case(path: str | Path) -> Case:
    """The case in a folder, never the answer.

    Raises:
        CaseError: there is no case.json, it is malformed, or a table stands there in several forms.
        RCAError: a table, the topology or the profile is malformed.
    """
    folder = Path(path)
    described = _read_description(folder)
    topology = _read_topology(folder, described)
    hints = [s.component for s in described.symptoms] + list(described.kinds) + list(described.hosts)
    hints += topology.components if topology else ()
    telemetry = Telemetry(**{table: _read_table(folder, table, hints) for table in TABLES if _forms(folder, table)})
    case = case_from_description(
        described, telemetry, topology, name=folder.resolve().name, where=str(folder / DESCRIPTION)
    )
    if not (folder / PROFILE).is_file():
        return case
    from rca.health.storage import load_profile

    return Case(
        incident=case.incident,
        telemetry=case.telemetry,
        topology=case.topology,
        health=load_profile(folder / PROFILE),
        model=case.model,
    )


def read_answer(path: str | Path) -> Answer:
    """The answer that stands in a case folder.

    Raises:
        CaseError: there is none, or it is malformed.
    """
    file = Path(path) / ANSWER
    raw: _Answer = decode_json(
        _read(file, "There is no answer to this case"), _Answer, where=str(file), error=CaseError
    )
    if not raw.components and raw.kind != NO_FAULT:
        raise CaseError(
            "no components",
            where=file,
            remedy=f'Name a component that is the cause, or write "kind": "{NO_FAULT}" where nothing was broken',
        )
    return Answer(
        components=tuple(raw.components),
        kind=raw.kind,
        metric=raw.metric,
        change=raw.change,
        decoys=tuple(raw.decoys),
        first_failing=raw.first_failing,
        blast_radius=tuple(raw.blast_radius),
    )


def write_case(case: Case, path: str | Path, answer: Answer | None = None) -> Path:
    """Writes a case folder, whole or not at all, and gives its path.

    Raises:
        CaseError: something is there already, or it cannot be written.
    """
    folder = Path(path)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CaseError("is there already", where=folder, remedy="Choose a new folder, or remove this one")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as bad:
        raise CaseError(f"cannot be written: {bad.strerror}", where=folder, remedy="Check the folder above it") from bad
    try:
        _write_into(draft, case, answer)
        draft.chmod(0o777 & ~_umask())  # mkdtemp's folder is its owner's alone
        draft.replace(folder)
    except OSError as bad:
        raise CaseError(f"cannot be written: {bad.strerror}", where=folder, remedy="Check space and rights") from bad
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _read_description(folder: Path) -> Description:
    file = folder / DESCRIPTION
    if not folder.is_dir():
        raise CaseError("is no folder", where=folder, remedy="Give the folder that holds case.json")
    described = decode_description(_read(file, f"Write one, at least {LEAST}"), where=str(file))
    if bytes(described.telemetry):
        raise CaseError("telemetry stands in case.json", where=file, remedy="Write it into metrics.json, logs.json …")
    return described


def _read(file: Path, remedy: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as bad:
        problem = "is missing" if isinstance(bad, FileNotFoundError) else f"cannot be read: {bad.strerror}"
        raise CaseError(problem, where=file, remedy=remedy) from bad


def _forms(folder: Path, table: str) -> list[Path]:
    found = [file for form in files.FORMS if (file := folder / f"{table}.{form}").is_file()]
    if len(found) > 1:
        raise CaseError(
            f"{table} stand there several times: {', '.join(file.name for file in found)}",
            where=folder,
            remedy="Keep one form per table",
        )
    return found


def _read_table(folder: Path, table: str, hints: list[str]) -> Any:
    file = _forms(folder, table)[0]
    if table == "metrics":
        return files.read_metrics(file, components=hints)
    return getattr(files, f"read_{table}")(file)


def _read_topology(folder: Path, described: Description) -> Topology | None:
    where = str(folder / DESCRIPTION)
    there = [file for form in TOPOLOGY_FORMS if (file := folder / f"topology.{form}").is_file()]
    named = described.topology_file
    own = described.own_topology(where)
    inline = bytes(described.topology) not in (b"", b"null") and not named
    if named:
        file = (folder / named).resolve()
        if folder.resolve() not in file.parents:
            raise CaseError(f"the topology {named[:80]!r} lies outside the case", where=where, remedy="Copy it inside")
        there = [file, *(other for other in there if other.resolve() != file)]
    if len(there) + inline > 1:
        names = [file.name for file in there] + [DESCRIPTION] * inline
        raise CaseError(f"several topologies: {', '.join(names)}", where=folder, remedy="Keep one of them")
    read = read_topology(there[0]) if there else None
    return read if own is None else own.merge(read)


def _write_into(folder: Path, case: Case, answer: Answer | None) -> None:
    (folder / DESCRIPTION).write_bytes(_pretty(encode_description(describe(case))))
    telemetry = case.telemetry
    for table in TABLES:
        value = getattr(telemetry, table)
        if value.values.shape != (0, 0) if table == "metrics" else len(value) > 0:
            getattr(files, f"write_{table}")(value, folder / f"{table}.{FORM[table]}")
    if case.topology is not None:
        (folder / "topology.json").write_bytes(topology_to_json(case.topology))
    if case.health is not None:
        from rca.health.storage import save_profile

        save_profile(case.health, folder / PROFILE)
    if answer is not None:
        fields = {name: getattr(answer, name) for name in _Answer.__struct_fields__}
        fields = {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}
        (folder / ANSWER).write_bytes(_pretty(msgspec.json.encode(_Answer(**fields))))


def _pretty(content: bytes) -> bytes:
    return msgspec.json.format(content, indent=2) + b"\n"


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
