"""The data sets that can be evaluated, by name; a loader is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

from rca.cases.labelled import LabelledCase, Onset
from rca.errors import EvaluationError


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """Where the loader of a set is, what else it is told, and whether it distinguishes given onsets."""

    module: str
    options: Mapping[str, str] = field(default_factory=dict)
    has_onsets: bool = True


SETS: Mapping[str, DataSet] = MappingProxyType(
    {
        "nezha-tt": DataSet(module="rca.cases.nezha", options={"system": "tt"}),
        "nezha-ob": DataSet(module="rca.cases.nezha", options={"system": "ob"}),
        "petshop": DataSet(module="rca.cases.petshop"),
        "tvdiag-gaia": DataSet(module="rca.cases.tvdiag", options={"system": "gaia"}),
        "tvdiag-sockshop": DataSet(module="rca.cases.tvdiag", options={"system": "sockshop"}),
        "tvdiag-hotel": DataSet(module="rca.cases.tvdiag", options={"system": "hotel"}),
        "rootcausebench": DataSet(module="rca.cases.rootcausebench", has_onsets=False),
        "rcaeval": DataSet(module="rca.cases.rcaeval"),
        "native": DataSet(module="rca.cases.native"),
    }
)


def load_set(name: str, path: Path | str, *, onset: Onset = "estimated") -> Iterator[LabelledCase]:
    """The labelled incidents of a set, read one after the other.

    Raises:
        EvaluationError: the set is unknown, the folder is not there, or ``onset`` is no such choice.
    """
    if name not in SETS:
        raise EvaluationError(f"the data set {name!r} is unknown", remedy=f"Use one of {', '.join(SETS)}")
    if onset not in ("estimated", "given"):
        raise EvaluationError(f"the onset cannot be {onset!r}", remedy="Use estimated or given")
    if not Path(path).is_dir():
        raise EvaluationError("there is no such folder", where=path, remedy="Give the folder of the unpacked set")
    entry = SETS[name]
    load = import_module(entry.module).load
    timing = {"onset": onset} if entry.has_onsets else {}
    for case, answer in load(Path(path), **timing, **entry.options):
        yield LabelledCase(case, answer)
