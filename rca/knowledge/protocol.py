"""What every store does: keep rows, answer for topology and history. The verbs of the engine build on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from rca.errors import InputError
from rca.knowledge.claims import Claims
from rca.knowledge.rows import Batch, Row

MOST_HOPS = 10  # beyond this a neighbourhood is the whole system


def check_reach(hops: int, callers: int) -> None:
    """How far a neighbourhood goes.

    Raises:
        InputError: a number lies outside 0 to ``MOST_HOPS``.
    """
    for name, number in (("hops", hops), ("callers", callers)):
        if type(number) is not int or not 0 <= number <= MOST_HOPS:
            raise InputError(f"{name} is {number!r:.40}", where="neighbourhood", remedy=f"Use 0 to {MOST_HOPS}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows that a store answered; ``degraded`` says why they may be out of date, empty where they are not."""

    rows: Sequence[Row]
    degraded: str = ""


@runtime_checkable
class GraphStore(Protocol):
    """Topology over time and the history of incidents, for one tenant.

    All methods raise StoreError where the store cannot be used at all, may be called from several
    threads, and see and touch rows of their own tenant only.
    """

    @property
    def tenant(self) -> str:
        """Whose rows these are."""

    def for_tenant(self, tenant: str) -> GraphStore:
        """The same store for another tenant; both share the connection, and closing one closes both."""

    def write(self, batch: Batch) -> None:
        """Keeps a batch, whole or not at all; the same batch again changes nothing."""

    def claims(self, at: int, *, source: str | None = None, later: bool = False) -> Claims:
        """All claims that hold at a time, perhaps of one source only; ``later``: and those that begin after it."""

    def claims_near(self, names: Sequence[str], at: int, *, hops: int, callers: int) -> Claims:
        """Claims that hold at a time about what lies near some components, and the dependencies among it.

        Near is what is reached in at most ``hops`` dependencies, or against them in at most
        ``callers`` (both 0 to ``MOST_HOPS``), and with it the replicas of what is reached. Names that
        nobody knows are passed over.
        """

    def known(self, names: Sequence[str], at: int) -> Rows:
        """``name`` of those among some components that anybody knows of at a time."""

    def incident_ids(self, since: int, until: int) -> Rows:
        """``id`` and ``start`` of the incidents whose window starts in [since, until), by start and id."""

    def rows(self, table: str, keys: Sequence[str]) -> Rows:
        """All rows of a table that belong to some incidents; of ``incidents`` and ``changes``: those with these ids.

        Rows come in no particular order.
        """

    def ask(self, question: str, parameters: Mapping[str, Any]) -> Rows:
        """The rows that answer one of ``rca.knowledge.questions``, in no particular order."""

    def concern(self) -> str:
        """What of this tenant's somebody has to see to, in a sentence for reports; empty where nothing is."""

    def close(self) -> None:
        """Gives connections and files back; closing twice is harmless."""
