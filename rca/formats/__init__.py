"""Telemetry in files: each table as JSON, Arrow, Parquet or CSV, told by the name's ending.

``read_metrics("metrics.csv")``, ``write_spans(spans, "spans.parquet")`` and so on; the columns are
those of ``rca.formats.tables`` in every form, and docs/telemetry.md describes them.
"""

from __future__ import annotations

from rca.formats.files import (
    FORMS,
    read_alerts,
    read_changes,
    read_logs,
    read_metrics,
    read_spans,
    write_alerts,
    write_changes,
    write_logs,
    write_metrics,
    write_spans,
)
from rca.formats.native_json import telemetry_from_json, telemetry_to_json

__all__ = [
    "FORMS",
    "read_alerts",
    "read_changes",
    "read_logs",
    "read_metrics",
    "read_spans",
    "telemetry_from_json",
    "telemetry_to_json",
    "write_alerts",
    "write_changes",
    "write_logs",
    "write_metrics",
    "write_spans",
]
