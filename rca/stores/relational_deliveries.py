"""Messages to others: kept until they are sent, at least once, none of one content twice."""

# ruff: noqa: S608 - only names of our own tables and columns are written into statements; values are parameters

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

from rca.errors import NotFoundError
from rca.stores.records import Delivery, DeliveryState
from rca.stores.relational_jobs import Tables
from rca.stores.writer import Row, Transaction

_DELIVERY = "id, incident, target, state, attempt, due, created, body, error, receipt"


class DeliveryTables(Tables):
    """The part of the store that holds deliveries."""

    def add_deliveries(self, deliveries: Sequence[Delivery]) -> Future[int]:
        """Queues deliveries; how many are new."""
        return self.submit(lambda sql: self._insert_deliveries(sql, deliveries), rows=len(deliveries))

    def claim_deliveries(self, now: int, lease: int, *, limit: int = 10) -> Future[list[Delivery]]:
        """Deliveries that are due, each with one attempt more; no one else gets them until ``lease``."""

        def write(sql: Transaction) -> list[Delivery]:
            rows = sql.rows(
                "UPDATE deliveries SET attempt = attempt + 1, due = ? WHERE id IN (SELECT id FROM deliveries"
                f" WHERE state = 'waiting' AND due <= ? ORDER BY due, id LIMIT ?{self.skip_locked})"
                f" RETURNING {_DELIVERY}",
                (lease, now, limit),
            )
            return sorted((_delivery(row) for row in rows), key=lambda delivery: (delivery.created, delivery.id))

        return self.submit(write)

    def settle_delivery(
        self, delivery: str, attempt: int, state: DeliveryState, *, due: int = 0, error: str = "", receipt: str = ""
    ) -> Future[bool]:
        """What became of an attempt: sent, to be tried again when ``due``, or dead."""
        statement = (
            "UPDATE deliveries SET state = ?, due = ?, error = ?, receipt = ?"
            " WHERE id = ? AND attempt = ? AND state = 'waiting'"
        )
        return self.submit(lambda sql: sql.run(statement, (state, due, error, receipt, delivery, attempt)) == 1)

    def revive_delivery(self, delivery: str, now: int) -> Future[bool]:
        """Tries a delivery again that is dead."""
        statement = "UPDATE deliveries SET state = 'waiting', due = ?, attempt = 0 WHERE id = ? AND state = 'dead'"
        return self.submit(lambda sql: sql.run(statement, (now, delivery)) == 1)

    def delivery(self, delivery: str) -> Delivery:
        """One delivery."""
        found = self.read(f"SELECT {_DELIVERY} FROM deliveries WHERE id = ?", (delivery,))
        if not found:
            raise NotFoundError(f"there is no delivery {delivery[:80]!r}", remedy="List them")
        return _delivery(found[0])

    def deliveries(self, *, incident: str = "", state: DeliveryState | str = "", limit: int = 100) -> list[Delivery]:
        """Deliveries, newest first."""
        statement = (
            f"SELECT {_DELIVERY} FROM deliveries WHERE (incident = ? OR ? = '') AND (state = ? OR ? = '')"
            " ORDER BY created DESC, id DESC LIMIT ?"
        )
        return [_delivery(row) for row in self.read(statement, (incident, incident, state, state, limit))]

    def _insert_deliveries(self, sql: Transaction, deliveries: Sequence[Delivery]) -> int:
        names = [name.strip() for name in _DELIVERY.split(",")]
        rows = [tuple(getattr(delivery, name) for name in names) for delivery in deliveries]
        statement = f"INSERT INTO deliveries ({_DELIVERY}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
        return sql.many(statement, rows)


def _delivery(row: Row) -> Delivery:
    return Delivery(**dict(zip((name.strip() for name in _DELIVERY.split(",")), row, strict=True)))
