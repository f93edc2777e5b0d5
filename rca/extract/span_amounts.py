"""Stub."""

from __future__ import annotations

from rca.extract.amount_series import AmountSeries, read_series
from rca.extract.context import Context


def amount_inputs(context: Context) -> AmountSeries | None:
    """Stub."""
    return read_series(context)
