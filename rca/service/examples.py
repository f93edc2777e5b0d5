"""The window's schema, and examples, for the OpenAPI description. The examples are tested: they are answered."""

from __future__ import annotations

from typing import Any

PARQUET_QUERY = "For an Arrow or Parquet table without `rca.case` in its schema: the field of case.json."

_TIME = {
    "description": "ISO 8601 with a zone, or a number of s, ms, us or ns since 1970.",
    "anyOf": [
        {"type": "string", "format": "date-time"},
        {"type": "integer", "minimum": 1_000_000_000, "maximum": 9_000_000_000},
    ],
}
_SPAN = {
    "type": "object",
    "properties": {"start": _TIME, "end": _TIME},
    "required": ["start"],
    "additionalProperties": False,
}
_NAME = {"type": "string", "minLength": 1, "maxLength": 300}
_SERIES = {
    "type": "object",
    "properties": {
        "component": _NAME,
        "metric": _NAME,
        "peer": {"type": "string"},
        "values": {"type": "array", "items": {"type": ["number", "null"]}},
    },
    "required": ["component", "metric", "values"],
    "additionalProperties": False,
}
_COLUMNS = {"type": "object", "description": "One list of cells per column; docs/telemetry.md names the columns."}
_RECORDS = {"type": "array", "items": {"type": "object"}}
WINDOW_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "The object of case.json with the telemetry inside; or, without `telemetry`, a reference to"
    " telemetry that was ingested, by `components` or by the `labels` of an alert.",
    "properties": {
        "id": {"type": "string", "maxLength": 100},
        "title": {"type": "string", "maxLength": 300},
        "window": _SPAN,
        "baseline": {"anyOf": [_SPAN, {"const": "none"}]},
        "detected_at": _TIME,
        "onset": _TIME,
        "symptoms": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "component": _NAME,
                    "metric": {"type": "string"},
                    "direction": {"enum": ["up", "down", "none"]},
                },
                "required": ["component"],
                "additionalProperties": False,
            },
        },
        "topology": {"type": "object"},
        "kinds": {"type": "object", "additionalProperties": {"type": "string"}},
        "hosts": {"type": "object", "additionalProperties": {"type": "string"}},
        "replica_of": {"type": "object", "additionalProperties": {"type": "string"}},
        "attributes": {
            "type": "object",
            "additionalProperties": {"type": "object", "additionalProperties": {"type": "string"}},
        },
        "telemetry": {
            "type": "object",
            "properties": {
                "metrics": {
                    "type": "object",
                    "properties": {
                        "times": {"type": "array", "items": _TIME},
                        "series": {"type": "array", "items": _SERIES},
                    },
                },
                "logs": _COLUMNS,
                "spans": _COLUMNS,
                "changes": _RECORDS,
                "alerts": _RECORDS,
            },
            "additionalProperties": False,
        },
        "components": {"type": "array", "items": _NAME},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "anyOf": [{"required": ["window"]}, {"required": ["detected_at"]}],
    "additionalProperties": False,
}

_MINUTES = 40
_BEGIN = 1_767_225_600  # 2026-01-01T00:00:00Z
_FAULT = 30


def _series(component: str, metric: str, healthy: float, faulty: float) -> dict[str, Any]:
    """A level with a small wave, and another level from the fault on."""
    levels = [faulty if minute >= _FAULT else healthy for minute in range(_MINUTES)]
    values = [round(level * (1 + 0.02 * ((minute * 7) % 5 - 2)), 4) for minute, level in enumerate(levels)]
    return {"component": component, "metric": metric, "values": values}


WINDOW: dict[str, Any] = {
    "title": "Checkout is slow",
    "detected_at": "2026-01-01T00:33:00Z",
    "symptoms": [{"component": "web", "metric": "latency_ms"}],
    "topology": {"edges": [["web", "cart"], ["cart", "cart-db"]]},
    "telemetry": {
        "metrics": {
            "times": [_BEGIN + 60 * minute for minute in range(_MINUTES)],
            "series": [
                _series("web", "latency_ms", 50, 450),
                _series("cart", "latency_ms", 20, 420),
                _series("cart-db", "latency_ms", 4, 400),
                _series("cart-db", "connections", 20, 100),
            ],
        },
        "changes": [{"time": "2026-01-01T00:29:00Z", "component": "cart-db", "kind": "change.config", "name": "pool"}],
    },
}
REFERENCE: dict[str, Any] = {
    "labels": {"alertname": "HighLatency", "service": "web"},
    "detected_at": "2026-01-01T00:33:00Z",
}
