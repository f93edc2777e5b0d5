"""What a loader gives: a case that algorithms may see, and beside it the answer that they may not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from rca.types import Answer, Case

Onset = Literal["estimated", "given"]


class LabelledCase(NamedTuple):
    """One incident of a data set; unpacks into ``case, answer``."""

    case: Case
    answer: Answer


class Loader(Protocol):
    """Reads the unpacked folder of a data set, one incident after the other, always in the same order.

    With ``onset="given"`` the incident's onset is the labelled time of injection; with "estimated"
    the case only says when an alert fired (see ``rca.cases.alerting``).
    """

    def __call__(self, path: Path, *, onset: Onset = "estimated") -> Iterator[LabelledCase]:
        """The incidents below ``path``."""
